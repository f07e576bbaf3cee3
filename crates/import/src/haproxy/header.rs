//! Rules of HAProxy that change header fields, and `option forwardfor`.

use super::parse::Line;
use crate::draft::{Draft, is_forwarding, of_certificates};
use headgate_model::spec::HeaderEdits;

/// `set-header`, `add-header` and `del-header`; any other rule is a note.
pub(super) fn header_edit(line: &Line, edits: &mut HeaderEdits, draft: &mut Draft) {
    let (rule, condition) = line.split_condition();
    let word = |at: usize| rule.get(at).map_or("", String::as_str);
    let (number, name, value) = (line.number, word(2), word(3));
    let request = word(0) == "http-request";
    let by_hand = !condition.is_empty() || value.contains('%');
    match word(1) {
        "set-header" | "add-header" if request && by_hand && is_forwarding(name) => {
            draft.unneeded(number, format!("{} {name}: Headgate sets it by itself", word(1)));
        }
        "set-header" if request && is_same_field(name, value) => {
            draft.unneeded(number, format!("set-header {name} {value}: it is passed on anyway"));
        }
        _ if !condition.is_empty() => conditional_edit(line, edits, draft),
        "set-header" if value.contains('%') && request && !name.eq_ignore_ascii_case("host") => {
            draft.remove_header(number, edits, name);
            let text = format!(
                "set-header {name} {value}: a value with variables; what a client sends under this name is removed{}",
                of_certificates(value)
            );
            draft.untranslated(number, text);
        }
        "set-header" | "add-header" if !value.contains('%') => {
            draft.header(number, edits, word(1) == "add-header", name, value);
        }
        "del-header" if rule.len() == 3 => draft.remove_header(number, edits, name),
        _ => draft.untranslated(number, format!("{}: no counterpart", line.shown())),
    }
}

/// Whether a value is the client's own field of this name.
fn is_same_field(name: &str, value: &str) -> bool {
    let fetched = value.strip_prefix("%[").and_then(|value| value.strip_suffix(")]"));
    let fetched = fetched.and_then(|value| value.strip_prefix("req.hdr(").or(value.strip_prefix("hdr(")));
    fetched.is_some_and(|fetched| fetched.eq_ignore_ascii_case(name))
}

/// An edit with a condition. A request's field is removed in any case: a service may trust a field that no
/// client could set so far.
fn conditional_edit(line: &Line, edits: &mut HeaderEdits, draft: &mut Draft) {
    let (number, shown) = (line.number, line.shown());
    if line.word(0) == "http-request" && matches!(line.word(1), "set-header" | "del-header") {
        draft.remove_header(number, edits, line.word(2));
        let text = format!(
            "{shown}: edits have no conditions; what a client sends under this name is removed{}",
            of_certificates(&shown)
        );
        draft.untranslated(number, text);
    } else {
        draft.untranslated(number, format!("{shown}: edits have no conditions"));
    }
}

/// `option forwardfor`. A field of another name than X-Forwarded-For is removed: the service takes its last
/// line for HAProxy's, and without one believes the client.
pub(super) fn forwarded_for(line: &Line, edits: &mut HeaderEdits, draft: &mut Draft) {
    let (number, mut field, mut options) = (line.number, "X-Forwarded-For", line.rest(2).iter());
    while let Some(option) = options.next() {
        match option.as_str() {
            "header" => field = options.next().map_or("", String::as_str),
            "except" => {
                let net = options.next().map_or("", String::as_str);
                let text = format!(
                    "option forwardfor except {net}: set for these as well; to keep what they send, name them in \
                     trusted_proxies"
                );
                draft.approximated(number, text);
            }
            "if-none" => {
                let text =
                    "option forwardfor if-none: what a client sends is never kept, a trusted proxy's is";
                draft.approximated(number, text);
            }
            other => draft.untranslated(number, format!("option forwardfor {other}: no counterpart")),
        }
    }
    if field.eq_ignore_ascii_case("x-forwarded-for") {
        draft.unneeded(number, "option forwardfor: Headgate sets X-Forwarded-For by default");
        return;
    }
    draft.remove_header(number, edits, field);
    let text = format!(
        "option forwardfor header {field}: the service finds the client in X-Forwarded-For; what a client sends \
         under this name is removed"
    );
    draft.approximated(number, text);
}

/// Adds names to those that are removed, each once.
pub(super) fn remove_too(edits: &mut HeaderEdits, names: &[String]) {
    for name in names {
        if !edits.remove.contains(name) {
            edits.remove.push(name.clone());
        }
    }
}
