//! One stage of a game day: the load runs, the probes ask, the gateway is watched, and during the method faults
//! come and go; each on a thread of its own, so that none waits for another.

use super::board::Board;
use super::conductor::Carried;
use super::outcome::{ProbeResult, StageResult};
use super::probe::{Prober, scrape};
use super::spec::{GameDaySpec, Mode, ProbeSpec, Stage};
use crate::load::{self, Expectation, LoadError, Moment, Plan, Summary, Target};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often the gateway's metrics are looked at.
const WATCH: Duration = Duration::from_millis(500);
/// How often it is looked whether somebody has stopped the game day.
const LOOK: Duration = Duration::from_millis(20);

/// What a stage needs.
pub(super) struct Ground<'a> {
    pub(super) spec: &'a GameDaySpec,
    pub(super) gateway: &'a Target,
    pub(super) admin: &'a Target,
    pub(super) board: &'a Board<'a>,
    pub(super) interrupted: &'a AtomicBool,
}

/// What came of a stage.
pub(super) struct Staged {
    pub(super) probes: Vec<ProbeResult>,
    pub(super) result: StageResult,
    pub(super) carried: Vec<Carried>,
    /// What the load generator has to say about itself.
    pub(super) notes: Vec<String>,
}

impl Ground<'_> {
    /// Runs `plan` as the load of this stage. `method` carries the faults out; the load ends with it when it
    /// is halted, and otherwise by itself.
    pub(super) fn run(
        &self,
        stage: Stage,
        plan: &Plan,
        method: impl FnOnce() -> Vec<Carried> + Send,
        show: &mut dyn FnMut(Stage, &Moment),
    ) -> Result<Staged, LoadError> {
        let asked: Vec<&ProbeSpec> =
            self.spec.probes.iter().filter(|probe| probe.when.contains(&stage)).collect();
        let steady = self.steady();
        let (stop, bell) = (AtomicBool::new(false), Bell::default());
        let began = self.board.now();
        std::thread::scope(|scope| {
            let over = Over { bell: &bell, board: self.board };
            let probers: Vec<_> = asked
                .iter()
                .filter(|probe| probe.load.is_none())
                .map(|probe| scope.spawn(|| self.probe(stage, probe, &bell)))
                .collect();
            let watcher = scope.spawn(|| self.watch(stage, &bell));
            let stopper = scope.spawn(|| self.stop(&stop, &bell));
            let conducted = scope.spawn(method);
            let ran = load::run(plan, &stop, &mut |moment| {
                self.board.tell_second(stage, began, moment, &steady);
                show(stage, moment);
            });
            if ran.is_err() && stage == Stage::During {
                self.board.halt("the load could not be sent".to_owned());
            }
            // A panic in it is a mistake of ours; faults were taken back on its way out.
            let carried = conducted.join().unwrap_or_else(|_| {
                self.board.halt("the thread that carries the faults out panicked".to_owned());
                Vec::new()
            });
            drop(over);
            let mut probes: Vec<ProbeResult> = probers.into_iter().filter_map(|it| it.join().ok()).collect();
            // They only look; what they saw is on the board.
            let _ = (watcher.join(), stopper.join());
            let (result, notes) = match ran {
                Ok(mut summary) => {
                    probes.extend(asked.iter().filter_map(|probe| load_probe(probe, stage, &mut summary)));
                    (stage_result(stage, began, &summary), summary.notes)
                }
                // Nothing has been done yet, and nothing will be.
                Err(error) if stage == Stage::Before => return Err(error),
                Err(error) => {
                    let why = format!("the load could not be sent: {error}");
                    probes.extend(asked.iter().filter_map(|probe| unsent(probe, stage, &why)));
                    (StageResult::empty(stage, began), vec![why])
                }
            };
            let order = |result: &ProbeResult| asked.iter().position(|probe| probe.name == result.name);
            probes.sort_by_key(order);
            Ok(Staged { probes, result, carried, notes })
        })
    }

    /// The conditions on the load that can be held against a second.
    fn steady(&self) -> Vec<Expectation> {
        let written = self.spec.probes.iter().filter_map(|probe| probe.load.as_deref());
        written.filter_map(|text| Expectation::parse(text).ok()).filter(Expectation::is_per_second).collect()
    }

    fn watch(&self, stage: Stage, bell: &Bell) {
        loop {
            self.board.tell_scrape(stage, scrape(self.admin));
            if bell.wait(WATCH) {
                return;
            }
        }
    }

    /// Ends the load of a stage that is not to go on.
    fn stop(&self, stop: &AtomicBool, bell: &Bell) {
        while !bell.wait(LOOK) {
            if self.interrupted.load(Relaxed) || self.board.is_halted() {
                stop.store(true, Relaxed);
            }
        }
    }

    /// Asks again and again until the stage is over, and once more then.
    fn probe(&self, stage: Stage, probe: &ProbeSpec, bell: &Bell) -> ProbeResult {
        let prober = Prober::new(probe, self.gateway, self.admin);
        let (mut asked, mut wrong, mut evidence, mut last_is_right) = (0, 0, String::new(), false);
        loop {
            let is_over = bell.wait(if asked == 0 { Duration::ZERO } else { probe.every.0 });
            let answer = prober.ask();
            asked += 1;
            if stage == Stage::During {
                self.board.tell_probe(&probe.name, answer.is_right, &answer.evidence);
            }
            wrong += u64::from(!answer.is_right);
            // A wrong answer says more than the right ones after it, unless one right answer is enough.
            if !answer.is_right || wrong == 0 || probe.mode != Mode::Continuous {
                evidence = answer.evidence;
            }
            last_is_right = answer.is_right || (probe.mode == Mode::Eventually && last_is_right);
            if is_over {
                break;
            }
        }
        let passed = match probe.mode {
            Mode::Continuous => wrong as f64 <= asked as f64 * probe.tolerate_percent / 100.0,
            Mode::Eventually | Mode::End => last_is_right,
        };
        ProbeResult { name: probe.name.clone(), stage, passed, asked, wrong, evidence }
    }
}

