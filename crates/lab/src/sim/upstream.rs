//! One gateway's view of one service: the balancer, breakers, ejections, retry budget and bulkhead of
//! `headgate_policy`, over plain values in place of the gateway's atomics. It decides nothing itself.

use super::call::{End, Line, UNTRIED};
use super::journal::Change;
use super::spec::ServiceSpec;
use headgate_model::dice::Dice;
use headgate_model::spec::{BalancePolicy, RetrySpec};
use headgate_model::units::Tick;
use headgate_policy::aside::Aside;
use headgate_policy::balance::peak_ewma::PeakEwma;
use headgate_policy::balance::{Ask, Balancer, Endpoints, Settings, panic};
use headgate_policy::breaker::{self, Admission, Breaker, Outcome};
use headgate_policy::bulkhead::Bulkhead;
use headgate_policy::outlier::{self, OutlierDetector};
use headgate_policy::retry::budget::RetryBudget;
use headgate_policy::slow_start;
use std::time::Duration;

/// How long a judgement of the panic threshold stands; as in the gateway.
const PANIC_CHECK_EVERY: Duration = Duration::from_millis(100);

/// A replica as all gateways know it, from discovery and health checks.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    /// Index over all services.
    pub(super) replica: u32,
    /// Stable identity for the hashing policies.
    pub(super) name: String,
    /// Zero when it takes no new calls: not there yet, or to be removed.
    pub(super) weight: u32,
    pub(super) healthy: bool,
    /// When it came (back) into use; `None` when it was there from the start.
    pub(super) since: Option<Tick>,
}

/// What one gateway saw of one replica.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    in_flight: u32,
    latency: PeakEwma,
    aside: Aside,
}

/// The settings of the policies, one for all gateways.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    pub(super) settings: Settings,
    pub(super) retry: RetrySpec,
    observes_latency: bool,
    slow_start: Duration,
    panic_percent: u8,
}

impl Policies {
    pub(super) fn new(spec: &ServiceSpec) -> Self {
        Self {
            settings: Settings::from(&spec.balance),
            retry: spec.retry.clone(),
            observes_latency: spec.balance.policy() == BalancePolicy::PeakEwma,
            slow_start: spec.slow_start.0,
            panic_percent: spec.outlier.as_ref().map_or(0, |outlier| outlier.panic_percent),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Upstream {
    balancer: Balancer,
    links: Vec<Link>,
    service_breaker: Option<Breaker>,
    endpoint_breakers: Vec<Breaker>,
    outlier: Option<OutlierDetector>,
    pub(super) budget: RetryBudget,
    pub(super) bulkhead: Option<Bulkhead>,
    /// Calls that hold a place in the bulkhead, and those that wait for one.
    pub(super) inside: u32,
    pub(super) gate: Line,
    panics: bool,
    panic_checked: Option<Tick>,
}

struct View<'a> {
    known: Known<'a>,
    now: Tick,
    slow_start: Duration,
    tried: [u16; 2],
    /// Also those that could not be connected to lately.
    any: bool,
}

/// What a view reads; the balancer itself is borrowed apart from it.
struct Known<'a> {
    seats: &'a [Seat],
    links: &'a [Link],
    breakers: &'a [Breaker],
    outlier: Option<&'a OutlierDetector>,
    panics: bool,
}

impl Endpoints for View<'_> {
    fn len(&self) -> usize {
        self.known.seats.len()
    }

    #[inline]
    fn usable(&self, index: usize) -> bool {
        let known = &self.known;
        !(self.tried[0] != UNTRIED && self.tried.contains(&(index as u16)))
            && (self.any || !known.links[index].aside.is_aside(self.now))
            && (known.panics || is_well(known.seats, known.outlier, index, self.now))
            && known.breakers.get(index).is_none_or(|breaker| breaker.admits(self.now))
    }

    #[inline]
    fn weight(&self, index: usize) -> u32 {
        self.known.seats[index].weight
    }

    #[inline]
    fn share(&self, index: usize) -> f32 {
        if self.slow_start.is_zero() {
            return 1.0;
        }
        let since = self.known.seats[index].since;
        since.map_or(1.0, |since| slow_start::share(self.now.since(since), self.slow_start))
    }

    #[inline]
    fn in_flight(&self, index: usize) -> u32 {
        self.known.links[index].in_flight
    }

    fn latency(&self, index: usize) -> PeakEwma {
        self.known.links[index].latency
    }
}

