//! Decides how a request is answered: from the store, by a fetch of its own or of another, or past the cache.

use super::deliver::{Told, deliver_interim, deliver_object, deliver_stream};
use super::fetch::Fetch;
use crate::cache_key::key;
use crate::cache_rules::{Cache, CacheRules, Tag};
use crate::dispatch::dispatch_or_fall_back;
use crate::exchange::{Exchange, Failure, Finish};
use crate::head_fields::HeadFields;
use crate::presence::Presence;
use crate::record::Record;
use crate::snapshot::Route;
use crate::transform;
use bytes::Bytes;
use headgate_cache::fill::{Outcome, Reader, SentTo, Word};
use headgate_cache::fills::{Part, begin};
use headgate_cache::object::Object;
use headgate_cache::rules::{Asked, Block, Forwarded, Use, Why, first, if_range_holds, matches};
use headgate_cache::store::Found;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::Source;
use headgate_net::buffer::Lent;
use headgate_net::downstream::Downstream;
use headgate_net::head::{Body, Method};
use headgate_observe::cache_metrics::CacheResult;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

/// A request at the cache.
pub(super) struct Lookup<'a, 'c> {
    pub x: &'a Exchange<'c>,
    pub cache: &'a Cache,
    pub rules: &'a CacheRules,
    pub route: &'a Route,
    pub service: usize,
    pub key: Lent<Vec<u8>>,
    /// The tag of what all clients have under this target, where each has its own.
    pub everybodys: Option<Tag>,
    pub asked: Asked,
    pub now_ms: u64,
}

/// Answers a request of a route whose responses are cached.
#[inline]
pub(crate) async fn answer(
    x: &mut Exchange<'_>,
    route: &Route,
    rules: &CacheRules,
    service: usize,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    record.cache = Some(CacheResult::Bypass);
    let line = &x.head.line;
    let cache = &x.worker.shared.cache;
    // Of a HEAD that goes to the service, the answer says something about what is stored.
    if line.method != Method::Get {
        x.changes_since = Some(cache.store.born());
    }
    let Some((key, everybodys)) = key(x, rules) else {
        return Box::pin(dispatch_or_fall_back(x, route, service, body, client, record)).await;
    };
    let reads = matches!(line.method, Method::Get | Method::Head) && line.body == Body::None && !line.upgrade;
    let mut asked = Asked::read(&HeadFields(x.head), rules.obey_requests);
    // What a service sees of a certificate has the force of credentials.
    asked.authorization |= transform::tells_certificate(x);
    if !reads || asked.for_origin || asked.directives.no_store {
        return Box::pin(dispatch_or_fall_back(x, route, service, body, client, record)).await;
    }
    let worker = x.worker;
    let now_ms = worker.wall.steady_ms(x.started);
    let look = Lookup { x, cache, rules, route, service, key, everybodys, asked, now_ms };
    let found = look.find();
    if let Found::Object(object) = &found {
        let verdict = match object.freshness.judge(&look.asked.directives, now_ms) {
            Use::Fresh if object.is_outdated() => Use::Revalidate(Why::Stale),
            verdict => verdict,
        };
        match verdict {
            Use::Fresh | Use::MaxStale => {
                record.cache = Some(CacheResult::Hit);
                cache.store.note_hit(&look.key, object, &mut worker.hits.borrow_mut());
                if look.is_due_early(object) {
                    refresh(&look, object, record);
                }
                let told = Told { hit: true, ahead: look.was_ahead(object), ..Told::default() };
                return deliver_object(&look, object, told, client, record).await;
            }
            Use::StaleWhileRevalidate => {
                record.cache = Some(CacheResult::Stale);
                cache.store.note_hit(&look.key, object, &mut worker.hits.borrow_mut());
                refresh(&look, object, record);
                let told = Told { hit: true, ..Told::default() };
                return deliver_object(&look, object, told, client, record).await;
            }
            Use::OnlyIfCached => return Err(only_if_cached()),
            Use::Revalidate(_) => {}
        }
    }
    Box::pin(miss(&look, found, body, client, record)).await
}

