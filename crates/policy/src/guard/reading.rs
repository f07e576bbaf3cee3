//! One reading of the differences between the arms: how they are put together to blocks, and the test of these. A guard
//! has two that share what may be wrong: a swift one and a patient one. It knows nothing of metrics.

use headgate_stats::sequential::{Blocks, MeanSequence, SignFlipTest};

/// Differences of one round. A test that ran long between equals has lost what it could bet; each round begins anew.
const ROUND: u32 = 256;
/// The intervals in the journal: their error, and the number of differences where they are narrowest.
const INTERVAL: (f64, usize) = (0.05, 64);

/// Differences as evidence.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    blocks: Blocks,
    /// Windows in a row without which the evidence has to hold.
    spared: u32,
    test: SignFlipTest,
    interval: Option<MeanSequence>,
    /// Counted from 1, and the differences in it.
    round: u32,
    in_round: u32,
}

impl Reading {
    /// Blocks as long as windows follow from one another.
    pub(super) fn swift(spared: u32) -> Self {
        Self::new(Blocks::new(), spared)
    }

    /// Blocks of so many windows, of which nothing has to be found out first.
    pub(super) fn patient(block: u32) -> Self {
        Self::new(Blocks::fixed(block), 0)
    }

    fn new(blocks: Blocks, spared: u32) -> Self {
        let test = sparing(spared, &blocks);
        let mut reading = Self { blocks, spared, test, interval: None, round: 1, in_round: 0 };
        reading.begin();
        reading
    }

    /// Starts the evidence again. What is known of spread and correlation stays.
    pub(super) fn begin(&mut self) {
        (self.round, self.in_round) = (1, 0);
        self.blocks.interrupt();
        self.test.restart();
        self.interval = interval();
    }

    pub(super) fn observe(&mut self, gain: f64) {
        // Within its bounds a metric is finite, and so is what is made of it.
        let Ok(released) = self.blocks.observe(gain) else { return };
        let (start_again, means) = (released.start_again, released.means.to_vec());
        if start_again {
            self.test = sparing(self.spared, &self.blocks);
            self.interval = interval();
            (self.round, self.in_round) = (self.round + 1, 0);
        }
        for mean in means {
            let _ = self.test.observe(mean);
            self.interval.as_mut().map(|interval| interval.observe(mean));
            self.in_round += 1;
        }
    }

    /// To be called after each window that was judged.
    pub(super) fn go_on(&mut self) {
        if self.in_round >= ROUND {
            (self.round, self.in_round) = (self.round + 1, 0);
            self.test.restart();
        }
    }

    /// Whether the differences lie above zero, by a promise of `alpha` for as long as this reading goes on.
    pub(super) fn is_above(&self, alpha: f64) -> bool {
        self.test.p_above() <= self.spent(alpha)
    }

    pub(super) fn is_below(&self, alpha: f64) -> bool {
        self.test.p_below() <= self.spent(alpha)
    }

    /// Where their mean lies; None before that can be said.
    pub(super) fn interval(&self) -> Option<(f64, f64)> {
        let interval = self.interval.as_ref()?.interval().ok()??;
        Some((interval.low, interval.high))
    }

    /// Round `k` may spend `1 / (k (k + 1))` of `alpha`, which adds up to all of it for a stay without end.
    fn spent(&self, alpha: f64) -> f64 {
        let round = f64::from(self.round);
        alpha / (round * (round + 1.0))
    }
}

fn sparing(windows: u32, blocks: &Blocks) -> SignFlipTest {
    SignFlipTest::sparing(windows.div_ceil(blocks.length()))
}

fn interval() -> Option<MeanSequence> {
    MeanSequence::new(INTERVAL.0, INTERVAL.1).ok()
}
