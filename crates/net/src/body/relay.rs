//! Joins a source to a sink, piece by piece. Nothing is held back: when the source would wait, what the
//! sink holds goes out first, so that an event stream arrives event by event.

use super::{Piece, Sink, Source};
use crate::deadline::{Deadline, DueAt};
use headgate_model::fault::Fault;
use std::time::Duration;

/// Moves a whole body, and those of its trailers whose names `keeps` says yes to. `seen` is shown each piece before it
/// goes on. Each wait may take `pause`, all together no longer than `until`.
///
/// # Errors
/// The fault of whichever side broke first.
#[inline]
pub async fn relay(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    deadline: &Deadline,
    pause: Duration,
    until: DueAt,
    keeps: &dyn Fn(&[u8]) -> bool,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), Fault> {
    loop {
        match source.next_piece()? {
            Piece::Data(piece) => {
                seen(piece);
                deadline.set_at(deadline.at(pause).min(until));
                sink.push(piece, deadline).await?;
            }
            Piece::NeedMore => {
                deadline.set_at(deadline.at(pause).min(until));
                sink.flush(deadline).await?;
                source.fill(deadline).await?;
            }
            Piece::End => break,
        }
    }
    deadline.set_at(deadline.at(pause).min(until));
    let trailers = source.take_trailers().map(|trailers| trailers.kept(keeps));
    sink.finish(trailers, deadline).await
}
