//! Keeps the cache's eviction, beside the traffic: asks the duel what both policies saved, tells the guard, and lets the
//! guard's choice run the shards. A reload of `[cache]` takes effect here. No request waits for it.

use crate::cache_rules::{Cache, kind};
use crate::cache_size::{Bounds, Sizer};
use crate::guard_desk::{GuardDesk, Names};
use crate::guarded::Guarded;
use crate::worker::Shared;
use headgate_cache::rule::Policy;
use headgate_cache::tend::{Course, Tended, Turn, Watch};
use headgate_model::decision::{Decision, Figure};
use headgate_model::spec::{CacheSpec, EvictionGoal, EvictionGuard, EvictionPolicy, GuardMode};
use headgate_model::units::Tick;
use headgate_observe::cache_metrics::sample_dropped;
use headgate_observe::counter::Counter;
use headgate_observe::journal::Journal;
use headgate_observe::log::{self, Level};
use headgate_observe::registry::WorkerMetrics;
use headgate_policy::evict::adaptive::{Goal, Reason};
use headgate_policy::evict::duel::{Candidate, Plan, Tally};
use headgate_policy::guard::{Better, Metric, Mode, Paired, Settings, Stage};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// Between two looks; shorter where the guard's window is, or where there is something to let go of.
const PACE: Duration = Duration::from_secs(1);
const QUICK_PACE: Duration = Duration::from_millis(10);
/// The name of adaptive eviction in the journal and in metrics.
const POLICY: &str = "evict.adaptive";

/// Keeps it for ever.
pub async fn run(shared: Arc<Shared>) {
    let mut keeper = Keeper::new(shared.journal.clone(), shared.registry.worker(usize::MAX));
    loop {
        let shared = Arc::clone(&shared);
        // The duels play some thousand requests, while others here wait for nothing so long.
        let look = spawn_blocking(move || {
            let (spec, now) = (&shared.snapshot().config.cache, shared.now());
            let pace = keeper.look(&shared.cache, &shared.guards, spec, now);
            (keeper, pace)
        });
        let Ok((back, pace)) = look.await else {
            log::event(Level::Error, "the cache's eviction is looked after no more; it stays as it is", &[]);
            return;
        };
        keeper = back;
        sleep(pace).await;
    }
}

/// What is kept from look to look.
struct Keeper {
    journal: Journal,
    cells: WorkerMetrics,
    /// The settings that the guard was made for; None before the first look.
    watched: Option<Watched>,
    /// None where eviction is plain.
    guarded: Option<Guarded>,
    watch: Watch,
    sizer: Option<Sizer>,
    dropped: Arc<Counter>,
}

type Watched = (EvictionPolicy, EvictionGoal, EvictionGuard);

impl Keeper {
    fn new(journal: Journal, cells: WorkerMetrics) -> Self {
        let dropped = sample_dropped(&cells);
        Self { journal, cells, watched: None, guarded: None, watch: Watch::default(), sizer: None, dropped }
    }

    /// Looks once; the time until the next look.
    fn look(&mut self, cache: &Cache, guards: &GuardDesk, spec: &CacheSpec, now: Tick) -> Duration {
        let watched = (spec.eviction, spec.goal(), spec.guard());
        if self.watched.as_ref() != Some(&watched) {
            self.guarded = self.guard(guards, spec, now);
            self.watched = Some(watched);
        }
        let sizer = self.size(spec);
        let budget = sizer.size();
        cache.set_memory(budget);
        let shards = cache.store.shards();
        let course = Course {
            baseline: kind(spec.baseline()),
            budget,
            duel: self.guarded.as_ref().map(|_| plan(spec, shards)),
        };
        let learned = self.guarded.as_ref().map_or(0, |guarded| learned_shards(guarded.stage(), shards));
        let tended = cache.store.tend(&course, &mut self.watch, |shard| shard < learned);
        let Tended { tally, turns, dropped, is_trimming } = tended;
        tell(&self.journal, &turns);
        self.dropped.add(dropped);
        let curve = self.watch.curve();
        if let Some(sizer) = &mut self.sizer {
            sizer.look(curve.as_ref(), tally.requests, now, spec.guard().window.0, &self.journal);
        }
        cache.draw(curve);
        if let Some(guarded) = &mut self.guarded {
            if let Some(pair) = paired(tally) {
                guarded.observe_pair(0, pair);
            }
            guarded.tick(now);
        }
        let pace = if self.guarded.is_some() { spec.guard().window.0.min(PACE) } else { PACE };
        if is_trimming { QUICK_PACE } else { pace.max(QUICK_PACE) }
    }

