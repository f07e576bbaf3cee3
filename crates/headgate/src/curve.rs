//! `headgate cache`: what more memory would buy the cache of a running Headgate, by its miss-ratio curve. And what the
//! admin listener is asked for that.

use crate::admin_client::ask;
use crate::say::{Failure, say};
use headgate_gateway::worker::Shared;
use headgate_model::spec::EvictionGoal;
use headgate_policy::evict::adaptive::CurvePoint;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// What `/cache/curve` answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    goal: EvictionGoal,
    /// What the cache may take now.
    memory_bytes: u64,
    /// Smallest first.
    points: Vec<Point>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    memory_bytes: u64,
    /// Share of the requests, of their bytes or of their time, by the goal.
    saved: f64,
}

/// The curve of a running Headgate as JSON, if it has one.
pub(crate) fn answer(shared: &Shared) -> Option<String> {
    let curve = shared.cache.curve()?;
    let goal = shared.snapshot().config.cache.goal();
    let point = |point: &CurvePoint| Point { memory_bytes: point.capacity_bytes, saved: point.saved };
    let answer =
        Answer { goal, memory_bytes: shared.cache.memory(), points: curve.0.iter().map(point).collect() };
    serde_json::to_string(&answer).ok()
}

/// # Errors
/// When nobody answers at `admin`, or there is no curve.
pub(crate) fn run(admin: &str, json: bool) -> Result<(), Failure> {
    let answer = ask(admin, "GET", "/cache/curve", PATIENCE)?;
    let text = answer.body.trim_end();
    match answer.status {
        200 if json => say(text),
        200 => say(table(&serde_json::from_str(text)?).trim_end()),
        404 => Err(text.into()),
        status => Err(format!("{admin} answered {status}: {text}").into()),
    }
}

fn table(answer: &Answer) -> String {
    let what = match answer.goal {
        EvictionGoal::Objects => "requests",
        EvictionGoal::Bytes => "bytes",
        EvictionGoal::Cost => "services' time",
    };
    let nearest = |point: &&Point| point.memory_bytes.abs_diff(answer.memory_bytes);
    let now = answer.points.iter().min_by_key(nearest);
    let mut text = format!("{:>10}  {what} saved\n", "memory");
    for point in &answer.points {
        let difference = match now {
            Some(now) if now == point => "now".to_owned(),
            Some(now) => format!("{:+.1} points", 100.0 * (point.saved - now.saved)),
            None => String::new(),
        };
        let memory = rounded(point.memory_bytes);
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{memory:>10}  {:>5.1} %  {difference}", 100.0 * point.saved);
    }
    text
}

/// In the largest unit that leaves four digits at most.
fn rounded(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1 << 10 {
            break;
        }
        (value, unit) = ((value + 512) >> 10, larger);
    }
    format!("{value} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_client::tests::serve_once;

    #[test]
    fn the_table_says_what_more_memory_would_buy() {
        let point = |mib: u64, saved| Point { memory_bytes: mib << 20, saved };
        let answer = Answer {
            goal: EvictionGoal::Objects,
            memory_bytes: 256 << 20,
            points: vec![point(64, 0.25), point(128, 0.5), point(255, 0.6), point(1_024, 0.875)],
        };
        let expected = [
            "    memory  requests saved",
            "    64 MiB   25.0 %  -35.0 points",
            "   128 MiB   50.0 %  -10.0 points",
            "   255 MiB   60.0 %  now",
            "     1 GiB   87.5 %  +27.5 points",
        ];
        assert_eq!(table(&answer).lines().collect::<Vec<_>>(), expected);
        assert_eq!(rounded(1_023), "1023 B");
    }

    #[test]
    fn where_there_is_no_curve_the_reason_is_told() {
        let (admin, serving) = serve_once("HTTP/1.1 404 No\r\ncontent-length: 4\r\n\r\nnone");
        assert_eq!(run(&admin, false).unwrap_err().to_string(), "none");
        assert!(serving.join().unwrap().starts_with("GET /cache/curve HTTP/1.1"));
    }
}
