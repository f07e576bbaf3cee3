//! Checks of a service's policies: balancing, health, retries, breaker, bulkhead, fallback.

use super::Report;
use crate::place::Place;
use crate::spec::{Balance, BalancePolicy, Config, Fallback, HashKey, Health, HealthKind, ServiceSpec};

/// Long enough that the signature cannot be guessed: 128 bits.
const MIN_SECRET_BYTES: usize = 16;

pub(super) fn check(service: &ServiceSpec, at: &Place<'_>, report: &mut Report<'_>) {
    if let Some(balance) = &service.balance {
        self::balance(balance, &at.get("balance"), report);
    }
    if let Some(sticky) = &service.sticky {
        let at = at.get("sticky");
        report.token(&sticky.cookie, "cookie name", &at.get("cookie"));
        if sticky.secret.len() < MIN_SECRET_BYTES {
            report.error(&at.get("secret"), format!("the secret is shorter than {MIN_SECRET_BYTES} bytes"));
        }
    }
    if let Some(health) = &service.health {
        self::health(health, &at.get("health"), report);
    }
    if let Some(outlier) = &service.outlier {
        let at = at.get("outlier");
        report.range(outlier.failure_percent, 0..=100, &at.get("failure_percent"));
        report.range(outlier.max_ejected_percent, 0..=100, &at.get("max_ejected_percent"));
        report.range(outlier.panic_percent, 0..=100, &at.get("panic_percent"));
        report.positive(outlier.interval, &at.get("interval"));
        report.positive(outlier.ejection, &at.get("ejection"));
    }
    resilience(service, at, report);
}

fn balance(balance: &Balance, at: &Place<'_>, report: &mut Report<'_>) {
    let Balance::Full { policy, key, bounded_load } = balance else { return };
    let hashes =
        matches!(policy, BalancePolicy::RingHash | BalancePolicy::Maglev | BalancePolicy::Rendezvous);
    match key {
        Some(_) if !hashes => {
            let help = "ring_hash, maglev and rendezvous hash the request";
            report.error_with(&at.key("key"), "`key` has no effect with this policy", help);
        }
        Some(HashKey::Header(name)) => report.token(name, "header name", &at.get("key")),
        Some(HashKey::Cookie(name)) => report.token(name, "cookie name", &at.get("key")),
        _ => {}
    }
    if *bounded_load != 0.0 {
        if *policy != BalancePolicy::RingHash {
            report.error(&at.key("bounded_load"), "`bounded_load` belongs to ring_hash");
        } else if !(*bounded_load > 1.0 && *bounded_load <= 100.0) {
            report.error_with(
                &at.get("bounded_load"),
                "out of range: above 1 to 100",
                "1.25 is usual; 0 is unbounded",
            );
        }
    }
}

fn health(health: &Health, at: &Place<'_>, report: &mut Report<'_>) {
    match health {
        Health::Path(path) => report.path(path, at),
        Health::Full { kind, path, host, interval, timeout, healthy_after, unhealthy_after } => {
            match path {
                Some(_) if *kind != HealthKind::Http => {
                    report.error(&at.key("path"), "`path` belongs to kind = \"http\"");
                }
                Some(path) => report.path(path, &at.get("path")),
                None => {}
            }
            match host {
                Some(_) if *kind == HealthKind::Tcp => {
                    report.error(&at.key("host"), "`host` has no effect with kind = \"tcp\"");
                }
                Some(host) => report.field_value(host, &at.get("host")),
                None => {}
            }
            report.positive(*interval, &at.get("interval"));
            report.positive(*timeout, &at.get("timeout"));
            report.range(*healthy_after, 1..=1_000, &at.get("healthy_after"));
            report.range(*unhealthy_after, 1..=1_000, &at.get("unhealthy_after"));
        }
    }
}

fn resilience(service: &ServiceSpec, at: &Place<'_>, report: &mut Report<'_>) {
    let (retry, retry_at) = (&service.retry, at.get("retry"));
    report.range(retry.attempts, 1..=10, &retry_at.get("attempts"));
    report.range(retry.budget_percent, 0..=100, &retry_at.get("budget_percent"));
    for (index, status) in retry.statuses.iter().enumerate() {
        report.range(*status, 400..=599, &retry_at.get("statuses").at(index));
    }
    if retry.backoff.0 > retry.backoff_max.0 {
        let place = if retry_at.get("backoff").exists() {
            retry_at.get("backoff")
        } else {
            retry_at.get("backoff_max")
        };
        report.error(&place, "`backoff` is longer than `backoff_max`");
    }
    if let Some(breaker) = &service.breaker {
        let at = at.get("breaker");
        report.range(breaker.failure_percent, 1..=100, &at.get("failure_percent"));
        report.at_least_one(breaker.minimum_requests, &at.get("minimum_requests"));
        report.at_least_one(breaker.probes.into(), &at.get("probes"));
        report.positive(breaker.window, &at.get("window"));
        report.positive(breaker.open, &at.get("open"));
    }
    if let Some(bulkhead) = &service.bulkhead {
        let at = at.get("bulkhead");
        report.at_least_one(bulkhead.in_flight, &at.get("in_flight"));
        if bulkhead.queue > 0 {
            report.positive(bulkhead.queue_timeout, &at.get("queue_timeout"));
        }
    }
    if let Some(fallback) = &service.fallback {
        self::fallback(fallback, &at.get("fallback"), report);
    }
}

fn fallback(fallback: &Fallback, at: &Place<'_>, report: &mut Report<'_>) {
    let given = [fallback.service.is_some(), fallback.body.is_some(), fallback.file.is_some()];
    match given.iter().filter(|given| **given).count() {
        1 => {}
        0 => report.error(at, "a fallback has one of `service`, `body` and `file`"),
        _ => report.error(at, "a fallback has only one of `service`, `body` and `file`"),
    }
    if let Some(path) = &fallback.file {
        report.file(path, &at.get("file"));
    }
    for (key, given) in
        [("status", fallback.status.is_some()), ("content_type", fallback.content_type.is_some())]
    {
        if given && fallback.service.is_some() {
            report.error(&at.key(key), format!("`{key}` has no effect: the other service answers"));
        }
    }
    if let Some(status) = fallback.status {
        report.range(status, 200..=599, &at.get("status"));
    }
    if let Some(content_type) = &fallback.content_type {
        report.field_value(content_type, &at.get("content_type"));
    }
}

/// Fallback services exist, and no chain of them comes back to its beginning.
pub(super) fn fallback_targets(config: &Config, root: &Place<'_>, report: &mut Report<'_>) {
    let target = |name: &String| config.services.get(name)?.fallback.as_ref()?.service.as_ref();
    for name in config.services.keys() {
        let Some(first) = target(name) else { continue };
        let at = root.get("service").get(name).get("fallback").get("service");
        if !config.services.contains_key(first) {
            report.unknown(&at, "service", config.services.keys());
            continue;
        }
        let mut next = Some(first);
        let mut chain = vec![name.as_str()];
        while let Some(service) = next {
            if service == name {
                let help = format!("{} -> {name}", chain.join(" -> "));
                report.error_with(&at, "the fallback comes back to its own service", help);
                break;
            }
            // A cycle that does not go through `name` is reported at its own members.
            if chain.contains(&service.as_str()) {
                break;
            }
            chain.push(service);
            next = target(service);
        }
    }
}
