//! What a session may ask for soon, by the law that draws it. Whoever predicts can know that law at best, never the
//! dice, so this is the limit of prediction; an oracle that knows the dice is not.

use super::{Call, Client, LATENCY_LEAST_US, LATENCY_MEAN_US, Seen, bind, draw};
use crate::workload::streams::Streams;
use crate::workload::{Visitor, Workload};
use headgate_policy::balance::hash::mix;
use std::collections::BTreeMap;

/// Requests ahead.
const HORIZON: u32 = 4;
/// What is less likely is left out: no policy fetches it.
const LEAST: f32 = 0.05;

/// A path that the session may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Prospect {
    pub path: String,
    /// That it is among the next requests of the session.
    pub probability: f32,
    /// Of the answer, in the mean.
    pub bytes: u64,
    /// The origin's time, in the mean.
    pub latency_us: f64,
}

/// All calls, and after each what its session may ask for, the likeliest first, estimated by `walks` walks with other dice (the standard
/// error of a probability is `0.5 / sqrt(walks)` at most).
///
/// # Errors
/// As [`super::calls`].
pub fn calls_with_prospects(
    client: Client,
    seed: u64,
    walks: u32,
) -> Result<(Vec<Call>, Vec<Vec<Prospect>>), String> {
    let mut prospects = Vec::new();
    let calls = draw(client, seed, |workload, visitor, seen, call| {
        let streams = Streams::new(mix(seed, prospects.len() as u64));
        prospects.push(of_session(workload, visitor, seen, call.at_ns, streams, walks));
    })?;
    Ok((calls, prospects))
}

fn of_session(
    workload: &Workload,
    visitor: &Visitor,
    seen: &Seen,
    at_ns: u64,
    streams: Streams,
    walks: u32,
) -> Vec<Prospect> {
    // In how many walks it is asked for, which was the last, and the bytes of each.
    let mut found: BTreeMap<String, (u32, u32, u64)> = BTreeMap::new();
    for walk in 1..=walks {
        let mut visitor = visitor.branch(streams.within("walk", u64::from(walk)));
        let mut seen = seen.clone();
        for _ in 0..HORIZON {
            if !visitor.answered().same_session {
                break;
            }
            let call = bind(workload, &visitor.request(at_ns), &mut seen);
            if !(call.is_safe && call.is_stored) {
                continue;
            }
            let (count, last, bytes) = found.entry(call.path).or_default();
            if *last != walk {
                (*count, *last, *bytes) = (*count + 1, walk, *bytes + call.bytes);
            }
        }
    }
    let likely = found.into_iter().map(|(path, (count, _, bytes))| Prospect {
        path,
        probability: count as f32 / walks as f32,
        bytes: bytes / u64::from(count),
        latency_us: LATENCY_LEAST_US + LATENCY_MEAN_US,
    });
    let mut likely: Vec<Prospect> = likely.filter(|prospect| prospect.probability >= LEAST).collect();
    likely.sort_by(|one, other| other.probability.total_cmp(&one.probability));
    likely
}

#[cfg(test)]
mod tests {
    use super::super::calls;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn as_much_is_asked_for_as_was_said_and_what_is_likely_more_often() {
        // So few walks leave nothing out, so that the sum of what is said has no bias.
        let (drawn, prospects) = calls_with_prospects(Client::Clicks, 1, 8).unwrap();
        assert_eq!(drawn, calls(Client::Clicks, 1).unwrap(), "looking ahead changes nothing");
        let mut sessions: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, call) in drawn.iter().enumerate() {
            sessions.entry(call.session).or_default().push(at);
        }
        let (mut said, mut asked) = (0.0, 0);
        let (mut likely, mut likely_asked) = (0, 0);
        for session in sessions.values() {
            for (place, at) in session.iter().enumerate() {
                let soon = session.iter().skip(place + 1).take(HORIZON as usize).map(|at| &drawn[*at]);
                let soon: BTreeSet<&str> = soon
                    .filter(|call| call.is_safe && call.is_stored)
                    .map(|call| call.path.as_str())
                    .collect();
                asked += soon.len();
                for prospect in &prospects[*at] {
                    said += f64::from(prospect.probability);
                    if prospect.probability > 0.7 {
                        likely += 1;
                        likely_asked += usize::from(soon.contains(&*prospect.path));
                    }
                }
            }
        }
        assert!((asked as f64 / said - 1.0).abs() < 0.03, "{said} said, {asked} asked for");
        assert!(2 * likely_asked > likely && likely > 1_000, "{likely_asked} of {likely}");
    }
}
