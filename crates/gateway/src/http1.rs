//! One HTTP/1 client connection: request after request until it ends. At rest it is only a socket and a
//! few words; buffers and the state of a request exist while one is under way.

use crate::admitted::Admitted;
use crate::exchange::{Exchange, Finish, Timers};
use crate::identify::Peer;
use crate::phases;
use crate::record::{self, Record};
use crate::respond;
use crate::tunnel::Tunnel;
use crate::view::View;
use crate::worker::{REST_AT_STOP, Worker};
use headgate_model::fault::{Fault, FaultKind};
use headgate_model::spec::ListenSpec;
use headgate_net::body::{H1Source, Rest, Side, Source};
use headgate_net::buffer::Lent;
use headgate_net::deadline::Deadline;
use headgate_net::downstream::{Downstream, H1Responder, ReadRequest, read_request, retain_rest};
use headgate_net::h1::parse::HeadLimits;
use headgate_net::head::{Body, Method, RequestHead, Version};
use headgate_net::stream::Stream;
use std::rc::Rc;
use std::time::Duration;

/// A connection that asks nothing for this long gives its request state back. A busy client asks again
/// sooner; for any other, one allocation when it does is nothing, and ten thousand at rest stay small.
const NAP_AFTER: Duration = Duration::from_millis(10);
/// How long an answered but unfinished client may go on sending before its socket is closed on it.
const LINGER: Duration = Duration::from_secs(2);
/// And how much of it is read.
const LINGER_BYTES: usize = 256 * 1024;

/// One connection and what stays the same on it.
pub(crate) struct Connection {
    pub worker: Rc<Worker>,
    pub stream: Stream,
    pub peer: Peer,
    /// Index of its listener in the view it was accepted under.
    pub listener: usize,
    pub view: Rc<View>,
    pub deadline: Deadline,
    pub requests: u32,
    pub _admitted: Admitted,
}

/// What becomes of a connection when its busy time ends.
enum Next {
    /// Rest until the client asks again.
    Rest,
    Close,
    Tunnel(Box<Tunnel>, Vec<u8>),
}

/// What becomes of it after one request.
enum After {
    Request,
    /// Nothing came after all.
    Rest,
    Close,
    Tunnel(Box<Tunnel>, Vec<u8>),
}

impl Connection {
    /// Serves the connection to its end.
    pub(crate) async fn serve(mut self: Box<Self>) {
        let mut answered = self.requests;
        let mut due = self.deadline.at(self.spec().timeouts.idle.0);
        loop {
            // Renewed by a request only: bytes that never become one must not hold the connection.
            if answered != self.requests {
                answered = self.requests;
                due = self.deadline.at(self.spec().timeouts.idle.0);
            }
            if self.worker.draining.get() {
                due = due.min(self.deadline.at(REST_AT_STOP));
            }
            self.deadline.rest_until(due);
            let readable = self.stream.readable(&self.deadline).await;
            self.deadline.rouse();
            if readable.is_err() {
                return;
            }
            // Boxed, so that a resting connection's task stays small; one box for a busy time, not for a request.
            match Box::pin(self.busy()).await {
                Next::Rest => {}
                Next::Close => return,
                Next::Tunnel(tunnel, to_upstream) => {
                    return Box::pin(self.carry(tunnel, to_upstream)).await;
                }
            }
        }
    }

    /// Carries the bytes of another protocol to the end of the connection.
    async fn carry(self: Box<Self>, tunnel: Box<Tunnel>, to_upstream: Vec<u8>) {
        let idle = self.spec().timeouts.tunnel.0;
        let Self { worker, stream, view, deadline, _admitted, .. } = *self;
        // A tunnel may outlive many configurations and needs nothing more of its own.
        drop(view);
        tunnel.run(&stream, &to_upstream, &worker.buffers, &deadline, idle).await;
    }

    fn spec(&self) -> &ListenSpec {
        &self.view.snapshot.listeners[self.listener].spec
    }

    /// Serves requests for as long as they keep coming.
    async fn busy(&mut self) -> Next {
        let upload = self.worker.deadlines.deadline();
        let mut head: Option<Lent<RequestHead>> = None;
        loop {
            let mut current = match head.take() {
                Some(head) => head,
                None => {
                    self.deadline.set(NAP_AFTER);
                    if let Err(fault) = self.stream.readable(&self.deadline).await {
                        return match fault {
                            headgate_net::stream::IoFault::TimedOut => Next::Rest,
                            _ => Next::Close,
                        };
                    }
                    self.worker.buffers.request()
                }
            };
            match self.request(&mut current, &upload).await {
                After::Request if current.filled > 0 => head = Some(current),
                After::Request => {}
                After::Rest => return Next::Rest,
                After::Close => return Next::Close,
                After::Tunnel(tunnel, to_upstream) => return Next::Tunnel(tunnel, to_upstream),
            }
        }
    }

