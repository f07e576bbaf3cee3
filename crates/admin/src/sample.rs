//! Looks at the registry once per second while somebody watches `/top`, and rests when nobody does: a look
//! copies every histogram. It computes no rates itself.

use bytes::Bytes;
use headgate_model::units::Tick;
use headgate_observe::registry::Registry;
use headgate_observe::top::TopSampler;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

const PERIOD: Duration = Duration::from_secs(1);
/// Looks taken after the last question before the sampler rests.
const UNASKED_MAX: u32 = 10;

/// The one that looks.
pub(crate) struct Sampler {
    registry: Registry,
    asked: Arc<Notify>,
    latest: watch::Sender<Option<Bytes>>,
}

/// The end of those who ask.
pub(crate) struct Looks {
    asked: Arc<Notify>,
    latest: watch::Receiver<Option<Bytes>>,
}

pub(crate) fn sampler(registry: Registry) -> (Sampler, Looks) {
    let (sender, latest) = watch::channel(None);
    let asked = Arc::new(Notify::new());
    (Sampler { registry, asked: Arc::clone(&asked), latest: sender }, Looks { asked, latest })
}

impl Sampler {
    /// Never ends.
    pub(crate) async fn run(self) {
        let zero = Instant::now();
        loop {
            self.asked.notified().await;
            self.watch(zero).await;
            self.latest.send_replace(None);
        }
    }

    /// Looks until nobody has asked for a while.
    async fn watch(&self, zero: Instant) {
        let now = || Tick::default() + zero.elapsed();
        let mut sampler = TopSampler::default();
        // There is nothing to compare the first look with: nobody gets to see it.
        sampler.sample(&self.registry, now());
        let mut unasked = 0;
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        period.tick().await;
        while unasked < UNASKED_MAX {
            tokio::select! {
                () = self.asked.notified() => unasked = 0,
                _ = period.tick() => {
                    unasked += 1;
                    // A number without a JSON form cannot be; the look before it would stay.
                    if let Ok(json) = sampler.sample(&self.registry, now()).to_json() {
                        self.latest.send_replace(Some(json.into()));
                    }
                }
            }
        }
    }
}

impl Looks {
    /// The latest look, as JSON; waits up to a period for the first. `None` when the sampler is gone.
    pub(crate) async fn latest(&self) -> Option<Bytes> {
        self.asked.notify_one();
        let mut latest = self.latest.clone();
        latest.wait_for(Option::is_some).await.ok()?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_observe::request_metrics::RouteMetrics;
    use headgate_observe::top::TopSnapshot;
    use tokio::time::sleep;

    async fn ask(looks: &Looks) -> TopSnapshot {
        TopSnapshot::from_json(std::str::from_utf8(&looks.latest().await.unwrap()).unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_question_is_answered_with_rates_too() {
        let registry = Registry::default();
        let route = RouteMetrics::new(&registry.worker(0), "shop", "catalog");
        let (sampler, looks) = sampler(registry);
        tokio::spawn(sampler.run());
        let count = async {
            sleep(PERIOD / 2).await;
            (0..30).for_each(|_| route.record(200, 1_000));
        };
        let (first, ()) = tokio::join!(ask(&looks), count);
        assert_eq!((first.interval_s, first.requests.per_s), (1.0, 30.0));
        assert_eq!(ask(&looks).await, first, "the same second has the same look");
        sleep(PERIOD + PERIOD / 2).await;
        assert_eq!(ask(&looks).await.requests.per_s, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_watching_means_no_looks() {
        let registry = Registry::default();
        let (sampler, looks) = sampler(registry.clone());
        tokio::spawn(sampler.run());
        ask(&looks).await;
        assert!(looks.latest.borrow().is_some());
        sleep(PERIOD * (UNASKED_MAX + 1)).await;
        assert!(looks.latest.borrow().is_none(), "it rests");

        let began = Instant::now();
        assert_eq!(ask(&looks).await.interval_s, 1.0, "rates are of a second, not of the rest");
        assert_eq!(began.elapsed(), PERIOD);
    }
}
