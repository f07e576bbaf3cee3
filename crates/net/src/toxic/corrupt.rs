//! The toxic that changes bytes of content. Heads, chunk sizes and frame headers stay as they are: a message
//! says something else, and ends where it ended.

use super::Carries;
use super::content::Content;
use super::lane::Pipe;
use headgate_model::dice::Dice;
use headgate_model::spec::Direction;

pub(super) async fn corrupt(
    mut pipe: Pipe,
    probability: f64,
    stream: Direction,
    carries: Carries,
    mut dice: Dice,
) {
    let mut content = Content::new(carries, stream);
    while let Some(mut chunk) = pipe.from.recv().await {
        content.find(&mut chunk.bytes, |bytes| {
            for byte in bytes {
                if dice.unit() < probability {
                    // Never zero: it becomes another byte.
                    *byte ^= 1 + dice.below(255) as u8;
                }
            }
        });
        if !pipe.send(chunk.bytes).await {
            return;
        }
    }
}
