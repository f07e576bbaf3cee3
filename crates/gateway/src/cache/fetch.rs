//! A request that the cache sends on its own account, in a task of its own: clients that wait for it may come and
//! go, and what they wait for still arrives.

use super::answer::Lookup;
use super::intake::Intake;
use crate::cache_rules::Tag;
use crate::dispatch::dispatch_or_fall_back;
use crate::exchange::{Exchange, TargetPlan, Timers};
use crate::head_fields::HeadFields;
use crate::identify::Peer;
use crate::record::Record;
use crate::view::View;
use crate::worker::Worker;
use headgate_cache::fill::{Outcome, Writer};
use headgate_cache::lower::Risen;
use headgate_cache::object::Object;
use headgate_cache::rules::{Asked, Block, Use, Validators};
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::Source;
use headgate_net::buffer::Lent;
use headgate_net::downstream::Downstream;
use headgate_net::head::RequestHead;
use headgate_net::rewrite::rewrite;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// What a fetch needs that does not depend on who asked for it.
pub(super) struct Fetch {
    pub worker: Rc<Worker>,
    pub view: Rc<View>,
    listener: usize,
    peer: Peer,
    /// The request as it is sent.
    pub head: Lent<RequestHead>,
    pub route: usize,
    service: usize,
    target: TargetPlan,
    pause: Duration,
    pub asked: Asked,
    /// What is asked for again.
    pub stored: Option<Arc<Object>>,
    /// Others may join, so it is known by its key.
    shared: bool,
    pub everybodys: Option<Tag>,
    /// When it was asked for, on the purge clock.
    pub born: u64,
}

impl Fetch {
    /// Starts a fetch of what `look` asks for. `stored` is asked about with its own validators, in place of the
    /// client's conditions.
    pub(super) fn spawn(
        look: &Lookup<'_, '_>,
        stored: Option<&Arc<Object>>,
        writer: Writer,
        shared: bool,
        record: &Record,
    ) {
        let x = look.x;
        let worker = Rc::clone(x.worker);
        let mut head = worker.buffers.request();
        if let Err(fault) = write_question(x.head, stored, &mut head) {
            writer.fail(fault);
            look.cache.fills.leave(writer.fill());
            return;
        }
        let born = look.cache.store.born();
        writer.fill().set_born(born);
        let fetch = Self {
            view: Rc::clone(x.view),
            listener: x.listener,
            peer: x.peer.clone(),
            head,
            route: record.route.unwrap_or_default(),
            service: look.service,
            target: x.target.copy(&worker.buffers),
            pause: x.pause,
            // The question is the cache's own where something stored is asked about.
            asked: if stored.is_some() {
                Asked { range: false, conditional: false, ..look.asked }
            } else {
                look.asked
            },
            stored: stored.map(Arc::clone),
            shared,
            everybodys: look.everybodys,
            born,
            worker,
        };
        tokio::task::spawn_local(fetch.run(writer));
    }

    async fn run(mut self, mut writer: Writer) {
        let fill = Arc::clone(writer.fill());
        let known_by = Rc::clone(&self.worker);
        let known = self.shared.then(|| Known { worker: &known_by, fill: &fill });
        let lower = &known_by.shared.cache.lower;
        let birth = lower.birth(&fill.key);
        if !lower.is_empty() && self.look_below(&mut writer).await {
            if let Some(ahead) = fill.ahead() {
                ahead.skip();
            }
            return;
        }
        let worker = &self.worker;
        let (upload, download) = (worker.deadlines.deadline(), worker.deadlines.deadline());
        let started = worker.now();
        let x = Exchange {
            worker,
            view: &self.view,
            listener: self.listener,
            peer: &self.peer,
            head: &self.head,
            timers: Timers { upload: &upload, download: &download },
            pause: self.pause,
            started,
            target: self.target.copy(&worker.buffers),
            changes_since: None,
            websocket: None,
            fill: Some(&fill),
        };
        let mut record = Record { route: Some(self.route), ..Record::default() };
        if let Some(tracing) = &self.view.tracing {
            record.traced = tracing.identify(&self.head, &mut worker.dice.borrow_mut());
        }
        let intake = Intake::new(&self, started, writer);
        let route = &self.view.snapshot.routes[self.route];
        let mut client = Downstream::Receiver { receiver: &intake, buffers: &worker.buffers };
        let result =
            dispatch_or_fall_back(&x, route, self.service, &mut Source::Empty, &mut client, &mut record)
                .await;
        match result {
            Ok(_) => intake.end(),
            Err(failure) => intake.fail(failure.fault),
        }
        drop(known);
        if let Some(object) = intake.stored() {
            lower.offer(&fill.key, &object, &birth).await;
        }
    }

