//! The answer to a POST that says it is what a GET of the same target would bring (RFC 9110 section 9.3.3): its client
//! gets it as any other, and a copy is stored. Nobody joins it on its way, and it goes to no tier below the memory.

use crate::cache_key::key;
use crate::cache_rules::{Cache, ONE_PIECE};
use crate::draft::AskedFor;
use crate::exchange::{Exchange, TargetPlan};
use crate::head_fields::HeadFields;
use crate::invalidate::{self, target_of};
use crate::route::Ask;
use crate::snapshot::Route;
use crate::transform;
use bytes::Bytes;
use headgate_cache::key::Key;
use headgate_cache::object::{Content, Draft};
use headgate_cache::rules::{Asked, Block, answers_itself, write_stored};
use headgate_net::fields::HeadOut;
use headgate_net::head::{Method, ResponseHead};

/// A copy under way.
pub(crate) struct Kept<'x> {
    key: Key,
    draft: Draft,
    /// None where it is not stored after all.
    content: Option<Vec<u8>>,
    /// Longest content that is stored, in bytes.
    max_bytes: u64,
    held: Held<'x>,
}

/// Bytes taken of what all responses on their way in may hold.
struct Held<'x> {
    cache: &'x Cache,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.cache.give_back(self.bytes);
    }
}

/// The response to a request past the cache has come, which was asked for at `since` on the purge clock: forgets what
/// it makes outdated. What is returned wants the content, to store it.
#[cold]
pub(crate) fn what_changed<'x>(
    x: &Exchange<'x>,
    route: &Route,
    head: &ResponseHead,
    since: u64,
) -> Option<Box<Kept<'x>>> {
    let store = &x.worker.shared.cache.store;
    // In this order: what is purged meanwhile by others is either seen by `begin` or counted.
    let before = store.born();
    let kept = Kept::begin(x, route, head, since);
    let own = invalidate::what_changed(x, head);
    let after = store.born();
    let mut kept = kept.filter(|_| after - before == own)?;
    kept.draft.born = after;
    Some(kept)
}

impl<'x> Kept<'x> {
    fn begin(x: &Exchange<'x>, route: &Route, head: &ResponseHead, since: u64) -> Option<Box<Self>> {
        // Another status than 200 tells of the change, not of the target. Where the service sees another target than the
        // client, its Content-Location need not be the client's.
        let may = x.head.line.method == Method::Post
            && head.line.status == 200
            && matches!(x.target, TargetPlan::AsSent)
            && answers_itself(&target_of(x), &HeadFields(head))
            && is_read_by(x, route);
        let rules = route.cache.as_ref().filter(|_| may)?;
        let (worker, asked) = (x.worker, Asked::read(&HeadFields(x.head), rules.obey_requests));
        let cache = &worker.shared.cache;
        let (key, everybodys) = key(x, rules)?;
        if cache.store.may_have_purged(&key, since) {
            return None;
        }
        let now = worker.now();
        let received_unix_ms = worker.wall.unix_us(now) / 1_000;
        let asked_for = AskedFor {
            cache,
            rules,
            request: x.head,
            asked: &asked,
            answers_itself: true,
            everybodys,
            requested_unix_ms: worker.wall.unix_us(x.started) / 1_000,
            received_unix_ms,
            received_ms: worker.wall.steady_ms(now),
            fetch_ms: now.since(x.started).as_millis() as u32,
            born: since,
        };
        let mut draft = asked_for.draft(head)?;
        let mut fields = HeadOut::H1(worker.buffers.out());
        transform::stored_fields(x, route, head, &mut fields);
        let HeadOut::H1(fields) = fields else { return None };
        let mut lines = Vec::with_capacity(fields.len());
        write_stored(&Block(&fields), received_unix_ms, &mut lines);
        draft.head = lines.into();
        Some(Box::new(Self {
            key: Key::from(&key[..]),
            draft,
            content: Some(Vec::new()),
            max_bytes: rules.max_object.min(ONE_PIECE),
            held: Held { cache, bytes: 0 },
        }))
    }

    /// Takes a piece of content.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let Some(content) = &mut self.content else { return };
        let (len, more) = (content.len() as u64, piece.len() as u64);
        if len + more > self.max_bytes || !self.held.cache.hold(more) {
            self.content = None;
            return;
        }
        self.held.bytes += more;
        content.extend_from_slice(piece);
    }

    /// The content is complete.
    pub(crate) fn store(self) {
        let Some(content) = self.content else { return };
        let content = Content::new(vec![Bytes::from(content.into_boxed_slice())]);
        // Refused by the policy, or purged meanwhile: its client has it all the same.
        let _ = self.held.cache.store.insert(&self.key, Draft { content, ..self.draft });
    }
}

/// Whether a GET of this target is answered by the same route.
fn is_read_by(x: &Exchange<'_>, route: &Route) -> bool {
    let snapshot = &x.view.snapshot;
    let (host, path, query) = (x.head.host(), x.head.path(), x.head.query());
    let ask = Ask { listener: x.listener as u32, host, path, query, method: b"GET", fields: x.head };
    let matched = snapshot.table.find(&ask);
    matched.is_some_and(|matched| std::ptr::eq(&snapshot.routes[matched.route], route))
}
