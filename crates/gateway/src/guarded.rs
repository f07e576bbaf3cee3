//! A guard at work: evidence goes in, the stage comes out, and every switch is journaled with its outcome and shown in
//! the metrics. It knows nothing of what the learned policy decides; whoever owns one puts it behind a lock that no
//! request waits for, and lets copies of [`Guarded::split`] ride with the traffic.

use crate::guard_desk::{GuardDesk, Names, Place, Standing};
use crate::guard_memory::Page;
use headgate_model::decision::{Figure, Outcome};
use headgate_model::units::Tick;
use headgate_observe::guard_metrics::{GuardMetrics, GuardStage, SwitchCause};
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level};
use headgate_observe::registry::WorkerMetrics;
use headgate_policy::guard::{
    Arm, Better, Cause, FalseAlarms, Guard, Mode, Paired, Settings, SettingsError, Split, Stage, Switch,
};
use std::sync::Arc;
use std::time::Duration;

/// Windows after which the journal is told for the first time how a switch turned out.
const FIRST_LOOK_WINDOWS: u32 = 64;

/// One guard with what is told of it.
#[derive(Debug)]
pub struct Guarded {
    guard: Guard,
    names: Names,
    /// Of the goal: name, unit, and whether more is better.
    goal: (&'static str, &'static str, bool),
    window: Duration,
    journal: Journal,
    metrics: GuardMetrics,
    /// Of the goal since the last switch: learned, baseline.
    since: [Sum; 2],
    /// Units of the arm that has fewer, as the metrics know them.
    counted: u64,
    last: Option<Last>,
    place: Arc<Place>,
    page: Page,
}

/// A sum of values over their units.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    value: f64,
    units: f64,
}

impl Sum {
    fn mean(self) -> f64 {
        if self.units > 0.0 { self.value / self.units } else { 0.0 }
    }
}

/// The last switch, in the journal.
#[derive(Clone, Copy, Debug)]
struct Last {
    id: u64,
    at: Tick,
    is_told: bool,
}

impl Guarded {
    /// Goes on where one of the same settings stood when its process ended, as far as that is kept.
    ///
    /// # Errors
    /// A setting makes no sense.
    pub fn new(
        settings: Settings,
        names: Names,
        journal: Journal,
        desk: &GuardDesk,
        cells: &WorkerMetrics,
        now: Tick,
    ) -> Result<Self, SettingsError> {
        let window = settings.window;
        let more_is_better = settings.goal.better == Better::Higher;
        let goal = (settings.goal.name, settings.goal.unit, more_is_better);
        let metrics = GuardMetrics::new(cells, names.policy);
        let mut page = Page::new(Arc::clone(&desk.book), &names, &settings);
        let mut guard = Guard::new(settings)?;
        let resumed = page.recall(now).map_or(Ok(None), |memory| guard.resume(&memory, now));
        let standing = Standing { names: names.clone(), stage: guard.stage(), evidence: Vec::new() };
        let place = desk.join(standing);
        let mut guarded = Self {
            guard,
            names,
            goal,
            window,
            journal,
            metrics,
            since: Default::default(),
            counted: 0,
            last: None,
            place,
            page,
        };
        guarded.show();
        match resumed {
            Ok(switch) => switch.iter().for_each(|switch| guarded.tell(switch, now)),
            Err(error) => {
                let fields: log::Fields<'_> = &[("guard", &guarded.names.policy), ("error", &error)];
                log::event(Level::Error, "what a guard kept is not usable; it begins anew", fields);
            }
        }
        Ok(guarded)
    }

    #[must_use]
    pub fn stage(&self) -> Stage {
        self.guard.stage()
    }

    /// Which units are the learned policy's, until the next switch.
    #[must_use]
    pub fn split(&self) -> Split {
        self.guard.split()
    }

    /// As [`Guard::observe_pair`].
    pub fn observe_pair(&mut self, metric: usize, pair: Paired) {
        self.guard.observe_pair(metric, pair);
        if metric == 0 && pair.learned.is_finite() && pair.baseline.is_finite() {
            self.add(Arm::Learned, pair.learned, pair.units);
            self.add(Arm::Baseline, pair.baseline, pair.units);
        }
    }

    /// As [`Guard::observe`].
    pub fn observe(&mut self, metric: usize, arm: Arm, value: f64, units: f64) {
        self.guard.observe(metric, arm, value, units);
        if metric == 0 && value.is_finite() {
            self.add(arm, value, units);
        }
    }