impl Lookup<'_, '_> {
    pub(super) fn find(&self) -> Found {
        let fields = HeadFields(self.x.head);
        let range = if self.asked.range { first(&fields, b"range") } else { None };
        let to_get = self.x.head.line.method == Method::Get;
        self.cache.store.find(&self.key, |object| {
            let part_fits = match &object.part {
                None => true,
                Some(part) => {
                    to_get
                        && range.is_some_and(|range| part.range.answer(&part.asked, range).is_some())
                        && if_range_holds(&fields, &Block(&object.head), object.freshness.received_ms)
                }
            };
            part_fits && self.selects(&object.selecting, &object.head)
        })
    }

    /// Whether a response that was selected by `selecting` answers this request.
    pub(super) fn selects(&self, selecting: &[u8], head: &[u8]) -> bool {
        selecting.is_empty()
            || matches(selecting, &HeadFields(self.x.head), first(&Block(head), b"content-language"))
    }

    /// Whether it was fetched ahead; says so to who ordered that, at the first use.
    fn was_ahead(&self, object: &Object) -> bool {
        let Some(ahead) = &object.ahead else { return false };
        if ahead.ask() {
            self.cache.store.note_first_use(&self.key, object);
        }
        true
    }

    fn is_due_early(&self, object: &Object) -> bool {
        // Beyond a few times the time that a fetch takes it is as good as never due.
        let beta = self.rules.early_refresh;
        let left_ms = object.freshness.ttl_s(self.now_ms).saturating_mul(1_000);
        beta > 0.0
            && left_ms as f64 <= f64::from(object.fetch_ms) * beta * 20.0
            && object.freshness.refresh_early(
                object.fetch_ms,
                beta,
                self.x.worker.dice.borrow_mut().unit(),
                self.now_ms,
            )
    }
}

/// Has a stored response asked for again, for nobody in particular.
fn refresh(look: &Lookup<'_, '_>, object: &Arc<Object>, record: &Record) {
    if let Some(writer) = look.cache.fills.begin_unread(&look.key, None) {
        Fetch::spawn(look, Some(object), writer, true, record);
    }
}

fn only_if_cached() -> Failure {
    Fault::new(FaultKind::NotCached, "the request wants nothing but what is stored, and that is not usable")
        .into()
}

/// Gets the response from the service, for this request alone or for all who wait for it.
async fn miss(
    look: &Lookup<'_, '_>,
    found: Found,
    body: &mut Source<'_>,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    if look.asked.directives.only_if_cached {
        return Err(only_if_cached());
    }
    let (stored, why) = match &found {
        Found::Object(object) if object.part.is_some() => (None, Forwarded::Partial),
        Found::Object(object) if object.freshness.is_fresh(look.now_ms) => (Some(object), Forwarded::Request),
        Found::Object(object) => (Some(object), Forwarded::Stale),
        Found::OtherVariant => (None, Forwarded::VaryMiss),
        Found::Nothing => (None, Forwarded::UriMiss),
    };
    if look.x.head.line.method == Method::Head {
        // The answer to a HEAD is nothing that could be stored.
        return dispatch_or_fall_back(look.x, look.route, look.service, body, client, record).await;
    }
    let told = Told { forwarded: Some(why), ..Told::default() };
    // What asks for a part, or whether something has changed, is for this client alone, and asked as it asks;
    // where there is something to revalidate, the question is the cache's own.
    let particular = stored.is_none() && (look.asked.range || look.asked.conditional);
    let alone = particular || look.asked.authorization || look.cache.fills.is_apart(&look.key, look.now_ms);
    let part = if alone {
        Part::Full
    } else {
        let most = look.x.view.snapshot.config.cache.collapse_max.0 as usize;
        look.cache.fills.enter(&look.key, most, |born| look.cache.store.may_have_purged(&look.key, born))
    };
    match part {
        Part::Lead(writer, reader) => {
            Fetch::spawn(look, stored, writer, true, record);
            lead(look, reader, told, client, record).await
        }
        Part::Join(reader) => {
            if let Some(finish) = join(look, reader, told, client, record).await? {
                return Ok(finish);
            }
            fetch_alone(look, stored, told, client, record).await
        }
        Part::Full => fetch_alone(look, stored, told, client, record).await,
    }
}

async fn fetch_alone(
    look: &Lookup<'_, '_>,
    stored: Option<&Arc<Object>>,
    told: Told,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let Some((writer, reader)) = begin(&look.key) else {
        return Err(Fault::new(FaultKind::Internal, "a new fill has no reader").into());
    };
    Fetch::spawn(look, stored, writer, false, record);
    lead(look, reader, told, client, record).await
}

