//! The thread that learns what is asked for next and orders what pays. No request waits for it: what it is told comes
//! through a queue that drops, what it orders goes through queues that refuse.

use super::shown::Shown;
use crate::cache::{Candidacy, candidacy, stored};
use crate::clock::WallClock;
use crate::guard_desk::Names;
use crate::guarded::Guarded;
use crate::prefetch_queue::{Ends, Order, Origin, Told, question, read};
use crate::snapshot::Snapshot;
use crate::worker::Shared;
use headgate_cache::ahead::{Ahead, State};
use headgate_cache::object::Object;
use headgate_model::spec::{PrefetchMode, PrefetchSpec};
use headgate_model::units::Tick;
use headgate_net::head::RequestHead;
use headgate_observe::prefetch_metrics::{PrefetchFigures, PrefetchMetrics};
use headgate_policy::guard::{self, Mode, SettingsError};
use headgate_policy::prefetch::budget::Shares;
use headgate_policy::prefetch::desk::{Desk, Evidence, Fate, Settings, goal};
use headgate_policy::prefetch::eligible::Refusal;
use headgate_policy::prefetch::foresight::{Candidate, Limits};
use headgate_policy::prefetch::trust::Floor;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Its number among those who count; no worker has it.
const CELLS_ID: usize = usize::MAX - 1;
/// Between two looks at what became of orders.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Between two looks at what the time of day brings.
const WARM_EVERY: Duration = Duration::from_secs(1);
/// While there is traffic it rests between batches, so that no worker has to wake it.
const REST: Duration = Duration::from_millis(1);
const BATCH: usize = 1_024;
/// Outcomes that each arm needs in a window.
const WINDOW_UNITS: f64 = 10.0;
/// Length and fields of the longest request that it makes.
const HEAD: (usize, usize) = (4_096, 8);

pub(super) struct Learner {
    shared: Arc<Shared>,
    ends: Ends,
    desk: Desk,
    guarded: Guarded,
    metrics: PrefetchMetrics,
    /// What answers show, where that is learned from.
    shown: Option<Shown>,
    /// Orders whose fate is open, by the desk's key.
    sent: Vec<(u64, Arc<Ahead>)>,
    /// Who asked last and did not say who that is.
    last: Option<Origin>,
    warmed: Tick,
    head: RequestHead,
    wall: WallClock,
}