#[inline]
fn is_well(seats: &[Seat], outlier: Option<&OutlierDetector>, index: usize, now: Tick) -> bool {
    seats[index].healthy && !outlier.is_some_and(|outlier| outlier.ejected(index, now))
}

impl Upstream {
    pub(super) fn new(spec: &ServiceSpec, policies: &Policies, seats: &[Seat]) -> Self {
        let count = seats.len();
        Self {
            balancer: balancer(policies, seats),
            links: vec![Link::default(); count],
            service_breaker: spec.breaker.as_ref().map(|spec| Breaker::of_service(spec, count)),
            endpoint_breakers: spec.breaker.iter().flat_map(|spec| vec![Breaker::new(spec); count]).collect(),
            outlier: spec.outlier.as_ref().map(|spec| OutlierDetector::new(spec, count)),
            budget: RetryBudget::new(spec.retry.budget_percent),
            bulkhead: spec.bulkhead.as_ref().map(Bulkhead::new),
            inside: 0,
            gate: Line::default(),
            panics: false,
            panic_checked: None,
        }
    }

    /// The set of replicas has changed: `seats` has the old ones in their places, and maybe a new one behind.
    pub(super) fn reseat(&mut self, spec: &ServiceSpec, policies: &Policies, seats: &[Seat]) {
        self.balancer = balancer(policies, seats);
        let before = self.links.len();
        self.links.resize(seats.len(), Link::default());
        if let Some(breaker) = &spec.breaker {
            self.endpoint_breakers.resize(seats.len(), Breaker::new(breaker));
            if let Some(of_service) = &mut self.service_breaker {
                of_service.set_endpoints(breaker, seats.len());
            }
        }
        if let (Some(detector), Some(outlier)) = (&mut self.outlier, &spec.outlier) {
            let from: Vec<Option<usize>> =
                (0..seats.len()).map(|index| Some(index).filter(|index| *index < before)).collect();
            *detector = detector.resized(outlier, &from);
        }
    }

    /// Forgets what was seen of a replica that another one has taken the place of.
    pub(super) fn forget(&mut self, spec: &ServiceSpec, place: usize) {
        (self.links[place].latency, self.links[place].aside) = Default::default();
        if let (Some(breaker), Some(spec)) = (self.endpoint_breakers.get_mut(place), &spec.breaker) {
            *breaker = Breaker::new(spec);
        }
        if let (Some(detector), Some(outlier)) = (&mut self.outlier, &spec.outlier) {
            let from: Vec<Option<usize>> =
                (0..self.links.len()).map(|index| Some(index).filter(|index| *index != place)).collect();
            *detector = detector.resized(outlier, &from);
        }
    }

    /// Whether the service's breaker lets a call through.
    #[inline]
    pub(super) fn admit(&mut self, now: Tick) -> Admission {
        self.service_breaker.as_mut().map_or(Admission::Allowed, |breaker| breaker.admit(now))
    }

    /// The place of the replica for an attempt, which is in flight from here on, and the word of its breaker.
    #[inline]
    pub(super) fn choose(
        &mut self,
        policies: &Policies,
        seats: &[Seat],
        ask: &Ask,
        tried: [u16; 2],
        dice: &mut Dice,
    ) -> Option<(usize, Admission)> {
        let checked = self.panic_checked;
        if policies.panic_percent > 0 && checked.is_none_or(|at| ask.now.since(at) >= PANIC_CHECK_EVERY) {
            self.check_panic(policies, seats, ask.now);
        }
        let known = Known {
            seats,
            links: &self.links,
            breakers: &self.endpoint_breakers,
            outlier: self.outlier.as_ref(),
            panics: self.panics,
        };
        let mut view = View { known, now: ask.now, slow_start: policies.slow_start, tried, any: false };
        let mut place = self.balancer.choose(ask, &view, dice);
        if place.is_none() {
            view.any = true;
            place = self.balancer.choose(ask, &view, dice);
        }
        if place.is_none() && tried[0] != UNTRIED {
            // Rather one that failed before than none.
            view.tried = [UNTRIED; 2];
            place = self.balancer.choose(ask, &view, dice);
        }
        let place = place?;
        let link = &mut self.links[place];
        link.in_flight += 1;
        link.aside = link.aside.ask(ask.now);
        let breaker = self.endpoint_breakers.get_mut(place);
        Some((place, breaker.map_or(Admission::Allowed, |breaker| breaker.admit(ask.now))))
    }