    /// Judges once per window, and does what an operator says; to be called about as often. A switch is journaled, and
    /// what came of the one before is added to that; the new stage.
    pub fn tick(&mut self, now: Tick) -> Option<Stage> {
        let equals = |guard: &Guard| {
            let FalseAlarms { attempts, worse, better } = guard.false_alarms();
            [attempts, worse, better]
        };
        let before = equals(&self.guard);
        let ordered = self.place.take_order().and_then(|mode| self.guard.set(mode, now).ok());
        let switch = ordered.or_else(|| self.guard.tick(now));
        self.metrics.tested_equals(equals(&self.guard), before);
        let few = self.since.iter().fold(f64::INFINITY, |few, arm| few.min(arm.units)) as u64;
        let [learned, baseline] = self.since.map(Sum::mean);
        self.metrics.compare(learned, baseline, few.saturating_sub(self.counted));
        self.counted = few;
        self.place.show(self.guard.stage(), self.guard.evidence());
        self.page.keep(self.guard.memory(), now);
        let Some(switch) = switch else {
            let is_due = |last: &Last| {
                !last.is_told && now.since(last.at) >= self.window.saturating_mul(FIRST_LOOK_WINDOWS)
            };
            if self.last.as_ref().is_some_and(is_due) {
                self.tell_outcome(now);
            }
            return None;
        };
        self.tell(&switch, now);
        Some(switch.to)
    }

    /// A switch, to the journal and the metrics.
    fn tell(&mut self, switch: &Switch, now: Tick) {
        self.tell_outcome(now);
        let Names { policy, subject, baseline } = self.names;
        let id = self.journal.record(switch.decision(policy, subject, baseline));
        self.last = Some(Last { id, at: now, is_told: false });
        self.since = Default::default();
        self.counted = 0;
        self.metrics.switched(match switch.cause {
            Cause::Better => SwitchCause::Better,
            Cause::Worse => SwitchCause::Worse,
            Cause::RailBroken(_) => SwitchCause::Rail,
            Cause::NotBetter => SwitchCause::NotBetter,
            Cause::PauseOver => SwitchCause::PauseOver,
            Cause::Operator => SwitchCause::Operator,
            Cause::FalseAlarm => SwitchCause::FalseAlarm,
            Cause::Restart => SwitchCause::Restart,
        });
        self.show();
    }

    /// The learned policy is not asked any more, by the configuration.
    pub fn end(&mut self, now: Tick) {
        if let Ok(switch) = self.guard.set(Mode::Off, now) {
            self.tell(&switch, now);
        }
    }

    fn add(&mut self, arm: Arm, value: f64, units: f64) {
        if units > 0.0 && units.is_finite() {
            let sum = &mut self.since[arm as usize];
            sum.value += value * units;
            sum.units += units;
        }
    }

    /// Tells the journal what both arms made since the last switch.
    fn tell_outcome(&mut self, now: Tick) {
        let Some(last) = &mut self.last else { return };
        last.is_told = true;
        let ([learned, baseline], (name, unit, more_is_better)) = (self.since, self.goal);
        let (result, evidence) = if learned.units > 0.0 && baseline.units > 0.0 {
            let more = learned.mean() - baseline.mean();
            let gain = if more_is_better { more } else { -more };
            let result = match gain {
                gain if gain > 0.0 => "since then the learned policy was better",
                gain if gain < 0.0 => "since then the learned policy was worse",
                _ => "since then both were alike",
            };
            let evidence = vec![
                Figure::new(&format!("{name}, learned"), learned.mean(), unit),
                Figure::new(&format!("{name}, baseline"), baseline.mean(), unit),
                Figure::new("units", learned.units.min(baseline.units), ""),
            ];
            (result, evidence)
        } else {
            ("nothing was compared since then", Vec::new())
        };
        let outcome = Outcome { after_s: now.since(last.at).as_secs(), result: result.into(), evidence };
        self.journal.outcome(last.id, outcome);
    }