impl Learner {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: &PrefetchSpec,
        ends: Ends,
        seed: u64,
    ) -> Result<Self, SettingsError> {
        let limits =
            Limits { horizon: spec.horizon.0, seed, ..Limits::within(spec.memory.0, spec.read_answers) };
        let settings = Settings {
            limits,
            shares: Shares { share: spec.max_extra / 2.0, limit: spec.max_extra },
            floor: Floor::default(),
            under_way_max: spec.concurrency.0 as usize,
            cache_bytes: shared.cache.memory(),
            seed,
        };
        let guard = guard::Settings {
            most: if spec.mode == PrefetchMode::On { Mode::On } else { Mode::Shadow },
            window: spec.window.0,
            window_units: WINDOW_UNITS,
            salt: seed,
            // Who is served ahead and who is not are not the same.
            spared: guard::Settings::SPARED,
            ..guard::Settings::new(goal())
        };
        let names = Names { policy: "prefetch", subject: "cache", baseline: "fetching on demand" };
        let cells = shared.registry.worker(CELLS_ID);
        Ok(Self {
            desk: Desk::new(settings),
            guarded: Guarded::new(
                guard,
                names,
                shared.journal.clone(),
                &shared.guards,
                &cells,
                shared.now(),
            )?,
            metrics: PrefetchMetrics::new(&cells),
            shown: spec.read_answers.then(Shown::default),
            sent: Vec::new(),
            last: None,
            warmed: Tick(0),
            head: RequestHead::new(HEAD.0, HEAD.1),
            wall: WallClock::new(shared.now()),
            shared,
            ends,
        })
    }

    /// Until it is stopped, or no worker is left.
    pub(super) fn run(mut self) {
        let mut looked = self.shared.now();
        while !self.ends.stopped.load(Ordering::Relaxed) {
            match self.ends.told.recv_timeout(LOOK_EVERY) {
                Ok(first) => {
                    let waiting: Vec<Told> = self.ends.told.try_iter().take(BATCH).collect();
                    let snapshot = self.shared.snapshot();
                    std::iter::once(first).chain(waiting).for_each(|told| self.learn(&told, &snapshot));
                    std::thread::sleep(REST);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.shared.now();
            if now.since(looked) >= LOOK_EVERY {
                looked = now;
                self.look(now);
            }
        }
        self.guarded.end(self.shared.now());
    }

    fn learn(&mut self, told: &Told, snapshot: &Snapshot) {
        let Self { desk, shared, head, wall, shown, .. } = self;
        let now = shared.now();
        let now_ms = wall.steady_ms(now);
        let fields = shown.as_mut().and_then(|shown| {
            let object = answer(told, (shared, snapshot), head, now_ms)?;
            Some(shown.by(&object))
        });
        let seen = told.seen(wall.unix_us(now) / 1_000_000, fields.as_deref().unwrap_or_default());
        desk.observe(&seen);
        let orders = desk.consider(&seen, |candidate| {
            may_fetch(candidate, &told.origin, (shared, snapshot), head, now_ms)
        });
        if !told.is_personal {
            self.last = Some(told.origin.clone());
        }
        self.send(orders, &told.origin);
    }

    /// Fetches what the next part of the day usually asks for.
    fn warm(&mut self, now: Tick) {
        self.warmed = now;
        let Some(last) = &self.last else { return };
        // It is for nobody in particular.
        let origin = Origin { client: Ipv4Addr::LOCALHOST.into(), ..last.clone() };
        let snapshot = self.shared.snapshot();
        let Self { desk, shared, head, wall, .. } = self;
        let now_ms = wall.steady_ms(now);
        let orders = desk.warm(now, wall.unix_us(now) / 1_000_000, |candidate| {
            may_fetch(candidate, &origin, (shared, &snapshot), head, now_ms)
        });
        self.send(orders, &origin);
    }

    fn send(&mut self, orders: Vec<Candidate>, origin: &Origin) {
        for order in orders {
            let ahead = Arc::default();
            if self.order(&order.path, origin, &ahead) {
                self.sent.push((order.key, ahead));
            } else {
                self.desk.fate(order.key, Fate::Skipped, self.shared.now());
            }
        }
    }

    fn order(&self, path: &str, origin: &Origin, ahead: &Arc<Ahead>) -> bool {
        let Some((text, is_encrypted)) = question(path, &origin.shown) else { return false };
        let order = Order {
            text,
            is_encrypted,
            client: origin.client,
            generation: origin.generation,
            listener: origin.listener,
            ahead: Arc::clone(ahead),
        };
        self.ends.orders.get(origin.worker).is_some_and(|worker| worker.try_send(order).is_ok())
    }

    /// Hears what became of orders, and what the guard makes of that.
    fn look(&mut self, now: Tick) {
        self.wall.read(now);
        let now_ms = self.wall.steady_ms(now);
        let desk = &mut self.desk;
        self.sent.retain(|(key, ahead)| {
            // First: what it stands at when nobody else has it is where it stays.
            let is_gone = ahead.is_gone();
            let (fate, stays) = match ahead.state() {
                State::Used => (Fate::Used, false),
                State::Late => (Fate::Late, false),
                State::Skipped => (Fate::Skipped, false),
                State::Stored if is_gone || now_ms > ahead.fresh_until_ms() => (Fate::Lost, false),
                State::Stored => (Fate::Stored, true),
                State::UnderWay if is_gone => (Fate::Lost, false),
                State::UnderWay => return true,
            };
            desk.fate(*key, fate, now);
            // What the desk has given up is of no more interest.
            stays && desk.is_open(*key)
        });
        desk.tick(now);
        for evidence in desk.take_evidence() {
            match evidence {
                Evidence::Pair(pair) => self.guarded.observe_pair(0, pair),
                Evidence::One(arm, value) => self.guarded.observe(0, arm, value, 1.0),
            }
        }
        if let Some(stage) = self.guarded.tick(now) {
            self.desk.follow(stage, self.guarded.split());
        }
        if now.since(self.warmed) >= WARM_EVERY {
            self.warm(now);
        }
        self.metrics.set(&figures(&self.desk, self.ends.dropped.load(Ordering::Relaxed)));
    }
}

/// The answer to a request, where it is stored for everybody and something may be fetched for who asked.
fn answer(
    told: &Told,
    (shared, snapshot): (&Shared, &Snapshot),
    head: &mut RequestHead,
    now_ms: u64,
) -> Option<Arc<Object>> {
    if !told.is_safe || !told.is_stored || told.is_personal {
        return None;
    }
    stored(&shared.cache, snapshot, &again(&told.place, &told.origin, head, now_ms)?)
}

/// A request for this place in the place of `origin`.
fn again<'h>(place: &str, origin: &Origin, head: &'h mut RequestHead, now_ms: u64) -> Option<Candidacy<'h>> {
    let (text, is_encrypted) = question(place, &origin.shown)?;
    read(&text, head).then_some(Candidacy { listener: origin.listener, head, is_encrypted, now_ms })
}

/// What the configuration and the cache have against fetching a candidate in the place of `origin`.
fn may_fetch(
    candidate: &Candidate,
    origin: &Origin,
    (shared, snapshot): (&Shared, &Snapshot),
    head: &mut RequestHead,
    now_ms: u64,
) -> Result<(), Refusal> {
    let asked = again(&candidate.path, origin, head, now_ms).ok_or(Refusal::NotCacheable)?;
    candidacy(&shared.cache, snapshot, &asked)
}

fn figures(desk: &Desk, dropped: u64) -> PrefetchFigures {
    let counts = desk.counts();
    let imagined = counts.admitted.saturating_sub(counts.ordered + counts.withheld);
    PrefetchFigures {
        predicted: counts.predicted,
        refused: counts.refused,
        admitted: [imagined, counts.ordered - counts.skipped, counts.withheld, counts.skipped],
        outcomes: [
            counts.used,
            counts.late,
            counts.wasted,
            counts.withheld_hits,
            counts.withheld_known - counts.withheld_hits,
            counts.imagined_hits,
            counts.imagined_late,
            counts.imagined_wasted,
        ],
        distrusted: counts.distrusted,
        dropped,
        extra_share: desk.extra_share(),
        hits_gained: desk.hits_gained(),
    }
}
