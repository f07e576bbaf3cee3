//! Which setting is better, by what the shadows did with the same requests, older ones counted less; and how much the
//! votes of each count. Pure bookkeeping: it holds no cache.

/// Most settings that are compared; there is a sum, and in the cache a list, for each set of them.
pub(super) const MOST_SETTINGS: usize = 7;
/// What stays of the past with each epoch.
const MEMORY: f64 = 0.99;
/// The same where a change costs much. A hundred epochs never show a lead of a point or less to be worth its price, and a
/// thousand do; those who lead by much are found by the short memory. Chosen at scale on the public traces.
const LONG_MEMORY: f64 = 0.999;
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

/// What each setting did, as far back as a memory reaches.
#[derive(Clone, Debug)]
struct Record {
    /// What stays of the past with each epoch.
    memory: f64,
    pairs: Vec<Pair>,
    /// Worth of the hits by setting; last, of all requests.
    worth: Vec<f64>,
    requests: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Judge {
    count: usize,
    /// The setting that runs first.
    prior: usize,
    /// By the set of settings that hit in this epoch: sum of the worth of requests, and of its squares.
    by_hits: Vec<(f64, f64)>,
    in_epoch: f64,
    lately: Record,
    long: Record,
    /// What each setting saved lately, less all doubts; after the last epoch.
    standing: Vec<f64>,
    former: Option<usize>,
}

impl Record {
    fn new(memory: f64, count: usize) -> Self {
        Self {
            memory,
            pairs: vec![Pair::default(); count * count],
            worth: vec![0.0; count + 1],
            requests: 0.0,
        }
    }

    fn count(&self) -> usize {
        self.worth.len() - 1
    }

    fn pair(&self, one: usize, other: usize) -> &Pair {
        &self.pairs[one * self.count() + other]
    }

    /// Worth of all requests.
    fn all(&self) -> f64 {
        self.worth[self.count()]
    }

    /// Worth of a request, in the mean.
    fn mean(&self) -> f64 {
        if self.requests > 0.0 { self.all() / self.requests } else { 1.0 }
    }

