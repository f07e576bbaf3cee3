//! Makes the cache's tier in Redis, and tells the log what happens to it. It is started where the gateway is known
//! that it works for: `peers`.

use headgate_cache::redis::{Event, Redis, Settings, TlsFiles};
use headgate_model::spec::RedisSpec;
use headgate_observe::log::{self, Level};
use std::path::PathBuf;
use std::sync::Arc;

/// Room in a value for what stands before the content.
const HEAD_MAX: u64 = 1 << 20;

/// The tier, not yet started; None when the specification says no place, which was checked. `has_disk`: there is a
/// tier on disk too.
pub(crate) fn make(spec: &RedisSpec, has_disk: bool) -> Option<Arc<Redis>> {
    let place = spec.place().ok()?;
    let path = |path: &String| PathBuf::from(path);
    let tls = TlsFiles {
        ca: spec.tls.ca.as_ref().map(path),
        client: spec.tls.cert.as_ref().map(path).zip(spec.tls.key.as_ref().map(path)),
    };
    let settings = Settings {
        tls: place.encrypted.then_some(tls),
        host: place.host,
        port: place.port,
        database: place.database,
        user: spec.user.clone(),
        password: spec.password.clone(),
        prefix: spec.prefix.0.clone(),
        deadline: spec.deadline.0,
        max_value: spec.max_object.0 + HEAD_MAX,
    };
    let url = spec.url.clone();
    Some(Arc::new(Redis::new(settings, move |event| {
        if has_disk || !matches!(event, Event::CaughtUp { .. }) {
            tell(&url, event);
        }
    })))
}

fn tell(url: &str, event: &Event) {
    match event {
        Event::On { told } => {
            let fields: log::Fields<'_> = &[("url", &url), ("told", told)];
            log::event(Level::Info, "the cache's tier in Redis is on", fields);
        }
        Event::Off { error } => {
            let fields: log::Fields<'_> = &[("url", &url), ("error", error)];
            let message = "the cache's tier in Redis is off until it can be reached; purges wait for it";
            log::event(Level::Warn, message, fields);
        }
        Event::Paused { pause } => {
            let pause_s = pause.as_secs_f64();
            let fields: log::Fields<'_> = &[("url", &url), ("pause_s", &pause_s)];
            log::event(
                Level::Warn,
                "the cache's Redis fails or is late; it is not asked for a while",
                fields,
            );
        }
        Event::Resumed => {
            log::event(Level::Info, "the cache's Redis answers in time again", &[("url", &url)]);
        }
        Event::Doubted => {
            let message =
                "purges of other gateways may have been missed: what is in memory is asked about again";
            log::event(Level::Warn, message, &[("url", &url)]);
        }
        Event::CaughtUp { exact: true } => {
            let message = "the cache's tier on disk knows what others purged meanwhile, and is used";
            log::event(Level::Info, message, &[("exact", &true)]);
        }
        Event::CaughtUp { exact: false } => {
            let message =
                "it is not known what others purged meanwhile; the cache's tier on disk begins empty";
            log::event(Level::Warn, message, &[("exact", &false)]);
        }
        Event::Overflowed => {
            let message = "too many purges wait for Redis; they become one of everything";
            log::event(Level::Warn, message, &[("url", &url)]);
        }
    }
}