    /// Reads and answers one request.
    async fn request(&mut self, head: &mut Lent<RequestHead>, upload: &Deadline) -> After {
        self.worker.follow_reload(&mut self.view, &mut self.listener);
        let spec = &self.view.snapshot.listeners[self.listener].spec;
        let limits = HeadLimits {
            head_bytes: spec.limits.head.0 as usize,
            fields: spec.limits.headers as usize,
            target_bytes: spec.limits.uri.0 as usize,
        };
        let read =
            read_request(&self.stream, head, &limits, &self.deadline, NAP_AFTER, spec.timeouts.head.0).await;
        match read {
            Ok(ReadRequest::Request) => {}
            Ok(ReadRequest::Idle) => return After::Rest,
            Ok(ReadRequest::Closed) => return After::Close,
            Err(fault) => return self.refuse(&fault).await,
        }
        self.requests += 1;
        let worker = &self.worker;
        let line = &head.line;
        let last = spec.limits.requests > 0 && self.requests >= spec.limits.requests;
        let mut client = Downstream::H1(H1Responder {
            stream: &self.stream,
            buffers: &worker.buffers,
            version: line.version,
            to_head: line.method == Method::Head,
            keep_alive: line.keep_alive && !last && !worker.draining.get(),
        });
        let body_limit = spec.limits.body.0;
        let mut body = Source::Empty;
        if line.body != Body::None {
            let first = head.after_head();
            let source =
                H1Source::new(&self.stream, &worker.buffers, Side::Client, line.body, first, body_limit);
            body = Source::H1(source);
        }
        let timers = Timers { upload, download: &self.deadline };
        let mut x = Exchange::begin(worker, &self.view, self.listener, &self.peer, head, timers);
        let mut record = Record::default();
        let finish = match line.body {
            Body::Length(length) if body_limit > 0 && length > body_limit => {
                let fault = Fault::new(FaultKind::BodyTooLarge, "the declared body is longer than the limit");
                phases::refuse(&x, fault, &body, &mut client, &mut record).await
            }
            _ => phases::run(&mut x, &mut body, &mut client, &mut record).await,
        };
        record.finish(worker, &self.view, x.started);
        let keep = client.keeps_alive();
        match finish {
            Finish::Done => {}
            Finish::Cut => {
                if head.line.version == Version::Http10 {
                    self.stream.abort();
                }
                return After::Close;
            }
            Finish::Reset => {
                self.stream.abort();
                return After::Close;
            }
            Finish::Switched(tunnel) => return After::Tunnel(tunnel, head.after_head().to_vec()),
        }
        if !keep {
            let unread = match &body {
                Source::H1(source) => !source.is_finished() || source.has_rest(),
                _ => !head.after_head().is_empty(),
            };
            drop(body);
            if unread {
                self.linger().await;
            } else if self.peer.tls {
                // The end has to be said: a bare end of a TLS stream reads as a truncation.
                self.deadline.set(LINGER);
                self.stream.shutdown(&self.deadline).await;
            }
            return After::Close;
        }
        let rest = match body {
            Source::H1(source) => source.into_rest(),
            _ => Rest::BehindHead(0),
        };
        match retain_rest(head, &rest) {
            Ok(()) => After::Request,
            Err(fault) => self.refuse(&fault).await,
        }
    }

    /// Answers a request that could not be read and closes: where it ends is not known.
    #[cold]
    async fn refuse(&self, fault: &Fault) -> After {
        self.worker.faults.record(fault.kind);
        self.view.listeners[self.listener].metrics.bad_request(fault.kind);
        record::tell_unread(&self.worker, &self.view, &self.peer, fault.kind);
        if fault.kind == FaultKind::ClientClosed {
            return After::Close;
        }
        let mut client = Downstream::H1(H1Responder {
            stream: &self.stream,
            buffers: &self.worker.buffers,
            version: Version::Http11,
            to_head: false,
            keep_alive: false,
        });
        let pause = self.spec().timeouts.head.0;
        let to =
            respond::To { client: &mut client, wall: &self.worker.wall, deadline: &self.deadline, pause };
        let _ = respond::fault(fault, &Source::Empty, &[], to).await;
        self.linger().await;
        After::Close
    }

    /// Closes our side and reads on for a while: closing on unread bytes would reset the connection and
    /// take the answer with it (RFC 9112 section 9.6).
    async fn linger(&self) {
        self.deadline.set(LINGER);
        self.stream.shutdown(&self.deadline).await;
        let mut buffer = self.worker.buffers.small();
        let mut left = LINGER_BYTES;
        while left > 0 {
            match self.stream.read(buffer.room(), &self.deadline).await {
                Ok(count) => left = left.saturating_sub(count),
                Err(_) => return,
            }
        }
    }
}
