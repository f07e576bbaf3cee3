//! How often the key that came was first, among the first three and the first five. The first tenth of the sessions
//! only teaches.

use super::sequences::Sessions;

/// The longest list that is judged.
pub const LISTED: usize = 5;

/// Counts of one predictor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub predictions: u64,
    /// The key that came was at this place.
    pub places: [u64; LISTED],
    /// It was named at all, at whatever place.
    pub named: u64,
}

impl Score {
    /// `place` of the key that came; none when it was not listed.
    pub fn count(&mut self, place: Option<usize>) {
        self.predictions += 1;
        self.named += u64::from(place.is_some());
        if let Some(place) = place.filter(|place| *place < LISTED) {
            self.places[place] += 1;
        }
    }

    /// Share of the predictions with the key among the first `listed`, 0 to 1.
    #[must_use]
    pub fn top(&self, listed: usize) -> f64 {
        let hits: u64 = self.places.iter().take(listed).sum();
        hits as f64 / self.predictions.max(1) as f64
    }

    #[must_use]
    pub fn named(&self) -> f64 {
        self.named as f64 / self.predictions.max(1) as f64
    }
}

/// What predicts.
pub trait Predicts {
    /// A session begins; the one before it is over.
    fn begin(&mut self);

    /// The place of `key` in the list that it would have given for the next key of this session.
    fn place(&mut self, key: u64) -> Option<usize>;

    /// The next key of this session.
    fn observe(&mut self, key: u64);
}

/// Plays all sessions one after the other.
pub fn play(predictor: &mut impl Predicts, sessions: &Sessions) -> Score {
    let mut score = Score::default();
    let teaching = sessions.len().div_ceil(10);
    for (number, session) in sessions.iter().enumerate() {
        predictor.begin();
        for (at, key) in session.iter().enumerate() {
            if at > 0 && number >= teaching {
                score.count(predictor.place(*key));
            }
            predictor.observe(*key);
        }
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects each key to be one more than the one before, or else two more.
    #[derive(Default)]
    struct Counting(u64);

    impl Predicts for Counting {
        fn begin(&mut self) {}

        fn place(&mut self, key: u64) -> Option<usize> {
            [self.0 + 1, self.0 + 2].iter().position(|guess| *guess == key)
        }

        fn observe(&mut self, key: u64) {
            self.0 = key;
        }
    }

    #[test]
    fn first_keys_and_the_teaching_tenth_are_not_judged() {
        let mut sessions = vec![vec![1, 2, 3]; 10];
        sessions[9] = vec![5, 6, 8, 20];
        let score = play(&mut Counting::default(), &sessions);
        assert_eq!(score.predictions, 8 * 2 + 3);
        assert_eq!(score.places[..2], [17, 1]);
        assert!((score.top(3) - 18.0 / 19.0).abs() < 1e-9 && score.named == 18);
    }
}
