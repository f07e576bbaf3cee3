//! The admin listener: metrics, health, the configuration in force, and reload, for operators and their
//! tools. It carries no traffic, knows nothing of the gateway but [`State`], and has no login of its own.
//!
//! It belongs on a runtime and a thread that is no worker's, so that a slow scrape never delays a request.

mod answer;
mod effective;
mod journal;
mod sample;
mod serve;
mod site;

pub use serve::serve;

use headgate_model::spec::Config;
use headgate_observe::journal::Journal;
use headgate_observe::process::ProcessMetrics;
use headgate_observe::registry::Registry;
use std::pin::Pin;
use std::sync::Arc;

/// What is served. Clones are cheap and serve the same.
#[derive(Clone)]
pub struct Admin {
    pub registry: Registry,
    /// Refreshed before each scrape.
    pub process: ProcessMetrics,
    pub journal: Journal,
    pub state: Arc<dyn State>,
}

/// What the admin listener must know of the rest and may ask of it.
pub trait State: Send + Sync {
    /// Whether new traffic is welcome.
    ///
    /// # Errors
    /// The reason why not, in one line.
    fn ready(&self) -> Result<(), String>;

    /// Loads the configuration again. What is begun is run to its end, also when the client goes away;
    /// several may be asked for at once.
    fn reload(&self) -> Reload;

    /// The configuration in force. Secrets are taken out here, not there. `[admin] hosts` are the names that
    /// a request may name, beside IP addresses and `localhost`.
    fn config(&self) -> Arc<Config>;

    /// Takes responses out of the cache, as a JSON text says. A line that says what was done, or what is wrong with
    /// the text.
    fn purge(&self, text: Vec<u8>) -> Reload;

    /// What other sizes of the cache would save, as JSON. None: nothing watches that, or it has not seen enough.
    fn cache_curve(&self) -> Option<String>;

    /// The guards of learned policies, as JSON.
    fn guards(&self) -> String;

    /// Has a guard enter a mode, as a JSON text says. A line that says what was done, or what is wrong with the text.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn set_guard(&self, text: &[u8]) -> Result<String, String>;

    /// Brings metrics up to date that nobody counts as things happen; called before each scrape.
    fn refresh_metrics(&self);

    /// Shows or changes the chaos rules. What is begun is run to its end.
    fn chaos(&self, ask: ChaosAsk) -> ChaosChange;
}

/// What may be asked about chaos rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChaosAsk {
    /// Those in force, as JSON.
    List,
    /// Add this one, a JSON text.
    Add(Vec<u8>),
    /// Remove the one of this name.
    Remove(String),
    /// Remove all.
    Clear,
}

/// Why chaos rules were not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChaosRefusal {
    /// There is no such rule.
    Unknown(String),
    /// Its name is taken, or there are too many.
    Conflict(String),
    /// Everything that is wrong with the rule.
    Faulty(String),
    /// For a reason that lies elsewhere.
    Failed(String),
}

/// Becomes the answer: JSON for a list, otherwise a line that says what was done.
pub type ChaosChange = Pin<Box<dyn Future<Output = Result<String, ChaosRefusal>> + Send>>;

/// Becomes a summary of what is now in force, or all that is wrong with the new configuration.
pub type Reload = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;