    /// The sizer, within the bounds that are in force.
    fn size(&mut self, spec: &CacheSpec) -> &Sizer {
        let most = spec.memory_max.map_or(spec.memory.0, |most| most.0);
        let bounds = Bounds { least: spec.memory.0, most };
        let sizer = self.sizer.get_or_insert_with(|| Sizer::new(bounds));
        sizer.bound(bounds);
        sizer
    }

    /// A guard for adaptive eviction, where it is wanted.
    fn guard(&self, guards: &GuardDesk, spec: &CacheSpec, now: Tick) -> Option<Guarded> {
        if spec.eviction != EvictionPolicy::Adaptive || spec.guard().mode == GuardMode::Off {
            return None;
        }
        let names = Names { policy: POLICY, subject: "cache", baseline: kind(spec.guard().baseline).name() };
        match Guarded::new(settings(spec), names, self.journal.clone(), guards, &self.cells, now) {
            Ok(guarded) => Some(guarded),
            Err(error) => {
                // Validation lets nothing come this far.
                log::event(Level::Error, "adaptive eviction stays off", &[("error", &error)]);
                None
            }
        }
    }
}

fn plan(spec: &CacheSpec, shards: usize) -> Plan {
    let candidate = if spec.guard().a_a { Candidate::Baseline } else { Candidate::Adaptive };
    let goal = match spec.goal() {
        EvictionGoal::Objects => Goal::Objects,
        EvictionGoal::Bytes => Goal::Bytes,
        EvictionGoal::Cost => Goal::Cost,
    };
    Plan { candidate, baseline: kind(spec.guard().baseline), goal, shards }
}

fn settings(spec: &CacheSpec) -> Settings {
    let name = match spec.goal() {
        EvictionGoal::Objects => "object hit ratio",
        EvictionGoal::Bytes => "byte hit ratio",
        EvictionGoal::Cost => "share of the services' time saved",
    };
    let share = spec.guard().share_percent / 100.0;
    let most = match spec.guard().mode {
        GuardMode::Off => Mode::Off,
        GuardMode::Shadow => Mode::Shadow,
        GuardMode::Share => Mode::Share(share),
        GuardMode::On => Mode::On,
    };
    Settings {
        start: Mode::Shadow,
        most,
        share,
        window: spec.guard().window.0,
        a_a: spec.guard().a_a,
        ..Settings::new(Metric { name, unit: "", better: Better::Higher, low: 0.0, high: 1.0 })
    }
}

/// Pairs tell of both policies wherever they act, so no shard is left to the baseline as a yardstick.
fn learned_shards(stage: Stage, shards: usize) -> usize {
    match stage {
        // One shard cannot be shared; there the share is a second proof before it acts.
        Stage::Share(share) => ((share * shards as f64).ceil() as usize).min(shards - 1),
        Stage::On => shards,
        Stage::Off | Stage::Shadow | Stage::Paused { .. } | Stage::Stopped => 0,
    }
}

fn paired(tally: Tally) -> Option<Paired> {
    let Tally { requests, worth, learned, baseline } = tally;
    (worth > 0.0).then(|| Paired {
        learned: learned / worth,
        baseline: baseline / worth,
        units: requests as f64,
    })
}

