//! What is seen while a game day runs, told by several threads: the seconds of the load, what the gateway has
//! taken out, how much was hit. It judges abort conditions, and asks nobody.

use super::act::PREFIX;
use super::exposition::Exposition;
use super::outcome::{AlarmChange, CoursePoint};
use super::probe::{judge, value};
use super::radius::Measured;
use super::spec::{GameDaySpec, Stage};
use crate::load::{Expectation, Moment};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Changes of alarms that are kept.
const ALARMS_MAX: usize = 10_000;
/// Scrapes over which the share of hits is measured.
const WINDOW: usize = 10;
/// So long the admin listener may be silent while faults are there.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Gauges that tell of an endpoint taken out, by the word for it.
const ALARMS: [(&str, &str); 4] = [
    ("headgate_endpoint_aside", "aside"),
    ("headgate_endpoint_ejected", "ejected"),
    ("headgate_endpoint_unhealthy", "unhealthy"),
    ("headgate_breaker_open", "breaker open"),
];

/// What an alarm is about: its kind, the service, the endpoint.
pub(super) type Alarm = (&'static str, String, String);

pub(super) struct Board<'a> {
    spec: &'a GameDaySpec,
    began: Instant,
    halted: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) course: Vec<CoursePoint>,
    pub(super) alarms: Vec<AlarmChange>,
    raised: BTreeSet<Alarm>,
    pub(super) alarms_dropped: u64,
    /// By condition.
    conditions: Vec<Condition>,
    pub(super) halt: Option<String>,
    /// Hits and attempts by service at the last scrapes.
    counts: VecDeque<BTreeMap<String, Measured>>,
    /// Metrics that conditions on growth begin with.
    first: Option<Exposition>,
    silent_since: Option<Duration>,
    pub(super) measured_percent: f64,
    /// Rules in force now, with their services.
    in_force: BTreeMap<String, String>,
    /// Faults in force now.
    pub(super) faults: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    since: Option<Duration>,
    pub(super) met_at: Option<Duration>,
}

impl<'a> Board<'a> {
    pub(super) fn new(spec: &'a GameDaySpec) -> Self {
        let conditions = vec![Condition::default(); spec.aborts.len()];
        let inner = Inner { conditions, ..Inner::default() };
        Self { spec, began: Instant::now(), halted: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    /// Since the beginning of the game day.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All faults are to be taken back; the first reason counts.
    pub(super) fn halt(&self, reason: String) {
        self.lock().halt.get_or_insert(reason);
        self.halted.store(true, Relaxed);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Relaxed)
    }

    /// The faults are gone; the load may run again. The reason stays.
    pub(super) fn resume(&self) {
        self.halted.store(false, Relaxed);
    }

    /// When each condition was met.
    pub(super) fn conditions_met(&self) -> Vec<Option<Duration>> {
        self.lock().conditions.iter().map(|condition| condition.met_at).collect()
    }

    /// A second of the load, which began `offset` after the game day.
    pub(super) fn tell_second(
        &self,
        stage: Stage,
        offset: Duration,
        moment: &Moment,
        steady: &[Expectation],
    ) {
        let failing = self.failing_share(moment);
        let is_good = steady.iter().all(|one| one.holds_in(moment) != Some(false))
            && (!steady.is_empty() || moment.errors == 0);
        let mut inner = self.lock();
        let faults = inner.faults;
        inner.course.push(CoursePoint {
            at_s: (offset.as_secs_f64() * 1e3).round() / 1e3 + moment.second as f64,
            stage,
            planned: moment.planned,
            answered: moment.answered,
            errors: moment.errors,
            p50_ms: moment.p50_us / 1e3,
            p99_ms: moment.p99_us / 1e3,
            is_good,
            faults,
        });
        drop(inner);
        if stage != Stage::During {
            return;
        }
        let budget = 1.0 - self.spec.slo.success_percent / 100.0;
        for (index, abort) in self.spec.aborts.iter().enumerate() {
            let is_met = match (&abort.load, abort.burn_rate) {
                (Some(load), _) => {
                    Expectation::parse(load).ok().and_then(|one| one.holds_in(moment)) == Some(true)
                }
                (_, Some(rate)) => failing > rate * budget,
                _ => continue,
            };
            // The second that it is told of is over: the condition has held for all of it.
            let evidence = format!("{} of {} failed in that second", moment.errors, moment.planned);
            self.judge_condition(index, is_met, Duration::from_secs(1), &evidence);
        }
    }

    fn failing_share(&self, moment: &Moment) -> f64 {
        moment.errors as f64 / moment.planned.max(moment.answered).max(moment.errors).max(1) as f64
    }

    /// The answer of a probe during the method.
    pub(super) fn tell_probe(&self, name: &str, is_right: bool, evidence: &str) {
        for (index, abort) in self.spec.aborts.iter().enumerate() {
            if abort.probe.as_deref() == Some(name) {
                self.judge_condition(index, !is_right, Duration::ZERO, evidence);
            }
        }
    }

    /// Halts when condition `index` has now been met for its time. `held`: for how long it is known to have
    /// held already.
    fn judge_condition(&self, index: usize, is_met: bool, held: Duration, evidence: &str) {
        let now = self.now();
        let mut inner = self.lock();
        let condition = &mut inner.conditions[index];
        if !is_met {
            condition.since = None;
            return;
        }
        let since = *condition.since.get_or_insert(now.saturating_sub(held));
        if now.saturating_sub(since) < self.spec.aborts[index].lasts.0 || condition.met_at.is_some() {
            return;
        }
        condition.met_at = Some(now);
        drop(inner);
        self.halt(format!("{}: {evidence}", self.words(index)));
    }

    /// A condition as a reader knows it.
    pub(super) fn words(&self, index: usize) -> String {
        let abort = &self.spec.aborts[index];
        let what = match (&abort.load, abort.burn_rate, &abort.metric, &abort.probe) {
            (Some(load), ..) => load.clone(),
            (_, Some(rate), ..) => format!("burn rate above {rate}"),
            (.., Some(metric), _) => {
                let least = metric.at_least.map(|least| format!(" >= {least}")).unwrap_or_default();
                let most = metric.at_most.map(|most| format!(" <= {most}")).unwrap_or_default();
                format!("{}{least}{most}", metric.name)
            }
            (.., Some(probe)) => format!("probe \"{probe}\" wrong"),
            _ => String::new(),
        };
        match abort.lasts.0 {
            Duration::ZERO => what,
            lasts => format!("{what} for {} s", lasts.as_secs_f64()),
        }
    }

    /// A look at the gateway's metrics, or why there is none.
    pub(super) fn tell_scrape(&self, stage: Stage, scrape: Result<Exposition, String>) {
        let now = self.now();
        let scrape = match scrape {
            Ok(scrape) => scrape,
            Err(why) => return self.tell_silence(stage, now, &why),
        };
        let mut inner = self.lock();
        inner.silent_since = None;
        inner.take_alarms(&scrape, now);
        if stage != Stage::During {
            return;
        }
        let beyond = inner.measure(&scrape, self.spec.blast_radius.requests_percent);
        let first = inner.first.get_or_insert_with(|| scrape.clone()).clone();
        drop(inner);
        if let Some(reason) = beyond {
            self.halt(reason);
        }
        for (index, abort) in self.spec.aborts.iter().enumerate() {
            if let Some(metric) = &abort.metric {
                let answer = judge(metric, value(metric, &scrape), Some(value(metric, &first)));
                self.judge_condition(index, answer.is_right, Duration::ZERO, &answer.evidence);
            }
        }
    }

    fn tell_silence(&self, stage: Stage, now: Duration, why: &str) {
        let since = *self.lock().silent_since.get_or_insert(now);
        if stage == Stage::During && now.saturating_sub(since) >= SILENCE_MAX {
            let most = SILENCE_MAX.as_secs();
            self.halt(format!("nothing from the gateway's admin listener for {most} s: {why}"));
        }
    }
}

impl Inner {
    /// These rules are in force from now on, by name with the service that they are about.
    pub(super) fn set_in_force(&mut self, rules: BTreeMap<String, String>) {
        self.in_force = rules;
        // A counter may have begun with an earlier game day.
        self.counts.clear();
    }

