//! How long a stored response is fresh, and what may be done with it (RFC 9111 section 4.2, RFC 5861, RFC 8246).
//! Times are milliseconds of one clock ([`crate::steady`]), which the caller reads; ages and lifetimes are seconds.

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
        (u64::from(self.initial_age_s) * 1_000).saturating_add(now_ms.saturating_sub(self.received_ms))
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

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    /// Stored at zero, with this `Cache-Control` and age.
    fn stored(line: &str, initial_age_s: u32) -> Freshness {
        let mut said = ResponseDirectives::default();
        said.add(line.as_bytes());
        Freshness::new(&said, 0, initial_age_s, said.s_maxage.or(said.max_age).unwrap_or(0))
    }

    fn asked(line: &str) -> RequestDirectives {
        let mut asked = RequestDirectives::default();
        asked.add(line.as_bytes());
        asked
    }

    /// What becomes of a request with `request` at `now_s`.
    fn judge(response: &str, request: &str, now_s: u64) -> Use {
        stored(response, 0).judge(&asked(request), now_s * 1_000)
    }

    #[test]
    fn fresh_until_its_lifetime_is_over() {
        assert_eq!(judge("max-age=2", "", 1), Use::Fresh);
        assert_eq!(judge("max-age=2", "", 2), Use::Revalidate(Why::Stale));
        assert_eq!(stored("max-age=600", 30).age_s(3_500), 33);
        assert_eq!(stored("max-age=600", 30).ttl_s(3_500), 567);
        assert_eq!(stored("max-age=600", 700).judge(&asked(""), 0), Use::Revalidate(Why::Stale));
        assert_eq!(stored("max-age=1", u32::MAX).age_s(u64::MAX), MAX_SECONDS);
    }

    #[test]
    fn no_cache_is_asked_for_each_time() {
        assert_eq!(judge("max-age=60, no-cache", "", 0), Use::Revalidate(Why::NoCache));
        assert_eq!(judge("max-age=60, no-cache", "max-stale", 0), Use::Revalidate(Why::NoCache));
    }

    #[test]
    fn a_request_may_want_it_fresher() {
        for (request, now_s, verdict) in [
            ("no-cache", 0, Use::Revalidate(Why::Request)),
            ("no-store", 0, Use::Revalidate(Why::Request)),
            ("max-age=0", 0, Use::Revalidate(Why::Request)),
            ("max-age=10", 9, Use::Fresh),
            ("max-age=10", 10, Use::Revalidate(Why::Request)),
            ("min-fresh=40", 10, Use::Fresh),
            ("min-fresh=40", 21, Use::Revalidate(Why::Request)),
            ("nothing-to-see-here", 10, Use::Fresh),
        ] {
            assert_eq!(judge("max-age=60", request, now_s), verdict, "{request} after {now_s} s");
        }
    }

    #[test]
    fn a_request_may_take_it_stale() {
        assert_eq!(judge("max-age=10", "max-stale=20", 29), Use::MaxStale);
        assert_eq!(judge("max-age=10", "max-stale=20", 31), Use::Revalidate(Why::Stale));
        assert_eq!(judge("max-age=10", "max-stale", 1_000_000), Use::MaxStale);
        assert_eq!(judge("max-age=10", "max-stale, max-age=15", 20), Use::Revalidate(Why::Stale));
        for forbids in ["must-revalidate", "proxy-revalidate", "s-maxage=10"] {
            assert_eq!(
                judge(&format!("max-age=10, {forbids}"), "max-stale", 11),
                Use::Revalidate(Why::Stale)
            );
        }
    }

    #[test]
    fn only_if_cached_never_asks() {
        assert_eq!(judge("max-age=10", "only-if-cached", 9), Use::Fresh);
        assert_eq!(judge("max-age=10", "only-if-cached", 11), Use::OnlyIfCached);
        assert_eq!(judge("max-age=10", "only-if-cached, no-cache", 1), Use::OnlyIfCached);
    }

    #[test]
    fn stale_while_revalidate_is_a_window_behind_the_lifetime() {
        let response = "max-age=10, stale-while-revalidate=5";
        assert_eq!(judge(response, "", 14), Use::StaleWhileRevalidate);
        assert_eq!(judge(response, "", 15), Use::Revalidate(Why::Stale));
        assert_eq!(judge(response, "max-age=3", 14), Use::Revalidate(Why::Stale));
        assert_eq!(judge(&format!("{response}, s-maxage=10"), "", 14), Use::StaleWhileRevalidate);
        assert_eq!(judge(&format!("{response}, must-revalidate"), "", 14), Use::Revalidate(Why::Stale));
    }

    #[test]
    fn immutable_spares_a_reload_but_not_a_no_cache() {
        assert_eq!(judge("max-age=10, immutable", "max-age=0", 5), Use::Fresh);
        assert_eq!(judge("max-age=10, immutable", "max-age=0", 11), Use::Revalidate(Why::Stale));
        assert_eq!(judge("max-age=10, immutable", "no-cache", 5), Use::Revalidate(Why::Request));
    }

    #[test]
    fn a_failing_origin_is_covered_where_that_is_allowed() {
        let serves = |response: &str, request: &str, failure| {
            stored(response, 0).serves_failure(&asked(request), failure, 100, 50_000)
        };
        let (gone, broken) = (Failure::Unreachable, Failure::ServerError);
        assert!(serves("max-age=2", "", gone) && !serves("max-age=2", "", broken));
        assert!(serves("max-age=2, stale-if-error=60", "", broken));
        assert!(!serves("max-age=2, stale-if-error=40", "", broken));
        assert!(serves("max-age=2", "stale-if-error=60", broken) && !serves("max-age=2", "no-cache", gone));
        assert!(
            serves("s-maxage=2, stale-if-error=60", "", broken)
                && !serves("s-maxage=2", "stale-if-error=60", gone)
        );
        for forbids in ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=2"] {
            assert!(!serves(&format!("max-age=2, {forbids}"), "", gone), "{forbids}");
        }
        assert!(!serves("max-age=2, stale-if-error=60, must-revalidate", "", gone));
        assert!(!stored("max-age=2", 0).serves_failure(&asked(""), gone, 0, 3_000));
    }

    #[test]
    fn an_expired_one_is_stale_at_once_and_may_still_serve() {
        let mut stored = stored("max-age=100, stale-while-revalidate=10", 0);
        stored.expire(20_500);
        assert!(!stored.is_fresh(20_500));
        assert_eq!(stored.judge(&asked(""), 21_000), Use::StaleWhileRevalidate);
        stored.expire(90_000);
        assert_eq!(stored.lifetime_s, 20, "it does not become fresh again");
    }

    #[test]
    fn early_refresh_grows_towards_the_end() {
        let stored = stored("max-age=60", 0);
        let share = |now_s: u64| {
            let dice = &mut Dice::new(now_s);
            let early = (0..10_000).filter(|_| stored.refresh_early(2_000, 1.0, dice.unit(), now_s * 1_000));
            early.count() as f64 / 10_000.0
        };
        // The chance at `t` before the end is e^(-t / fetch time).
        assert_eq!(share(0), 0.0);
        assert!((share(56) - (-2.0f64).exp()).abs() < 0.02, "{}", share(56));
        assert!((share(58) - (-1.0f64).exp()).abs() < 0.02, "{}", share(58));
        assert_eq!(share(60), 1.0);
        assert!(!stored.refresh_early(2_000, 1.0, 0.999_999, 61_000), "that is no longer early");
    }

    #[test]
    fn nothing_is_served_that_is_neither_fresh_nor_allowed() {
        for seed in 0..50_000 {
            let dice = &mut Dice::new(seed);
            let mut pick = |words: &[&str]| {
                let mut line = String::new();
                for word in words {
                    if dice.below(3) == 0 {
                        line += &format!(
                            "{word}{}, ",
                            if word.ends_with('=') { dice.below(20).to_string() } else { String::new() }
                        );
                    }
                }
                line
            };
            let response = pick(&[
                "max-age=",
                "s-maxage=",
                "stale-while-revalidate=",
                "no-cache",
                "must-revalidate",
                "immutable",
            ]);
            let request =
                pick(&["max-age=", "max-stale=", "max-stale", "min-fresh=", "no-cache", "only-if-cached"]);
            let (age, now_ms) = (dice.below(8) as u32, dice.below(30_000));
            let stored = stored(&response, age);
            let verdict = stored.judge(&asked(&request), now_ms);
            let fresh = now_ms + u64::from(age) * 1_000 < u64::from(stored.lifetime_s) * 1_000;
            let unasked = matches!(verdict, Use::Fresh | Use::MaxStale | Use::StaleWhileRevalidate);
            let context = format!("seed {seed}: {response} / {request} / {verdict:?}");
            assert!(
                !(unasked && (response.contains("no-cache") || request.contains("no-cache"))),
                "{context}"
            );
            assert!(verdict != Use::Fresh || fresh, "{context}");
            assert!(!(unasked && !fresh && response.contains("must-revalidate")), "{context}");
            assert!(verdict != Use::OnlyIfCached || request.contains("only-if-cached"), "{context}");
            assert_eq!(stored.is_fresh(now_ms), fresh, "{context}");
        }
    }
}
