//! Takes the response of a fetch in: decides by the rules whether it is stored, updates what was stored, or is only
//! passed on; and gives it to the fill that clients read.

use super::fetch::Fetch;
use crate::cache_rules::{Cache, ONE_PIECE};
use crate::draft::AskedFor;
use crate::head_fields::HeadFields;
use crate::snapshot::Route;
use headgate_cache::fill::{FillHead, Interim, Outcome, StoredAs, Writer};
use headgate_cache::object::{Content, Draft, Object, Part};
use headgate_cache::rules::{
    self, Asked, Block, Failure, Fields, Freshness, may_keep, write_stored, write_updated,
};
use headgate_model::fault::{Blame, Fault};
use headgate_model::units::Tick;
use headgate_net::body::Receiver;
use headgate_net::head::{Body, ResponseHead};
use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Poll};

/// One response on its way in.
pub(super) struct Intake<'f> {
    fetch: &'f Fetch,
    started: Tick,
    inner: RefCell<Inner>,
}

struct Inner {
    writer: Writer,
    verdict: Verdict,
    /// Bytes taken of what all fills may hold.
    held: u64,
    /// All of it, where it was to be stored.
    stored: Option<Arc<Object>>,
}

/// What becomes of the response.
enum Verdict {
    /// Its head has not come, or it is Headgate's own.
    Open,
    /// It is passed on.
    Pass,
    /// It is stored when it is complete.
    Store(Box<Draft>),
    /// What was stored is used; the rest of the response does not matter.
    Stored { object: Arc<Object>, updated: bool },
}

impl<'f> Intake<'f> {
    pub(super) fn new(fetch: &'f Fetch, started: Tick, writer: Writer) -> Self {
        Self {
            fetch,
            started,
            inner: RefCell::new(Inner { writer, verdict: Verdict::Open, held: 0, stored: None }),
        }
    }

    fn route(&self) -> &Route {
        &self.fetch.view.snapshot.routes[self.fetch.route]
    }

    fn cache(&self) -> &Cache {
        &self.fetch.worker.shared.cache
    }

    /// What messages say of times is compared with this.
    fn unix_ms(&self, at: Tick) -> u64 {
        self.fetch.worker.wall.unix_us(at) / 1_000
    }

    /// What is stored grows old by this.
    fn now_ms(&self) -> u64 {
        self.fetch.worker.wall.steady_ms(self.fetch.worker.now())
    }

    /// The fetch has ended and the response with it.
    pub(super) fn end(&self) {
        self.inner.borrow().writer.finish();
    }

    /// All of the response, where it was to be stored and has ended.
    pub(super) fn stored(&self) -> Option<Arc<Object>> {
        self.inner.borrow_mut().stored.take()
    }

    /// The fetch has failed: what is stored may make good for it.
    pub(super) fn fail(&self, fault: Fault) {
        let inner = &mut *self.inner.borrow_mut();
        if matches!(inner.verdict, Verdict::Open)
            && fault.kind.blame() != Blame::Client
            && let Some(object) = self.makes_good(Failure::Unreachable)
        {
            inner.writer.decide(Outcome::Object { object, updated: false });
            return;
        }
        inner.writer.fail(fault);
    }

    fn makes_good(&self, failure: Failure) -> Option<Arc<Object>> {
        let stored = self.fetch.stored.as_ref()?;
        let settings = &self.route().cache.as_ref()?.settings;
        let now_ms = self.now_ms();
        let asked = &self.fetch.asked.directives;
        let serves = stored.freshness.serves_failure(asked, failure, settings.stale_if_unreachable_s, now_ms);
        serves.then(|| Arc::clone(stored))
    }

    fn judge(&self, head: &ResponseHead) -> Verdict {
        let status = head.line.status;
        let fields = HeadFields(head);
        if let (304, Some(stored)) = (status, &self.fetch.stored) {
            return self.update(stored, &fields);
        }
        if matches!(status, 500 | 502 | 503 | 504)
            && let Some(object) = self.makes_good(Failure::ServerError)
        {
            return Verdict::Stored { object, updated: false };
        }
        let draft = self.draft(head);
        if let (None, Some(stored)) = (&draft, &self.fetch.stored) {
            // What the origin says now is not for storing, and what it said before is no longer true.
            self.cache().remove(&self.inner.borrow().writer.fill().key, stored);
        }
        draft.map_or(Verdict::Pass, |draft| Verdict::Store(Box::new(draft)))
    }

