//! What an operator may decide about the rules; everything else is decided by the RFCs.

/// Settings of one cache. The default is a shared cache as RFC 9111 describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Lifetime where a response says nothing and its status may be cached by default. None: by its
    /// `Last-Modified`, if it has one, else it is not stored.
    pub default_ttl_s: Option<u32>,
    /// The same for statuses from 400 on. None: as the others.
    pub negative_ttl_s: Option<u32>,
    /// Part of the time since `Last-Modified` that a response counts as fresh without being told (RFC 9111
    /// section 4.2.2 proposes a tenth); 0 for never.
    pub heuristic_fraction: f32,
    /// Upper bound of that.
    pub heuristic_max_s: u32,
    /// Response fields that stand in the place of `Cache-Control`, in order of precedence (RFC 9213).
    pub targeted_fields: Vec<String>,
    pub set_cookie: SetCookie,
    /// For how long a response that has become stale may be used while the upstream cannot be reached and
    /// nothing forbids it (RFC 9111 section 4.2.4); 0 for never.
    pub stale_if_unreachable_s: u32,
}

/// What becomes of responses with `Set-Cookie`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetCookie {
    /// They are stored, with the field, where they say themselves how long they are fresh (RFC 9111 section 7.3);
    /// never by a heuristic or a default.
    #[default]
    Explicit,
    /// They are not stored.
    Refuse,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_ttl_s: None,
            negative_ttl_s: None,
            heuristic_fraction: 0.1,
            heuristic_max_s: 24 * 3_600,
            targeted_fields: vec!["cdn-cache-control".to_owned(), "surrogate-control".to_owned()],
            set_cookie: SetCookie::default(),
            stale_if_unreachable_s: 24 * 3_600,
        }
    }
}
