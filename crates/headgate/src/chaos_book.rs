//! Which chaos rules are in force: those of the file, but for those that were switched off, and those that were
//! added at run time, until they end. It changes nothing by itself: who swaps the rules in enters them here.

use crate::journal;
use headgate_gateway::chaos::{Chaos, InForce};
use headgate_model::chaos::{MOST_RULES, mistakes};
use headgate_model::spec::{ChaosRule, Config, Span};
use headgate_model::units::Tick;
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// One rule that is known.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    rule: ChaosRule,
    origin: Origin,
    hits: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    File,
    /// It stands in the file and was removed all the same. Stays so until the file changes it.
    SwitchedOff,
    Added {
        until: Option<Tick>,
    },
}

/// What a predecessor passes on.
#[derive(Serialize, Deserialize)]
struct Legacy {
    added: Vec<ChaosRule>,
    off: Vec<String>,
}

/// Why rules are not changed as asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such rule.
    Unknown(String),
    /// Its name is taken, or there are too many.
    Conflict(String),
    /// Everything that is wrong with the rule.
    Faulty(String),
}

/// The rules that are known now.
#[derive(Debug, Default)]
pub(crate) struct ChaosBook {
    entries: Vec<Entry>,
    /// Where it tells which begin and end.
    pub(crate) journal: Journal,
    /// When the first of them ends.
    first_end: watch::Sender<Option<Tick>>,
}

impl ChaosBook {
    /// Tells when the next rule ends.
    pub(crate) fn ends(&self) -> watch::Receiver<Option<Tick>> {
        self.first_end.subscribe()
    }

    /// All that are known.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// With the rules of this configuration in place of the file's. Hits are counted on where a rule stays.
    pub(crate) fn with_file(&self, config: &Config) -> Vec<Entry> {
        let of_file = config.chaos.iter().map(|rule| {
            let known = self.entries.iter().find(|known| !known.is_added() && known.rule == *rule);
            known.cloned().unwrap_or_else(|| Entry::new(rule.clone(), Origin::File))
        });
        of_file.chain(self.entries.iter().filter(|entry| entry.is_added()).cloned()).collect()
    }

    /// What a successor is to know: added rules with the time that is left to them, and names of rules of the
    /// file that are switched off.
    ///
    /// # Errors
    /// None in practice: every rule has a JSON form.
    pub(crate) fn legacy(&self, now: Tick) -> serde_json::Result<String> {
        let added = self.entries.iter().filter(|entry| entry.is_added()).map(|entry| ChaosRule {
            lasts: entry.until().map(|until| Span(until.since(now))),
            ..entry.rule.clone()
        });
        let off = self.entries.iter().filter(|entry| entry.origin == Origin::SwitchedOff);
        let off = off.map(|entry| entry.rule.name.clone());
        serde_json::to_string(&Legacy { added: added.collect(), off: off.collect() })
    }

    /// With what a predecessor had beside its file. What does not fit the file is left out: it would hit nothing.
    pub(crate) fn with_legacy(
        &self,
        text: &str,
        config: &Config,
        now: Tick,
    ) -> serde_json::Result<Vec<Entry>> {
        let legacy: Legacy = serde_json::from_str(text)?;
        let is_off = |entry: &Entry| !entry.is_added() && legacy.off.contains(&entry.rule.name);
        let mut book = Self { entries: self.keeping(|entry| !is_off(entry)), ..Self::default() };
        for rule in legacy.added {
            if let Ok(entries) = book.with_added(rule, config, now) {
                book.entries = entries;
            }
        }
        Ok(book.entries)
    }

    /// With a rule that begins now.
    ///
    /// # Errors
    /// When the rule is faulty, its name is taken or there are too many.
    pub(crate) fn with_added(
        &self,
        rule: ChaosRule,
        config: &Config,
        now: Tick,
    ) -> Result<Vec<Entry>, Refusal> {
        let mut faults: Vec<String> = mistakes(&rule, config)
            .into_iter()
            .map(|mistake| {
                let help = mistake.help.map(|help| format!("; {help}")).unwrap_or_default();
                format!("{}: {}{help}", mistake.at.join("."), mistake.message)
            })
            .collect();
        if rule.lasts.is_some_and(|lasts| lasts.0.is_zero()) {
            faults.push("for: must be longer than zero".to_owned());
        }
        if !faults.is_empty() {
            return Err(Refusal::Faulty(faults.join("\n")));
        }
        if self.in_force().any(|known| known.rule.name == rule.name) {
            return Err(Refusal::Conflict(format!("there is a rule {} already; remove it first", rule.name)));
        }
        if self.in_force().count() >= MOST_RULES {
            return Err(Refusal::Conflict(format!("{MOST_RULES} rules are in force; remove one first")));
        }
        let until = rule.lasts.map(|lasts| now + lasts.0);
        let mut entries = self.entries.clone();
        entries.push(Entry::new(rule, Origin::Added { until }));
        Ok(entries)
    }

