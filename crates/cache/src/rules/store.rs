//! Whether a shared cache may store a response, and how long it is fresh then (RFC 9111 sections 3 and 4.2).

use super::directives::ResponseDirectives;
use super::fields::Fields;
use super::freshness::Freshness;
use super::range::ContentRange;
use super::request::Asked;
use super::response::{Age, Said};
use super::settings::{SetCookie, Settings};
use super::vary::{Vary, vary};

/// A request and the head of its response.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a, R> {
    pub method: &'a [u8],
    pub asked: &'a Asked,
    /// Whether `Content-Location` of the response names what was asked for; only asked of POST.
    pub answers_itself: bool,
    pub status: u16,
    pub response: &'a R,
    /// Milliseconds since 1970.
    pub requested_ms: u64,
    /// Milliseconds since 1970, when the head was there.
    pub received_ms: u64,
}

/// Leave to store a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storing {
    pub freshness: Freshness,
    /// The range that a 206 is; None for a whole response.
    pub part: Option<ContentRange>,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("responses to this method are not stored")]
    Method,
    #[error("the request says no-store")]
    RequestNoStore,
    #[error("the response says no-store")]
    NoStore,
    #[error("the response is private")]
    Private,
    #[error("the request was authorized, and the response does not say that it is for everyone")]
    Authorization,
    #[error("responses of this status are not stored")]
    Status,
    #[error("a partial response without a usable Content-Range")]
    ContentRange,
    #[error("the response says must-understand, and its status is not known")]
    MustUnderstand,
    #[error("Vary: *, or a Vary that cannot be read")]
    Vary,
    #[error("the response sets a cookie")]
    SetCookie,
    #[error("nothing says how long it is fresh")]
    NoLifetime,
    #[error("it is stale already and cannot be asked for again")]
    Stale,
}

/// Statuses that may be stored without being told (RFC 9110 section 15.1). 206 is apart.
const BY_DEFAULT: [u16; 11] = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501];

/// Statuses whose meaning for caches is known, for `must-understand`.
const UNDERSTOOD: [u16; 30] = [
    200, 203, 204, 206, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409, 410, 411, 413,
    414, 415, 421, 500, 501, 502, 503, 504, 505,
];

/// Whether the response may be stored. Whether its head is too long or its content too large is for the store to
/// say.
///
/// # Errors
/// The first reason against it.
pub fn may_store<R: Fields>(exchange: &Exchange<'_, R>, settings: &Settings) -> Result<Storing, Reason> {
    let &Exchange { method, asked, status, response, requested_ms, received_ms, .. } = exchange;
    let received_s = received_ms / 1_000;
    let said = Said::read(response, settings, received_s);
    let directives = said.directives;
    if method != b"GET" && !(method == b"POST" && exchange.answers_itself) {
        return Err(Reason::Method);
    }
    if asked.directives.no_store {
        return Err(Reason::RequestNoStore);
    }
    permitted(&directives, asked, status)?;
    let part = match status {
        206 => Some(ContentRange::of(response).ok_or(Reason::ContentRange)?),
        _ => None,
    };
    if vary(response) == Vary::Never {
        return Err(Reason::Vary);
    }
    let explicit = said.explicit_lifetime_s(received_s);
    if said.set_cookie && (settings.set_cookie == SetCookie::Refuse || explicit.is_none()) {
        return Err(Reason::SetCookie);
    }
    let lifetime = match explicit {
        Some(lifetime) => lifetime,
        // RFC 9110 section 9.3.3: a POST only when it says so itself.
        None if method == b"GET" => assumed_lifetime_s(&said, status, settings, received_s)?,
        None => return Err(Reason::NoLifetime),
    };
    let lifetime = if said.age == Age::Unknown { 0 } else { lifetime };
    let initial_age = said.initial_age_s(requested_ms, received_ms);
    let freshness = Freshness::new(&directives, received_ms, initial_age, lifetime);
    let usable = freshness.usable_until_ms() > received_ms && !freshness.always_revalidate;
    if !usable && !said.validator {
        return Err(Reason::Stale);
    }
    Ok(Storing { freshness, part })
}

/// Whether its directives and its status permit to store it in a shared cache.
fn permitted(directives: &ResponseDirectives, asked: &Asked, status: u16) -> Result<(), Reason> {
    // 101 and other interim responses, and 304, which only updates.
    if status < 200 || status == 304 {
        return Err(Reason::Status);
    }
    if directives.must_understand && !UNDERSTOOD.contains(&status) {
        return Err(Reason::MustUnderstand);
    }
    // RFC 9111 section 5.2.2.3: `no-store` beside `must-understand` is for caches that do not know the latter.
    if directives.no_store && !directives.must_understand {
        return Err(Reason::NoStore);
    }
    if directives.private {
        return Err(Reason::Private);
    }
    let for_everyone = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if asked.authorization && !for_everyone {
        return Err(Reason::Authorization);
    }
    Ok(())
}

/// Lifetime of a response that does not name one.
fn assumed_lifetime_s(said: &Said, status: u16, settings: &Settings, received_s: u64) -> Result<u32, Reason> {
    let by_default = BY_DEFAULT.contains(&status) || status == 206 || said.directives.public;
    if !by_default {
        // What may only be stored because it has a validator must say so by `no-cache`.
        return Err(Reason::NoLifetime);
    }
    if let Some(default) = settings.default_ttl_s {
        return Ok(default);
    }
    match said.last_modified_unix_s {
        Some(modified) => {
            let unchanged_s = said.date_unix_s.unwrap_or(received_s).saturating_sub(modified);
            let lifetime = (unchanged_s as f64 * f64::from(settings.heuristic_fraction)) as u64;
            Ok(u32::try_from(lifetime).unwrap_or(u32::MAX).min(settings.heuristic_max_s))
        }
        None if said.validator => Ok(0),
        None => Err(Reason::NoLifetime),
    }
}
