//! Changes which chaos rules a running Headgate injects, as the admin listener is asked to, and ends those
//! whose time is over.

use crate::chaos_book::Refusal;
use crate::server::Server;
use headgate_admin::{ChaosAsk, ChaosRefusal};
use headgate_model::spec::ChaosRule;
use headgate_model::units::Tick;
use headgate_observe::log::{self, Level};
use tokio::sync::watch;

/// Answers one question.
///
/// # Errors
/// Why nothing was changed.
pub(crate) fn answer(server: &mut Server, ask: ChaosAsk) -> Result<String, ChaosRefusal> {
    let now = server.shared.now();
    let failed = |error: &dyn std::fmt::Display| ChaosRefusal::Failed(error.to_string());
    let (entries, done) = match ask {
        ChaosAsk::List => return server.chaos.list(now).map_err(|error| failed(&error)),
        ChaosAsk::Add(text) => {
            let rule: ChaosRule = serde_json::from_slice(&text)
                .map_err(|error| ChaosRefusal::Faulty(format!("not a rule in JSON: {error}")))?;
            let done = format!("the rule {} is in force", rule.name);
            (server.chaos.with_added(rule, &server.shared.snapshot().config, now)?, done)
        }
        ChaosAsk::Remove(name) => (server.chaos.without(&name)?, format!("the rule {name} is removed")),
        ChaosAsk::Clear => (server.chaos.cleared(), "no rule is in force".to_owned()),
    };
    server.change_chaos(entries, "admin").map_err(|error| failed(&error))?;
    Ok(done)
}

/// Removes the rules that have ended. They hit nothing since; this makes them cost nothing either.
pub(crate) fn end_rules(server: &mut Server) {
    let entries = server.chaos.without_ended(server.shared.now());
    server.chaos.enter(entries, "its time is over");
    if let Err(error) = server.renew() {
        log::event(Level::Error, "chaos rules that have ended still cost time", &[("error", &error)]);
    }
}

/// Waits until a rule has ended.
pub(crate) async fn first_end(ends: &mut watch::Receiver<Option<Tick>>, now: impl Fn() -> Tick) {
    loop {
        let next = *ends.borrow_and_update();
        let over = async {
            match next {
                Some(end) => tokio::time::sleep(end.since(now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            changed = ends.changed() => if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl From<Refusal> for ChaosRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(why) => Self::Unknown(why),
            Refusal::Conflict(why) => Self::Conflict(why),
            Refusal::Faulty(why) => Self::Faulty(why),
        }
    }
}
