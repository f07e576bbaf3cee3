//! Tells a client that gives up on requests now and then from one that makes requests in order to give up
//! on them ("rapid reset", CVE-2023-44487): there the endpoints would do the work and nobody the waiting.

use headgate_model::units::Tick;

/// Streams that a client gave up on, beyond those that it let finish.
#[derive(Debug)]
pub(super) struct Resets {
    surplus: u32,
    most: u32,
    /// Until when the surplus was worn down.
    worn: Tick,
}

/// The surplus wears down by so many in a second: a stream that waits for events ends no other way.
const WORN_PER_SECOND: u64 = 10;

impl Resets {
    /// All of a connection's concurrent streams may be given up at once, and once more.
    pub(super) fn new(streams: u32, now: Tick) -> Self {
        Self { surplus: 0, most: streams.saturating_mul(2), worn: now }
    }

    pub(super) fn finished(&mut self) {
        self.surplus = self.surplus.saturating_sub(1);
    }

    pub(super) fn given_up(&mut self, now: Tick) {
        let worn = now.since(self.worn).as_millis() as u64 * WORN_PER_SECOND / 1_000;
        if worn > 0 {
            self.surplus = self.surplus.saturating_sub(u32::try_from(worn).unwrap_or(u32::MAX));
            self.worn = now;
        }
        self.surplus += 1;
    }

    pub(super) fn is_flood(&self) -> bool {
        self.surplus > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_on_everything_is_a_flood() {
        let mut resets = Resets::new(4, Tick(0));
        (0..8).for_each(|_| resets.given_up(Tick(0)));
        assert!(!resets.is_flood());
        resets.given_up(Tick(0));
        assert!(resets.is_flood());
    }

    #[test]
    fn giving_up_on_half_is_not() {
        let mut resets = Resets::new(4, Tick(0));
        for _ in 0..1_000 {
            resets.given_up(Tick(0));
            resets.finished();
        }
        assert!(!resets.is_flood());
    }

    #[test]
    fn giving_up_now_and_then_is_not() {
        let mut resets = Resets::new(4, Tick(0));
        for second in 0..1_000 {
            resets.given_up(Tick(second * 1_000_000_000));
        }
        assert!(!resets.is_flood());
    }
}
