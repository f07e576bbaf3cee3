//! How long a stored response is fresh, and what may be done with it (RFC 9111 section 4.2, RFC 5861, RFC 8246).
//! Times are milliseconds of one clock, which the caller reads; ages and lifetimes are seconds.

use super::directives::{MAX_SECONDS, RequestDirectives, ResponseDirectives};

/// The part of a stored response that decides about its use; it lies beside the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When its head arrived.
    pub received_ms: u64,
    /// Its age then: the corrected initial age of RFC 9111 section 4.2.3.
    pub initial_age_s: u32,
    /// Age up to which it is fresh.
    pub lifetime_s: u32,
    /// Further age up to which it may be used while it is being asked for again; 0 for not.
    pub stale_while_revalidate_s: u32,
    /// Further age up to which it may be used when the origin fails; 0 for not said.
    pub stale_if_error_s: u32,
    pub when_stale: WhenStale,
    /// `no-cache`: it is never used without asking.
    pub always_revalidate: bool,
    /// It does not change while it is fresh: a reload need not ask (RFC 8246).
    pub immutable: bool,
}

/// Whether a response may be used when it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// Nothing forbids it.
    Allowed,
    /// `s-maxage` forbids it (RFC 9111 section 5.2.2.10), except where the same response allows it by
    /// `stale-while-revalidate` or `stale-if-error`.
    OnlyAsSaid,
    /// `must-revalidate` or `proxy-revalidate` forbid it.
    Forbidden,
}

/// What to do with a stored response that a request selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Fresh,
    /// Stale, but within the request's `max-stale`.
    MaxStale,
    /// Stale: use it, and ask the origin behind the client's back.
    StaleWhileRevalidate,
    /// Ask the origin first.
    Revalidate(Why),
    /// The client wants no more than what is stored, and that is not usable: answer 504 (RFC 9111 section 5.2.1.7).
    OnlyIfCached,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Stale,
    /// `no-cache` of the stored response.
    NoCache,
    /// A directive of the request.
    Request,
}

/// How asking the origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No response at all.
    Unreachable,
    /// A response of 500, 502, 503 or 504.
    ServerError,
}

impl Freshness {
    /// From what the response says; its lifetime and initial age are worked out by the caller.
    #[must_use]
    pub(super) fn new(
        said: &ResponseDirectives,
        received_ms: u64,
        initial_age_s: u32,
        lifetime_s: u32,
    ) -> Self {
        let when_stale = if said.must_revalidate || said.proxy_revalidate {
            WhenStale::Forbidden
        } else if said.s_maxage.is_some() {
            WhenStale::OnlyAsSaid
        } else {
            WhenStale::Allowed
        };
        Self {
            received_ms,
            initial_age_s,
            lifetime_s,
            stale_while_revalidate_s: said.stale_while_revalidate.unwrap_or(0),
            stale_if_error_s: said.stale_if_error.unwrap_or(0),
            when_stale,
            always_revalidate: said.no_cache,
            immutable: said.immutable,
        }
    }

    fn age_ms(&self, now_ms: u64) -> u64 {
        u64::from(self.initial_age_s) * 1_000 + now_ms.saturating_sub(self.received_ms)
    }

    fn lifetime_ms(&self) -> u64 {
        u64::from(self.lifetime_s) * 1_000
    }

    /// Value of the `Age` field (RFC 9111 section 5.1).
    #[must_use]
    pub fn age_s(&self, now_ms: u64) -> u32 {
        u32::try_from(self.age_ms(now_ms) / 1_000).unwrap_or(u32::MAX).min(MAX_SECONDS)
    }

    /// Seconds for which it stays fresh; negative once it is stale.
    #[must_use]
    pub fn ttl_s(&self, now_ms: u64) -> i64 {
        i64::from(self.lifetime_s) - i64::from(self.age_s(now_ms))
    }

