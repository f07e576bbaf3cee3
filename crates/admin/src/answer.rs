//! What each admin path answers. It parses no bytes, keeps no connections, and changes nothing but through
//! [`State`].

use crate::effective::config_text;
use crate::journal;
use crate::sample::Looks;
use crate::site::{Refusal, check_host, check_origin};
use crate::{Admin, ChaosAsk, ChaosRefusal, State};
use bytes::Bytes;
use headgate_observe::exposition;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A longer request body is refused.
const BODY_MAX: usize = 1 << 20;
/// Expositions that may be in memory at once: with many routes, one has tens of megabytes.
const SCRAPES_MAX: usize = 4;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const TOML: &str = "application/toml";

const PATHS: [(&str, Page, &str); 12] = [
    ("/", Page::Index, "this list"),
    ("/metrics", Page::Metrics, "metrics in the Prometheus text format"),
    ("/healthz", Page::Alive, "200 while the process is alive"),
    ("/readyz", Page::Ready, "200 while new traffic is welcome, else 503 with the reason"),
    ("/top", Page::Top, "rates and percentiles of the last second, as JSON; headgate top draws them"),
    (
        "/journal",
        Page::Journal,
        "decisions and why, as JSON; ?policy=, ?about=, ?since=1h, ?limit=100; headgate why reads them",
    ),
    ("/config", Page::Config, "the configuration in force, without secrets"),
    ("/reload", Page::Reload, "loads the configuration again; 422 with what is wrong with it"),
    (
        "/cache/purge",
        Page::Purge,
        "takes responses out of the cache: POST {\"url\": ...}, or prefix, tag, everything; soft makes them stale",
    ),
    ("/cache/curve", Page::Curve, "what more memory would save, or less, as JSON; headgate cache draws it"),
    (
        "/guard",
        Page::Guard,
        "where learned policies stand, as JSON; POST {\"policy\": ..., \"mode\": off, shadow or on}, or share_percent",
    ),
    (
        "/chaos",
        Page::Chaos,
        "the faults that are injected; POST adds a rule, DELETE removes all, or /chaos/NAME",
    ),
];

const NO_CURVE: &str = "there is no curve: it is drawn with eviction = \"adaptive\" in [cache], also where its guard has the \
    mode \"shadow\", once the cache has seen some hundred requests";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Index,
    Metrics,
    Alive,
    Ready,
    Top,
    Journal,
    Config,
    Reload,
    Purge,
    Curve,
    Guard,
    Chaos,
    /// One chaos rule.
    ChaosRule,
}

impl Page {
    fn methods(self) -> &'static [Method] {
        match self {
            Self::Reload | Self::Purge => &[Method::POST],
            Self::Chaos => &[Method::GET, Method::HEAD, Method::POST, Method::DELETE],
            Self::Guard => &[Method::GET, Method::HEAD, Method::POST],
            Self::ChaosRule => &[Method::DELETE],
            _ => &[Method::GET, Method::HEAD],
        }
    }

    /// The page at `path`.
    fn at(path: &str) -> Option<Self> {
        if path.strip_prefix(CHAOS_RULE).is_some_and(|name| !name.is_empty()) {
            return Some(Self::ChaosRule);
        }
        PATHS.iter().find(|(known, _, _)| *known == path).map(|&(_, page, _)| page)
    }
}

/// Before the name of a rule.
const CHAOS_RULE: &str = "/chaos/";

/// What the answers are made from.
pub(crate) struct Desk {
    admin: Admin,
    looks: Looks,
    scrapes: Arc<Semaphore>,
}

