//! `headgate purge`: takes responses out of a running Headgate's cache. And what the admin listener is asked for
//! that.

use crate::admin_client::ask_with;
use crate::journal;
use crate::say::{Failure, say};
use headgate_gateway::purge::Purge;
use headgate_gateway::worker::Shared;
use headgate_observe::log::{self, Level};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A purge of many looks at every key.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent to `/cache/purge`. Exactly one of the first four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PurgeAsk {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    pub everything: bool,
    /// Makes it stale instead.
    pub soft: bool,
}

impl PurgeAsk {
    fn what(self) -> Result<(Purge, bool), String> {
        let soft = self.soft;
        let what = match (self.url, self.prefix, self.tag, self.everything) {
            (Some(url), None, None, false) => Purge::Url(url),
            (None, Some(prefix), None, false) => Purge::Prefix(prefix),
            (None, None, Some(tag), false) => Purge::Tag(tag),
            (None, None, None, true) => Purge::Everything,
            _ => return Err("exactly one of url, prefix, tag and everything is needed".to_owned()),
        };
        Ok((what, soft))
    }
}

/// Asks a running Headgate.
///
/// # Errors
/// When nobody answers at `admin`, or what is asked for makes no sense.
pub(crate) fn purge(admin: &str, ask: &PurgeAsk) -> Result<(), Failure> {
    let answer = ask_with(admin, "POST", "/cache/purge", &serde_json::to_string(ask)?, PATIENCE)?;
    let text = answer.body.trim_end();
    match answer.status {
        200 => say(text),
        422 => Err(text.into()),
        status => Err(format!("{admin} answered {status}: {text}").into()),
    }
}

/// Does what a running Headgate is asked for.
///
/// # Errors
/// What is wrong with the question.
pub(crate) fn answer(shared: &Shared, text: &[u8]) -> Result<String, String> {
    let ask: PurgeAsk =
        serde_json::from_slice(text).map_err(|error| format!("not a purge in JSON: {error}"))?;
    let (what, soft) = ask.what()?;
    let count = shared.purge(&what, soft).map_err(|error| error.to_string())?;
    let done = if soft { "stale now" } else { "purged" };
    let (kind, name) = match &what {
        Purge::Url(url) => ("url", url.as_str()),
        Purge::Prefix(prefix) => ("prefix", prefix.as_str()),
        Purge::Tag(tag) => ("tag", tag.as_str()),
        Purge::Everything => ("everything", ""),
    };
    journal::purged(&shared.journal, (kind, name), done, count);
    log::event(Level::Info, "cache purge", &[("kind", &kind), ("name", &name), ("soft", &soft)]);
    Ok(match count {
        Some(1) => format!("{done}: 1 response"),
        Some(count) => format!("{done}: {count} responses"),
        None => format!("{done}: what bears the tag"),
    })
}

/// What is told of tiers of the cache where a purge is not safe yet; nothing where it is in all of them. The log is
/// told too.
pub(crate) fn unsettled(tiers: &[&str]) -> String {
    let of = |tier: &&str| match *tier {
        "redis" => "not in Redis yet: other gateways hear of it when that can be reached",
        "disk" => "not on disk yet: a failure of power could undo it there",
        _ => "not in all tiers of the cache yet",
    };
    let mut told = String::new();
    for what in tiers.iter().map(of) {
        log::event(Level::Warn, "a purge is in effect, but not everywhere", &[("why", &what)]);
        told = told + "; " + what;
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_thing_is_purged() {
        let ask = |text: &str| serde_json::from_str::<PurgeAsk>(text).unwrap().what();
        assert_eq!(ask(r#"{"tag":"a","soft":true}"#), Ok((Purge::Tag("a".to_owned()), true)));
        assert_eq!(ask(r#"{"everything":true}"#), Ok((Purge::Everything, false)));
        assert!(ask("{}").is_err());
        assert!(ask(r#"{"tag":"a","url":"b/"}"#).is_err());
    }
}