fn load_probe(probe: &ProbeSpec, stage: Stage, summary: &mut Summary) -> Option<ProbeResult> {
    let expectation = Expectation::parse(probe.load.as_deref()?).ok()?;
    let passed = summary.judge(&[expectation]);
    let evidence = summary.expectations.first().map(|it| format!("{}: {}", it.expectation, it.actual));
    Some(ProbeResult {
        name: probe.name.clone(),
        stage,
        passed,
        asked: 1,
        wrong: u64::from(!passed),
        evidence: evidence.unwrap_or_default(),
    })
}

/// A condition on a load that could not be sent.
fn unsent(probe: &ProbeSpec, stage: Stage, why: &str) -> Option<ProbeResult> {
    probe.load.as_ref()?;
    let (name, evidence) = (probe.name.clone(), why.to_owned());
    Some(ProbeResult { name, stage, passed: false, asked: 1, wrong: 1, evidence })
}

impl StageResult {
    fn empty(stage: Stage, began: Duration) -> Self {
        Self {
            stage,
            began_s: began.as_secs_f64(),
            seconds: 0.0,
            planned: 0,
            answered: 0,
            failed: 0,
            p50_ms: 0.0,
            p99_ms: 0.0,
            max_ms: 0.0,
        }
    }
}

fn stage_result(stage: Stage, began: Duration, summary: &Summary) -> StageResult {
    let total = &summary.total;
    let good: u64 = total.statuses.iter().filter(|(status, _)| **status < 400).map(|(_, count)| count).sum();
    StageResult {
        stage,
        began_s: began.as_secs_f64(),
        seconds: total.seconds,
        planned: total.planned - total.failed.stopped,
        answered: total.answered,
        failed: (total.planned - total.failed.stopped).saturating_sub(good),
        p50_ms: total.from_planned.p50_us / 1e3,
        p99_ms: total.from_planned.p99_us / 1e3,
        max_ms: total.from_planned.max_us / 1e3,
    }
}

/// Ends a stage when it is dropped, by a panic too: nobody is to wait for what does not come.
struct Over<'a> {
    bell: &'a Bell,
    board: &'a Board<'a>,
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.board.halt("the thread that sends the load panicked".to_owned());
        }
        self.bell.ring();
    }
}

/// Wakes whoever waits when a stage is over.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    waiting: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.waiting.notify_all();
    }

    /// Waits at most `time`; whether it has rung.
    fn wait(&self, time: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (rung, _) = self
            .waiting
            .wait_timeout_while(rung, time, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung
    }
}
