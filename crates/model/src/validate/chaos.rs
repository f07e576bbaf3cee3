//! Checks of chaos rules, each mistake at its place in the file.

use super::Report;
use crate::chaos::{MOST_RULES, mistakes};
use crate::place::Place;
use crate::spec::Config;
use std::collections::BTreeMap;

pub(super) fn check(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    let mut seen = BTreeMap::new();
    if config.chaos.len() > MOST_RULES {
        report.error(&root.get("chaos").at(MOST_RULES), format!("more than {MOST_RULES} rules"));
    }
    for (index, rule) in config.chaos.iter().enumerate() {
        let at = root.get("chaos").at(index);
        for mistake in mistakes(rule, config) {
            let place = mistake.at.iter().fold(at.clone(), |place, key| place.get(key));
            match mistake.help {
                Some(help) => report.error_with(&place, mistake.message, help),
                None => report.error(&place, mistake.message),
            }
        }
        if rule.lasts.is_some() {
            report.error(&at.key("for"), "`for` is for rules that are added at run time");
        }
        if let Some(first) = seen.insert(&rule.name, index + 1) {
            report.error(&at.get("name"), format!("[[chaos]] number {first} already has this name"));
        }
    }
}
