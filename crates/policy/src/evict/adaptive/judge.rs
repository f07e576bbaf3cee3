//! Which setting is better, by what the shadows did with the same requests, older ones counted less; and how much the
//! votes of each count. Pure bookkeeping: it holds no cache.

/// Most settings that are compared; there is a sum, and in the cache a list, for each set of them.
pub(super) const MOST_SETTINGS: usize = 7;
/// What stays of the past with each epoch.
const MEMORY: f64 = 0.99;
/// Requests by which the setting that runs first is ahead.
const HEAD_START: f64 = 8.0;
/// Of the standard deviation of a lead, from epoch to epoch: by how much a challenger must lead.
const DEVIATIONS: f64 = 0.5;
/// Votes count by e to the power of the lag behind the leader, in standard errors, times this.
const SHARPNESS: f64 = 0.5;

/// One setting over another.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    /// What the first saved and the second did not, less the reverse.
    gain: f64,
    /// The squares of both: the variance if neither were better, and requests had nothing to do with each other.
    squares: f64,
    /// The squares of the gains of whole epochs: the variance of what comes in bursts.
    bursts: f64,
    /// The gain in this epoch.
    now: f64,
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

#[derive(Clone, Debug)]
pub(super) struct Judge {
    count: usize,
    /// The setting that runs first.
    prior: usize,
    /// By the set of settings that hit in this epoch: sum of the worth of requests, and of its squares.
    by_hits: Vec<(f64, f64)>,
    pairs: Vec<Pair>,
    /// Worth of the hits by setting; last, of all requests.
    worth: Vec<f64>,
    /// Requests in the memory, and in this epoch.
    requests: f64,
    in_epoch: f64,
    /// What each setting saved, less all doubts; after the last epoch.
    standing: Vec<f64>,
    former: Option<usize>,
}

impl Judge {
    pub(super) fn new(count: usize, prior: usize) -> Self {
        debug_assert!(count <= MOST_SETTINGS, "a sum for each set of settings");
        let mut judge = Self {
            count,
            prior,
            by_hits: vec![(0.0, 0.0); 1 << count],
            pairs: vec![Pair::default(); count * count],
            worth: vec![0.0; count + 1],
            requests: 0.0,
            in_epoch: 0.0,
            standing: Vec::new(),
            former: None,
        };
        judge.prefer(prior);
        judge
    }

    /// Another setting runs first.
    pub(super) fn prefer(&mut self, prior: usize) {
        self.prior = prior;
        self.standing =
            (0..self.count).map(|setting| if setting == prior { HEAD_START } else { 0.0 }).collect();
    }

    /// A request worth `worth`, which the settings in `hits` answered.
    pub(super) fn note(&mut self, hits: u32, worth: f64) {
        let sum = &mut self.by_hits[hits as usize];
        *sum = (sum.0 + worth, sum.1 + worth * worth);
        self.in_epoch += 1.0;
    }

    /// Ends an epoch. Some: the leader is to be replaced. `to_fetch` says of a setting how many objects would have to be
    /// fetched again if it led, as far as that counts.
    pub(super) fn end_epoch(&mut self, leader: usize, to_fetch: &dyn Fn(usize) -> f64) -> Option<Lead> {
        self.fold();
        self.standing = (0..self.count)
            .map(|setting| {
                let doubt = DEVIATIONS * self.pair(setting, leader).bursts.sqrt();
                let ahead = if setting == self.prior { HEAD_START } else { 0.0 };
                self.worth[setting] + (ahead - to_fetch(setting)) * self.mean() - doubt
            })
            .collect();
        let by_standing = |one: &usize, other: &usize| self.standing[*one].total_cmp(&self.standing[*other]);
        let to = (0..self.count).max_by(by_standing).filter(|to| *to != leader)?;
        let is_undo = self.former.replace(leader) == Some(to);
        let Pair { gain, squares, .. } = *self.pair(to, leader);
        Some(Lead { to, gain, error: squares.sqrt(), worth: self.worth[self.count], is_undo })
    }

    /// How much the votes of each setting count beside those of the leader, which count one.
    pub(super) fn weights(&self, leader: usize) -> Vec<f64> {
        let mean = self.mean();
        let weight = |setting: usize| {
            let lag = (self.standing[leader] - self.standing[setting]).max(0.0);
            let error = (self.pair(setting, leader).squares + mean * mean).sqrt();
            if lag == 0.0 { 1.0 } else { (-SHARPNESS * lag / error).exp() }
        };
        (0..self.count).map(weight).collect()
    }

