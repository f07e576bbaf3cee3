//! From spans to services. A service's own time is the time of its span less the time in which a call to another
//! service was under way (the *exclusive* time of a critical-path analysis). It holds waiting inside the service too:
//! spans of a system at rest give its work, spans under load more than that.

use super::span::{Span, Spans};
use std::collections::{BTreeMap, BTreeSet};

/// What the spans say of all services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// By name.
    pub services: BTreeMap<String, FittedService>,
    /// Services that are called by nobody, with how many traces begin there.
    pub entries: BTreeMap<String, usize>,
    /// Spans whose parent is not among the spans; they count as beginnings.
    pub orphans: usize,
    /// Calls that reach beyond their caller's span, which clocks that differ can make; only what is within counts.
    pub beyond: usize,
}

/// What the spans say of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FittedService {
    pub spans: usize,
    pub own_mean_us: f64,
    /// Standard deviation over mean.
    pub own_cv: f64,
    /// One after the other; calls within a stage at once.
    pub stages: Vec<Vec<FittedCall>>,
}

/// One call to another service.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedCall {
    pub service: String,
    /// How often it is made, 0 to 1.
    pub share: f64,
}

/// Calls to one service that a stage list spells out; a loop that makes more is cut.
const CALLS_MAX: usize = 64;
/// A call that is made more rarely than this is left out.
const SHARE_MIN: f64 = 0.005;

/// One request at one service, with the calls that it made to others.
struct Visit {
    own_us: f64,
    /// Called service and group: calls of one group overlap.
    calls: Vec<(u32, usize)>,
}

/// Draws the conclusions.
#[must_use]
pub fn fit(spans: &Spans) -> Fit {
    let mut fit = Fit::default();
    let by_id: BTreeMap<u32, usize> =
        spans.spans.iter().enumerate().map(|(at, span)| (span.id, at)).collect();
    let parent = |span: &Span| span.parent.and_then(|parent| by_id.get(&parent)).map(|&at| &spans.spans[at]);
    let mut children: BTreeMap<u32, Vec<&Span>> = BTreeMap::new();
    for span in &spans.spans {
        if let Some(parent) = parent(span) {
            children.entry(parent.id).or_default().push(span);
        }
    }
    let mut visits: BTreeMap<u32, Vec<Visit>> = BTreeMap::new();
    for span in &spans.spans {
        match parent(span) {
            // A span within its service belongs to the visit that it is part of.
            Some(parent) if parent.service == span.service => continue,
            Some(_) => {}
            None => {
                fit.orphans += usize::from(span.parent.is_some());
                *fit.entries.entry(spans.service_name(span.service).to_owned()).or_default() += 1;
            }
        }
        let visit = visit(span, &children, &mut fit.beyond);
        visits.entry(span.service).or_default().push(visit);
    }
    for (service, visits) in visits {
        fit.services.insert(spans.service_name(service).to_owned(), service_of(&visits, spans));
    }
    fit
}

fn visit(entry: &Span, children: &BTreeMap<u32, Vec<&Span>>, beyond: &mut usize) -> Visit {
    let mut calls: Vec<&Span> = Vec::new();
    let (mut within, mut seen) = (vec![entry], BTreeSet::from([entry.id]));
    while let Some(span) = within.pop() {
        for child in children.get(&span.id).into_iter().flatten() {
            if child.service != entry.service {
                calls.push(child);
            } else if seen.insert(child.id) {
                within.push(child);
            }
        }
    }
    calls.sort_by_key(|call| (call.start_us, call.end_us, call.id));
    let (mut covered_us, mut until_us, mut group) = (0, entry.start_us, 0);
    let mut grouped = Vec::with_capacity(calls.len());
    for (at, call) in calls.iter().enumerate() {
        *beyond += usize::from(call.start_us < entry.start_us || call.end_us > entry.end_us);
        let (start, end) = (call.start_us.max(entry.start_us), call.end_us.min(entry.end_us));
        if at > 0 && start >= until_us {
            group += 1;
        }
        grouped.push((call.service, group));
        covered_us += end.saturating_sub(start.max(until_us));
        until_us = until_us.max(end);
    }
    let own_us = (entry.end_us - entry.start_us).saturating_sub(covered_us);
    Visit { own_us: own_us as f64, calls: grouped }
}

fn service_of(visits: &[Visit], spans: &Spans) -> FittedService {
    let count = visits.len() as f64;
    let mean = visits.iter().map(|visit| visit.own_us).sum::<f64>() / count;
    let variance = visits.iter().map(|visit| (visit.own_us - mean).powi(2)).sum::<f64>() / count;
    FittedService {
        spans: visits.len(),
        own_mean_us: mean,
        own_cv: if mean > 0.0 { variance.sqrt() / mean } else { 0.0 },
        stages: stages(visits, spans),
    }
}

/// The nth call to a service in a visit, in how many visits it is made, in which group on average, and with which
/// others it overlaps.
#[derive(Default)]
struct Habit {
    made: usize,
    group_sum: usize,
    with: BTreeMap<(u32, usize), usize>,
}

fn stages(visits: &[Visit], spans: &Spans) -> Vec<Vec<FittedCall>> {
    let mut habits: BTreeMap<(u32, usize), Habit> = BTreeMap::new();
    for visit in visits {
        let mut nth: BTreeMap<u32, usize> = BTreeMap::new();
        let calls: Vec<((u32, usize), usize)> = visit
            .calls
            .iter()
            .filter_map(|&(service, group)| {
                let nth = nth.entry(service).or_default();
                *nth += 1;
                (*nth <= CALLS_MAX).then_some(((service, *nth), group))
            })
            .collect();
        for &(call, group) in &calls {
            let habit = habits.entry(call).or_default();
            habit.made += 1;
            habit.group_sum += group;
            let overlapping = calls.iter().filter(|(other, its)| *its == group && *other != call);
            for (other, _) in overlapping {
                *habit.with.entry(*other).or_default() += 1;
            }
        }
    }
    let share = |habit: &Habit| habit.made as f64 / visits.len() as f64;
    let mut order: Vec<_> = habits.iter().filter(|(_, habit)| share(habit) >= SHARE_MIN).collect();
    let mean_group = |habit: &Habit| habit.group_sum as f64 / habit.made as f64;
    order.sort_by(|(one, a), (other, b)| mean_group(a).total_cmp(&mean_group(b)).then(one.cmp(other)));
    let mut stages: Vec<Vec<((u32, usize), f64)>> = Vec::new();
    for (&call, habit) in order {
        // At once with most of what it could be at once with.
        let overlaps = |other: &((u32, usize), f64)| {
            let both = habit.with.get(&other.0).copied().unwrap_or(0);
            let rarer = habit.made.min(habits[&other.0].made);
            both * 2 > rarer
        };
        match stages.last_mut() {
            Some(stage) if stage.iter().all(overlaps) => stage.push((call, share(habit))),
            _ => stages.push(vec![(call, share(habit))]),
        }
    }
    let named = |((service, _), share): ((u32, usize), f64)| FittedCall {
        service: spans.service_name(service).to_owned(),
        share: share.min(1.0),
    };
    stages.into_iter().map(|stage| stage.into_iter().map(named).collect()).collect()
}
