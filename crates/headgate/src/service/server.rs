//! The serving side: accepts, queues, works, answers, and stops without breaking a request.

use super::ServiceOptions;
use super::behaviour::{Behaviour, Call, Stage, To};
use super::control;
use super::downstream::Downstream;
use super::pace::{Full, Pace, Part};
use super::query::Query;
use super::work::draw;
use bytes::Bytes;
use headgate_lab::rig::Command;
use headgate_model::dice::Dice;
use http_body_util::{BodyExt as _, Full as Whole};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Connections at once; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 16_384;
/// How long a stopping service lets requests finish.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// More is not sent, whatever is asked for.
const BODY_MAX: u64 = 64 << 20;
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// The running service.
#[derive(Debug)]
pub(super) struct Service {
    options: ServiceOptions,
    behaviour: Behaviour,
    served_by: HeaderValue,
    pace: Arc<Pace>,
    /// Sizes, fates, work and shares of calls: each aspect has its own.
    dice: Mutex<[Dice; 3]>,
    requests: AtomicU64,
    injected: Mutex<Injected>,
}

/// What was asked for by [`Command`]s.
#[derive(Clone, Debug, Default)]
struct Injected {
    fail: f64,
    delay: Duration,
    gateway: Option<Arc<Downstream>>,
}

/// Serves `listener` until `stop` resolves and what was in work is answered. `lines` are commands.
pub(super) async fn serve(
    listener: TcpListener,
    options: ServiceOptions,
    lines: Option<mpsc::Receiver<String>>,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let ramp = options.ramp;
    let service = Arc::new(Service::new(options)?);
    if let Some(lines) = lines {
        tokio::spawn(control::obey(service.clone(), lines));
    }
    if !ramp.is_zero() {
        let warming = service.clone();
        tokio::spawn(async move { warming.warm_up(ramp).await });
    }
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone(), stopped.clone()));
                }
                // Out of descriptors, or the client was gone before it was accepted: worth another try.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
    drop(listener);
    drop(stopping);
    let drained = async { while connections.join_next().await.is_some() {} };
    // What is not done by then is cut with the set.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

