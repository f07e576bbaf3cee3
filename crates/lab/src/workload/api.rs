//! A generated API: sessions of a shop whose requests carry identifiers of earlier requests and answers, as the files
//! `api_*.toml` beside this one describe them. The walk, the times and the sizes are those of any workload; here steps are bound to
//! paths, and answers get the values that later paths are made of.

mod prospects;
mod shows;

pub use prospects::{Prospect, calls_with_prospects};
pub use shows::Shows;

use super::journey::Step;
use super::{Request, Visitor, Workload, WorkloadSpec, no_files};
use headgate_model::dice::Dice;
use headgate_policy::balance::hash::mix;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What is asked for when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// One call for each click: after each, the user decides anew.
    Clicks,
    /// An app whose screens make several calls, one after the other, unless the user leaves before.
    Screens,
}

/// Entries of a list.
const LISTED: u64 = 10;
/// Mean of the origin's time beyond its least, and the least.
const LATENCY_MEAN_US: f64 = 30_000.0;
const LATENCY_LEAST_US: f64 = 20_000.0;

/// One request of a session with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub at_ns: u64,
    pub session: u64,
    pub path: String,
    /// A GET.
    pub is_safe: bool,
    /// The answer may be cached.
    pub is_stored: bool,
    pub bytes: u64,
    /// The origin's time.
    pub latency_us: f64,
    pub shows: Shows,
}

impl Client {
    fn spec(self) -> &'static str {
        match self {
            Self::Clicks => include_str!("api_clicks.toml"),
            Self::Screens => include_str!("api_screens.toml"),
        }
    }
}

/// What a session has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    user: u64,
    category: u64,
    page: u64,
    list: String,
    /// Items of the last list, orders of the last list of orders.
    items: Vec<u64>,
    orders: Vec<u64>,
    item: u64,
    order: u64,
}

/// All calls in the order of their times. The same seed gives the same calls.
///
/// # Errors
/// When the description beside this file is not one.
pub fn calls(client: Client, seed: u64) -> Result<Vec<Call>, String> {
    draw(client, seed, |_, _, _, _| {})
}

/// All calls; `after` sees each with its session as it stands before the answer.
fn draw(
    client: Client,
    seed: u64,
    mut after: impl FnMut(&Workload, &Visitor, &Seen, &Call),
) -> Result<Vec<Call>, String> {
    let spec: WorkloadSpec = toml::from_str(client.spec()).map_err(|error| error.to_string())?;
    let workload = Workload::new(&spec, seed, &mut no_files()).map_err(|error| error.to_string())?;
    let mut due = BinaryHeap::new();
    let mut walks: BTreeMap<u64, (Visitor, Seen)> = BTreeMap::new();
    let mut dice = Dice::new(mix(seed, 1));
    for (number, at_ns) in (0..).zip(workload.session_starts()) {
        due.push(Reverse((at_ns, number)));
        walks.insert(number, (workload.session(number), Seen { user: number, ..Seen::default() }));
    }
    let mut calls = Vec::new();
    while let Some(Reverse((at_ns, number))) = due.pop() {
        let Some((visitor, seen)) = walks.get_mut(&number) else { continue };
        let request = visitor.request(at_ns);
        let mut call = bind(&workload, &request, seen);
        (call.at_ns, call.session) = (at_ns, number);
        call.latency_us = LATENCY_LEAST_US - LATENCY_MEAN_US * (1.0 - dice.unit()).ln();
        let answered_ns = at_ns + (1e3 * call.latency_us) as u64;
        after(&workload, visitor, seen, &call);
        calls.push(call);
        let next = visitor.answered();
        if next.same_session {
            due.push(Reverse((answered_ns + next.think_ns, number)));
        } else {
            walks.remove(&number);
        }
    }
    Ok(calls)
}