    /// An attempt at the replica in this place is over, as the gateway sees it; what that changed.
    #[inline]
    pub(super) fn settle(&mut self, policies: &Policies, attempt: &Settled) -> [Option<Change>; 2] {
        let Settled { place, sent, now, end, admission } = *attempt;
        let (ok, took) = (end == End::Ok, now.since(sent));
        let link = &mut self.links[place];
        link.in_flight -= 1;
        link.aside = match end {
            End::ConnectFailed => link.aside.failed(sent, now),
            // Of who did not answer it is not known whether it was there.
            End::Timeout => link.aside,
            _ => Aside::default(),
        };
        if policies.observes_latency {
            let decay = policies.settings.decay;
            link.latency = match ok {
                true => link.latency.observe(took, now, decay),
                false => link.latency.observe_failure(took, now, decay),
            };
        }
        let mut changes = [None; 2];
        if let Some(outlier) = &mut self.outlier
            && let Some(outlier::Change::Ejected { .. }) = outlier.record(place, now, ok)
        {
            changes[0] = Some(Change::Ejected);
        }
        let outcome = if ok { Outcome::Success } else { Outcome::Failure };
        if let Some(breaker) = self.endpoint_breakers.get_mut(place) {
            let change = breaker.record(now, admission, outcome);
            if let (Some(breaker::Change::Opened { .. }), Some(of_service), true) =
                (change, &mut self.service_breaker, self.links.len() > 1)
            {
                of_service.forget();
            }
            changes[1] = change.map(of_breaker);
        }
        changes
    }

    /// A call that the service's breaker let through is over, retries included.
    #[inline]
    pub(super) fn conclude(&mut self, now: Tick, admission: Admission, end: End) -> Option<Change> {
        let breaker = self.service_breaker.as_mut()?;
        let outcome = match end {
            End::Ok => Outcome::Success,
            // It says nothing of the service that no replica was asked.
            End::NoEndpoint | End::BreakerOpen | End::Overloaded | End::QueueTimeout => Outcome::Abandoned,
            _ => Outcome::Failure,
        };
        breaker.record(now, admission, outcome).map(of_breaker)
    }

    /// Judges the outliers of an interval: places with what became of them.
    pub(super) fn judge(&mut self, now: Tick) -> Vec<(usize, Change)> {
        let changes = self.outlier.as_mut().map(|outlier| outlier.tick(now)).unwrap_or_default();
        let change = |change| match change {
            outlier::Change::Ejected { index, .. } => Some((index, Change::Ejected)),
            outlier::Change::Returned { index } => Some((index, Change::Returned)),
            outlier::Change::Spared { .. } => None,
        };
        changes.into_iter().filter_map(change).collect()
    }

    /// Whether some replica is not known to be gone.
    pub(super) fn has_others(&self, now: Tick) -> bool {
        self.links.iter().any(|link| !link.aside.is_aside(now))
    }

    /// Whether a call could be sent to the replica in this place.
    pub(super) fn uses(&self, seats: &[Seat], place: usize, now: Tick) -> bool {
        seats[place].weight > 0
            && !self.links[place].aside.is_aside(now)
            && (self.panics || is_well(seats, self.outlier.as_ref(), place, now))
            && self.endpoint_breakers.get(place).is_none_or(|breaker| breaker.admits(now))
    }

    #[cold]
    fn check_panic(&mut self, policies: &Policies, seats: &[Seat], now: Tick) {
        self.panic_checked = Some(now);
        let present = (0..seats.len()).filter(|&index| seats[index].weight > 0);
        let (present, well) = present.fold((0, 0), |(present, well), index| {
            (present + 1, well + usize::from(is_well(seats, self.outlier.as_ref(), index, now)))
        });
        self.panics = panic::panics(well, present, policies.panic_percent);
    }
}

/// An attempt that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) place: usize,
    pub(super) sent: Tick,
    pub(super) now: Tick,
    pub(super) end: End,
    /// The word of the replica's breaker.
    pub(super) admission: Admission,
}

fn of_breaker(change: breaker::Change) -> Change {
    match change {
        breaker::Change::Opened { .. } | breaker::Change::Reopened { .. } => Change::BreakerOpened,
        breaker::Change::Closed => Change::BreakerClosed,
    }
}

fn balancer(policies: &Policies, seats: &[Seat]) -> Balancer {
    let names: Vec<&str> = seats.iter().map(|seat| seat.name.as_str()).collect();
    let weights: Vec<u32> = seats.iter().map(|seat| seat.weight).collect();
    Balancer::new(&policies.settings, &names, &weights)
}
