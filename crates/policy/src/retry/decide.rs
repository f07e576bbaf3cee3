//! Whether a failed attempt may be followed by another one. It decides on the request and the fault
//! alone; the budget is asked afterwards, so that only what may be repeated spends from it.

use headgate_model::fault::{Blame, FaultKind, Retry};
use headgate_model::spec::RetrySpec;

/// One attempt that did not give the wanted response, before any of it went to the client.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// See [`is_idempotent`].
    pub idempotent: bool,
    /// The whole request body can be sent again: there is none, none of it was read, or it was kept.
    pub body_replayable: bool,
    /// Attempts made so far, this one included.
    pub used: u8,
    pub failure: Failure,
}

/// How the attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Fault(FaultKind),
    /// A whole response head, with this status.
    Status(u16),
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// At once: only the connection was bad, and waiting helps nobody.
    Now,
    /// After [`super::backoff::wait`].
    AfterBackoff,
    Stop(Stop),
}

/// Why there is no further attempt; for the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The failure is not one that another attempt could mend.
    NotRetryable,
    /// The upstream may have acted, and the method is not idempotent.
    NotIdempotent,
    /// The request body is gone.
    BodyGone,
    AttemptsUsed,
}

impl Stop {
    /// The metric label and log value.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NotRetryable => "not_retryable",
            Self::NotIdempotent => "not_idempotent",
            Self::BodyGone => "body_gone",
            Self::AttemptsUsed => "attempts_used",
        }
    }
}

/// Whether the same request sent twice has the effect of one: RFC 9110 section 9.2.2. Methods are
/// case-sensitive (section 9.1), and an unknown one is not assumed to be idempotent.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

/// Decides by the fault first, then the method, the body and the attempts, so that [`Stop`] names the
/// most basic obstacle.
#[must_use]
pub fn decide(spec: &RetrySpec, attempt: &Attempt) -> Decision {
    let repeatable = match attempt.failure {
        // What the gateway itself refused (no endpoint, overload, draining) would be refused again, and
        // asking again adds to the overload.
        Failure::Fault(kind) if kind.blame() != Blame::Upstream => Retry::Never,
        Failure::Fault(kind) => kind.retry(),
        Failure::Status(status) if spec.statuses.contains(&status) => Retry::IfIdempotent,
        Failure::Status(_) => Retry::Never,
    };
    match repeatable {
        Retry::Never => Decision::Stop(Stop::NotRetryable),
        Retry::IfIdempotent if !attempt.idempotent => Decision::Stop(Stop::NotIdempotent),
        _ if !attempt.body_replayable => Decision::Stop(Stop::BodyGone),
        _ if attempt.used >= spec.attempts => Decision::Stop(Stop::AttemptsUsed),
        _ if attempt.failure == Failure::Fault(FaultKind::StaleConnection) => Decision::Now,
        _ => Decision::AfterBackoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(method: &str, failure: Failure) -> Attempt {
        Attempt { idempotent: is_idempotent(method), body_replayable: true, used: 1, failure }
    }

    fn after(method: &str, kind: FaultKind) -> Decision {
        decide(&RetrySpec::default(), &attempt(method, Failure::Fault(kind)))
    }

    #[test]
    fn undelivered_requests_are_repeated_whatever_the_method() {
        for method in ["GET", "POST", "BREW"] {
            assert_eq!(after(method, FaultKind::ConnectFailed), Decision::AfterBackoff);
            assert_eq!(after(method, FaultKind::Refused), Decision::AfterBackoff);
        }
    }

    #[test]
    fn what_may_have_acted_is_repeated_only_when_idempotent() {
        assert_eq!(after("PUT", FaultKind::UpstreamReset), Decision::AfterBackoff);
        for method in ["POST", "PATCH", "CONNECT", "get"] {
            assert_eq!(after(method, FaultKind::UpstreamReset), Decision::Stop(Stop::NotIdempotent));
        }
    }

    #[test]
    fn a_stale_connection_does_not_wait() {
        assert_eq!(after("GET", FaultKind::StaleConnection), Decision::Now);
        assert_eq!(after("POST", FaultKind::StaleConnection), Decision::Stop(Stop::NotIdempotent));
    }

    /// For every fault: only the upstream's are repeated, never those whose table says never, and a
    /// request without its body or its attempts is not repeated at all.
    #[test]
    fn no_fault_escapes_the_rules() {
        let spec = RetrySpec { attempts: 3, ..RetrySpec::default() };
        for &kind in FaultKind::ALL {
            let attempt = attempt("GET", Failure::Fault(kind));
            let repeated = |attempt: Attempt| !matches!(decide(&spec, &attempt), Decision::Stop(_));
            let expected = kind.blame() == Blame::Upstream && kind.retry() != Retry::Never;
            assert_eq!(repeated(attempt), expected, "{}", kind.label());
            assert!(!repeated(Attempt { body_replayable: false, ..attempt }), "{}", kind.label());
            assert!(!repeated(Attempt { used: 3, ..attempt }), "{}", kind.label());
        }
    }

    #[test]
    fn statuses_are_repeated_when_listed_and_idempotent() {
        let spec = RetrySpec { statuses: vec![503], ..RetrySpec::default() };
        assert_eq!(decide(&spec, &attempt("GET", Failure::Status(503))), Decision::AfterBackoff);
        assert_eq!(
            decide(&spec, &attempt("POST", Failure::Status(503))),
            Decision::Stop(Stop::NotIdempotent)
        );
        assert_eq!(decide(&spec, &attempt("GET", Failure::Status(500))), Decision::Stop(Stop::NotRetryable));
    }

    #[test]
    fn one_attempt_means_no_retry() {
        let spec = RetrySpec { attempts: 1, ..RetrySpec::default() };
        let stale = attempt("GET", Failure::Fault(FaultKind::StaleConnection));
        assert_eq!(decide(&spec, &stale), Decision::Stop(Stop::AttemptsUsed));
    }
}