/// Tells the journal of what adaptive eviction changed, alike shards together.
fn tell(journal: &Journal, turns: &[Turn]) {
    let learned = |turn: &&Turn| matches!(turn.to, Policy::Setting(_));
    let is_alike = |one: &Turn, other: &Turn| one.from == other.from && one.to == other.to;
    for (at, turn) in turns.iter().enumerate().filter(|(_, turn)| learned(turn)) {
        if turns[..at].iter().any(|earlier| is_alike(earlier, turn)) {
            continue;
        }
        let alike = turns.iter().filter(|other| is_alike(other, turn)).count();
        let mut evidence = vec![Figure::new("shards", alike as f64, "")];
        let mut gain = None;
        if let Some(verdict) = &turn.verdict {
            evidence.push(Figure::new("saved by it", 100.0 * verdict.to_saved, "%"));
            evidence.push(Figure::new("saved by the former", 100.0 * verdict.from_saved, "%"));
            if let Reason::Lead { gain: lead, error, .. } = verdict.reason {
                evidence.push(Figure::new("standard error of the lead", 100.0 * error, "points"));
                gain = Some(Figure::new("lead", 100.0 * lead, "points"));
            }
        }
        let because = match turn.verdict.map(|verdict| verdict.reason) {
            None => "the guard lets it act",
            Some(Reason::SizesDiffer) => "the sizes of objects differ",
            Some(Reason::Lead { is_undo: false, .. }) => "it saved more of the same sampled requests",
            Some(Reason::Lead { is_undo: true, .. }) => {
                "it saved more of the same sampled requests; this takes the change before back"
            }
        };
        journal.record(Decision {
            policy: POLICY.into(),
            subject: "cache".into(),
            decided: format!("{} in place of {}", turn.to, turn.from).into(),
            because: because.into(),
            evidence,
            alternative: format!("stay with {}", turn.from).into(),
            expected_gain: gain,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_observe::exposition;
    use headgate_observe::journal::Query;
    use headgate_observe::registry::Registry;

    fn spec(text: &str) -> CacheSpec {
        let text = format!("[listen.web]\nbind = \":0\"\n[cache]\n{text}");
        headgate_model::load(&text, "test.toml", &|_| None).unwrap().cache
    }

    #[test]
    fn shares_are_of_whole_shards_and_never_all_of_them() {
        let share = Stage::Share(0.1);
        for (shards, learned) in [(1, 0), (2, 1), (8, 1), (16, 2), (32, 4)] {
            assert_eq!(learned_shards(share, shards), learned, "{shards}");
            assert_eq!(learned_shards(Stage::On, shards), shards);
            assert_eq!(learned_shards(Stage::Paused { until: Tick(1) }, shards), 0);
        }
    }

    #[test]
    fn a_reload_takes_effect_and_what_is_plain_has_no_guard() {
        let registry = Registry::default();
        let mut keeper = Keeper::new(Journal::new(&registry.worker(1)), registry.worker(2));
        let (cache, desk) = (Cache::new(&spec("memory = \"64MiB\""), 2), GuardDesk::default());
        keeper.look(&cache, &desk, &spec("memory = \"64MiB\""), Tick(1));
        assert!(keeper.guarded.is_none());
        let adaptive = spec("memory = \"64MiB\"\neviction = \"adaptive\"\nguard = { window = \"50ms\" }");
        assert_eq!(keeper.look(&cache, &desk, &adaptive, Tick(2)), Duration::from_millis(50));
        assert_eq!(keeper.guarded.as_ref().unwrap().stage(), Stage::Shadow);
        assert!(desk.order("evict.adaptive", Mode::On));
        keeper.look(&cache, &desk, &adaptive, Tick(3));
        assert_eq!(keeper.guarded.as_ref().unwrap().stage(), Stage::On);
        let off = spec("memory = \"32MiB\"\neviction = \"adaptive\"\nguard = { mode = \"off\" }");
        assert_eq!(keeper.look(&cache, &desk, &off, Tick(3)), PACE);
        assert!(keeper.guarded.is_none());
        assert!(cache.hold(8 << 20) && !cache.hold(1), "a quarter of the new size");
    }

    #[test]
    fn changes_of_alike_shards_are_told_as_one() {
        let registry = Registry::default();
        let journal = Journal::new(&registry.worker(1));
        let turn = |shard, from, to| Turn { shard, from, to, verdict: None };
        let plain = Policy::Plain(headgate_policy::evict::Kind::S3Fifo);
        let lru = Policy::Setting(headgate_policy::evict::adaptive::Setting::Lru);
        tell(&journal, &[turn(0, plain, lru), turn(1, lru, plain), turn(2, plain, lru)]);
        let entries = journal.page(&Query::default()).entries;
        assert_eq!(entries.len(), 1, "the way back is the guard's to tell");
        assert_eq!(&*entries[0].decision.decided, "lru in place of s3fifo");
        assert_eq!(entries[0].decision.evidence[0].value, 2.0);
        let mut text = String::new();
        exposition::write(&registry.gather(), &mut text);
        assert!(text.contains("headgate_journal_entries_total 1"), "{text}");
    }
}
