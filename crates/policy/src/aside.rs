//! Puts an endpoint aside that could not be connected to: requests go elsewhere for a while, then one of them finds out.
//! Without any settings, as HTTP proxies have long done with servers that are gone; what answers badly is judged elsewhere.

use headgate_model::units::Tick;
use std::time::Duration;

/// After the first failure; doubled with each further one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// What is known of the connections to one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Attempts in a row that could not connect.
    pub failures: u32,
    /// No request is sent there until then, if there is another place for it.
    pub until: Tick,
}

impl Aside {
    #[must_use]
    pub fn is_aside(self, now: Tick) -> bool {
        now < self.until
    }

    /// A request is sent there all the same. If it is to find out, others wait for what it finds.
    #[must_use]
    pub fn ask(self, now: Tick) -> Self {
        if self.failures > 0 && !self.is_aside(now) { self.put(now) } else { self }
    }

    /// An attempt that `began` then could not connect. Of many that fail together the first counts.
    #[must_use]
    pub fn failed(self, began: Tick, now: Tick) -> Self {
        if self.failures > 0 && began + self.wait() < self.until {
            return self;
        }
        Self { failures: self.failures.saturating_add(1), ..self }.put(now)
    }

    fn put(self, now: Tick) -> Self {
        Self { until: now + self.wait(), ..self }
    }

    fn wait(self) -> Duration {
        FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(8)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_stays_aside_for_longer_with_each_failure_and_one_request_finds_out() {
        let (mut aside, mut now) = (Aside::default(), Tick(7));
        assert!(!aside.is_aside(now) && aside.ask(now) == aside);
        for seconds in [1, 2, 4, 8, 10, 10] {
            let began = now;
            now = now + SECOND / 10;
            aside = aside.failed(began, now);
            assert_eq!(aside.until, now + SECOND * seconds);
            assert_eq!(aside.failed(began, now + SECOND / 10), aside, "who began with it says nothing new");
            now = aside.until;
            assert!(!aside.is_aside(now));
            aside = aside.ask(now);
            assert!(aside.is_aside(now), "others wait for the one that finds out");
        }
        assert!(!Aside::default().is_aside(now), "as it is once one was connected");
    }
}