    #[must_use]
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.age_ms(now_ms) < self.lifetime_ms()
    }

    /// The last moment at which it may be used without asking the origin: end of its lifetime, or of its
    /// `stale-while-revalidate`.
    #[must_use]
    pub fn usable_until_ms(&self) -> u64 {
        let stale = if self.when_stale == WhenStale::Forbidden { 0 } else { self.stale_while_revalidate_s };
        let seconds =
            (u64::from(self.lifetime_s) + u64::from(stale)).saturating_sub(u64::from(self.initial_age_s));
        self.received_ms.saturating_add(seconds * 1_000)
    }

    /// Makes it stale from `now_ms` on, for a purge that keeps what can be asked for again.
    pub fn expire(&mut self, now_ms: u64) {
        self.lifetime_s = self.lifetime_s.min(self.age_s(now_ms));
    }

    /// What to do with it for a request with these directives.
    #[must_use]
    #[inline]
    pub fn judge(&self, asked: &RequestDirectives, now_ms: u64) -> Use {
        // Nearly every request to a cache that works.
        if *asked == RequestDirectives::default() && !self.always_revalidate && self.is_fresh(now_ms) {
            return Use::Fresh;
        }
        match self.judge_asked(asked, now_ms) {
            Use::Revalidate(_) if asked.only_if_cached => Use::OnlyIfCached,
            verdict => verdict,
        }
    }

    fn judge_asked(&self, asked: &RequestDirectives, now_ms: u64) -> Use {
        if asked.no_cache || asked.no_store {
            return Use::Revalidate(Why::Request);
        }
        if self.always_revalidate {
            return Use::Revalidate(Why::NoCache);
        }
        let (age, lifetime) = (self.age_ms(now_ms), self.lifetime_ms());
        let fresh = age < lifetime;
        let at_least = |limit: Option<u32>, ms: u64| limit.is_none_or(|limit| ms >= u64::from(limit) * 1_000);
        // A reload is `max-age=0`; what says that it does not change is spared it.
        let reload = asked.max_age == Some(0) && self.immutable && fresh;
        let too_old = asked.max_age.is_some() && at_least(asked.max_age, age) && !reload;
        let fresh_enough = at_least(asked.min_fresh, lifetime.saturating_sub(age));
        if fresh && !too_old && fresh_enough {
            return Use::Fresh;
        }
        if fresh || !fresh_enough {
            return Use::Revalidate(Why::Request);
        }
        let stale_for = age - lifetime;
        let within = |seconds: u32| stale_for < u64::from(seconds) * 1_000;
        let max_stale = asked.max_stale.is_some_and(|limit| limit == MAX_SECONDS || within(limit));
        match self.when_stale {
            WhenStale::Allowed if max_stale && !too_old => Use::MaxStale,
            WhenStale::Forbidden => Use::Revalidate(Why::Stale),
            _ if within(self.stale_while_revalidate_s) && !too_old => Use::StaleWhileRevalidate,
            _ => Use::Revalidate(Why::Stale),
        }
    }

    /// Whether it may be used although it is stale, because asking the origin failed: within `stale-if-error` of
    /// the response or the request (RFC 5861 section 4), or within `stale_if_unreachable_s` when there is no
    /// response at all (RFC 9111 section 4.2.4).
    #[must_use]
    pub fn serves_failure(
        &self,
        asked: &RequestDirectives,
        failure: Failure,
        stale_if_unreachable_s: u32,
        now_ms: u64,
    ) -> bool {
        if self.always_revalidate
            || self.when_stale == WhenStale::Forbidden
            || asked.no_cache
            || asked.no_store
        {
            return false;
        }
        let stale_for = self.age_ms(now_ms).saturating_sub(self.lifetime_ms());
        let within = |seconds: u32| stale_for < u64::from(seconds) * 1_000;
        let unforbidden = self.when_stale == WhenStale::Allowed;
        within(self.stale_if_error_s)
            || unforbidden && asked.stale_if_error.is_some_and(within)
            || unforbidden && failure == Failure::Unreachable && within(stale_if_unreachable_s)
    }

    /// Whether this request should already ask the origin again, although the response is fresh: with a
    /// probability that grows towards the end of its lifetime, so that many caches and workers do not ask at
    /// once. `fetch_ms`: how long the origin took the last time; `beta`: 1 is right, more is earlier; `unit`: a
    /// throw in `[0, 1)`. Source: Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede
    /// Prevention", VLDB 2015.
    #[must_use]
    pub fn refresh_early(&self, fetch_ms: u32, beta: f64, unit: f64, now_ms: u64) -> bool {
        let Some(left_ms) = self.lifetime_ms().checked_sub(self.age_ms(now_ms)) else { return false };
        f64::from(fetch_ms) * beta * -(1.0 - unit).ln() >= left_ms as f64
    }
}