    /// Asks the tiers below the memory for what is not stored there. True when that is the answer; what is there
    /// but stale is asked about.
    async fn look_below(&mut self, writer: &mut Writer) -> bool {
        if self.stored.is_some() || self.asked.authorization {
            return false;
        }
        let worker = &self.worker;
        let (cache, key) = (&worker.shared.cache, Arc::clone(&writer.fill().key));
        let patience = worker.deadlines.deadline();
        patience.set(cache.lower_deadline);
        let fields = self.fields();
        let found = {
            let mut find = pin!(cache.lower.find(&key, &fields, &cache.store, self.born));
            poll_fn(|cx| match find.as_mut().poll(cx) {
                Poll::Ready(found) => Poll::Ready(found),
                Poll::Pending if patience.poll_due(cx).is_ready() => {
                    cache.late.fetch_add(1, Ordering::Relaxed);
                    Poll::Ready(None)
                }
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        let Some(Risen { draft, tier }) = found else { return false };
        // What the memory does not take, or was purged while it came up, answers those who wait and nobody else.
        let object = cache.store.insert(&key, draft).unwrap_or_else(|draft| Arc::new(Object::loose(*draft)));
        let now_ms = worker.wall.steady_ms(worker.now());
        let usable =
            matches!(object.freshness.judge(&self.asked.directives, now_ms), Use::Fresh | Use::MaxStale);
        if usable && !object.is_outdated() {
            self.leave(writer);
            writer.decide(Outcome::Below { object, tier });
            return true;
        }
        let mut question = worker.buffers.request();
        if write_question(&self.head, Some(&object), &mut question).is_ok() {
            self.head = question;
            self.asked = Asked { range: false, conditional: false, ..self.asked };
            self.stored = Some(object);
        }
        false
    }

    /// The fields of the request.
    pub(super) fn fields(&self) -> HeadFields<'_, headgate_net::head::RequestLine> {
        HeadFields(&self.head)
    }

    /// Nobody can join any more.
    pub(super) fn leave(&self, writer: &Writer) {
        if self.shared {
            self.worker.shared.cache.fills.leave(writer.fill());
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }
}

/// Writes the request as it is sent: as it came, or asking about what is stored with its own validators.
fn write_question(
    from: &RequestHead,
    stored: Option<&Arc<Object>>,
    to: &mut RequestHead,
) -> Result<(), Fault> {
    let validators = stored.map(|stored| Block(&stored.head));
    let validators = validators.as_ref().map_or_else(Validators::default, Validators::of);
    let further: [Option<(&[u8], &[u8])>; 2] = [
        validators.etag.map(|tag| (&b"if-none-match"[..], tag)),
        validators.last_modified.map(|date| (&b"if-modified-since"[..], date)),
    ];
    let further: Vec<_> = further.into_iter().flatten().collect();
    let drops = |name: &[u8]| stored.is_some() && is_particular(name);
    rewrite(from, drops, &further, to).map_err(|_| {
        let message = "the request head has no room for a condition of the cache";
        Fault::new(FaultKind::HeadTooLarge, message)
    })
}

/// Fields that ask for less than the whole, or about a version that a client has.
fn is_particular(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 4] = [b"if-none-match", b"if-modified-since", b"range", b"if-range"];
    NAMES.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Takes a fill out of the table of those under way, however its task ends.
struct Known<'f> {
    worker: &'f Worker,
    fill: &'f Arc<headgate_cache::fill::Fill>,
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.worker.shared.cache.fills.leave(self.fill);
    }
}