    /// A 304: what was stored is as good as new.
    fn update(
        &self,
        stored: &Arc<Object>,
        fields: &HeadFields<'_, headgate_net::head::StatusLine>,
    ) -> Verdict {
        let Some(rules) = &self.route().cache else { return Verdict::Pass };
        let store = &self.cache().store;
        let key = Arc::clone(&self.inner.borrow().writer.fill().key);
        let mut lines = Vec::with_capacity(stored.head.len() + 128);
        let now = self.fetch.worker.now();
        let received_unix_ms = self.unix_ms(now);
        write_updated(&Block(&stored.head), fields, received_unix_ms, &mut lines);
        let updated = rules::Exchange {
            method: b"GET",
            // What is kept is a part where it was one, whatever the question was.
            asked: &Asked { range: stored.part.is_some(), ..self.fetch.asked },
            answers_itself: false,
            status: stored.status,
            response: &Block(&lines),
            requested_unix_ms: self.unix_ms(self.started),
            received_unix_ms,
            received_ms: self.now_ms(),
        };
        let storing = may_keep(&updated, fields, &rules.settings);
        let freshness = match &storing {
            Ok(storing) => storing.freshness,
            // It may be used for this answer all the same, and no longer.
            Err(_) => Freshness { received_ms: updated.received_ms, initial_age_s: 0, ..stored.freshness },
        };
        let draft = Draft {
            status: stored.status,
            head: lines.into(),
            content: stored.content.clone(),
            bodiless: stored.bodiless,
            part: stored.part.clone(),
            freshness,
            selecting: stored.selecting.clone(),
            fetch_ms: now.since(self.started).as_millis() as u32,
            tags: stored.tags.clone(),
            ahead: None,
            born: self.fetch.born,
        };
        let object = if storing.is_ok() {
            store.insert(&key, draft)
        } else {
            self.cache().remove(&key, stored);
            Err(Box::new(draft))
        };
        let object = object.unwrap_or_else(|draft| Arc::new(Object::loose(*draft)));
        Verdict::Stored { object, updated: true }
    }

    /// The response as it is stored, its content still missing; None when it is not to be stored.
    fn draft(&self, head: &ResponseHead) -> Option<Draft> {
        let fetch = self.fetch;
        let worker = &fetch.worker;
        let asked_for = AskedFor {
            cache: self.cache(),
            rules: self.route().cache.as_ref()?,
            request: &fetch.head,
            asked: &fetch.asked,
            answers_itself: false,
            everybodys: fetch.everybodys,
            requested_unix_ms: self.unix_ms(self.started),
            received_unix_ms: self.unix_ms(worker.now()),
            received_ms: self.now_ms(),
            fetch_ms: worker.now().since(self.started).as_millis() as u32,
            born: fetch.born,
        };
        asked_for.draft(head)
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.cache().give_back(self.inner.borrow().held);
    }
}

/// The lines as the origin sent them, where `stored` lacks some: `private="x"` and `no-cache="x"` keep fields from
/// being stored, not from whom they were sent to (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
fn with_fields_for_one(sent: &[u8], stored: &[u8]) -> Option<Box<[u8]>> {
    let withheld =
        |name: &[u8]| !name.eq_ignore_ascii_case(b"age") && rules::first(&Block(stored), name).is_none();
    let sent = Block(sent);
    if !sent.fields().any(|(name, _)| withheld(name)) {
        return None;
    }
    let mut lines = stored.to_vec();
    for (name, value) in sent.fields().filter(|(name, _)| withheld(name)) {
        rules::write_field(&mut lines, name, value);
    }
    Some(lines.into())
}

