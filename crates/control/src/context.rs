//! What every loop is given: the present services, the clock that requests use, metrics, dice.

use headgate_model::dice::Dice;
use headgate_model::state::ServiceState;
use headgate_model::units::Tick;
use headgate_observe::journal::Journal;
use headgate_observe::registry::WorkerMetrics;
use headgate_policy::chaos::Verdict;
use std::sync::Arc;

/// Tells the services that are in force now.
pub type Services = Arc<dyn Fn() -> Vec<Arc<ServiceState>> + Send + Sync>;

/// Tells what befalls a probe of this endpoint of this service now; `None` where no rule hits it.
pub type ProbeFaults = Arc<dyn Fn(&str, &str, &mut Dice) -> Option<Verdict> + Send + Sync>;

/// The same for all loops. Clones are cheap.
#[derive(Clone)]
pub struct Context {
    pub services: Services,
    /// The clock whose ticks requests compare with.
    pub now: Arc<dyn Fn() -> Tick + Send + Sync>,
    /// The cells of the control thread: no worker has its id.
    pub metrics: WorkerMetrics,
    /// Where the loops tell why they changed something.
    pub journal: Journal,
    /// What chaos rules have in store for a health probe of an endpoint.
    pub probe_faults: ProbeFaults,
    /// Starts the dice for jitter. Different in each process, or all gateways probe in step.
    pub seed: u64,
}
