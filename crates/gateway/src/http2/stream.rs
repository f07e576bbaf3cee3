//! One stream: one request and its response, in a task of its own that ends when the client gives up.

use super::Client;
use crate::crew::Task;
use crate::exchange::{Exchange, Finish, Timers};
use crate::phases;
use crate::record::{self, Record};
use crate::respond;
use crate::tunnel::Tunnel;
use crate::view::View;
use crate::websocket::Handshake;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use headgate_model::fault::{Fault, FaultKind};
use headgate_net::body::{H2Source, Received, Side, Source};
use headgate_net::downstream::{ClientStream, Downstream, H2Responder};
use headgate_net::h1::parse::HeadLimits;
use headgate_net::h2_head::{opens_websocket, render_request};
use headgate_net::head::{Body, Method};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// A request whose answer is due.
pub(crate) struct Asked {
    under_way: UnderWay,
    view: Rc<View>,
    listener: usize,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

/// Has `request` answered.
pub(super) fn start(
    client: &Rc<Client>,
    view: &Rc<View>,
    listener: usize,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let (under_way, view) = (UnderWay::begin(client), Rc::clone(view));
    client.streams.start(Asked { under_way, view, listener, request, respond });
}

impl Task for Asked {
    async fn run(self) {
        let Self { under_way, view, listener, request, respond } = self;
        let client = &under_way.client;
        let stream = ClientStream::new(respond);
        let ended = serve(client, &view, listener, request, &stream).await;
        match ended {
            Ended::Answered => client.resets.borrow_mut().finished(),
            Ended::GivenUp => client.resets.borrow_mut().given_up(client.worker.now()),
            Ended::Switched(tunnel, received) => {
                client.resets.borrow_mut().finished();
                let idle = view.snapshot.listeners[listener].spec.timeouts.tunnel.0;
                // A tunnel may outlive many configurations and needs nothing more of its own.
                drop(view);
                let worker = &client.worker;
                let deadline = worker.deadlines.deadline();
                tunnel.run_on_stream(&stream, received, &worker.buffers, &deadline, idle).await;
            }
        }
    }
}

/// What became of a request.
enum Ended {
    Answered,
    /// The client reset the stream before it was answered.
    GivenUp,
    /// The stream carries another protocol from here on; the client's part of it comes in here.
    Switched(Box<Tunnel>, Rc<Received>),
}

/// A stream that counts as under way, however its task ends.
struct UnderWay {
    client: Rc<Client>,
}

impl UnderWay {
    fn begin(client: &Rc<Client>) -> Self {
        client.active.set(client.active.get() + 1);
        Self { client: Rc::clone(client) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.client.active.set(self.client.active.get() - 1);
        if let Some(connection) = self.client.connection.take() {
            connection.wake();
        }
    }
}

/// Answers the request.
async fn serve(
    client: &Client,
    view: &Rc<View>,
    listener: usize,
    request: http::Request<RecvStream>,
    stream: &ClientStream,
) -> Ended {
    let worker = &client.worker;
    let spec = &view.snapshot.listeners[listener].spec;
    let (download, upload) = (worker.deadlines.deadline(), worker.deadlines.deadline());
    let (parts, content) = request.into_parts();
    let mut head = worker.buffers.request();
    let limits = HeadLimits {
        head_bytes: spec.limits.head.0 as usize,
        fields: spec.limits.headers as usize,
        target_bytes: spec.limits.uri.0 as usize,
    };
    let websocket = opens_websocket(&parts).then(|| Handshake::new(&mut worker.dice.borrow_mut()));
    let key = websocket.as_ref().map(Handshake::key);
    let rendered = render_request(&parts, content.is_end_stream(), &limits, key, &mut head);
    drop(parts);
    let to_head = head.line.method == Method::Head;
    let mut to_client = Downstream::H2(H2Responder { stream, to_head });
    if let Err(fault) = rendered {
        worker.faults.record(fault.kind);
        view.listeners[listener].metrics.bad_request(fault.kind);
        record::tell_unread(worker, view, &client.peer, fault.kind);
        let pause = spec.timeouts.body.0;
        let to = respond::To { client: &mut to_client, wall: &worker.wall, deadline: &download, pause };
        // A client that does not take it is told nothing else.
        let _ = respond::fault(&fault, &Source::Empty, &[], to).await;
        return Ended::Answered;
    }
    let body_limit = spec.limits.body.0;
    let (mut body, received) = match head.line.body {
        Body::None if websocket.is_some() => (Source::Empty, Some(client.backlog.receive(content))),
        Body::None => (Source::Empty, None),
        _ => (Source::H2(H2Source::new(client.backlog.receive(content), Side::Client, body_limit)), None),
    };
    let timers = Timers { upload: &upload, download: &download };
    let mut x = Exchange::begin(worker, view, listener, &client.peer, &head, timers);
    x.websocket = websocket.as_ref();
    let mut record = Record::default();
    let finished = {
        let mut answered = pin!(async {
            match head.line.body {
                Body::Length(length) if body_limit > 0 && length > body_limit => {
                    let fault =
                        Fault::new(FaultKind::BodyTooLarge, "the declared body is longer than the limit");
                    phases::refuse(&x, fault, &body, &mut to_client, &mut record).await
                }
                _ => phases::run(&mut x, &mut body, &mut to_client, &mut record).await,
            }
        });
        poll_fn(|cx| match answered.as_mut().poll(cx) {
            Poll::Ready(finish) => Poll::Ready(Some(finish)),
            Poll::Pending => stream.poll_reset(cx).map(|()| None),
        })
        .await
    };
    if finished.is_none() {
        worker.faults.record(FaultKind::ClientClosed);
        record.fault = Some(FaultKind::ClientClosed);
        if record.status == 0 {
            record.status = FaultKind::ClientClosed.status();
        }
        record.conclude(&x, &body);
    }
    record.finish(worker, view, x.started);
    match (finished, received) {
        (Some(Finish::Switched(tunnel)), Some(received)) => Ended::Switched(tunnel, received),
        (Some(_), _) => Ended::Answered,
        (None, _) => Ended::GivenUp,
    }
}
