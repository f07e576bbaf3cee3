//! Fetching ahead at the cache: what speaks against it, and a fetch that nobody has asked for yet.

use super::answer::Lookup;
use super::fetch::Fetch;
use crate::cache_key::{key, write_shared_key};
use crate::cache_rules::{Cache, CacheRules};
use crate::exchange::Exchange;
use crate::head_fields::HeadFields;
use crate::load::has_room;
use crate::path::has_dot_segment;
use crate::record::Record;
use crate::route::Ask;
use crate::snapshot::{Action, Route, Snapshot};
use crate::target::{ask, plan_target};
use headgate_cache::ahead::Ahead;
use headgate_cache::object::Object;
use headgate_cache::rules::{Asked, Block, first, matches};
use headgate_cache::store::Found;
use headgate_net::head::RequestHead;
use headgate_policy::prefetch::eligible::Refusal;
use std::sync::Arc;

/// A request that somebody may send.
pub(crate) struct Candidacy<'a> {
    pub listener: u32,
    pub head: &'a RequestHead,
    pub is_encrypted: bool,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

/// What the configuration and what is stored have against fetching it ahead.
pub(crate) fn candidacy(cache: &Cache, snapshot: &Snapshot, asked: &Candidacy<'_>) -> Result<(), Refusal> {
    let (key, found) = look_up(cache, snapshot, asked)?;
    let is_fresh = matches!(&found, Found::Object(object)
        if object.freshness.is_fresh(asked.now_ms) && !object.is_outdated());
    if is_fresh || cache.fills.has(&key) { Err(Refusal::Present) } else { Ok(()) }
}

/// What is stored for it and for everybody, fresh or not, where it might be fetched ahead.
pub(crate) fn stored(cache: &Cache, snapshot: &Snapshot, asked: &Candidacy<'_>) -> Option<Arc<Object>> {
    match look_up(cache, snapshot, asked) {
        Ok((_, Found::Object(object))) => Some(object),
        _ => None,
    }
}

/// Its key and what is stored there.
fn look_up(cache: &Cache, snapshot: &Snapshot, asked: &Candidacy<'_>) -> Result<(Vec<u8>, Found), Refusal> {
    let Candidacy { listener, head, is_encrypted, .. } = *asked;
    let fields = head;
    let (host, path, query, method) = (head.host(), head.path(), head.query(), head.method());
    let matched = snapshot.table.find(&Ask { listener, host, path, query, method, fields });
    let rules = matched.and_then(|matched| rules(&snapshot.routes[matched.route]));
    let rules = rules.ok_or(Refusal::NotCacheable)?;
    if rules.identity.is_some() {
        return Err(Refusal::Identity);
    }
    let mut key = Vec::with_capacity(128);
    write_shared_key(&mut key, head, is_encrypted, rules);
    let found = cache.store.find(&key, |object| {
        let stored = Block(&object.head);
        let language = first(&stored, b"content-language");
        object.part.is_none()
            && (object.selecting.is_empty() || matches(&object.selecting, &HeadFields(head), language))
    });
    Ok((key, found))
}

/// The cache's rules of a route whose responses may be fetched ahead.
fn rules(route: &Route) -> Option<&CacheRules> {
    route.cache.as_ref().filter(|rules| rules.prefetch && matches!(route.action, Action::Service(_)))
}

/// Has the response fetched, unless it is there or the service has enough to do; whether it is on its way.
pub(crate) fn fetch_ahead(x: &mut Exchange<'_>, ahead: Arc<Ahead>) -> bool {
    start(x, ahead).is_some()
}

fn start(x: &mut Exchange<'_>, ahead: Arc<Ahead>) -> Option<()> {
    let snapshot = &x.view.snapshot;
    let asked = ask(x);
    if has_dot_segment(asked.path) {
        return None;
    }
    let matched = snapshot.table.find(&asked)?;
    let route = &snapshot.routes[matched.route];
    let rules = rules(route).filter(|rules| rules.identity.is_none())?;
    let Action::Service(service) = route.action else { return None };
    x.target = plan_target(x, route, &asked, &matched).ok()?;
    let worker = x.worker;
    if !has_room(&x.view.services[service], worker.now()) {
        return None;
    }
    let (key, everybodys) = key(x, rules)?;
    let cache = &worker.shared.cache;
    let now_ms = worker.wall.steady_ms(x.started);
    let asked = Asked::read(&HeadFields(x.head), false);
    let look = Lookup { x, cache, rules, route, service, key, everybodys, asked, now_ms };
    let is_fresh = matches!(look.find(), Found::Object(object)
        if object.freshness.is_fresh(now_ms) && !object.is_outdated());
    if is_fresh || cache.fills.is_apart(&look.key, now_ms) {
        return None;
    }
    let writer = cache.fills.begin_unread(&look.key, Some(ahead))?;
    let record = Record { route: Some(matched.route), ..Record::default() };
    Fetch::spawn(&look, None, writer, true, &record);
    Some(())
}