impl Receiver for Intake<'_> {
    fn interim(&self, status: u16, fields: &[u8]) {
        self.inner.borrow().writer.interim(Interim { status, lines: fields.into() });
    }

    fn inspect(&self, head: &ResponseHead) {
        let mut verdict = self.judge(head);
        let inner = &mut *self.inner.borrow_mut();
        if let (Verdict::Store(_), Body::Length(length)) = (&verdict, head.line.body) {
            if self.cache().hold(length) {
                inner.held = length;
            } else {
                verdict = Verdict::Pass;
            }
        }
        if matches!(verdict, Verdict::Pass) && self.fetch.is_shared() {
            // Who asked meanwhile asks for itself, and so does who asks soon.
            let fills = &self.cache().fills;
            fills.set_apart(&inner.writer.fill().key, self.now_ms());
            self.fetch.leave(&inner.writer);
        }
        inner.verdict = verdict;
    }

    fn begin(&self, status: u16, fields: &[u8], body: Body) -> Result<(), Fault> {
        let Inner { writer, verdict, .. } = &mut *self.inner.borrow_mut();
        let mut head = FillHead {
            status,
            lines: fields.into(),
            lines_once: None,
            length: match body {
                Body::Length(length) => Some(length),
                Body::None => Some(0),
                Body::Chunked | Body::UntilClose => None,
            },
            bodiless: body == Body::None,
            own: false,
            stored: None,
        };
        match verdict {
            Verdict::Open => {
                self.fetch.leave(writer);
                head.own = true;
            }
            Verdict::Pass => {}
            Verdict::Store(draft) => {
                let mut lines = Vec::with_capacity(fields.len());
                write_stored(&Block(fields), self.unix_ms(self.fetch.worker.now()), &mut lines);
                draft.head = lines.into();
                head.lines = draft.head.clone();
                head.lines_once = with_fields_for_one(fields, &draft.head);
                head.stored =
                    Some(StoredAs { freshness: draft.freshness, selecting: draft.selecting.clone() });
            }
            Verdict::Stored { object, updated } => {
                writer.decide(Outcome::Object { object: Arc::clone(object), updated: *updated });
                return Ok(());
            }
        }
        writer.decide(Outcome::Head(Arc::new(head)));
        Ok(())
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let inner = self.inner.borrow();
        match inner.verdict {
            Verdict::Stored { .. } => Poll::Ready(Ok(())),
            _ => inner.writer.poll_room(cx),
        }
    }

    fn push(&self, piece: &[u8]) {
        let Inner { writer, verdict, held, .. } = &mut *self.inner.borrow_mut();
        if matches!(verdict, Verdict::Stored { .. }) {
            return;
        }
        writer.push(piece);
        let most = self.route().cache.as_ref().map_or(0, |rules| rules.max_object);
        let more = writer.written().saturating_sub(*held);
        if matches!(verdict, Verdict::Store(_)) && more > 0 {
            if writer.written() <= most && self.cache().hold(more) {
                *held += more;
                return;
            }
            self.fetch.leave(writer);
            writer.let_go();
            *verdict = Verdict::Pass;
        }
    }

    fn finish(&self) {
        let Inner { writer, verdict, stored, .. } = &mut *self.inner.borrow_mut();
        if let Verdict::Store(draft) = std::mem::replace(verdict, Verdict::Pass)
            && let Some(pieces) = writer.content()
        {
            let mut draft = *draft;
            draft.content = Content::joined(pieces, ONE_PIECE);
            let whole = match draft.part.take() {
                None => true,
                Some(part) => {
                    draft.part = part.range.clipped(draft.content.len()).map(|range| Part { range, ..part });
                    draft.part.is_some()
                }
            };
            if whole {
                draft.ahead = writer.fill().ahead().cloned();
                // Refused by the policy, or purged meanwhile: it was passed on all the same. The tiers below know
                // themselves what was purged, and have more room.
                let object = self.cache().store.insert(&writer.fill().key, draft);
                *stored = Some(object.unwrap_or_else(|draft| Arc::new(Object::loose(*draft))));
            }
        }
        writer.finish();
    }
}