    /// Without the rule of this name.
    ///
    /// # Errors
    /// When no rule of this name is in force.
    pub(crate) fn without(&self, name: &str) -> Result<Vec<Entry>, Refusal> {
        if !self.in_force().any(|entry| entry.rule.name == name) {
            return Err(Refusal::Unknown(format!("no rule {name} is in force")));
        }
        Ok(self.keeping(|entry| entry.rule.name != name))
    }

    /// Without any.
    pub(crate) fn cleared(&self) -> Vec<Entry> {
        self.keeping(|_| false)
    }

    /// Without added rules whose time is over.
    pub(crate) fn without_ended(&self, now: Tick) -> Vec<Entry> {
        self.keeping(|entry| entry.until().is_none_or(|until| now < until))
    }

    /// Others go; of the file they are switched off.
    fn keeping(&self, keeps: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let off = |entry: &Entry| Entry { origin: Origin::SwitchedOff, ..entry.clone() };
        let kept = self.entries.iter().filter_map(|entry| match keeps(entry) {
            true => Some(entry.clone()),
            false => (!entry.is_added()).then(|| off(entry)),
        });
        kept.collect()
    }

    /// These are the rules from now on; says in the log which began and which ended.
    pub(crate) fn enter(&mut self, entries: Vec<Entry>, why: &str) {
        let gone = |one: &Entry, others: &[Entry]| {
            !in_force(others).any(|other| Arc::ptr_eq(&other.hits, &one.hits))
        };
        for ended in self.in_force().filter(|entry| gone(entry, &entries)) {
            let hits = ended.hits.load(Ordering::Relaxed);
            journal::chaos(&self.journal, &ended.rule, Some(hits), why);
            log::event(
                Level::Warn,
                "chaos rule ended",
                &[("rule", &ended.rule.name), ("why", &why), ("hits", &hits)],
            );
        }
        for begun in in_force(&entries).filter(|entry| gone(entry, &self.entries)) {
            let fault = begun.rule.fault.name();
            journal::chaos(&self.journal, &begun.rule, None, why);
            let fields: log::Fields<'_> = &[
                ("rule", &begun.rule.name),
                ("why", &why),
                ("fault", &fault),
                ("percent", &begun.rule.percent),
                ("from", &begun.from()),
            ];
            log::event(Level::Warn, "chaos rule begins: faults are injected", fields);
        }
        self.entries = entries;
        self.first_end.send_replace(self.entries.iter().filter_map(Entry::until).min());
    }

    /// The rules in force as JSON: each as it was written, with `from`, `hits` and `ends_in_ms`.
    pub(crate) fn list(&self, now: Tick) -> serde_json::Result<String> {
        let shown = self.in_force().map(|entry| {
            let mut shown = serde_json::to_value(&entry.rule)?;
            shown["from"] = entry.from().into();
            shown["hits"] = entry.hits.load(Ordering::Relaxed).into();
            if let Some(until) = entry.until() {
                shown["ends_in_ms"] = (until.since(now).as_millis() as u64).into();
            }
            Ok(shown)
        });
        let rules = shown.collect::<serde_json::Result<Vec<_>>>()?;
        serde_json::to_string(&serde_json::json!({ "rules": rules }))
    }

    fn in_force(&self) -> impl Iterator<Item = &Entry> {
        in_force(&self.entries)
    }
}

impl Entry {
    fn new(rule: ChaosRule, origin: Origin) -> Self {
        Self { rule, origin, hits: Arc::default(), asked: Arc::default() }
    }

    fn is_added(&self) -> bool {
        matches!(self.origin, Origin::Added { .. })
    }

    fn until(&self) -> Option<Tick> {
        match self.origin {
            Origin::Added { until } => until,
            _ => None,
        }
    }

    fn from(&self) -> &'static str {
        if self.is_added() { "admin" } else { "file" }
    }
}

/// The entries that act. An added rule stands before one of the file that has come to have its name.
fn in_force(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_added = |name: &str| entries.iter().any(|entry| entry.is_added() && entry.rule.name == name);
    entries.iter().filter(move |entry| match entry.origin {
        Origin::Added { .. } => true,
        Origin::File => !is_added(&entry.rule.name),
        Origin::SwitchedOff => false,
    })
}

