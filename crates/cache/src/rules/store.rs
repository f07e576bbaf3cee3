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
    /// Milliseconds since 1970 by the wall clock, with which `Date` and `Expires` are compared.
    pub requested_unix_ms: u64,
    /// When the head was there.
    pub received_unix_ms: u64,
    /// The same moment by the clock of [`Freshness`].
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
    #[error("responses of this status are of use to nobody else")]
    Status,
    #[error("a partial response without a usable Content-Range")]
    ContentRange,
    #[error("the response says must-understand, and its status is not known")]
    MustUnderstand,
    #[error("Vary: *, by a client certificate, or one that cannot be read")]
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
    let said = Said::read(exchange.response, settings, exchange.received_unix_ms / 1_000);
    store_as(exchange, said, settings)
}

/// Whether a stored response may be kept after `newer`, a 304 or the answer to a HEAD, has updated its fields to
/// those of `exchange`, and for how long. `exchange` has the status of the stored response, and the times of `newer`.
///
/// # Errors
/// The first reason against it; then the updated response may still answer the request that asked.
pub fn may_keep<R: Fields>(
    exchange: &Exchange<'_, R>,
    newer: &impl Fields,
    settings: &Settings,
) -> Result<Storing, Reason> {
    let received_s = exchange.received_unix_ms / 1_000;
    let mut said = Said::read(exchange.response, settings, received_s);
    // The age that a cache beside the origin gave its answer; nobody stores it as a field.
    said.age = Said::read(newer, settings, received_s).age;
    store_as(exchange, said, settings)
}