    fn show(&self) {
        let (stage, share) = match self.guard.stage() {
            Stage::Off => (GuardStage::Off, 0.0),
            Stage::Shadow => (GuardStage::Shadow, 0.0),
            Stage::Share(share) => (GuardStage::Share, share),
            Stage::On => (GuardStage::On, 1.0),
            Stage::Paused { .. } => (GuardStage::Paused, 0.0),
            Stage::Stopped => (GuardStage::Stopped, 0.0),
        };
        self.metrics.stand(stage, share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_observe::exposition;
    use headgate_observe::journal::Query;
    use headgate_observe::registry::Registry;
    use headgate_policy::guard::Metric;

    const SECOND: Duration = Duration::from_secs(1);

    struct World {
        guarded: Guarded,
        desk: GuardDesk,
        registry: Registry,
        journal: Journal,
        settings: Settings,
        now: Tick,
    }

    impl World {
        fn new() -> Self {
            let registry = Registry::default();
            let journal = Journal::new(&registry.worker(9));
            let goal = Metric { name: "hit ratio", unit: "", better: Better::Higher, low: 0.0, high: 1.0 };
            let settings = Settings { window: SECOND, ..Settings::new(goal) };
            let names = Names { policy: "evict.adaptive", subject: "cache", baseline: "s3fifo" };
            let desk = GuardDesk::default();
            let guarded =
                Guarded::new(settings.clone(), names, journal.clone(), &desk, &registry.worker(9), Tick(1))
                    .unwrap();
            Self { guarded, desk, registry, journal, settings, now: Tick(1) }
        }

        /// Windows with that gain and a little that goes up and down, until there is a switch.
        fn until_switch(&mut self, gain: f64) -> Stage {
            let switch = (0..2_000).find_map(|at: u32| {
                let noise = f64::from(at.wrapping_mul(2_654_435_769) >> 24) / 256.0 * 0.02 - 0.01;
                let pair = Paired { learned: 0.5 + gain + noise, baseline: 0.5, units: 200.0 };
                self.guarded.observe_pair(0, pair);
                self.now = self.now + SECOND;
                self.guarded.tick(self.now)
            });
            switch.expect("it is plain enough")
        }

        fn metrics(&self) -> String {
            let mut text = String::new();
            exposition::write(&self.registry.gather(), &mut text);
            text
        }
    }

    #[test]
    fn switches_are_journaled_with_what_came_of_them_and_shown() {
        let mut world = World::new();
        assert!(world.metrics().contains("stage=\"shadow\"} 1"), "{}", world.metrics());
        assert!(matches!(world.until_switch(0.05), Stage::Share(_)));
        assert_eq!(world.until_switch(0.05), Stage::On);
        assert!(matches!(world.until_switch(-0.1), Stage::Paused { .. }));
        let entries = world.journal.page(&Query { policy: "evict".to_owned(), ..Query::default() }).entries;
        let decided: Vec<&str> = entries.iter().map(|entry| &*entry.decision.decided).collect();
        assert_eq!(
            decided,
            ["shadow -> share of 10.0 %", "share of 10.0 % -> on", "on -> paused for 600 s"],
            "{entries:?}"
        );
        let outcomes: Vec<Option<&Outcome>> = entries.iter().map(|entry| entry.outcome.as_ref()).collect();
        assert_eq!(&*outcomes[0].unwrap().result, "since then the learned policy was better");
        assert_eq!(&*outcomes[1].unwrap().result, "since then the learned policy was worse");
        assert!(outcomes[1].unwrap().after_s > 0 && outcomes[2].is_none());
        let metrics = world.metrics();
        for line in [
            "headgate_guard_stage{policy=\"evict.adaptive\",stage=\"paused\"} 1",
            "headgate_guard_stage{policy=\"evict.adaptive\",stage=\"on\"} 0",
            "headgate_guard_switches_total{cause=\"better\",policy=\"evict.adaptive\"} 2",
            "headgate_guard_switches_total{cause=\"worse\",policy=\"evict.adaptive\"} 1",
        ] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
    }

    #[test]
    fn an_operators_word_holds_from_the_next_look_on() {
        let mut world = World::new();
        let mut order = |mode| {
            assert!(world.desk.order("evict.adaptive", mode));
            world.now = world.now + SECOND;
            world.guarded.tick(world.now)
        };
        assert_eq!(order(Mode::On), Some(Stage::On));
        assert_eq!(order(Mode::Off), Some(Stage::Off), "also back");
        assert_eq!(order(Mode::Shadow), Some(Stage::Shadow), "and out of that again");
        let entries = world.journal.page(&Query::default()).entries;
        assert!(
            entries.len() == 3 && entries[0].decision.because.contains("an operator said so"),
            "{entries:?}"
        );
        assert_eq!(world.desk.list()[0].names.policy, "evict.adaptive");
    }

    #[test]
    fn what_was_said_and_what_was_taken_back_is_so_after_a_restart_too() {
        let again = |world: &World| {
            let mut next = World::new();
            let settings = world.settings.clone();
            let names = world.guarded.names.clone();
            let cells = next.registry.worker(9);
            next.guarded =
                Guarded::new(settings, names, next.journal.clone(), &world.desk, &cells, next.now).unwrap();
            next
        };
        let mut world = World::new();
        world.until_switch(0.05);
        assert_eq!(again(&world).guarded.stage(), Stage::Shadow, "what was won is to be won again");
        world.desk.order("evict.adaptive", Mode::On);
        world.now = world.now + SECOND;
        world.guarded.tick(world.now);
        assert_eq!(again(&world).guarded.stage(), Stage::On);
        assert!(matches!(world.until_switch(-0.1), Stage::Paused { .. }));
        let next = again(&world);
        let Stage::Paused { until } = next.guarded.stage() else { panic!("{:?}", next.guarded.stage()) };
        assert!((595..=601).contains(&until.since(next.now).as_secs()), "{until:?}");
        let entries = next.journal.page(&Query::default()).entries;
        assert!(entries[0].decision.because.contains("so it was before the restart"), "{entries:?}");
        // The configuration ends one, and that is nobody's word.
        let mut ended = again(&world);
        ended.guarded.end(ended.now);
        assert!(matches!(again(&world).guarded.stage(), Stage::Paused { .. }));
    }

    #[test]
    fn a_switch_that_lasts_has_an_outcome_after_some_windows() {
        let mut world = World::new();
        world.until_switch(0.05);
        let outcome = |world: &World| world.journal.page(&Query::default()).entries[0].outcome.clone();
        // Without evidence there is no other switch.
        for _ in 0..FIRST_LOOK_WINDOWS {
            assert_eq!(outcome(&world), None);
            world.now = world.now + SECOND;
            assert_eq!(world.guarded.tick(world.now), None);
        }
        assert_eq!(&*outcome(&world).unwrap().result, "nothing was compared since then");
    }
}