/// The rules for the hot path.
pub(crate) fn compiled(entries: &[Entry]) -> Option<Arc<Chaos>> {
    Chaos::compile(in_force(entries).map(|entry| InForce {
        rule: &entry.rule,
        until: entry.until(),
        hits: Arc::clone(&entry.hits),
        asked: Arc::clone(&entry.asked),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(rules: &[&str]) -> Config {
        let rules: String =
            rules.iter().map(|name| format!("[[chaos]]\nname = \"{name}\"\nfault = \"stall\"\n")).collect();
        headgate_model::load(&format!("[listen.web]\nbind = \":1\"\n{rules}"), "f.toml", &|_| None).unwrap()
    }

    fn added(name: &str, lasts: &str) -> ChaosRule {
        let lasts = if lasts.is_empty() { String::new() } else { format!(",\"for\":\"{lasts}\"") };
        serde_json::from_str(&format!("{{\"name\":\"{name}\",\"fault\":\"down\"{lasts}}}")).unwrap()
    }

    fn names(book: &ChaosBook) -> Vec<&str> {
        book.in_force().map(|entry| entry.rule.name.as_str()).collect()
    }

    fn book(rules: &[&str]) -> ChaosBook {
        let mut book = ChaosBook::default();
        book.enter(book.with_file(&config(rules)), "test");
        book
    }

    #[test]
    fn added_rules_outlive_a_reload_and_hits_are_counted_on() {
        let mut book = book(&["a", "b"]);
        book.entries[0].hits.store(7, Ordering::Relaxed);
        book.enter(book.with_added(added("c", ""), &config(&[]), Tick(0)).unwrap(), "test");
        book.enter(book.with_file(&config(&["a", "d"])), "test");
        assert_eq!(names(&book), ["a", "d", "c"]);
        assert_eq!(book.entries[0].hits.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn a_rule_of_the_file_that_was_removed_stays_away_until_the_file_changes_it() {
        let mut book = book(&["a", "b"]);
        book.enter(book.without("a").unwrap(), "test");
        assert_eq!(names(&book), ["b"]);
        assert_eq!(book.without("a").unwrap_err(), Refusal::Unknown("no rule a is in force".to_owned()));
        book.enter(book.with_file(&config(&["a", "b"])), "test");
        assert_eq!(names(&book), ["b"], "a reload for something else does not bring it back");
        book.enter(book.with_file(&config(&["b"])), "test");
        book.enter(book.with_file(&config(&["a", "b"])), "test");
        assert_eq!(names(&book), ["a", "b"]);
        book.enter(book.cleared(), "test");
        assert!(names(&book).is_empty() && compiled(&book.entries).is_none());
    }

    #[test]
    fn a_rule_ends_by_itself() {
        let mut book = book(&["a"]);
        let ends = book.ends();
        for (name, lasts) in [("long", "60s"), ("short", "1s"), ("endless", "")] {
            book.enter(book.with_added(added(name, lasts), &config(&[]), Tick(5)).unwrap(), "test");
        }
        assert_eq!(*ends.borrow(), Some(Tick(5) + Duration::from_secs(1)));
        book.enter(book.without_ended(Tick(5) + Duration::from_secs(1)), "test");
        assert_eq!(names(&book), ["a", "long", "endless"]);
        assert_eq!(*ends.borrow(), Some(Tick(5) + Duration::from_secs(60)));
    }

    #[test]
    fn a_successor_has_the_same_rules_for_the_time_that_is_left() {
        let mut before = book(&["a", "b"]);
        for (name, lasts) in [("timed", "60s"), ("endless", "")] {
            before.enter(before.with_added(added(name, lasts), &config(&[]), Tick(0)).unwrap(), "test");
        }
        before.enter(before.without("a").unwrap(), "test");
        let text = before.legacy(Tick(0) + Duration::from_secs(20)).unwrap();
        let mut after = book(&["a", "b", "c"]);
        after.enter(after.with_legacy(&text, &config(&["a", "b", "c"]), Tick(5)).unwrap(), "test");
        assert_eq!(names(&after), ["b", "c", "timed", "endless"]);
        assert_eq!(*after.ends().borrow(), Some(Tick(5) + Duration::from_secs(40)));
        assert!(after.with_legacy("{", &config(&[]), Tick(5)).is_err());
    }

    #[test]
    fn what_cannot_be_added_is_refused() {
        let mut book = book(&["a"]);
        let refused = |book: &ChaosBook, rule| book.with_added(rule, &config(&[]), Tick(0)).err();
        assert!(matches!(refused(&book, added("a", "")), Some(Refusal::Conflict(_))));
        assert!(matches!(refused(&book, added("", "")), Some(Refusal::Faulty(_))));
        assert!(matches!(refused(&book, added("b", "0s")), Some(Refusal::Faulty(_))));
        let mut nowhere = added("b", "");
        nowhere.service = Some("gone".to_owned());
        assert!(
            matches!(refused(&book, nowhere), Some(Refusal::Faulty(text)) if text.starts_with("service: "))
        );
        for number in 1..MOST_RULES {
            book.enter(
                book.with_added(added(&format!("r{number}"), ""), &config(&[]), Tick(0)).unwrap(),
                "test",
            );
        }
        assert!(matches!(refused(&book, added("more", "")), Some(Refusal::Conflict(_))));
    }
}