async fn connection(stream: TcpStream, service: Arc<Service>, mut stopped: watch::Receiver<()>) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(|request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    tokio::select! {
        // A client that breaks off is its own affair.
        _ = connection.as_mut() => return,
        // The sender says nothing: its end is the signal.
        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl Service {
    fn new(options: ServiceOptions) -> std::io::Result<Self> {
        let wrong = |why: String| Error::new(ErrorKind::InvalidInput, why);
        let share = |value: f64| (0.0..=1.0).contains(&value);
        if !share(options.error_rate) || !share(options.payload_jitter) {
            return Err(wrong("error rate and payload jitter are shares from 0 to 1".to_owned()));
        }
        let behaviour = match &options.replica {
            Some(replica) => Behaviour::from_replica(replica),
            None => Behaviour::from_flags(&options),
        };
        let behaviour = behaviour.map_err(wrong)?;
        let served_by = HeaderValue::from_str(&behaviour.name)
            .map_err(|_| wrong(format!("the name `{}` does not fit into a header", behaviour.name)))?;
        let dice = |aspect: u64| Dice::new(behaviour.seed.wrapping_add(aspect << 56));
        Ok(Self {
            served_by,
            pace: Pace::start(behaviour.cores, behaviour.speed, behaviour.places, behaviour.queue)?,
            dice: Mutex::new([dice(0), dice(1), dice(2)]),
            requests: AtomicU64::new(0),
            injected: Mutex::default(),
            behaviour,
            options,
        })
    }

    /// Does what was asked for; the answer, if there is more to say than that it is done.
    pub(super) fn obey(&self, command: Command) -> Result<String, String> {
        let mut injected = self.injected();
        match command {
            Command::Gateway(address) => injected.gateway = Some(Arc::new(Downstream::gateway(address))),
            Command::Fail(share) => injected.fail = share,
            Command::Delay(delay) => injected.delay = delay,
            Command::Speed(share) => self.pace.set_speed(Part::Fault, share),
            Command::Usage => {
                return serde_json::to_string(&self.pace.usage()).map_err(|error| error.to_string());
            }
        }
        Ok(String::new())
    }

    /// Raises the speed from a tenth to all of it.
    async fn warm_up(&self, ramp: Duration) {
        const STEPS: u32 = 50;
        for step in 0..STEPS {
            self.pace.set_speed(Part::Ramp, 0.1 + 0.9 * f64::from(step) / f64::from(STEPS));
            self.pace.pause(ramp / STEPS).await;
        }
        self.pace.set_speed(Part::Ramp, 1.0);
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Whole<Bytes>> {
        if request.uri().path() == "/healthz" {
            return self.response(StatusCode::OK, "text/plain", Bytes::from_static(b"ok\n"));
        }
        let (head, mut body) = request.into_parts();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let why = Bytes::from_static(b"the body broke off\n");
                return self.response(StatusCode::BAD_REQUEST, "text/plain", why);
            };
            received += frame.data_ref().map_or(0, Bytes::len);
        }
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        let drawn = draw(&self.options, &mut self.dice()[0]);
        let query = Query::of(&head.uri);
        let cause = Cause { method: head.method, headers: head.headers, query };
        let service = self.clone();
        // A task of its own: whoever gives up waiting does not stop the work, as in most services.
        let worked = tokio::spawn(async move { service.serve_call(&cause, drawn.fails).await }).await;
        let failed = |why: String| Failed { status: StatusCode::INTERNAL_SERVER_ERROR, why };
        let done = worked.unwrap_or_else(|panicked| Err(failed(panicked.to_string())));
        let (status, work_ns, error) = match done {
            Ok(work_ns) => (StatusCode::OK, work_ns, None),
            Err(Failed { status, why }) => (status, 0, Some(why)),
        };
        if self.behaviour.replica.is_some() {
            let body = error.map_or_else(|| filler(query.bytes), Bytes::from);
            return self.response(status, "application/octet-stream", body);
        }
        let text = self.json(number, received, work_ns, drawn.bytes, error.as_deref());
        self.response(status, "application/json", Bytes::from(text))
    }

    /// A call from its arrival to its answer, the ways there and back included; the work that it took.
    async fn serve_call(&self, cause: &Cause, fails: bool) -> Result<u64, Failed> {
        let injected = self.injected().clone();
        let one_way = self.behaviour.one_way(cause.query.zone) + injected.delay;
        self.pace.pause(one_way).await;
        let served = if injected.fail > 0.0 && self.dice()[2].unit() < injected.fail {
            Err(Failed::error("an error as asked for"))
        } else {
            match self.pace.enter().await {
                Err(Full) => Err(Failed {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    why: "the queue is full".to_owned(),
                }),
                Ok(()) => {
                    let done = self.stages(cause).await;
                    // Held until here, as a thread of a thread pool would be.
                    self.pace.leave();
                    done
                }
            }
        };
        self.pace.pause(one_way).await;
        if fails { served.and(Err(Failed::error("an error as asked for"))) } else { served }
    }

    async fn stages(&self, cause: &Cause) -> Result<u64, Failed> {
        let mut all_ns: u64 = 0;
        for (index, stage) in self.behaviour.stages.iter().enumerate() {
            match stage {
                Stage::Work(sampler) => {
                    let mut work_ns = sampler.sample(&mut self.dice()[1]);
                    if index == 0 {
                        let kib = cause.query.size >> 10;
                        work_ns = work_ns.saturating_add(self.behaviour.work_per_kib_ns.saturating_mul(kib));
                    }
                    all_ns = all_ns.saturating_add(work_ns);
                    self.pace.work(work_ns).await;
                }
                Stage::Calls(calls) => self.call(calls, cause).await?,
            }
        }
        Ok(all_ns)
    }

    /// All calls at once; the first failure that matters, when all have answered.
    async fn call(&self, calls: &[Call], cause: &Cause) -> Result<(), Failed> {
        let mut under_way = JoinSet::new();
        for call in calls {
            if call.share < 1.0 && self.dice()[2].unit() >= call.share {
                continue;
            }
            let (optional, headers) = (call.optional, cause.headers.clone());
            match &call.to {
                To::Url(peer) => {
                    let peer = peer.clone();
                    under_way.spawn(async move { (optional, peer.call(&headers).await) });
                }
                To::Service(name) => {
                    let Some(gateway) = self.injected().gateway.clone() else {
                        return Err(Failed::error("no gateway was named to call other services through"));
                    };
                    let zone = self.behaviour.replica.as_ref().map_or(0, |replica| replica.zone);
                    let path = cause.query.onward(name, zone);
                    let method = cause.method.clone();
                    under_way.spawn(async move { (optional, gateway.ask(method, &path, &headers).await) });
                }
            }
        }
        let mut failed = None;
        while let Some(call) = under_way.join_next().await {
            match call {
                Ok((true, _) | (_, Ok(()))) => {}
                Ok((false, Err(why))) => failed = failed.or(Some(why)),
                Err(panicked) => failed = failed.or(Some(panicked.to_string())),
            }
        }
        // As in the simulator, a replica answers 500; a service that stands alone says that another one failed.
        let status = match self.behaviour.replica {
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
            None => StatusCode::BAD_GATEWAY,
        };
        failed.map_or(Ok(()), |why| Err(Failed { status, why }))
    }

    fn dice(&self) -> MutexGuard<'_, [Dice; 3]> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn injected(&self) -> MutexGuard<'_, Injected> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened, padded to the drawn size where it is shorter.
    fn json(&self, number: u64, received: usize, work_ns: u64, bytes: usize, error: Option<&str>) -> String {
        let (inside, waiting) = self.pace.load();
        let fields = serde_json::json!({
            "service": self.behaviour.name,
            "request": number,
            "received_bytes": received,
            "work_us": work_ns / 1_000,
            "in_work": inside,
            "waiting": waiting,
            "downstream_calls": self.options.downstream.len(),
            "error": error,
        });
        let mut text = fields.to_string();
        let (before, after) = (",\"padding\":\"", "\"}\n");
        let padding = bytes.saturating_sub(text.len() - 1 + before.len() + after.len());
        text.pop();
        text.push_str(before);
        text.extend(std::iter::repeat_n('.', padding));
        text.push_str(after);
        text
    }

    fn response(&self, status: StatusCode, kind: &'static str, body: Bytes) -> Response<Whole<Bytes>> {
        let mut response = Response::new(Whole::new(body));
        *response.status_mut() = status;
        response.headers_mut().insert(SERVED_BY, self.served_by.clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.pace.end();
    }
}

/// What a call was asked for with.
struct Cause {
    method: Method,
    headers: HeaderMap,
    query: Query,
}

/// How a call failed.
#[derive(Debug)]
struct Failed {
    status: StatusCode,
    why: String,
}

impl Failed {
    fn error(why: &str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, why: why.to_owned() }
    }
}

/// So many bytes without meaning.
fn filler(bytes: u64) -> Bytes {
    static FILLER: [u8; 64 * 1024] = [b'.'; 64 * 1024];
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= FILLER.len() => Bytes::from_static(&FILLER[..bytes]),
        _ => Bytes::from(vec![b'.'; bytes.min(BODY_MAX) as usize]),
    }
}

#[cfg(test)]
mod tests;
