//! What keeps requests away in HAProxy: which of it can be said, and what is refused because it cannot.

use super::acl::Match;
use super::answer::refusal;
use super::frontend::{Frontend, bind_route};
use super::parse::Line;
use crate::draft::Draft;
use headgate_model::spec::{Respond, RouteSpec};

/// How a note on an access rule goes on.
pub(super) const GUARDED: &str = "no counterpart; what it guards is answered 403 until you decide";

/// Whether a rule keeps requests or connections away, or may do so.
pub(super) fn is_guard(line: &Line) -> bool {
    let verdict =
        |word: &str| matches!(word, "deny" | "tarpit" | "reject" | "auth" | "silent-drop" | "reject-ssl");
    match line.word(0) {
        "block" | "reqdeny" | "reqideny" | "reqtarpit" | "reqitarpit" | "rspdeny" | "rspideny" => true,
        "http-request" | "http-response" | "http-after-response" => {
            let rule = line.word(1);
            verdict(rule)
                || ["lua.", "send-spoe", "use-service", "wait-for-"]
                    .iter()
                    .any(|start| rule.starts_with(start))
        }
        "tcp-request" | "tcp-response" => {
            line.rest(1).iter().any(|word| verdict(word) || word.starts_with("lua."))
        }
        "filter" => matches!(line.word(1), "spoe" | "opentracing") || line.word(1).starts_with("lua."),
        "rate-limit" => true,
        _ => false,
    }
}

/// A rule that keeps requests away. What is not understood of its condition is left out, so that more is
/// refused and not less.
pub(super) fn guard(line: &Line, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    let (rule, condition) = line.split_condition();
    let plain = line.word(0) == "http-request" && line.word(1) == "deny" || line.word(0) == "block";
    let words = if line.word(0) == "http-request" { rule.get(2..).unwrap_or_default() } else { &[] };
    let answer = if plain { refusal(line.number, words, draft) } else { of_status(status(words)) };
    let ways = match line.word(0) {
        "filter" | "rate-limit" => Ok(vec![Match::default()]),
        word if word.starts_with("re") || word.starts_with("rsp") => Ok(vec![Match::default()]),
        "http-response" | "http-after-response" | "tcp-response" => Err("a rule on responses".to_owned()),
        _ => frontend.acls.condition_of_refusal(condition),
    };
    let ways = match ways {
        Ok(ways) => ways,
        Err(reason) => return guard_unknown(line, &reason, frontend, draft),
    };
    if !plain {
        draft.closes(line.number, format!("{}: {GUARDED}", line.shown()));
    }
    deny(line, &ways, &answer, frontend, draft);
    note_case(line, frontend, draft);
}

/// The status that a rule names, where it is one of an error.
fn status(words: &[String]) -> u16 {
    let at = words.iter().position(|word| word == "deny_status" || word == "status");
    let named = at.and_then(|at| words.get(at + 1)?.parse().ok());
    named.filter(|status| (400..600).contains(status)).unwrap_or(403)
}

pub(super) fn of_status(status: u16) -> Respond {
    Respond { status, ..Respond::default() }
}

/// Says where a refused path is let through in other case.
fn note_case(line: &Line, frontend: &Frontend<'_>, draft: &mut Draft) {
    if line.words.iter().any(|word| word == "-i") || condition_ignores_case(line, frontend) {
        let text = format!(
            "{}: paths only as they are written here; in other case they are let through",
            line.shown()
        );
        draft.opens(line.number, text);
    }
}

/// Whether an ACL of the line compares paths in any case, which Headgate does not.
fn condition_ignores_case(line: &Line, frontend: &Frontend<'_>) -> bool {
    line.split_condition().1.iter().any(|word| frontend.any_case.contains(word.trim_start_matches('!')))
}

pub(super) fn guard_unknown(line: &Line, reason: &str, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    let known = match line.word(0) {
        "http-response" | "http-after-response" | "tcp-response" => None,
        _ => frontend.acls.condition_known(line.split_condition().1),
    };
    let what = if known.is_some() {
        "without that condition, so that more is refused"
    } else {
        "everything here is answered 403 until you decide"
    };
    draft.closes(line.number, format!("{}: {reason}; {what}", line.shown()));
    if known.is_some() {
        note_case(line, frontend, draft);
    }
    deny(line, &known.unwrap_or_else(|| vec![Match::default()]), &of_status(403), frontend, draft);
}

fn deny(line: &Line, ways: &[Match], answer: &Respond, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    for way in ways {
        let respond = Some(answer.clone());
        for route in bind_route(way, &RouteSpec { respond, ..RouteSpec::default() }, frontend) {
            draft.deny_other_than(line.number, &route, answer.status, &way.other_than);
        }
    }
}

/// What goes to a backend that lets nothing through must not go to another one.
pub(super) fn refuse_backend(line: &Line, status: u16, frontend: &mut Frontend<'_>, draft: &mut Draft) {
    match frontend.acls.condition_of_refusal(line.split_condition().1) {
        Ok(ways) if line.word(0) == "default_backend" => {
            let respond = Some(Respond { status, ..Respond::default() });
            for way in ways {
                for route in bind_route(
                    &way,
                    &RouteSpec { respond: respond.clone(), ..RouteSpec::default() },
                    frontend,
                ) {
                    draft.route(line.number, route);
                }
            }
        }
        Ok(ways) => deny(line, &ways, &of_status(status), frontend, draft),
        Err(reason) => guard_unknown(line, &reason, frontend, draft),
    }
}
