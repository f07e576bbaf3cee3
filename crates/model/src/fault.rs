//! A fault says who caused it, what went wrong, and whether the request may be tried again. Retry,
//! status code, log line and metric all read it; nothing downstream decides them a second time.

/// Who has to act for the fault to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Client,
    Gateway,
    Upstream,
}

/// Whether another attempt can repeat an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The upstream cannot have acted on the request: nothing of it was delivered.
    Safe,
    /// The upstream may have acted; only an idempotent method may be sent again (RFC 9110 section 9.2.2).
    IfIdempotent,
    Never,
}

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident = $label:literal, $blame:ident, $status:literal, $retry:ident;)*) => {
        /// What went wrong. The table fixes blame, status and retry for each kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FaultKind { $($(#[$doc])* $kind,)* }

        impl FaultKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The metric label and log value.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$kind => $label,)* }
            }

            #[must_use]
            pub fn blame(self) -> Blame {
                match self { $(Self::$kind => Blame::$blame,)* }
            }

            /// The status that the client is answered with when no response has begun.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$kind => $status,)* }
            }

            #[must_use]
            pub fn retry(self) -> Retry {
                match self { $(Self::$kind => Retry::$retry,)* }
            }
        }
    };
}

fault_kinds! {
    /// The request head breaks the grammar or its framing is ambiguous.
    BadRequest = "bad_request", Client, 400, Never;
    HeadTooLarge = "head_too_large", Client, 431, Never;
    UriTooLong = "uri_too_long", Client, 414, Never;
    BodyTooLarge = "body_too_large", Client, 413, Never;
    VersionNotSupported = "version_not_supported", Client, 505, Never;
    MethodNotSupported = "method_not_supported", Client, 501, Never;
    ExpectationFailed = "expectation_failed", Client, 417, Never;
    /// The client did not finish its request in time.
    ClientTimeout = "client_timeout", Client, 408, Never;
    /// The client went away or broke its body.
    ClientClosed = "client_closed", Client, 499, Never;
    /// An HTTP/2 client exceeded a flood limit.
    Flood = "flood", Client, 429, Never;
    Misdirected = "misdirected", Client, 421, Never;
    NoRoute = "no_route", Client, 404, Never;
    /// Routes match but for the method.
    MethodNotAllowed = "method_not_allowed", Client, 405, Never;
    /// The request wants only what is cached (RFC 9111 section 5.2.1.7).
    NotCached = "not_cached", Client, 504, Never;
    /// Every candidate endpoint is down, ejected or draining.
    NoEndpoint = "no_endpoint", Gateway, 503, Safe;
    BreakerOpen = "breaker_open", Gateway, 503, Safe;
    /// The bulkhead and its queue are full.
    Overloaded = "overloaded", Gateway, 503, Safe;
    QueueTimeout = "queue_timeout", Gateway, 503, Safe;
    /// No file, port or memory is left for a connection to the upstream.
    NoSocket = "no_socket", Gateway, 503, Safe;
    Draining = "draining", Gateway, 503, Safe;
    Internal = "internal", Gateway, 500, Never;
    /// A chaos rule cut the client off.
    Injected = "injected", Gateway, 500, Never;
    ConnectFailed = "connect_failed", Upstream, 502, Safe;
    ConnectTimeout = "connect_timeout", Upstream, 504, Safe;
    TlsFailed = "tls_failed", Upstream, 502, Safe;
    /// A reused connection was closed by the upstream before it answered.
    StaleConnection = "stale_connection", Upstream, 502, IfIdempotent;
    UpstreamReset = "upstream_reset", Upstream, 502, IfIdempotent;
    FirstByteTimeout = "first_byte_timeout", Upstream, 504, IfIdempotent;
    /// The upstream ends the connection and has not processed the stream (RFC 9113 section 6.8).
    GoneAway = "gone_away", Upstream, 502, Safe;
    /// The stream was refused before processing (RFC 9113 section 8.7).
    Refused = "refused", Upstream, 502, Safe;
    /// The response breaks the grammar or its framing is ambiguous.
    BadResponse = "bad_response", Upstream, 502, Never;
    /// The response stopped before its end.
    ResponseCut = "response_cut", Upstream, 502, Never;
    BodyTimeout = "body_timeout", Upstream, 504, Never;
    /// The total deadline of the request passed.
    Deadline = "deadline", Upstream, 504, Never;
}

/// One fault with its detail, for example which header or which address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// A fixed sentence, without a trailing full stop: what was wrong, and the rule that says so.
    pub detail: &'static str,
}

impl Fault {
    #[must_use]
    pub const fn new(kind: FaultKind, detail: &'static str) -> Self {
        Self { kind, detail }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.label(), self.detail)
    }
}

impl std::error::Error for Fault {}