    fn take_alarms(&mut self, scrape: &Exposition, now: Duration) {
        let mut raised = BTreeSet::new();
        for (metric, kind) in ALARMS {
            for series in scrape.named(metric).filter(|series| series.value > 0.0) {
                let label = |name| series.label(name).to_owned();
                raised.insert((kind, label("service"), label("endpoint")));
            }
        }
        let change = |alarm: &Alarm, is_raised| AlarmChange {
            at_s: now.as_secs_f64(),
            kind: alarm.0.to_owned(),
            service: alarm.1.clone(),
            endpoint: alarm.2.clone(),
            is_raised,
            is_false: false,
        };
        let began = raised.difference(&self.raised).map(|alarm| change(alarm, true));
        let ended = self.raised.difference(&raised).map(|alarm| change(alarm, false));
        for one in began.chain(ended) {
            if self.alarms.len() < ALARMS_MAX {
                self.alarms.push(one);
            } else {
                self.alarms_dropped += 1;
            }
        }
        self.raised = raised;
    }

    /// Takes in how much was hit; the reason to stop when it is more than the cap.
    fn measure(&mut self, scrape: &Exposition, cap_percent: f64) -> Option<String> {
        let mut now: BTreeMap<String, Measured> = BTreeMap::new();
        for name in ["headgate_upstream_requests_total", "headgate_upstream_requests_in_flight"] {
            for series in scrape.named(name) {
                now.entry(series.label("service").to_owned()).or_default().attempts += series.value;
                now.entry(String::new()).or_default().attempts += series.value;
            }
        }
        for series in scrape.named("headgate_chaos_hits_total") {
            let rule = series.label("rule");
            if let Some(service) = self.in_force.get(rule).filter(|_| rule.starts_with(PREFIX)) {
                now.entry(service.clone()).or_default().hits += series.value;
            }
        }
        if self.counts.len() == WINDOW {
            self.counts.pop_front();
        }
        self.counts.push_back(now);
        let (first, last) = (self.counts.front()?, self.counts.back()?);
        for (service, last) in last {
            let before = first.get(service).copied().unwrap_or_default();
            let hits = (last.hits - before.hits).max(0.0);
            let measured = Measured { hits, attempts: (last.attempts - before.attempts).max(hits) };
            if measured.is_beyond(0.0) {
                self.measured_percent = self.measured_percent.max(measured.percent());
            }
            if measured.is_beyond(cap_percent) {
                return Some(format!(
                    "the blast radius: {:.1} % of the attempts{} were hit, above {cap_percent} %",
                    measured.percent(),
                    if service.is_empty() { String::new() } else { format!(" at {service}") },
                ));
            }
        }
        None
    }
}