    /// Share of the worth that a setting saved lately; zero before the first epoch.
    pub(super) fn saved(&self, setting: usize) -> f64 {
        let all = self.worth[self.count];
        if all > 0.0 { self.worth[setting] / all } else { 0.0 }
    }

    fn pair(&self, one: usize, other: usize) -> &Pair {
        &self.pairs[one * self.count + other]
    }

    /// Worth of a request, in the mean.
    fn mean(&self) -> f64 {
        if self.requests > 0.0 { self.worth[self.count] / self.requests } else { 1.0 }
    }

    fn fold(&mut self) {
        for pair in &mut self.pairs {
            (pair.gain, pair.squares) = (pair.gain * MEMORY, pair.squares * MEMORY);
        }
        self.worth.iter_mut().for_each(|worth| *worth *= MEMORY);
        self.requests = self.requests * MEMORY + std::mem::take(&mut self.in_epoch);
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
                    (pair.now, pair.squares) = (pair.now + worth, pair.squares + squares);
                    let pair = &mut self.pairs[other * self.count + one];
                    (pair.now, pair.squares) = (pair.now - worth, pair.squares + squares);
                }
            }
        }
        for pair in &mut self.pairs {
            let now = std::mem::take(&mut pair.now);
            (pair.gain, pair.bursts) = (pair.gain + now, pair.bursts * MEMORY + now * now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(judge: &mut Judge, leader: usize, hits: u32, requests: u32, to_fetch: f64) -> Option<Lead> {
        (0..requests).for_each(|_| judge.note(hits, 1.0));
        judge.end_epoch(leader, &|setting| if setting == leader { 0.0 } else { to_fetch })
    }

    #[test]
    fn a_lead_must_be_beyond_the_head_start_the_noise_and_its_price() {
        let mut judge = Judge::new(2, 0);
        assert_eq!(epoch(&mut judge, 0, 0b10, 10, 0.0), None, "the head start and half a burst");
        assert_eq!(epoch(&mut judge, 0, 0b10, 20, 30.0), None, "thirty would have to be fetched again");
        assert_eq!(epoch(&mut judge, 0, 0b10, 20, 30.0), None);
        let lead = epoch(&mut judge, 0, 0b10, 20, 30.0).unwrap();
        assert!(lead.to == 1 && !lead.is_undo && lead.gain > 65.0, "{lead:?}");
    }

    #[test]
    fn what_both_answer_or_neither_is_no_evidence() {
        let mut judge = Judge::new(2, 0);
        for _ in 0..50 {
            assert_eq!(epoch(&mut judge, 0, 0b11, 40, 0.0), None);
            assert_eq!(epoch(&mut judge, 0, 0b00, 40, 0.0), None);
        }
        assert!((judge.saved(1) - 0.5).abs() < 0.05);
    }

    #[test]
    fn a_lead_that_comes_and_goes_in_bursts_must_be_larger() {
        let epochs_until = |wins: [u32; 2], losses: [u32; 2]| {
            let mut judge = Judge::new(2, 0);
            (0..100).find(|epoch| {
                (0..wins[epoch % 2]).for_each(|_| judge.note(0b10, 1.0));
                (0..losses[epoch % 2]).for_each(|_| judge.note(0b01, 1.0));
                judge.end_epoch(0, &|setting| 40.0 * setting as f64).is_some()
            })
        };
        let (even, bursts) = (epochs_until([30, 30], [20, 20]), epochs_until([0, 60], [40, 0]));
        assert!(even < bursts && even.is_some(), "{even:?}, {bursts:?}");
    }

    #[test]
    fn votes_follow_the_evidence() {
        let mut judge = Judge::new(3, 0);
        let weights = judge.weights(0);
        assert_eq!(weights[0], 1.0);
        for _ in 0..50 {
            (0..20).for_each(|_| judge.note(0b011, 1.0));
            (0..20).for_each(|_| judge.note(0b101, 1.0));
            (0..10).for_each(|_| judge.note(0b001, 1.0));
            (0..2).for_each(|_| judge.note(0b010, 1.0));
            judge.end_epoch(0, &|_| 0.0);
        }
        let weights = judge.weights(0);
        assert!(weights[0] == 1.0 && weights[1] < 0.01 && weights[2] < weights[1], "{weights:?}");
    }

    #[test]
    fn a_change_that_is_taken_back_says_so() {
        let mut judge = Judge::new(2, 0);
        let first = (0..100).find_map(|_| epoch(&mut judge, 0, 0b10, 20, 10.0)).unwrap();
        let back = (0..100).find_map(|_| epoch(&mut judge, 1, 0b01, 20, 10.0)).unwrap();
        assert!(!first.is_undo && back.is_undo && back.to == 0);
    }
}
