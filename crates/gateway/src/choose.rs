//! Which endpoint takes the request: shows the balancer what it may see of the endpoints.

use crate::breakers::Breakers;
use crate::client;
use crate::exchange::Exchange;
use crate::snapshot::Service;
use crate::view::{Link, ServiceView};
use headgate_model::spec::HashKey;
use headgate_model::state::HealthVerdict;
use headgate_model::units::Tick;
use headgate_net::head::Known;
use headgate_policy::balance::hash::hash;
use headgate_policy::balance::panic::panics;
use headgate_policy::balance::peak_ewma::PeakEwma;
use headgate_policy::balance::{Ask, Endpoints};
use headgate_policy::slow_start;
use std::rc::Rc;
use std::time::Duration;

/// Endpoints that this request was already sent to.
#[derive(Default)]
pub(crate) struct Tried {
    indices: [u32; Self::MOST],
    count: usize,
}

impl Tried {
    const MOST: usize = 8;

    pub(crate) fn add(&mut self, index: usize) {
        if let Some(slot) = self.indices.get_mut(self.count) {
            *slot = index as u32;
            self.count += 1;
        }
    }

    fn has(&self, index: usize) -> bool {
        self.indices[..self.count].contains(&(index as u32))
    }
}

struct Candidates<'a> {
    links: &'a [Rc<Link>],
    breakers: Option<&'a Breakers>,
    tried: &'a Tried,
    /// Also those that could not be connected to lately.
    any: bool,
    panics: bool,
    now: Tick,
    slow_start: Duration,
}

impl Endpoints for Candidates<'_> {
    fn len(&self) -> usize {
        self.links.len()
    }

    fn usable(&self, index: usize) -> bool {
        !self.tried.has(index)
            && (self.any || !self.links[index].endpoint.is_aside(self.now))
            && (self.panics || is_well(&self.links[index], self.now))
            && self.breakers.is_none_or(|breakers| breakers.endpoints[index].admits(self.now))
    }

    fn weight(&self, index: usize) -> u32 {
        self.links[index].endpoint.weight()
    }

    fn share(&self, index: usize) -> f32 {
        if self.slow_start.is_zero() {
            return 1.0;
        }
        let since = self.links[index].endpoint.since();
        since.map_or(1.0, |since| slow_start::share(self.now.since(since), self.slow_start))
    }

    fn in_flight(&self, index: usize) -> u32 {
        self.links[index].endpoint.in_flight()
    }

    fn latency(&self, index: usize) -> PeakEwma {
        let (us, at) = self.links[index].endpoint.latency();
        PeakEwma { us, at }
    }
}

pub(crate) fn is_well(link: &Link, now: Tick) -> bool {
    link.endpoint.health() != HealthVerdict::Unhealthy && !link.endpoint.is_ejected(now)
}

/// Whether some endpoint is not known to be gone.
pub(crate) fn has_others(view: &ServiceView, now: Tick) -> bool {
    view.links.iter().any(|link| !link.endpoint.is_aside(now))
}

/// How long a judgement of the panic threshold stands.
const PANIC_CHECK_EVERY: Duration = Duration::from_millis(100);

/// What a choice is made for.
pub(crate) struct Choice<'a> {
    pub service: &'a Service,
    pub view: &'a ServiceView,
    /// Index of the endpoint that the client's cookie names.
    pub named: Option<usize>,
    pub now: Tick,
}

/// Index of the endpoint for this attempt; `None` when none may be used.
#[inline]
pub(crate) fn choose(x: &Exchange<'_>, choice: &Choice<'_>, tried: &Tried) -> Option<usize> {
    let Choice { service, view, named, now } = *choice;
    if now.since(view.panic_checked.get()) >= PANIC_CHECK_EVERY {
        check_panic(service, view, now);
    }
    let mut candidates = Candidates {
        links: &view.links,
        breakers: view.breakers.as_ref(),
        tried,
        any: false,
        panics: view.panics.get(),
        now,
        slow_start: service.state.spec.slow_start.0,
    };
    if let Some(named) = named
        && candidates.usable(named)
    {
        return Some(named);
    }
    let hash = if service.balance.hashes() { key_hash(x, &service.hash_key) } else { 0 };
    let dice = &mut *x.worker.dice.borrow_mut();
    let mut balancer = view.balancer.borrow_mut();
    balancer.choose(&Ask { now, hash }, &candidates, dice).or_else(|| {
        candidates.any = true;
        balancer.choose(&Ask { now, hash }, &candidates, dice)
    })
}

#[cold]
fn check_panic(service: &Service, view: &ServiceView, now: Tick) {
    view.panic_checked.set(now);
    // Those of weight zero take no new requests, however well they are.
    let present = view.links.iter().filter(|link| link.endpoint.weight() > 0);
    let (present, well) =
        present.fold((0, 0), |(present, well), link| (present + 1, well + usize::from(is_well(link, now))));
    let percent = service.state.spec.outlier.as_ref().map_or(0, |outlier| outlier.panic_percent);
    view.panics.set(panics(well, present, percent));
}

fn key_hash(x: &Exchange<'_>, key: &HashKey) -> u64 {
    match key {
        HashKey::ClientAddress => {
            client::address_hash(x.peer, &x.view.snapshot.listeners[x.listener].trusted, x.head)
        }
        HashKey::Path => hash(x.head.path()),
        HashKey::Header(name) => hash(x.head.value_of(name.as_bytes()).unwrap_or_default()),
        HashKey::Cookie(name) => hash(cookie(x, name.as_bytes()).unwrap_or_default()),
    }
}

/// Index of the endpoint that the client is kept on, if it shows a cookie of our making.
#[inline]
pub(crate) fn named_by_cookie(x: &Exchange<'_>, view: &ServiceView, now: Tick) -> Option<usize> {
    let sticky = view.sticky.as_ref()?;
    sticky.endpoint(cookie(x, &sticky.cookie)?, x.worker.wall.unix_us(now) / 1_000_000)
}

/// Value of the first cookie of that name (RFC 6265 section 4.2).
fn cookie<'x>(x: &'x Exchange<'_>, name: &[u8]) -> Option<&'x [u8]> {
    x.head.values(Known::Cookie).flat_map(|value| value.split(|&byte| byte == b';')).find_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        Some(value)
    })
}