fn store_as<R: Fields>(
    exchange: &Exchange<'_, R>,
    said: Said,
    settings: &Settings,
) -> Result<Storing, Reason> {
    let &Exchange { method, asked, status, response, received_ms, .. } = exchange;
    let received_s = exchange.received_unix_ms / 1_000;
    let directives = said.directives;
    if method != b"GET" && !(method == b"POST" && exchange.answers_itself) {
        return Err(Reason::Method);
    }
    if asked.directives.no_store {
        return Err(Reason::RequestNoStore);
    }
    permitted(&directives, asked, status)?;
    let part = match status {
        206 if !asked.range => return Err(Reason::ContentRange),
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
    let initial_age = said.initial_age_s(exchange.requested_unix_ms, exchange.received_unix_ms);
    let freshness = Freshness::new(&directives, received_ms, initial_age, lifetime);
    let usable = freshness.usable_until_ms() > received_ms && !freshness.always_revalidate;
    if !usable && !said.validator {
        return Err(Reason::Stale);
    }
    Ok(Storing { freshness, part })
}

/// Whether its directives and its status permit to store it in a shared cache.
fn permitted(directives: &ResponseDirectives, asked: &Asked, status: u16) -> Result<(), Reason> {
    // Interim responses, 304, which only updates, and what speaks of a condition, range or expectation of this one
    // request: the next one for the same target has another.
    if status < 200 || [304, 412, 416, 417].contains(&status) {
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
    let negative = settings.negative_ttl_s.filter(|_| status >= 400);
    if let Some(default) = negative.or(settings.default_ttl_s) {
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

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::super::freshness::WhenStale;
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW_MS: u64 = 784_111_777_000;
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT";

    fn store_of(method: &str, request: &str, status: u16, response: &str) -> Result<Storing, Reason> {
        let response = head(response);
        let exchange = Exchange {
            method: method.as_bytes(),
            asked: &Asked::read(&head(request), true),
            answers_itself: true,
            status,
            response: &response,
            requested_unix_ms: NOW_MS,
            received_unix_ms: NOW_MS,
            received_ms: NOW_MS,
        };
        may_store(&exchange, &Settings::default())
    }

    fn store(response: &str) -> Result<Storing, Reason> {
        store_of("GET", "", 200, response)
    }

    fn status(status: u16, response: &str) -> Result<Storing, Reason> {
        store_of("GET", "", status, response)
    }

    /// Lifetime without the age that it had.
    fn lifetime(response: &str) -> Option<u32> {
        store(response).ok().map(|storing| storing.freshness.lifetime_s)
    }

    #[test]
    fn what_says_nothing_is_not_stored() {
        assert_eq!(store("Content-Type: text/plain"), Err(Reason::NoLifetime));
        assert_eq!(status(502, "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT"), Err(Reason::NoLifetime));
    }

    #[test]
    fn s_maxage_before_max_age_before_expires() {
        let expires = format!("{DATE}\nExpires: Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(lifetime(&expires), Some(60));
        assert_eq!(lifetime(&format!("{expires}\nCache-Control: max-age=5")), Some(5));
        assert_eq!(lifetime("Cache-Control: max-age=5\nCache-Control: s-maxage=7"), Some(7));
        assert_eq!(lifetime("Cache-Control: max-age=0, s-maxage=7\nExpires: 0"), Some(7));
    }

    #[test]
    fn expires_counts_from_date_and_is_past_when_it_is_no_date() {
        for expires in ["0", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(store(&format!("{DATE}\nExpires: {expires}")), Err(Reason::Stale), "{expires}");
        }
        assert_eq!(lifetime("Date: foo\nExpires: Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        // A clock ahead of ours: what it calls old is old.
        assert_eq!(
            store("Date: Sun, 06 Nov 1994 08:56:17 GMT\nExpires: Sun, 06 Nov 1994 08:54:37 GMT"),
            Err(Reason::Stale)
        );
        let twice = "Expires: Sun, 06 Nov 1994 08:50:37 GMT\nExpires: Sun, 06 Nov 1994 08:51:37 GMT";
        assert_eq!(store(twice), Err(Reason::Stale));
    }

    #[test]
    fn age_counts_against_the_lifetime() {
        assert_eq!(store("Cache-Control: max-age=3600\nAge: 7200"), Err(Reason::Stale));
        let with = |fields: &str| {
            store(&format!("Cache-Control: max-age=3600\n{fields}"))
                .map(|storing| storing.freshness.initial_age_s)
        };
        assert_eq!(with("Age: 30"), Ok(30));
        assert_eq!(with("Date: Sun, 06 Nov 1994 08:49:17 GMT"), Ok(20), "the apparent age");
        assert_eq!(with("Date: Sun, 06 Nov 1994 08:49:17 GMT\nAge: 30"), Ok(30));
        assert_eq!(with("Date: Sun, 06 Nov 1994 09:00:00 GMT\nAge: 30"), Ok(30), "a clock ahead of ours");
    }

    #[test]
    fn time_on_the_way_counts_as_age() {
        let response = head("Cache-Control: max-age=3600\nAge: 30");
        let exchange = Exchange {
            method: b"GET",
            asked: &Asked::default(),
            answers_itself: false,
            status: 200,
            response: &response,
            requested_unix_ms: NOW_MS - 4_500,
            received_unix_ms: NOW_MS,
            received_ms: NOW_MS,
        };
        assert_eq!(may_store(&exchange, &Settings::default()).unwrap().freshness.initial_age_s, 34);
    }

    #[test]
    fn an_age_that_cannot_be_known_is_stale() {
        for age in [
            "abc",
            "-7200",
            "7200.0",
            "7200;foo=bar",
            "0, 0",
            "3600, 3600",
            "0\nAge: 7200",
            "7200\nAge: 0",
            "0\nAge: 0",
            "",
        ] {
            assert_eq!(
                store(&format!("Cache-Control: max-age=3600\nAge: {age}")),
                Err(Reason::Stale),
                "{age}"
            );
        }
        assert_eq!(store("Cache-Control: max-age=3600\nAge: 7200,0"), Err(Reason::Stale));
        assert!(store("Cache-Control: max-age=3600\nAge: 0,7200").is_ok());
    }

    #[test]
    fn heuristics_only_where_a_status_or_public_allows_them() {
        let modified = format!("{DATE}\nLast-Modified: Sat, 05 Nov 1994 08:49:37 GMT");
        for code in [200, 203, 204, 404, 405, 410, 414, 501] {
            assert_eq!(status(code, &modified).unwrap().freshness.lifetime_s, 8_640, "{code}");
        }
        for code in [201, 202, 302, 403, 502, 503, 504, 599] {
            assert_eq!(status(code, &modified), Err(Reason::NoLifetime), "{code}");
        }
        assert!(status(599, &format!("{modified}\nCache-Control: public")).is_ok());
        assert_eq!(lifetime(&format!("{DATE}\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT")), Some(86_400));
    }

    #[test]
    fn a_default_stands_in_for_the_heuristic() {
        let response = head("Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT");
        let exchange = Exchange {
            method: b"GET",
            asked: &Asked::default(),
            answers_itself: false,
            status: 200,
            response: &response,
            requested_unix_ms: NOW_MS,
            received_unix_ms: NOW_MS,
            received_ms: NOW_MS,
        };
        let settings = Settings { default_ttl_s: Some(9), ..Settings::default() };
        assert_eq!(may_store(&exchange, &settings).unwrap().freshness.lifetime_s, 9);
        assert_eq!(may_store(&Exchange { status: 500, ..exchange }, &settings), Err(Reason::NoLifetime));
        let settings = Settings { negative_ttl_s: Some(2), ..settings };
        for (status, lifetime_s) in [(200, 9), (301, 9), (404, 2), (501, 2)] {
            let stored = may_store(&Exchange { status, ..exchange }, &settings).unwrap();
            assert_eq!(stored.freshness.lifetime_s, lifetime_s, "{status}");
        }
    }

    #[test]
    fn any_final_status_with_a_lifetime_is_stored() {
        for code in [200, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599] {
            assert!(status(code, "Cache-Control: max-age=60").is_ok(), "{code}");
        }
        for code in [101, 103, 304, 412, 416, 417] {
            assert_eq!(status(code, "Cache-Control: max-age=60"), Err(Reason::Status), "{code}");
        }
    }

    #[test]
    fn must_understand_wants_a_known_status_and_then_outweighs_no_store() {
        assert_eq!(status(599, "Cache-Control: max-age=60, must-understand"), Err(Reason::MustUnderstand));
        assert!(status(200, "Cache-Control: max-age=60, must-understand, no-store").is_ok());
        assert_eq!(store("Cache-Control: max-age=60, No-StOrE"), Err(Reason::NoStore));
    }

    #[test]
    fn private_is_not_for_a_shared_cache() {
        assert_eq!(store("Cache-Control: private, max-age=60"), Err(Reason::Private));
        assert!(store("Cache-Control: private=\"x\", max-age=60").is_ok());
    }

    #[test]
    fn authorized_requests_need_leave_to_share() {
        let authorized = |response: &str| store_of("GET", "Authorization: x", 200, response);
        assert_eq!(authorized("Cache-Control: max-age=60"), Err(Reason::Authorization));
        for leave in ["public, max-age=60", "must-revalidate, max-age=60", "s-maxage=60"] {
            assert!(authorized(&format!("Cache-Control: {leave}")).is_ok(), "{leave}");
        }
    }

    #[test]
    fn cookies_are_shared_only_when_the_response_names_its_lifetime() {
        assert!(store("Cache-Control: max-age=60\nSet-Cookie: a=b").is_ok());
        let modified = "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT";
        assert_eq!(store(&format!("{modified}\nSet-Cookie: a=b")), Err(Reason::SetCookie));
    }

    #[test]
    fn methods() {
        let of = |method: &str, response: &str| store_of(method, "", 200, response);
        assert_eq!(of("HEAD", "Cache-Control: max-age=60"), Err(Reason::Method));
        assert_eq!(of("PUT", "Cache-Control: max-age=60"), Err(Reason::Method));
        assert!(of("POST", "Cache-Control: max-age=60").is_ok());
        assert_eq!(of("POST", "Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT"), Err(Reason::NoLifetime));
        assert_eq!(
            store_of("GET", "Cache-Control: no-store", 200, "Cache-Control: max-age=60"),
            Err(Reason::RequestNoStore)
        );
    }

    #[test]
    fn what_is_never_fresh_is_stored_only_to_be_asked_for() {
        let storing = store("Cache-Control: no-cache\nETag: \"a\"").unwrap();
        assert!(storing.freshness.always_revalidate);
        assert_eq!(store("Cache-Control: no-cache, max-age=60"), Err(Reason::Stale));
        assert_eq!(store("Cache-Control: max-age=0"), Err(Reason::Stale));
        assert!(store("Cache-Control: max-age=0\nETag: \"a\"").is_ok());
        assert!(store("Cache-Control: max-age=0, stale-while-revalidate=5").is_ok());
    }

    #[test]
    fn a_part_is_stored_as_one() {
        let part = |request: &str, range: &str| {
            store_of("GET", request, 206, &format!("Cache-Control: max-age=60\nContent-Range: {range}"))
        };
        assert_eq!(
            part("Range: bytes=-5", "bytes 4-9/10").unwrap().part,
            ContentRange::parse(b"bytes 4-9/10")
        );
        assert_eq!(part("Range: bytes=-5", "x"), Err(Reason::ContentRange));
        assert_eq!(part("", "bytes 4-9/10"), Err(Reason::ContentRange));
    }

    #[test]
    fn targeted_fields_stand_in_the_place_of_cache_control() {
        assert_eq!(lifetime("Cache-Control: no-store\nSurrogate-Control: max-age=10000;ME"), Some(10_000));
        assert_eq!(lifetime("Cache-Control: max-age=1\nCDN-Cache-Control: max-age=9\nExpires: 0"), Some(9));
        assert_eq!(store("Cache-Control: max-age=60\nSurrogate-Control: no-store"), Err(Reason::NoStore));
        assert_eq!(store("Surrogate-Control: max-age=60\nAge: 7200"), Err(Reason::Stale));
        assert_eq!(
            lifetime("Cache-Control: max-age=60\nCDN-Cache-Control: MAX-AGE=9"),
            Some(60),
            "not valid"
        );
    }

    #[test]
    fn an_update_brings_a_new_lifetime_and_age() {
        let merged = head(&format!("{DATE}\nCache-Control: max-age=60\nETag: \"a\""));
        let exchange = Exchange {
            method: b"GET",
            asked: &Asked::default(),
            answers_itself: false,
            status: 200,
            response: &merged,
            requested_unix_ms: NOW_MS,
            received_unix_ms: NOW_MS,
            received_ms: NOW_MS,
        };
        let kept = may_keep(&exchange, &head("Age: 7"), &Settings::default()).unwrap().freshness;
        assert_eq!((kept.lifetime_s, kept.initial_age_s, kept.when_stale), (60, 7, WhenStale::Allowed));
    }
}
