//! Which setting is better, by what the shadows did with the same requests: only requests that one of a pair answered
//! and the other did not count, as in McNemar's test, and older ones less. Pure bookkeeping: it holds no cache.

/// Most settings that are compared; there is a sum for each set of them.
pub(super) const MOST_SETTINGS: usize = 8;
/// Epochs in a row that a challenger must win.
const EPOCHS_TO_WIN: u32 = 2;
/// By how much the price of turning back to what disappointed grows, and to what at most.
const CAUTION_STEP: f64 = 2.0;
const CAUTION_MOST: f64 = 8.0;

/// One setting over another.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// What the first saved and the second did not, less the reverse.
    gain: f64,
    /// The squares of both: the variance if neither were better.
    squares: f64,
}

/// A lead beyond noise and price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lead {
    pub to: usize,
    pub gain: f64,
    pub error: f64,
    /// Of all requests in the memory.
    pub worth: f64,
    /// It takes the last change back.
    pub is_undo: bool,
}

/// How sure it must be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// What stays of the past with each epoch, 0 to 1.
    pub memory: f64,
    /// Standard errors by which a challenger must lead.
    pub errors: f64,
    /// Of the worth that the challenger holds and the cache does not: by how much it must have led.
    pub price: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Judge {
    count: usize,
    rules: Rules,
    /// By the set of settings that hit in this epoch: sum of the worth of requests, and of its squares.
    by_hits: Vec<(f64, f64)>,
    pairs: Vec<Pair>,
    /// Worth of the hits by setting; last, of all requests.
    worth: Vec<f64>,
    challenger: Option<(usize, u32)>,
    former: Option<usize>,
    /// By setting: factor on its price.
    caution: Vec<f64>,
}

impl Judge {
    pub(super) fn new(count: usize, rules: Rules) -> Self {
        debug_assert!(count <= MOST_SETTINGS, "a sum for each set of settings");
        Self {
            count,
            rules,
            by_hits: vec![(0.0, 0.0); 1 << count],
            pairs: vec![Pair::default(); count * count],
            worth: vec![0.0; count + 1],
            challenger: None,
            former: None,
            caution: vec![1.0; count],
        }
    }

    /// A request worth `worth`, which the settings in `hits` answered.
    pub(super) fn note(&mut self, hits: usize, worth: f64) {
        let sum = &mut self.by_hits[hits];
        *sum = (sum.0 + worth, sum.1 + worth * worth);
    }

    /// Ends an epoch. Some: the leader is to be replaced. `held` says what a setting holds and the leader does not, in
    /// worth: what a change has to fetch again.
    pub(super) fn end_epoch(&mut self, leader: usize, held: &dyn Fn(usize) -> f64) -> Option<Lead> {
        self.fold();
        for caution in &mut self.caution {
            *caution = 1.0 + (*caution - 1.0) * self.rules.memory;
        }
        let Some((to, _)) = self.best(leader, held) else {
            self.challenger = None;
            return None;
        };
        let won = self.challenger.filter(|(same, _)| *same == to).map_or(1, |(_, won)| won + 1);
        self.challenger = Some((to, won));
        if won < EPOCHS_TO_WIN {
            return None;
        }
        self.challenger = None;
        let is_undo = self.former == Some(to);
        if is_undo {
            self.caution[leader] = (self.caution[leader] * CAUTION_STEP).min(CAUTION_MOST);
        }
        self.former = Some(leader);
        let Pair { gain, squares } = self.pairs[to * self.count + leader];
        Some(Lead { to, gain, error: squares.sqrt(), worth: self.worth[self.count], is_undo })
    }

    /// The challenger with the greatest lead after noise and price.
    fn best(&self, leader: usize, held: &dyn Fn(usize) -> f64) -> Option<(usize, f64)> {
        (0..self.count)
            .filter(|to| *to != leader)
            .filter_map(|to| {
                let Pair { gain, squares } = self.pairs[to * self.count + leader];
                if gain <= self.rules.errors * squares.sqrt() {
                    return None;
                }
                let lead = gain - self.rules.price * self.caution[to] * held(to);
                (lead > 0.0).then_some((to, lead))
            })
            .max_by(|one, other| one.1.total_cmp(&other.1))
    }

    fn fold(&mut self) {
        let memory = self.rules.memory;
        for pair in &mut self.pairs {
            *pair = Pair { gain: pair.gain * memory, squares: pair.squares * memory };
        }
        self.worth.iter_mut().for_each(|worth| *worth *= memory);
        for (hits, sum) in self.by_hits.iter_mut().enumerate() {
            let (worth, squares) = std::mem::take(sum);
            if squares == 0.0 {
                continue;
            }
            self.worth[self.count] += worth;
            for one in (0..self.count).filter(|one| hits >> one & 1 == 1) {
                self.worth[one] += worth;
                for other in (0..self.count).filter(|other| hits >> other & 1 == 0) {
                    let pair = &mut self.pairs[one * self.count + other];
                    (pair.gain, pair.squares) = (pair.gain + worth, pair.squares + squares);
                    let pair = &mut self.pairs[other * self.count + one];
                    (pair.gain, pair.squares) = (pair.gain - worth, pair.squares + squares);
                }
            }
        }
    }

    /// Share of the worth that a setting saved lately; zero before the first epoch.
    pub(super) fn saved(&self, setting: usize) -> f64 {
        let all = self.worth[self.count];
        if all > 0.0 { self.worth[setting] / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { memory: 0.9, errors: 2.0, price: 0.5 };

    fn epoch(judge: &mut Judge, hits: usize, requests: u32, held: f64) -> Option<Lead> {
        (0..requests).for_each(|_| judge.note(hits, 1.0));
        judge.end_epoch(0, &|_| held)
    }

    #[test]
    fn a_lead_must_last_two_epochs_and_be_worth_its_price() {
        let mut judge = Judge::new(2, RULES);
        assert_eq!(epoch(&mut judge, 0b10, 3, 0.0), None, "three are noise");
        assert_eq!(epoch(&mut judge, 0b10, 20, 100.0), None, "fifty would have to be fetched again");
        assert_eq!(epoch(&mut judge, 0b10, 20, 0.0), None, "the first epoch");
        assert_eq!(epoch(&mut judge, 0b10, 20, 0.0).map(|lead| lead.to), Some(1));
    }

    #[test]
    fn what_both_answer_or_neither_is_no_evidence() {
        let mut judge = Judge::new(2, RULES);
        for _ in 0..50 {
            assert_eq!(epoch(&mut judge, 0b11, 40, 0.0), None);
            assert_eq!(epoch(&mut judge, 0b00, 40, 0.0), None);
        }
        assert!((judge.saved(1) - 0.5).abs() < 0.05);
    }

    #[test]
    fn what_was_taken_back_costs_more_the_next_time() {
        let mut judge = Judge::new(2, RULES);
        let mut turn = |leader: usize, hits: usize| -> (u32, bool) {
            for epochs in 1.. {
                (0..20).for_each(|_| judge.note(hits, 1.0));
                if let Some(lead) = judge.end_epoch(leader, &|_| 100.0) {
                    return (epochs, lead.is_undo);
                }
            }
            (0, false)
        };
        let (first, _) = turn(0, 0b10);
        assert!(turn(1, 0b01).1, "back to where it came from");
        let (again, _) = turn(0, 0b10);
        assert!(again > first, "{again} epochs after {first}");
    }
}
