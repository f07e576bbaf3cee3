//! One worker's side of a snapshot: its balancers, pools and counters. Rebuilt at a swap; pools and
//! counters of what stays are carried over.

use crate::breakers::Breakers;
use crate::bulkhead::Entrance;
use crate::chaos::ChaosView;
use crate::prefetch_queue::Hub;
use crate::snapshot::{Service, Snapshot};
use crate::sticky::Sticky;
use crate::trace::Tracing;
use headgate_model::state::EndpointState;
use headgate_model::units::Tick;
use headgate_net::fields::KnownSet;
use headgate_net::head::Known;
use headgate_net::kept::PoolLimits;
use headgate_net::pool::Pool;
use headgate_net::spare::Spares;
use headgate_net::upstream::H2Pool;
use headgate_observe::cache_metrics::RouteCacheMetrics;
use headgate_observe::counter::Counter;
use headgate_observe::journal::Journal;
use headgate_observe::registry::WorkerMetrics;
use headgate_observe::request_metrics::{EndpointMetrics, ListenerMetrics, RouteMetrics};
use headgate_observe::resilience_metrics::fallbacks;
use headgate_policy::balance::Balancer;
use headgate_policy::retry::budget::RetryBudget;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct View {
    pub snapshot: Arc<Snapshot>,
    pub listeners: Vec<Rc<ListenerView>>,
    pub services: Vec<ServiceView>,
    pub routes: Vec<RouteMetrics>,
    /// Of each route whose responses are cached.
    pub caches: Vec<Option<RouteCacheMetrics>>,
    /// Counts requests that match no route.
    pub unrouted: RouteMetrics,
    pub tracing: Option<Tracing>,
    pub chaos: Option<ChaosView>,
    /// Where fetching ahead is on.
    pub prefetch: Option<Arc<Hub>>,
}

pub(crate) struct ListenerView {
    pub metrics: ListenerMetrics,
}

pub(crate) struct ServiceView {
    pub links: Vec<Rc<Link>>,
    pub balancer: RefCell<Balancer>,
    pub budget: RefCell<RetryBudget>,
    pub pool_limits: PoolLimits,
    /// Whether too few endpoints are usable for health to count, as of `panic_checked`.
    pub panics: Cell<bool>,
    pub panic_checked: Cell<Tick>,
    pub breakers: Option<Breakers>,
    pub bulkhead: Option<Entrance>,
    pub sticky: Option<Sticky>,
    /// The control loop wants to know the outcomes of attempts.
    pub is_judged: bool,
    fallbacks: Option<Arc<Counter>>,
}

/// One worker's connections to one endpoint of one service.
pub(crate) struct Link {
    pub endpoint: Arc<EndpointState>,
    pub pool: Pool,
    /// What other workers do not need.
    pub spares: Arc<Spares>,
    /// Used instead of `pool` where the service speaks HTTP/2.
    pub h2: H2Pool,
    pub metrics: EndpointMetrics,
}

impl Link {
    /// The endpoint is gone, or spoken to in another way.
    fn close(&self) {
        self.pool.close();
        self.spares.close();
        self.h2.close();
    }
}

/// Links by service and endpoint name.
pub(crate) type Links = BTreeMap<(Box<str>, Box<str>), Rc<Link>>;

/// Fields of a request that are written anew.
pub(crate) const REQUEST_DROPS: KnownSet = KnownSet::HOP_BY_HOP
    .with(Known::Forwarded)
    .with(Known::XForwardedFor)
    .with(Known::XForwardedProto)
    .with(Known::XForwardedHost)
    .with(Known::XForwardedTwin)
    .with(Known::ClientCert)
    .with(Known::ClientCertChain)
    .with(Known::ClientCertTwin);