impl Desk {
    pub(crate) fn new(admin: Admin, looks: Looks) -> Self {
        Self { admin, looks, scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)) }
    }

    async fn metrics(&self) -> Answer {
        // It is never closed; without a permit the exposition would only be unbounded.
        let place = Arc::clone(&self.scrapes).acquire_owned().await.ok();
        self.admin.process.refresh();
        self.admin.state.refresh_metrics();
        let mut text = String::new();
        exposition::write(&self.admin.registry.gather(), &mut text);
        respond(StatusCode::OK, exposition::CONTENT_TYPE, Bytes::from_owner(Scrape { text, _place: place }))
    }

    async fn top(&self) -> Answer {
        match self.looks.latest().await {
            Some(look) => respond(StatusCode::OK, JSON, look),
            None => say(StatusCode::SERVICE_UNAVAILABLE, "the sampler has ended; see the log"),
        }
    }

    fn journal(&self, query: &str) -> Answer {
        let query = match journal::parse(query, SystemTime::now()) {
            Ok(query) => query,
            Err(why) => return say(StatusCode::BAD_REQUEST, &why),
        };
        match serde_json::to_vec(&self.admin.journal.page(&query)) {
            Ok(page) => respond(StatusCode::OK, JSON, page.into()),
            Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    fn config(&self) -> Answer {
        match config_text(&self.admin.state.config()) {
            Ok(text) => respond(StatusCode::OK, TOML, text.into()),
            Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// A rendered exposition. It keeps its place until its last byte is sent or given up.
struct Scrape {
    text: String,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Scrape {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) async fn answer(desk: &Desk, request: Request<Incoming>) -> Answer {
    let config = desk.admin.state.config();
    let hosts = config.admin.as_ref().map_or(&[][..], |admin| &admin.hosts);
    let page = Page::at(request.uri().path());
    // Health checkers may speak HTTP/1.0, which knows no Host; browsers never do.
    let is_check = matches!(page, Some(Page::Alive | Page::Ready))
        && request.version() == Version::HTTP_10
        && !request.headers().contains_key(HOST);
    if !is_check && let Err(refusal) = check_host(request.uri(), request.headers(), hosts) {
        return refuse(&refusal);
    }
    let Some(page) = page else {
        return say(StatusCode::NOT_FOUND, "no such page; / lists what there is");
    };
    if !page.methods().contains(request.method()) {
        return not_allowed(page);
    }
    // What changes something comes from no other site's page.
    if !matches!(*request.method(), Method::GET | Method::HEAD)
        && let Err(refusal) = check_origin(request.headers())
    {
        return refuse(&refusal);
    }
    let state = &desk.admin.state;
    match page {
        Page::Index => say(StatusCode::OK, &index()),
        Page::Metrics => desk.metrics().await,
        Page::Alive => say(StatusCode::OK, "alive"),
        Page::Ready => match state.ready() {
            Ok(()) => say(StatusCode::OK, "ready"),
            Err(reason) => say(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {reason}")),
        },
        Page::Top => desk.top().await,
        Page::Journal => desk.journal(request.uri().query().unwrap_or_default()),
        Page::Config => desk.config(),
        Page::Reload => reload(&**state, request.into_body()).await,
        Page::Purge => purge(&**state, request.into_body()).await,
        Page::Curve => match state.cache_curve() {
            Some(curve) => respond(StatusCode::OK, JSON, curve.into()),
            None => say(StatusCode::NOT_FOUND, NO_CURVE),
        },
        Page::Guard => guard(&**state, request).await,
        Page::Chaos | Page::ChaosRule => chaos(&**state, request).await,
    }
}

async fn guard(state: &dyn State, request: Request<Incoming>) -> Answer {
    if *request.method() != Method::POST {
        return respond(StatusCode::OK, JSON, state.guards().into());
    }
    match collect(request.into_body()).await.map(|text| state.set_guard(&text)) {
        Ok(Ok(done)) => say(StatusCode::OK, &done),
        Ok(Err(why)) => say(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Err(refusal) => refuse(&refusal),
    }
}

async fn chaos(state: &dyn State, request: Request<Incoming>) -> Answer {
    let name = request.uri().path().strip_prefix(CHAOS_RULE).map(str::to_owned);
    let method = request.method().clone();
    let body = match collect(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return refuse(&refusal),
    };
    let ask = match (method, name) {
        (Method::DELETE, Some(name)) => ChaosAsk::Remove(name),
        (Method::DELETE, None) => ChaosAsk::Clear,
        (Method::POST, _) => ChaosAsk::Add(body),
        _ => ChaosAsk::List,
    };
    let lists = ask == ChaosAsk::List;
    match tokio::spawn(state.chaos(ask)).await {
        Ok(Ok(rules)) if lists => respond(StatusCode::OK, JSON, rules.into()),
        Ok(Ok(done)) => say(StatusCode::OK, &done),
        Ok(Err(ChaosRefusal::Unknown(why))) => say(StatusCode::NOT_FOUND, &why),
        Ok(Err(ChaosRefusal::Conflict(why))) => say(StatusCode::CONFLICT, &why),
        Ok(Err(ChaosRefusal::Faulty(why))) => say(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Ok(Err(ChaosRefusal::Failed(why))) => say(StatusCode::INTERNAL_SERVER_ERROR, &why),
        Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "the rules were not changed; see the log"),
    }
}

async fn purge(state: &dyn State, body: Incoming) -> Answer {
    let text = match collect(body).await {
        Ok(text) => text,
        Err(refusal) => return refuse(&refusal),
    };
    match tokio::spawn(state.purge(text)).await {
        Ok(Ok(done)) => say(StatusCode::OK, &done),
        Ok(Err(why)) => say(StatusCode::UNPROCESSABLE_ENTITY, &why),
        Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "the purge failed; see the log"),
    }
}

async fn reload(state: &dyn State, body: Incoming) -> Answer {
    // It means nothing here; unread, closing the connection would reset the answer away.
    if let Err(refusal) = collect(body).await {
        return refuse(&refusal);
    }
    // In a task of its own a reload ends as it should when the client goes away.
    match tokio::spawn(state.reload()).await {
        Ok(Ok(summary)) => say(StatusCode::OK, &summary),
        Ok(Err(faults)) => say(StatusCode::UNPROCESSABLE_ENTITY, &faults),
        Err(_) => say(StatusCode::INTERNAL_SERVER_ERROR, "the reload failed; see the log"),
    }
}

/// Reads a whole body.
async fn collect(body: Incoming) -> Result<Vec<u8>, Refusal> {
    let too_large =
        Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, reason: "the body is larger than 1 MiB" };
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(too_large);
    }
    let mut body = Limited::new(body, BODY_MAX);
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => all.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => {
                let broken = Refusal { status: StatusCode::BAD_REQUEST, reason: "the body is broken" };
                return Err(if error.is::<LengthLimitError>() { too_large } else { broken });
            }
        }
    }
    Ok(all)
}

fn index() -> String {
    let mut text = "Headgate\n\n".to_owned();
    for (path, page, about) in PATHS {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{:<5}{path:<14}{about}", page.methods()[0].as_str());
    }
    text
}

fn not_allowed(page: Page) -> Answer {
    let allowed = page.methods().iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut answer = say(StatusCode::METHOD_NOT_ALLOWED, &format!("this page answers {allowed}"));
    if let Ok(allowed) = HeaderValue::try_from(allowed) {
        answer.headers_mut().insert(ALLOW, allowed);
    }
    answer
}

fn refuse(refusal: &Refusal) -> Answer {
    say(refusal.status, refusal.reason)
}

/// Plain text that ends with a line feed.
fn say(status: StatusCode, text: &str) -> Answer {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    respond(status, TEXT, format!("{text}{end}").into())
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    const HEADERS: [(HeaderName, &str); 2] =
        [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    for (name, value) in HEADERS.into_iter().chain([(CONTENT_TYPE, content_type)]) {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
