//! Tells the learner of fetching ahead about a request that has ended.

use super::Record;
use crate::cache_rules::Identity;
use crate::client;
use crate::exchange::Exchange;
use crate::load::load;
use crate::prefetch_queue::{Hub, Origin, TARGET_MAX, Told, place, shown};
use crate::snapshot::Action;
use crate::transform;
use headgate_model::fault::Blame;
use headgate_net::head::{Known, Method, RequestHead};
use headgate_observe::cache_metrics::CacheResult;
use headgate_policy::balance::hash::{hash, mix};
use headgate_policy::prefetch::desk::Answer;

/// Tells of a request of a cached route, or drops that when the queue is full.
#[cold]
pub(super) fn tell(hub: &Hub, x: &Exchange<'_>, record: &Record) {
    if let Some(told) = told(hub, x, record) {
        hub.send(told);
    }
}

fn told(hub: &Hub, x: &Exchange<'_>, record: &Record) -> Option<Told> {
    let method = x.head.line.method;
    let is_safe = method == Method::Get;
    if (!is_safe && method.is_safe()) || x.head.target().len() > TARGET_MAX {
        return None;
    }
    let route = &x.view.snapshot.routes[record.route?];
    let Action::Service(service) = route.action else { return None };
    let now = x.worker.now();
    let failed = record.status >= 500 || record.fault.is_some_and(|fault| fault.blame() == Blame::Upstream);
    let (answer, is_stored) = match record.cache? {
        _ if failed => (Answer::Failed, false),
        CacheResult::Hit | CacheResult::Stale => (Answer::Cache, true),
        CacheResult::Collapsed => (Answer::Joined, true),
        CacheResult::Miss | CacheResult::Revalidated => (Answer::Origin, true),
        CacheResult::Pass | CacheResult::Bypass => (Answer::Origin, false),
    };
    let from_origin = matches!(answer, Answer::Origin | Answer::Failed);
    let is_encrypted = client::is_encrypted(x.peer, x.head);
    let trusted = &x.view.snapshot.listeners[x.listener].trusted;
    let origin = Origin {
        worker: x.worker.id,
        generation: x.view.snapshot.generation,
        listener: x.listener as u32,
        client: client::address(x.peer, trusted, x.head),
        shown: shown(x.head),
    };
    Some(Told {
        at: now,
        session: session_of(hub, x, is_encrypted)?,
        place: place(x.head, is_encrypted)?,
        is_safe,
        is_stored,
        is_personal: is_personal(hub, x),
        answer,
        service: service as u32,
        load: if from_origin { load(&x.view.services[service], now) } else { 0.0 },
        bytes: record.bytes_out,
        waited_us: now.since(x.started).as_micros() as f64,
        origin,
    })
}

/// Whose request it is; None where that is to be named and is not.
fn session_of(hub: &Hub, x: &Exchange<'_>, is_encrypted: bool) -> Option<u64> {
    let who = match hub.session() {
        Some(Identity::Header(name)) => hash(x.head.value_of(name)?),
        Some(Identity::Cookie(name)) => hash(cookies(x.head).find(|(other, _)| *other == &**name)?.1),
        None => {
            let trusted = &x.view.snapshot.listeners[x.listener].trusted;
            let agent = x.head.value(Known::UserAgent).unwrap_or_default();
            mix(client::address_hash(x.peer, trusted, x.head), hash(agent))
        }
    };
    // Hosts have users of their own.
    Some(mix(mix(who, hash(x.head.host())), u64::from(is_encrypted)))
}

/// Whether the request says who asks, in a way that may matter to the response.
fn is_personal(hub: &Hub, x: &Exchange<'_>) -> bool {
    x.head.value_of(b"authorization").is_some()
        || transform::tells_certificate(x)
        || cookies(x.head).any(|(name, _)| !hub.ignores(name))
}

/// Names and values of the cookies that came (RFC 6265 section 4.2).
fn cookies(head: &RequestHead) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = head.values(Known::Cookie).flat_map(|line| line.split(|&byte| byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|pair| {
        let middle = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        (&pair[..middle], pair.get(middle + 1..).unwrap_or_default())
    })
}
