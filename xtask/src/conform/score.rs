//! Counting: which checks there are, which passed, and which no cache can pass.

use crate::Outcome;
use serde_json::Value;
use std::fmt;

/// Required checks that a correct cache cannot pass: the origin cuts the connection, so the cache has to answer with
/// an error of its own, but the check wants a field in the answer that only the origin can have sent.
const IMPOSSIBLE: [&str; 4] = [
    "stale-close-must-revalidate",
    "stale-close-proxy-revalidate",
    "stale-close-no-cache",
    "stale-close-s-maxage=2",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Required,
    Optimal,
    /// It only shows what a cache does.
    Check,
}

#[derive(Clone, Debug)]
struct Check {
    id: String,
    kind: Kind,
    group: String,
}

/// All checks of the suite, in its order.
#[derive(Debug)]
pub(super) struct Table(Vec<Check>);

impl Table {
    /// From `[{"id", "kind", "group"}]`.
    pub(super) fn parse(json: &str) -> Outcome<Self> {
        let list: Vec<Value> =
            serde_json::from_str(json).map_err(|error| format!("the suite's list of checks: {error}"))?;
        let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
        let checks = list.iter().map(|check| {
            let kind = match check["kind"].as_str() {
                Some("required") => Kind::Required,
                Some("optimal") => Kind::Optimal,
                Some("check") => Kind::Check,
                other => return Err(format!("a check of an unknown kind: {other:?}")),
            };
            Ok(Check { id: text(check, "id"), kind, group: text(check, "group") })
        });
        checks.collect::<Outcome<_>>().map(Self)
    }

    /// With the suite's results, an object from id to `true` or to `[kind of error, reason]`. A check passes when
    /// its own result says so, whatever became of those that it builds on.
    pub(super) fn score(self, json: &str) -> Outcome<Score> {
        let results: Value =
            serde_json::from_str(json).map_err(|error| format!("the suite's results: {error}"))?;
        let reason = |id: &str| match &results[id] {
            Value::Bool(true) => None,
            Value::Null => Some("it did not run".to_owned()),
            Value::Array(parts) => {
                Some(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(": "))
            }
            other => Some(other.to_string()),
        };
        let judged = self.0.into_iter().map(|check| (reason(&check.id), check));
        Ok(Score(judged.map(|(failure, check)| Judged { check, failure }).collect()))
    }
}

#[derive(Debug)]
struct Judged {
    check: Check,
    /// Why it failed, in the suite's words.
    failure: Option<String>,
}

/// What a proxy reached.
#[derive(Debug)]
pub(super) struct Score(Vec<Judged>);

impl Score {
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Judged> {
        self.0.iter().filter(move |judged| judged.check.kind == kind)
    }

    fn passed(&self, kind: Kind) -> usize {
        self.of(kind).filter(|judged| judged.failure.is_none()).count()
    }

    pub(super) fn optimal_passed(&self) -> usize {
        self.passed(Kind::Optimal)
    }

    /// Required checks that fail and could have passed.
    pub(super) fn required_missed(&self) -> usize {
        let missed = |judged: &&Judged| judged.failure.is_some() && !is_impossible(judged);
        self.of(Kind::Required).filter(missed).count()
    }

    /// The counts in one line.
    pub(super) fn line(&self) -> String {
        format!(
            "required {} of {}, optimal {} of {}",
            self.passed(Kind::Required),
            self.of(Kind::Required).count(),
            self.passed(Kind::Optimal),
            self.of(Kind::Optimal).count(),
        )
    }
}

fn is_impossible(judged: &Judged) -> bool {
    IMPOSSIBLE.contains(&judged.check.id.as_str())
}

/// What fails, with reasons.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, title) in [(Kind::Required, "required"), (Kind::Optimal, "optimal")] {
            let mut group = "";
            for judged in self.of(kind) {
                let Some(failure) = &judged.failure else { continue };
                if judged.check.group != group {
                    group = &judged.check.group;
                    writeln!(f, "{title}: {group}")?;
                }
                let note = if is_impossible(judged) { " (no cache can pass it)" } else { "" };
                writeln!(f, "  {}: {failure}{note}", judged.check.id)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(results: &str) -> Score {
        let checks = r#"[{"id":"a","kind":"required","group":"A"},{"id":"b","kind":"optimal","group":"A"},
            {"id":"c","kind":"check","group":"A"},{"id":"stale-close-no-cache","kind":"required","group":"B"}]"#;
        Table::parse(checks).unwrap().score(results).unwrap()
    }

    #[test]
    fn only_true_passes() {
        let score = score(r#"{"a":true,"b":["Setup","no"],"stale-close-no-cache":["Assertion","why"]}"#);
        assert_eq!(score.line(), "required 1 of 2, optimal 0 of 1");
        assert_eq!(score.required_missed(), 0);
        let expected = "required: B\n  stale-close-no-cache: Assertion: why (no cache can pass it)\n\
                        optimal: A\n  b: Setup: no\n";
        assert_eq!(score.to_string(), expected);
    }

    #[test]
    fn what_did_not_run_is_missed() {
        let score = score("{}");
        assert_eq!((score.required_missed(), score.optimal_passed()), (1, 0));
        assert!(Table::parse("{").is_err());
        assert!(Table::parse(r#"[{"id":"a","kind":"wish"}]"#).is_err());
    }
}