    /// Adds an epoch of so many requests.
    fn fold(&mut self, by_hits: &[(f64, f64)], requests: f64) {
        let count = self.count();
        for pair in &mut self.pairs {
            (pair.gain, pair.squares) = (pair.gain * self.memory, pair.squares * self.memory);
        }
        self.worth.iter_mut().for_each(|worth| *worth *= self.memory);
        self.requests = self.requests * self.memory + requests;
        for (hits, (worth, squares)) in by_hits.iter().copied().enumerate().filter(|(_, sum)| sum.1 != 0.0) {
            self.worth[count] += worth;
            for one in (0..count).filter(|one| hits >> one & 1 == 1) {
                self.worth[one] += worth;
                for other in (0..count).filter(|other| hits >> other & 1 == 0) {
                    let pair = &mut self.pairs[one * count + other];
                    (pair.now, pair.squares) = (pair.now + worth, pair.squares + squares);
                    let pair = &mut self.pairs[other * count + one];
                    (pair.now, pair.squares) = (pair.now - worth, pair.squares + squares);
                }
            }
        }
        for pair in &mut self.pairs {
            let now = std::mem::take(&mut pair.now);
            (pair.gain, pair.bursts) = (pair.gain + now, pair.bursts * self.memory + now * now);
        }
    }
}

impl Judge {
    pub(super) fn new(count: usize, prior: usize) -> Self {
        debug_assert!(count <= MOST_SETTINGS, "a sum for each set of settings");
        let mut judge = Self {
            count,
            prior,
            by_hits: vec![(0.0, 0.0); 1 << count],
            in_epoch: 0.0,
            lately: Record::new(MEMORY, count),
            long: Record::new(LONG_MEMORY, count),
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
    /// fetched again if it led, as far as that counts. With `looks_back` a lead may also have come together over a long
    /// time, if there was one lately too.
    pub(super) fn end_epoch(
        &mut self,
        leader: usize,
        to_fetch: &dyn Fn(usize) -> f64,
        looks_back: bool,
    ) -> Option<Lead> {
        let requests = std::mem::take(&mut self.in_epoch);
        self.lately.fold(&self.by_hits, requests);
        self.standing = self.standings(&self.lately, leader, to_fetch);
        let lead = self.lead(&self.lately, &self.standing, leader);
        let lead = if looks_back {
            self.long.fold(&self.by_hits, requests);
            let standing = self.standings(&self.long, leader, to_fetch);
            let is_still =
                |lead: &Lead| self.lately.pair(lead.to, leader).gain > HEAD_START * self.lately.mean();
            lead.or_else(|| self.lead(&self.long, &standing, leader).filter(is_still))
        } else {
            lead
        };
        self.by_hits.fill((0.0, 0.0));
        let mut lead = lead?;
        lead.is_undo = self.former.replace(leader) == Some(lead.to);
        Some(lead)
    }

    /// What each setting saved, less all doubts.
    fn standings(&self, record: &Record, leader: usize, to_fetch: &dyn Fn(usize) -> f64) -> Vec<f64> {
        let standing = |setting: usize| {
            let ahead = if setting == self.prior { HEAD_START } else { 0.0 };
            let doubt = DEVIATIONS * record.pair(setting, leader).bursts.sqrt();
            record.worth[setting] + (ahead - to_fetch(setting)) * record.mean() - doubt
        };
        (0..self.count).map(standing).collect()
    }

    /// Of the setting that stands best, if that is not the leader.
    fn lead(&self, record: &Record, standing: &[f64], leader: usize) -> Option<Lead> {
        let by_standing = |one: &usize, other: &usize| standing[*one].total_cmp(&standing[*other]);
        let to = (0..self.count).max_by(by_standing).filter(|to| *to != leader)?;
        let Pair { gain, squares, .. } = *record.pair(to, leader);
        Some(Lead { to, gain, error: squares.sqrt(), worth: record.all(), is_undo: false })
    }

    /// How much the votes of each setting count beside those of the leader, which count one.
    pub(super) fn weights(&self, leader: usize) -> Vec<f64> {
        let mean = self.lately.mean();
        let weight = |setting: usize| {
            let lag = (self.standing[leader] - self.standing[setting]).max(0.0);
            let error = (self.lately.pair(setting, leader).squares + mean * mean).sqrt();
            if lag == 0.0 { 1.0 } else { (-SHARPNESS * lag / error).exp() }
        };
        (0..self.count).map(weight).collect()
    }

    /// Share of the worth that a setting saved lately; zero before the first epoch.
    pub(super) fn saved(&self, setting: usize) -> f64 {
        let all = self.lately.all();
        if all > 0.0 { self.lately.worth[setting] / all } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(judge: &mut Judge, leader: usize, hits: u32, requests: u32, to_fetch: f64) -> Option<Lead> {
        (0..requests).for_each(|_| judge.note(hits, 1.0));
        judge.end_epoch(leader, &|setting| if setting == leader { 0.0 } else { to_fetch }, false)
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
                judge.end_epoch(0, &|setting| 40.0 * setting as f64, false).is_some()
            })
        };
        let (even, bursts) = (epochs_until([30, 30], [20, 20]), epochs_until([0, 60], [40, 0]));
        assert!(even < bursts && even.is_some(), "{even:?}, {bursts:?}");
    }

    /// One request in a hundred more than the leader, and 1,000 objects to be fetched again.
    #[test]
    fn a_small_lead_pays_for_a_change_only_over_a_long_time() {
        let epochs_until = |looks_back: bool| {
            let mut judge = Judge::new(2, 0);
            (0..1_000).find(|_| {
                (0..495).for_each(|_| judge.note(0b11, 1.0));
                (0..5).for_each(|_| judge.note(0b10, 1.0));
                judge.end_epoch(0, &|setting| 1_000.0 * setting as f64, looks_back).is_some()
            })
        };
        assert_eq!(epochs_until(false), None);
        assert!(epochs_until(true).is_some_and(|epochs| epochs > 200), "{:?}", epochs_until(true));
    }

    #[test]
    fn what_led_long_ago_and_not_lately_does_not_lead() {
        let mut judge = Judge::new(2, 0);
        let mut epoch = |hits: u32, price: f64| {
            (0..20).for_each(|_| judge.note(hits, 1.0));
            judge.end_epoch(0, &|setting| price * setting as f64, true)
        };
        (0..200).for_each(|_| assert_eq!(epoch(0b10, 5_000.0), None));
        (0..100).for_each(|_| assert_eq!(epoch(0b01, 5_000.0), None));
        assert_eq!(epoch(0b01, 500.0), None, "it would pay for that over the long time");
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
            judge.end_epoch(0, &|_| 0.0, false);
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
