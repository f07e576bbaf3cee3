//! Keeps a loop running: a panic inside is caught and logged, and the loop begins again after a pause that
//! grows while it keeps failing. It does not hide a panic: each one is a line in the log and a count.

use headgate_observe::log::{self, Level};
use headgate_observe::registry::WorkerMetrics;
use std::any::Any;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// The pause after the first panic; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A loop that ran this long is healthy: its next panic counts as the first again.
const STEADY_AFTER: Duration = Duration::from_secs(300);

/// Runs the loop that `start` makes, again after each panic, until it ends by itself. Dropping the future
/// stops the loop.
pub async fn supervise<L>(name: &'static str, metrics: &WorkerMetrics, start: impl Fn() -> L)
where
    L: Future<Output = ()> + Send + 'static,
{
    let restarts = metrics.counter(
        "headgate_control_restarts_total",
        "Control loops begun again after a panic.",
        &[("loop", name)],
    );
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let mut running = Running(tokio::spawn(start()));
        let Some(panic) = (&mut running.0).await.err().and_then(|error| error.try_into_panic().ok()) else {
            return;
        };
        if started.elapsed() >= STEADY_AFTER {
            pause = FIRST_PAUSE;
        }
        restarts.inc();
        report(name, panic, pause);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Stops its task when it is dropped.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn report(name: &str, panic: Box<dyn Any + Send>, pause: Duration) {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref().map(String::as_str)).unwrap_or("no message");
    let fields: log::Fields<'_> = &[("loop", &name), ("panic", &text), ("again_in_s", &pause.as_secs())];
    log::event(Level::Error, "a control loop panicked", fields);
}

#[cfg(test)]
mod tests {
    use super::{FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER, supervise};
    use headgate_observe::registry::Registry;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::time::{Instant, sleep, timeout};

    /// Starts of a loop that runs for `runs[n]` and panics, and ends at last, in seconds.
    async fn starts(runs: Vec<Duration>) -> Vec<u64> {
        let (begin, starts) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        supervise("test", &Registry::default().worker(0), || {
            let run = {
                let mut starts = starts.lock().unwrap();
                starts.push(begin.elapsed().as_secs());
                runs.get(starts.len() - 1).copied()
            };
            async move {
                let Some(run) = run else { return };
                sleep(run).await;
                panic!("made by the test after {run:?}");
            }
        })
        .await;
        Arc::try_unwrap(starts).unwrap().into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_begins_again_after_growing_pauses() {
        assert_eq!(starts(vec![Duration::ZERO; 3]).await, [0, 1, 3, 7]);
        let many = starts(vec![Duration::ZERO; 20]).await;
        assert_eq!(many[20] - many[19], LONGEST_PAUSE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_good_run_is_believed() {
        let runs = vec![Duration::ZERO, Duration::ZERO, STEADY_AFTER];
        let starts = starts(runs).await;
        assert_eq!(starts[3] - starts[2], (STEADY_AFTER + FIRST_PAUSE).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn the_loop_stops_with_its_supervisor() {
        let rounds = Arc::new(AtomicU32::new(0));
        let metrics = Registry::default().worker(0);
        let supervised = supervise("test", &metrics, || {
            let rounds = Arc::clone(&rounds);
            async move {
                loop {
                    rounds.fetch_add(1, Relaxed);
                    sleep(Duration::from_secs(1)).await;
                }
            }
        });
        assert!(timeout(Duration::from_millis(4_500), supervised).await.is_err());
        sleep(Duration::from_secs(60)).await;
        assert_eq!(rounds.load(Relaxed), 5);
    }
}
