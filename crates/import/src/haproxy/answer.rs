//! What HAProxy answers by itself: `redirect` and `return`. It does not know where the answer stands.

use crate::draft::Draft;
use headgate_model::spec::{Redirect, Respond};

/// `location|prefix|scheme TO`, `code N` and the options of a redirect, in any order; none where it cannot be
/// said.
pub(super) fn redirect(line: usize, words: &[String], draft: &mut Draft) -> Option<Redirect> {
    let (mut target, mut status) = (None, 302);
    let (mut drops_query, mut keeps_query) = (false, false);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "location" | "prefix" | "scheme" => target = Some((word, words.next()?)),
            "code" => status = words.next()?.parse().ok()?,
            "drop-query" => drops_query = true,
            "keep-query" => keeps_query = true,
            "set-cookie" | "clear-cookie" => {
                let cookie = words.next().unwrap_or_default();
                draft.untranslated(line, format!("redirect ... {word} {cookie}: a redirect sets no cookie"));
            }
            _ => draft.untranslated(line, format!("redirect ... {word}: no counterpart")),
        }
    }
    let (kind, to) = target?;
    if drops_query && kind == "location" {
        draft.unneeded(line, "redirect ... drop-query: a location has no query of the request");
    }
    let query = if drops_query { "" } else { "?{query}" };
    let to = match kind {
        "scheme" => format!("{to}://{{host}}{{path}}{query}"),
        "prefix" => format!("{to}{{path}}{query}"),
        _ if keeps_query && !to.contains('?') => format!("{to}?{{query}}"),
        _ => {
            if keeps_query {
                draft.untranslated(line, "redirect ... keep-query: the target has a query of its own");
            }
            to.to_owned()
        }
    };
    let usable = !to.contains(['%', ' ']) && headgate_model::grammar::is_field_value(&to);
    (usable && matches!(status, 301 | 302 | 303 | 307 | 308)).then_some(Redirect { to, status })
}

/// What a `return` answers with; none where it cannot be said.
pub(super) fn fixed(line: usize, words: &[String], draft: &mut Draft) -> Option<Respond> {
    let mut respond = options("return", line, words, Respond::default(), draft)?;
    if matches!(respond.status, 204 | 205 | 304) {
        respond.body.clear();
    }
    ((200..600).contains(&respond.status) && is_sayable(&respond)).then_some(respond)
}

/// What a `deny` answers with. Where its text cannot be said, its status is left.
pub(super) fn refusal(line: usize, words: &[String], draft: &mut Draft) -> Respond {
    let forbidden = Respond { status: 403, ..Respond::default() };
    let Some(respond) = options("deny", line, words, forbidden.clone(), draft) else {
        draft.untranslated(line, format!("deny {}: not an answer; answered 403", words.join(" ")));
        return forbidden;
    };
    let mut respond = respond;
    if !(400..600).contains(&respond.status) {
        draft.approximated(line, format!("deny ... {}: a refusal is answered 403", respond.status));
        respond.status = 403;
    }
    if is_sayable(&respond) {
        return respond;
    }
    draft.untranslated(line, "deny ...: a text with variables; answered without it");
    Respond { status: respond.status, ..forbidden }
}

fn is_sayable(respond: &Respond) -> bool {
    !respond.body.contains('%') && headgate_model::grammar::is_field_value(&respond.content_type)
}

/// `status N` or `deny_status N`, `content-type T` and a body that stands in the line, over what `respond` says.
fn options(
    rule: &str,
    line: usize,
    words: &[String],
    mut respond: Respond,
    draft: &mut Draft,
) -> Option<Respond> {
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "status" | "deny_status" => respond.status = words.next()?.parse().ok()?,
            "content-type" => respond.content_type = words.next()?.to_owned(),
            "string" | "lf-string" => respond.body = words.next()?.to_owned(),
            "default-errorfiles" => {}
            "hdr" => {
                let (name, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                draft.untranslated(line, format!("{rule} ... hdr {name} {value}: not in a fixed answer"));
            }
            "file" | "lf-file" | "errorfile" | "errorfiles" => {
                let file = words.next().unwrap_or_default();
                draft.untranslated(line, format!("{rule} ... {word} {file}: bodies stand in the route"));
            }
            _ => draft.untranslated(line, format!("{rule} ... {word}: no counterpart")),
        }
    }
    Some(respond)
}
