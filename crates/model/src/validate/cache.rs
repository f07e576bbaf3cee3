//! Checks of the cache, and of what routes want of it.

use super::Report;
use super::service::tls_files;
use crate::place::Place;
use crate::spec::{
    CacheChoice, CacheSpec, Config, EvictionPolicy, GuardMode, PrefetchSpec, RedisSpec, RedisTls, RouteCache,
};

/// A cache below this holds next to nothing.
const MEMORY_MIN: u64 = 1 << 20;
/// With less, what is learned is forgotten before it is of use.
const LEARNER_MIN: u64 = 4 << 20;
/// A tier on disk has 16 segments at least, of 1 MiB each.
const DISK_MIN: u64 = 16 << 20;
/// A value in Redis may have 512 MiB, with all that stands before the content.
const REDIS_VALUE_MAX: u64 = 256 << 20;

pub(super) fn check(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    let (cache, at) = (&config.cache, root.get("cache"));
    if cache.memory.0 < MEMORY_MIN {
        report.error(
            &at.get("memory"),
            "too small: at least \"1MiB\"; to cache nothing leave `cache` out of the routes",
        );
    }
    check_eviction(cache, &at, report);
    let max_object = at.get("max_object");
    if max_object.exists() && cache.max_object.0 > cache.memory.0 {
        report.error(&max_object, "larger than `memory`: no such response could be stored");
    }
    report.positive(cache.collapse_wait, &at.get("collapse_wait"));
    report.at_least_one(cache.collapse_max.0, &at.get("collapse_max"));
    if !cache.status_name.0.is_empty() {
        report.token(&cache.status_name.0, "name", &at.get("status_name"));
    }
    if let Some(disk) = &cache.disk {
        let at = at.get("disk");
        report.file(&disk.path, &at.get("path"));
        if disk.size.0 < DISK_MIN {
            report.error(&at.get("size"), "too small: at least \"16MiB\"");
        }
        if disk.min_object.0 > cache.max_object.0 {
            report.error(&at.get("min_object"), "larger than `max_object`: no response would be kept there");
        }
        report.positive(disk.deadline, &at.get("deadline"));
    }
    if let Some(redis) = &cache.redis {
        check_redis(redis, cache.max_object.0, &at.get("redis"), report);
    }
    check_prefetch(&cache.prefetch, &at.get("prefetch"), report);
    for (index, route) in config.routes.iter().enumerate() {
        let at = root.get("route").at(index).get("cache");
        if at.exists() && route.service.is_none() {
            report.error(&at, "`cache` has no effect without `service`");
        }
        if let Some(CacheChoice::Full(settings)) = &route.cache {
            check_route(settings, &at, report);
        }
    }
}

fn check_redis(redis: &RedisSpec, max_object: u64, at: &Place<'_>, report: &mut Report<'_>) {
    let place = redis.place();
    if let Err((wrong, instead)) = place {
        report.error_with(&at.get("url"), wrong, instead);
    }
    let (tls, at_tls) = (&redis.tls, at.get("tls"));
    tls_files([&tls.ca, &tls.cert, &tls.key], &at_tls, report);
    if *tls != RedisTls::default() && place.is_ok_and(|place| !place.encrypted) {
        report.error_with(&at_tls, "has no effect without TLS", "write rediss:// in `url`");
    }
    if redis.user.is_some() && redis.password.is_none() {
        report.error_with(&at.get("user"), "a user without a password", "write `password` beside it");
    }
    report.token(&redis.prefix.0, "name", &at.get("prefix"));
    report.positive(redis.deadline, &at.get("deadline"));
    if redis.min_object.0 > redis.max_object.0.min(max_object) {
        report.error(&at.get("min_object"), "larger than `max_object`: no response would be kept there");
    }
    if redis.max_object.0 > REDIS_VALUE_MAX {
        report.error(&at.get("max_object"), "too large: at most \"256MiB\"");
    }
}

fn check_eviction(cache: &CacheSpec, at: &Place<'_>, report: &mut Report<'_>) {
    if cache.eviction != EvictionPolicy::Adaptive {
        for name in ["goal", "guard", "memory_max"] {
            if at.get(name).exists() {
                report
                    .error(&at.get(name), format!("`{name}` has no effect without eviction = \"adaptive\""));
            }
        }
        return;
    }
    let guard = cache.guard();
    if cache.memory_max.is_some_and(|most| most.0 < cache.memory.0) {
        report.error(
            &at.get("memory_max"),
            "smaller than `memory`, which is the least that the cache may have",
        );
    }
    if cache.memory_max.is_some() && (guard.a_a || guard.mode == GuardMode::Off) {
        let message = "there is no curve to size the memory by where the guard is off or tests itself";
        report.error(&at.get("memory_max"), message);
    }
    let at = at.get("guard");
    if guard.baseline == EvictionPolicy::Adaptive {
        report.error_with(
            &at.get("baseline"),
            "it would be held against itself",
            "name a plain policy, like \"s3fifo\"",
        );
    }
    report.range(guard.share_percent, 1.0..=99.0, &at.get("share_percent"));
    report.positive(guard.window, &at.get("window"));
}

fn check_route(settings: &RouteCache, at: &Place<'_>, report: &mut Report<'_>) {
    if settings.only_query.is_some() && !settings.ignore_query.is_empty() {
        let message = "`only_query` names all parameters that count; what else is ignored follows from it";
        report.error(&at.get("ignore_query"), message);
    }
    report.range(settings.early_refresh, 0.0..=10.0, &at.get("early_refresh"));
    if let Some(identity) = &settings.identity {
        check_identity(identity, &at.get("identity"), report);
    }
}

fn check_identity(identity: &str, place: &Place<'_>, report: &mut Report<'_>) {
    match identity.split_once(':') {
        Some(("header" | "cookie", name)) => report.token(name, "name", place),
        _ => report.error_with(place, "not an identity", "write \"header:x-user\" or \"cookie:session\""),
    }
}

fn check_prefetch(prefetch: &PrefetchSpec, at: &Place<'_>, report: &mut Report<'_>) {
    report.range(prefetch.max_extra, 0.0..=1.0, &at.get("max_extra"));
    report.at_least_one(prefetch.concurrency.0, &at.get("concurrency"));
    if let Some(session) = &prefetch.session {
        check_identity(session, &at.get("session"), report);
    }
    if prefetch.memory.0 < LEARNER_MIN {
        report.error(&at.get("memory"), "too small: at least \"4MiB\"");
    }
    report.positive(prefetch.horizon, &at.get("horizon"));
    report.positive(prefetch.window, &at.get("window"));
}
