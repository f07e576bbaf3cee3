//! The serving side: accepts, queues, works, answers, and stops without breaking a request.

use super::ServiceOptions;
use super::downstream::Downstream;
use super::work::{Work, draw};
use bytes::Bytes;
use headgate_model::dice::Dice;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 16_384;
/// How long a stopping service lets requests finish.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

#[derive(Debug)]
struct Service {
    options: ServiceOptions,
    served_by: HeaderValue,
    downstream: Vec<Arc<Downstream>>,
    dice: Mutex<Dice>,
    places: Semaphore,
    waiting: AtomicUsize,
    requests: AtomicU64,
}

/// Serves `listener` until `stop` resolves and what was in work is answered.
pub(super) async fn serve(
    listener: TcpListener,
    options: ServiceOptions,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let service = Arc::new(Service::new(options).map_err(|why| Error::new(ErrorKind::InvalidInput, why))?);
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
    fn new(options: ServiceOptions) -> Result<Self, String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        if !share(options.error_rate) || !share(options.payload_jitter) {
            return Err("error rate and payload jitter are shares from 0 to 1".to_owned());
        }
        if !options.variation.is_finite() || options.variation < 0.0 {
            return Err("the variation of the service time is zero or more".to_owned());
        }
        if options.concurrency == 0 || options.concurrency > Semaphore::MAX_PERMITS {
            return Err("the concurrency is at least 1".to_owned());
        }
        let downstream = options.downstream.iter().map(|url| Downstream::new(url).map(Arc::new));
        Ok(Self {
            served_by: HeaderValue::from_str(&options.name)
                .map_err(|_| format!("the name `{}` does not fit into a header", options.name))?,
            downstream: downstream.collect::<Result<_, _>>()?,
            dice: Mutex::new(Dice::new(options.seed)),
            places: Semaphore::new(options.concurrency),
            waiting: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            options,
        })
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() == "/healthz" {
            return self.response(StatusCode::OK, "text/plain", "ok\n".to_owned());
        }
        let (head, mut body) = request.into_parts();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return self.response(
                    StatusCode::BAD_REQUEST,
                    "text/plain",
                    "the body broke off\n".to_owned(),
                );
            };
            received += frame.data_ref().map_or(0, Bytes::len);
        }
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        let work = draw(&self.options, &mut self.dice.lock().unwrap_or_else(PoisonError::into_inner));
        let (status, error) = match self.work(work, &head.headers).await {
            Ok(()) => (StatusCode::OK, None),
            Err((status, why)) => (status, Some(why)),
        };
        let text = self.json(number, received, work, error.as_deref());
        self.response(status, "application/json", text)
    }

    /// Waits for a place, works for the drawn time, calls on. The place is held all the while, as a thread of
    /// a thread pool would be.
    async fn work(&self, work: Work, cause: &HeaderMap) -> Result<(), (StatusCode, String)> {
        let _place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                let _waiting = Waiting::enter(&self.waiting, self.options.queue)
                    .ok_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "the queue is full".to_owned()))?;
                let place = self.places.acquire().await;
                place.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "stopping".to_owned()))?
            }
        };
        if work.time > Duration::ZERO {
            tokio::time::sleep(work.time).await;
        }
        self.call(cause).await.map_err(|why| (StatusCode::BAD_GATEWAY, why))?;
        if work.fails {
            return Err((StatusCode::INTERNAL_SERVER_ERROR, "an error as asked for".to_owned()));
        }
        Ok(())
    }

    async fn call(&self, cause: &HeaderMap) -> Result<(), String> {
        if !self.options.parallel {
            for downstream in &self.downstream {
                downstream.call(cause).await?;
            }
            return Ok(());
        }
        let mut calls = JoinSet::new();
        for downstream in &self.downstream {
            let (downstream, cause) = (downstream.clone(), cause.clone());
            calls.spawn(async move { downstream.call(&cause).await });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap_or_else(|error| Err(error.to_string()))?;
        }
        Ok(())
    }

    /// What happened, padded to the drawn size where it is shorter.
    fn json(&self, number: u64, received: usize, work: Work, error: Option<&str>) -> String {
        let fields = serde_json::json!({
            "service": self.options.name,
            "request": number,
            "received_bytes": received,
            "work_us": work.time.as_micros() as u64,
            "in_work": self.options.concurrency - self.places.available_permits(),
            "waiting": self.waiting.load(Relaxed),
            "downstream_calls": self.downstream.len(),
            "error": error,
        });
        let mut text = fields.to_string();
        let (before, after) = (",\"padding\":\"", "\"}\n");
        let padding = work.bytes.saturating_sub(text.len() - 1 + before.len() + after.len());
        text.pop();
        text.push_str(before);
        text.extend(std::iter::repeat_n('.', padding));
        text.push_str(after);
        text
    }

    fn response(&self, status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(SERVED_BY, self.served_by.clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

/// One request in the queue; leaves it also when its client gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        count.fetch_update(Relaxed, Relaxed, |now| (now < limit).then_some(now + 1)).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;
