//! NGINX variables where Headgate has a counterpart.

use headgate_model::spec::HashKey;

/// What some variables are for certain, where they are used.
#[derive(Clone, Copy, Default)]
pub(super) struct Known<'k> {
    /// `$scheme`.
    pub(super) scheme: Option<&'k str>,
    /// `$server_name`.
    pub(super) server: Option<&'k str>,
    /// `$1`, as a placeholder.
    pub(super) first_capture: Option<&'k str>,
}

/// A text with `$variables` as a redirect's target, or `None` when one has no counterpart.
pub(super) fn target(text: &str, known: Known<'_>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{', '}']) {
        out.push_str(&rest[..at]);
        let (name, after) = variable(rest[at..].strip_prefix('$')?)?;
        rest = after;
        out.push_str(match name {
            "host" | "http_host" => "{host}",
            "request_uri" => "{path}?{query}",
            "uri" | "document_uri" => "{path}",
            "args" | "query_string" => "{query}",
            "is_args" => "?",
            "server_name" => known.server?,
            "scheme" => known.scheme?,
            "1" => known.first_capture?,
            _ => return None,
        });
    }
    out.push_str(rest);
    Some(out)
}

/// Splits the name off what follows a `$`.
fn variable(text: &str) -> Option<(&str, &str)> {
    if let Some(inner) = text.strip_prefix('{') {
        return inner.split_once('}');
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// What a request is hashed by.
pub(super) fn hash_key(text: &str) -> Option<HashKey> {
    match text.strip_prefix('$')? {
        "remote_addr" | "binary_remote_addr" => Some(HashKey::ClientAddress),
        "uri" | "document_uri" => Some(HashKey::Path),
        name => match (name.strip_prefix("http_"), name.strip_prefix("cookie_")) {
            (Some(header), _) if plain(header) => {
                Some(HashKey::Header(header.replace('_', "-").to_ascii_lowercase()))
            }
            (_, Some(cookie)) if plain(cookie) => Some(HashKey::Cookie(cookie.to_owned())),
            _ => None,
        },
    }
}

fn plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_what_a_redirect_knows() {
        let known = Known { scheme: Some("https"), server: Some("a.example"), first_capture: None };
        let known = |text| target(text, known);
        assert_eq!(known("https://$host$request_uri").as_deref(), Some("https://{host}{path}?{query}"));
        assert_eq!(
            known("$scheme://${server_name}/x$is_args$args").as_deref(),
            Some("https://a.example/x?{query}")
        );
        assert_eq!(known("https://$host/$1"), None);
        assert_eq!(known("https://a/{b}"), None);
        assert_eq!(known("a$"), None);
        assert_eq!(target("$scheme://a/$1", Known { scheme: Some("http"), ..Known::default() }), None);
        let rest = Known { first_capture: Some("{rest}"), ..Known::default() };
        assert_eq!(target("/new/$1", rest).as_deref(), Some("/new/{rest}"));
    }
}
