//! How well the next request is predicted: sequences of public data sets through the predictor of `learn` and through
//! plain tables, strictly online. Pure: it is given text and gives counts; who measures time is the caller.
//!
//! - [`sequences`]: the text of data sets into sessions.
//! - [`baseline`]: plain tables without limits, the yardstick.
//! - [`score`]: how often the true key was among the first.

pub mod baseline;
pub mod score;
pub mod sequences;

use headgate_learn::sequence::predictor::{Predictor, Session};
use headgate_learn::sequence::slate::{CANDIDATES, Guess};

/// The predictor of `learn` in one session after the other.
#[derive(Clone, Debug)]
pub struct Learned {
    predictor: Predictor,
    session: Session,
    list: Vec<Guess>,
}

impl Learned {
    #[must_use]
    pub fn new(predictor: Predictor) -> Self {
        Self { session: predictor.begin(), predictor, list: Vec::new() }
    }

    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }
}

impl score::Predicts for Learned {
    fn begin(&mut self) {
        let next = self.predictor.begin();
        self.predictor.end(std::mem::replace(&mut self.session, next));
    }

    fn place(&mut self, key: u64) -> Option<usize> {
        self.predictor.predict(&self.session, &[], CANDIDATES, &mut self.list);
        self.list.iter().position(|guess| guess.key == key)
    }

    fn observe(&mut self, key: u64) {
        self.predictor.observe(&mut self.session, &[], key);
        self.predictor.train(1);
    }
}
