//! What faults did to users, and how soon the gateway dealt with them: read off the recorded course. Pure.

use super::conductor::{Carried, aims};
use super::outcome::{AlarmChange, CoursePoint, ExpectationResult, FaultResult};
use super::spec::GameDaySpec;
use headgate_model::spec::Span;
use std::time::Duration;

/// Good seconds in a row after which users are well again.
const STREAK: usize = 3;
/// So long after a fault an alarm may still be about it.
const AFTERMATH_S: f64 = 5.0;

/// Marks alarms that no fault explains, and gives their number. Those raised before `method_s` are no one's.
pub(super) fn mark_false(
    alarms: &mut [AlarmChange],
    spec: &GameDaySpec,
    carried: &[Carried],
    method_s: f64,
) -> usize {
    let mut count = 0;
    for alarm in alarms.iter_mut().filter(|alarm| alarm.is_raised && alarm.at_s >= method_s) {
        let explains = |one: &Carried| {
            let began = one.began.map(|began| began.as_secs_f64());
            let ended = one.ended.map_or(f64::INFINITY, |ended| ended.as_secs_f64());
            began.is_some_and(|began| alarm.at_s >= began)
                && alarm.at_s <= ended + AFTERMATH_S
                && is_about(alarm, spec, one)
        };
        alarm.is_false = !carried.iter().any(explains);
        count += usize::from(alarm.is_false);
    }
    count
}

/// What came of one fault.
pub(super) fn result(
    one: &Carried,
    spec: &GameDaySpec,
    course: &[CoursePoint],
    alarms: &[AlarmChange],
) -> FaultResult {
    let seconds = |time: Duration| time.as_secs_f64();
    let (began, ended) = (one.began.map(seconds), one.ended.map(seconds));
    let mine: Vec<&AlarmChange> = alarms.iter().filter(|alarm| is_about(alarm, spec, one)).collect();
    let within = |alarm: &&&AlarmChange| {
        let (began, ended) = (began.unwrap_or(f64::INFINITY), ended.unwrap_or(f64::INFINITY));
        alarm.is_raised && alarm.at_s >= began && alarm.at_s <= ended
    };
    let detection = mine.iter().find(within);
    let detected_s = detection.and_then(|alarm| Some(alarm.at_s - began?));
    let mitigated_s = began.zip(ended).and_then(|(began, ended)| mitigated(course, began, ended));
    let recovered_s = began.zip(ended).and_then(|(began, ended)| recovered(course, &mine, began, ended));
    let action = &spec.method[one.planned.action];
    let expectation = |what, within: Option<Span<0>>, actual_s: Option<f64>| {
        let within_s = within?.0.as_secs_f64();
        let met = actual_s.is_some_and(|actual| actual <= within_s);
        Some(ExpectationResult { what, within_s, actual_s, met })
    };
    let expectations = [
        expectation("detected", action.expect.detected_within, detected_s),
        expectation("mitigated", action.expect.mitigated_within, mitigated_s),
        expectation("recovered", action.expect.recovered_within, recovered_s),
    ];
    FaultResult {
        name: one.planned.name.clone(),
        what: one.what.clone(),
        targets: one.planned.targets.clone(),
        planned_begin_s: seconds(one.planned.begins),
        planned_end_s: seconds(one.planned.ends),
        began_s: began,
        ended_s: ended,
        hits: one.hits,
        rolled_back: one.is_rolled_back,
        problem: one.problem.clone(),
        detected_s,
        detected_by: detection.map(|alarm| alarm.words()),
        mitigated_s,
        recovered_s,
        expectations: expectations.into_iter().flatten().collect(),
    }
}

impl AlarmChange {
    /// `ejected 10.0.0.1:80 of shop`.
    pub(super) fn words(&self) -> String {
        format!("{} {} of {}", self.kind, self.endpoint, self.service).replace("  ", " ")
    }
}

/// Whether an alarm is about what a fault was aimed at.
fn is_about(alarm: &AlarmChange, spec: &GameDaySpec, one: &Carried) -> bool {
    let service = spec.method[one.planned.action].chaos.as_ref().and_then(|chaos| chaos.service.as_ref());
    let aims = aims(spec, &one.planned);
    service.is_none_or(|service| *service == alarm.service)
        // A breaker of a whole service names no endpoint.
        && (aims.is_empty() || alarm.endpoint.is_empty() || aims.contains(&alarm.endpoint))
}

/// From its beginning until users are well while it lasts: zero when no second of it is bad.
fn mitigated(course: &[CoursePoint], began: f64, ended: f64) -> Option<f64> {
    let during: Vec<&CoursePoint> =
        course.iter().filter(|point| point.at_s + 1.0 > began && point.at_s + 1.0 <= ended).collect();
    let Some(first_bad) = during.iter().position(|point| !point.is_good) else { return Some(0.0) };
    let streak = during[first_bad..].windows(STREAK).find(|points| points.iter().all(|it| it.is_good))?;
    Some((streak[0].at_s - began).max(0.0))
}

/// From its end until users are well and alarms about it are over.
fn recovered(course: &[CoursePoint], mine: &[&AlarmChange], began: f64, ended: f64) -> Option<f64> {
    let after: Vec<&CoursePoint> = course.iter().filter(|point| point.at_s >= ended).collect();
    let streak =
        after.windows(STREAK.min(after.len()).max(1)).find(|points| points.iter().all(|it| it.is_good))?;
    let mut recovered = (streak[0].at_s - ended).max(0.0);
    // The second in which it ended may still be good; then users were never not.
    if streak[0].at_s == after[0].at_s {
        recovered = 0.0;
    }
    for raised in mine.iter().filter(|alarm| alarm.is_raised && alarm.at_s >= began) {
        let same = |it: &&&AlarmChange| {
            !it.is_raised
                && it.at_s > raised.at_s
                && (&it.kind, &it.service, &it.endpoint) == (&raised.kind, &raised.service, &raised.endpoint)
        };
        recovered = recovered.max(mine.iter().find(same)?.at_s - ended);
    }
    Some(recovered)
}
