//! Chaos rules of a gateway that runs, by its admin listener: added, listed, and removed for certain. When and why is
//! up to game days and trials.

use super::PATIENCE;
use super::ask::ask;
use crate::load::Target;
use headgate_model::dice::Dice;
use headgate_model::spec::ChaosRule;
use serde::Deserialize;

/// For the dice of a rule: within the numbers that every JSON reader keeps whole.
pub(crate) fn seed(dice: &mut Dice) -> u64 {
    dice.bits() & ((1 << 53) - 1)
}

/// Adds a rule.
///
/// # Errors
/// Why it is not in force.
pub(crate) fn add(rule: &ChaosRule, admin: &Target) -> Result<(), String> {
    let body = serde_json::to_string(rule).map_err(|error| error.to_string())?;
    let reply = ask(admin, "POST", "/chaos", &body, PATIENCE);
    let reply = reply.map_err(|error| format!("the admin listener: {error}"))?;
    match reply.status {
        200 => Ok(()),
        status => Err(format!("the gateway refused the rule ({status}): {}", reply.text().trim())),
    }
}

/// Removes a rule, unless its time was over first, and looks whether it is gone. `hits`: attempts that it hit.
///
/// # Errors
/// Why it is not sure that it is gone.
pub(crate) fn remove(rule: &ChaosRule, admin: &Target, hits: &mut Option<u64>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the admin listener: {error}");
    let listed = || -> Result<Option<Listed>, String> {
        Ok(rules(admin).map_err(failed)?.into_iter().find(|it| it.name == rule.name))
    };
    if let Some(found) = listed()? {
        *hits = Some(found.hits);
    }
    let path = format!("/chaos/{}", rule.name);
    let reply = ask(admin, "DELETE", &path, "", PATIENCE).map_err(failed)?;
    if !matches!(reply.status, 200 | 404) {
        return Err(format!("the rule was not removed ({}): {}", reply.status, reply.text().trim()));
    }
    match listed()? {
        None => Ok(()),
        Some(_) => Err("the rule is still in force after it was removed".to_owned()),
    }
}

/// A rule in force.
#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    hits: u64,
}

/// All rules in force.
///
/// # Errors
/// When the admin listener does not answer so.
pub(crate) fn rules(admin: &Target) -> std::io::Result<Vec<Listed>> {
    #[derive(Deserialize)]
    struct Answer {
        rules: Vec<Listed>,
    }
    let reply = ask(admin, "GET", "/chaos", "", PATIENCE)?;
    let answer: Result<Answer, _> = serde_json::from_slice(&reply.body);
    let odd = |_| std::io::Error::other(format!("GET /chaos was answered {}", reply.status));
    answer.map(|answer| answer.rules).map_err(odd)
}