impl View {
    /// Builds the view and leaves in `links` exactly what it uses. Breakers and retry budgets are taken over
    /// from `before`.
    pub(crate) fn build(
        snapshot: Arc<Snapshot>,
        metrics: &WorkerMetrics,
        journal: &Journal,
        links: &mut Links,
        prefetch: Option<Arc<Hub>>,
        before: Option<&Self>,
    ) -> Self {
        let mut kept = Links::new();
        let services = snapshot.services.iter().map(|service| {
            let before = before.and_then(|before| before.find(&service.state.name));
            ServiceView::build(service, metrics, journal, links, &mut kept, before)
        });
        let services = services.collect();
        for link in links.values() {
            link.close();
        }
        *links = kept;
        let listeners = snapshot
            .listeners
            .iter()
            .map(|listener| Rc::new(ListenerView { metrics: ListenerMetrics::new(metrics, &listener.name) }));
        let listeners = listeners.collect();
        let routes = snapshot.routes.iter().map(|route| {
            let service = match route.action {
                crate::snapshot::Action::Service(index) => &*snapshot.services[index].state.name,
                _ => "",
            };
            RouteMetrics::new(metrics, &route.name, service)
        });
        let routes = routes.collect();
        let caches = snapshot
            .routes
            .iter()
            .map(|route| route.cache.as_ref().map(|_| RouteCacheMetrics::new(metrics, &route.name)));
        let caches = caches.collect();
        let unrouted = RouteMetrics::new(metrics, "none", "");
        let tracing = Tracing::new(&snapshot.config.trace);
        let chaos = snapshot.chaos.as_ref().map(|chaos| ChaosView::new(chaos, metrics));
        Self { snapshot, listeners, services, routes, caches, unrouted, tracing, chaos, prefetch }
    }

    fn find(&self, name: &str) -> Option<(&Service, &ServiceView)> {
        let mut services = self.snapshot.services.iter().zip(&self.services);
        services.find(|(service, _)| &*service.state.name == name)
    }
}

impl ServiceView {
    fn build(
        service: &Service,
        metrics: &WorkerMetrics,
        journal: &Journal,
        links: &mut Links,
        kept: &mut Links,
        before: Option<(&Service, &Self)>,
    ) -> Self {
        let state = &service.state;
        let linked: Vec<_> = state
            .endpoints
            .iter()
            .zip(&service.spares)
            .map(|(endpoint, spares)| {
                let key = (state.name.clone(), endpoint.name.clone());
                // A removed and added endpoint of the same name is another one, and one that is spoken to in
                // another way cannot go on with the old connections: both have spares of their own.
                let known = links.remove(&key).and_then(|link| {
                    let fits = Arc::ptr_eq(&link.spares, spares);
                    if !fits {
                        link.close();
                    }
                    fits.then_some(link)
                });
                let link = known.unwrap_or_else(|| {
                    Rc::new(Link {
                        endpoint: Arc::clone(endpoint),
                        pool: Pool::default(),
                        spares: Arc::clone(spares),
                        h2: H2Pool::default(),
                        metrics: EndpointMetrics::new(metrics, &state.name, &endpoint.name),
                    })
                });
                kept.insert(key, Rc::clone(&link));
                link
            })
            .collect();
        let names: Vec<&str> = state.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
        let weights: Vec<u32> = state.endpoints.iter().map(|endpoint| endpoint.weight()).collect();
        let same = before.filter(|(known, _)| {
            let known_names = known.state.endpoints.iter().map(|endpoint| &*endpoint.name);
            known.balance == service.balance
                && known.weights == service.weights
                && known_names.eq(names.iter().copied())
        });
        // Tables take time to build; a reload elsewhere must not cost it.
        let balancer = same.map_or_else(
            || Balancer::new(&service.balance, &names, &weights),
            |(_, view)| view.balancer.borrow().clone(),
        );
        let pool = &state.spec.pool;
        let percent = state.spec.retry.budget_percent;
        let budget = before.filter(|(known, _)| known.state.spec.retry.budget_percent == percent);
        let budget =
            budget.map_or_else(|| RetryBudget::new(percent), |(_, view)| view.budget.borrow().clone());
        Self {
            links: linked,
            balancer: RefCell::new(balancer),
            budget: RefCell::new(budget),
            pool_limits: PoolLimits {
                // A connection that names one client in its PROXY header is no other client's.
                idle: if state.spec.proxy_protocol.is_some() { 0 } else { pool.idle as usize },
                idle_timeout: pool.idle_timeout.0,
                requests: pool.requests,
            },
            panics: Cell::new(false),
            panic_checked: Cell::new(Tick(0)),
            breakers: Breakers::build(
                state,
                metrics,
                journal,
                before.and_then(|(_, view)| view.breakers.as_ref()),
            ),
            bulkhead: Entrance::build(state, service.gate.as_ref(), metrics),
            sticky: state
                .spec
                .sticky
                .as_ref()
                .map(|spec| Sticky::new(spec, &state.name, names.iter().copied())),
            is_judged: state.spec.outlier.is_some(),
            fallbacks: service.fallback.as_ref().map(|_| fallbacks(metrics, &state.name)),
        }
    }

    /// Counts a request that the service's fallback gets.
    pub(crate) fn count_fallback(&self) {
        if let Some(fallbacks) = &self.fallbacks {
            fallbacks.inc();
        }
    }
}