/// What a request is in its session, and what its answer shows.
fn bind(workload: &Workload, request: &Request, seen: &mut Seen) -> Call {
    let Step { name: step, path, .. } = &workload.journey().steps()[usize::from(request.step)];
    let step = step.as_str();
    choose(step, request, seen);
    let path = match step {
        "again" => seen.list.clone(),
        "promotion" => path.replace("{promoted}", &seen.item.to_string()),
        _ => path
            .replace("{user}", &seen.user.to_string())
            .replace("{category}", &seen.category.to_string())
            .replace("{page}", &seen.page.to_string())
            .replace("{word}", &word(request.key))
            .replace("{item}", &seen.item.to_string())
            .replace("{order}", &seen.order.to_string())
            .replace("{seller}", &seller(seen.item).to_string()),
    };
    let shows = answer(step, &path, request, seen);
    let is_safe = !request.write;
    Call {
        at_ns: 0,
        session: 0,
        path,
        is_safe,
        // A cart changes under the cache's feet.
        is_stored: is_safe && step != "view",
        bytes: request.response_bytes,
        latency_us: 0.0,
        shows,
    }
}

/// What the user picks, before the request.
fn choose(step: &str, request: &Request, seen: &mut Seen) {
    let pick = |among: &[u64]| among.get(request.key as usize % among.len().max(1)).copied();
    match step {
        "login" => seen.user = request.key,
        "category" => (seen.category, seen.page) = (request.key, 1),
        "more" => seen.page += 1,
        "promotion" => seen.item = number(&[7, request.key]),
        "item" => seen.item = pick(&seen.items).unwrap_or(number(&[8, request.key])),
        "order" => seen.order = pick(&seen.orders).unwrap_or(number(&[9, seen.user])),
        _ => {}
    }
    if step == "again" && seen.list.is_empty() {
        seen.list = "/home".to_owned();
    }
}

/// The identifiers in the answer; the session remembers them too.
fn answer(step: &str, path: &str, request: &Request, seen: &mut Seen) -> Shows {
    match step {
        "login" => Shows::One("user", seen.user),
        "category" | "more" | "search" | "related" | "again" => {
            if step == "again" {
                return Shows::List("items", seen.items.clone());
            }
            let of = match step {
                "search" => [1, request.key, 0],
                "related" => [2, seen.item, 0],
                _ => [3, seen.category, seen.page],
            };
            seen.items = (0..LISTED).map(|at| number(&[of[0], of[1], of[2], at])).collect();
            path.clone_into(&mut seen.list);
            Shows::List("items", seen.items.clone())
        }
        "orders" => {
            seen.orders = (0..1 + seen.user % 6).map(|at| number(&[4, seen.user, at])).collect();
            Shows::List("orders", seen.orders.clone())
        }
        "item" | "promotion" => Shows::One("seller", seller(seen.item)),
        _ => Shows::Nothing,
    }
}

fn seller(item: u64) -> u64 {
    item % 500
}

/// An identifier below a million that belongs to these numbers.
fn number(of: &[u64]) -> u64 {
    of.iter().fold(0, |sum, part| mix(sum, *part)) % 1_000_000
}

/// A word to search for: letters only.
fn word(key: u64) -> String {
    (0..4).map(|at| char::from(b'a' + (key / 26u64.pow(at) % 26) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_ask_for_what_earlier_answers_named() {
        let calls = calls(Client::Clicks, 1).unwrap();
        assert!(calls.len() > 20_000, "{}", calls.len());
        assert!(calls.is_sorted_by_key(|call| call.at_ns));
        let mut shown: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let (mut known, mut items) = (0, 0);
        for call in &calls {
            let shown = shown.entry(call.session).or_default();
            let id = call.path.strip_prefix("/items/").filter(|id| !id.contains('/'));
            if let Some(id) = id {
                items += 1;
                known += usize::from(shown.iter().any(|other| other == id));
            }
            shown.extend(call.shows.fields().into_iter().map(|field| field.value));
            assert!(!call.path.contains('{'), "{}", call.path);
        }
        assert!(known * 2 > items, "{known} of {items}");
    }

    #[test]
    fn the_seed_is_the_whole_of_it() {
        assert_eq!(calls(Client::Screens, 3), calls(Client::Screens, 3));
        assert_ne!(calls(Client::Screens, 3).unwrap()[..50], calls(Client::Screens, 4).unwrap()[..50]);
    }
}