/// Answers with what a fetch of one's own brings.
async fn lead(
    look: &Lookup<'_, '_>,
    mut reader: Reader,
    told: Told,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Finish, Failure> {
    let mut watched = Presence::new(client.socket(), look.x.timers.upload);
    watched.begin();
    // The fetch has its own deadlines and ends by them.
    let outcome = loop {
        let word = poll_fn(|cx| match reader.poll_word(cx) {
            Poll::Pending => watched.poll_gone(cx).map(Err),
            Poll::Ready(word) => Poll::Ready(Ok(word)),
        });
        match word.await? {
            Word::Interim(interim) => deliver_interim(look, &interim, client).await?,
            Word::Outcome(outcome) => break outcome,
        }
    };
    credit(look.x, &reader, record);
    match outcome {
        Outcome::Failed(fault) => Err(fault.into()),
        Outcome::Object { object, updated } => {
            record.cache = Some(if updated { CacheResult::Revalidated } else { CacheResult::Stale });
            let told = Told { forwarded_status: updated.then_some(304), ..told };
            deliver_object(look, &object, told, client, record).await
        }
        Outcome::Below { object, tier } => {
            record.cache = Some(CacheResult::Hit);
            let told = Told { hit: true, tier: Some(tier), ..Told::default() };
            deliver_object(look, &object, told, client, record).await
        }
        Outcome::Head(head) => {
            record.cache = Some(if head.stored.is_some() { CacheResult::Miss } else { CacheResult::Pass });
            deliver_stream(look, &head, &mut reader, watched, told, client, record).await
        }
    }
}

/// Waits for another request's fetch; None when this one has to ask for itself.
async fn join(
    look: &Lookup<'_, '_>,
    mut reader: Reader,
    told: Told,
    client: &mut Downstream<'_>,
    record: &mut Record,
) -> Result<Option<Finish>, Failure> {
    let told = Told { collapsed: true, ..told };
    record.cache = Some(CacheResult::Collapsed);
    let timer = look.x.timers.download;
    timer.set(look.x.view.snapshot.config.cache.collapse_wait.0);
    let mut watched = Presence::new(client.socket(), look.x.timers.upload);
    watched.begin();
    let outcome = poll_fn(|cx| match reader.poll_outcome(cx) {
        Poll::Ready(outcome) => Poll::Ready(Ok(Some(outcome))),
        Poll::Pending if timer.poll_due(cx).is_ready() => Poll::Ready(Ok(None)),
        Poll::Pending => watched.poll_gone(cx).map(Err),
    })
    .await?;
    credit(look.x, &reader, record);
    match outcome {
        Some(Outcome::Failed(fault)) => Err(fault.into()),
        Some(Outcome::Object { object, .. }) if look.selects(&object.selecting, &object.head) => {
            deliver_object(look, &object, told, client, record).await.map(Some)
        }
        Some(Outcome::Below { object, tier }) if look.selects(&object.selecting, &object.head) => {
            record.cache = Some(CacheResult::Hit);
            let told = Told { hit: true, tier: Some(tier), ..Told::default() };
            deliver_object(look, &object, told, client, record).await.map(Some)
        }
        Some(Outcome::Head(head)) => match &head.stored {
            Some(stored) if look.selects(&stored.selecting, &head.lines) => {
                deliver_stream(look, &head, &mut reader, watched, told, client, record).await.map(Some)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Writes down whom the fetch asked that this request waited for, and how long it waited.
fn credit(x: &Exchange<'_>, reader: &Reader, record: &mut Record) {
    let sent_to = reader.sent_to().filter(|sent_to| sent_to.generation == x.view.snapshot.generation);
    if let Some(SentTo { service, endpoint, retries, .. }) = sent_to {
        (record.service, record.endpoint) = (Some(service), Some(endpoint));
        record.retries = retries;
        record.upstream_us = x.worker.now().since(x.started).as_micros() as u64;
    }
}

/// The next piece of a fill; an error when the client went away first.
pub(super) async fn next_piece(
    reader: &mut Reader,
    watched: &mut Presence<'_>,
) -> Result<Option<Bytes>, Fault> {
    poll_fn(|cx| match reader.poll_piece(cx) {
        Poll::Pending => watched.poll_gone(cx).map(Err),
        ready => ready,
    })
    .await
}
