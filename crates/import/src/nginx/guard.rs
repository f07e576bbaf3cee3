//! What restricts access in NGINX: which of it can be said, and what is refused because it cannot.

use super::answer::returned_status;
use super::location::{Context, expression_place};
use super::parse::Directive;
use super::segment;
use super::settings::Settings;
use crate::draft::Draft;
use headgate_model::spec::RouteSpec;
use std::collections::BTreeSet;

/// How a note on an access rule goes on.
pub(super) const GUARDED: &str = "no access control; what it guards is answered 403 until you decide";

/// Whether a directive restricts access or traffic, in NGINX or a module that is often built in.
fn is_guard(name: &str) -> bool {
    let starts = ["auth_", "limit_req", "limit_conn", "access_by_", "modsecurity", "secure_link", "SecRule"];
    starts.iter().any(|start| name.starts_with(start))
        || matches!(
            name,
            "ssl_crl" | "ssl_ocsp" | "js_access" | "app_protect_enable" | "DeniedUrl" | "CheckRule"
        )
}

/// What `allow` and `deny` come to.
#[derive(Clone, Copy, Default, PartialEq)]
enum Access {
    #[default]
    Everybody,
    Nobody,
    Some,
}

/// The rules that hold in a block.
#[derive(Clone, Default)]
pub(super) struct Guards {
    /// The directives that restrict access and have no counterpart.
    names: BTreeSet<String>,
    /// `allow` and `deny` of the innermost level that has any.
    rules: Vec<Directive>,
    fresh: bool,
    verdict: Access,
    /// Only NGINX itself may go here.
    internal: bool,
}

impl Guards {
    /// The same, for a block inside: its own `allow` and `deny` will replace these.
    pub(super) fn inner(&self) -> Self {
        Self { fresh: false, ..self.clone() }
    }

    /// Refuses what it holds for.
    pub(super) fn add(&mut self, directive: &str) {
        self.names.insert(directive.to_owned());
    }

    /// Takes a directive in; false when it is none of these.
    pub(super) fn take(&mut self, directive: &Directive, draft: &mut Draft) -> bool {
        let (line, first, shown) = (directive.line, directive.arg(0), directive.shown());
        match directive.name.as_str() {
            "allow" | "deny" => {
                if !std::mem::replace(&mut self.fresh, true) {
                    self.rules.clear();
                }
                self.rules.push(directive.clone());
            }
            "internal" => {
                self.internal = true;
                draft.approximated(line, "internal: answered 404, as it is to every client");
            }
            "auth_basic" | "auth_request" | "auth_jwt" | "modsecurity" if first == "off" => {
                self.names.remove(&directive.name);
                draft.unneeded(line, format!("{shown}: no access control"));
            }
            "auth_basic_user_file"
            | "auth_request_set"
            | "auth_jwt_key_file"
            | "satisfy"
            | "limit_req_zone"
            | "limit_conn_zone"
            | "limit_req_status"
            | "limit_conn_status"
            | "limit_req_log_level"
            | "limit_conn_log_level" => {
                draft.untranslated(line, format!("{shown}: no access control"));
            }
            name if is_guard(name) => {
                self.names.insert(name.to_owned());
                draft.closes(line, format!("{shown}: {GUARDED}"));
            }
            _ => return false,
        }
        true
    }

    /// The status that everything here is refused with, instead of going to a service.
    pub(super) fn refusal(&self) -> Option<u16> {
        if self.internal {
            return Some(404);
        }
        (!self.names.is_empty() || self.verdict != Access::Everybody).then_some(403)
    }

    /// Says what the `allow` and `deny` of this level come to. The first that concerns a client decides.
    pub(super) fn judge(&mut self, draft: &mut Draft) {
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        let all = self.rules.iter().position(|rule| rule.arg(0) == "all").unwrap_or(self.rules.len());
        let (decisive, idle) = self.rules.split_at((all + 1).min(self.rules.len()));
        let denies = decisive.iter().any(|rule| rule.name == "deny");
        self.verdict = match decisive {
            [only] if only.arg(0) == "all" && denies => Access::Nobody,
            _ if denies => Access::Some,
            _ => Access::Everybody,
        };
        for rule in decisive {
            let (line, shown) = (rule.line, rule.shown());
            match self.verdict {
                Access::Everybody => draft.unneeded(line, format!("{shown}: nobody is denied")),
                Access::Nobody => draft.approximated(line, format!("{shown}: answered 403")),
                Access::Some => draft.closes(line, format!("{shown}: {GUARDED}")),
            }
        }
        for rule in idle {
            draft.unneeded(rule.line, format!("{}: an earlier rule is for all", rule.shown()));
        }
    }
}

/// Refuses what a location with a regular expression guards, at least: all paths that begin like it. True when
/// the location is said by that.
pub(super) fn guarded_expression(block: &Directive, context: &Context<'_, '_>, draft: &mut Draft) -> bool {
    let [modifier @ ("~" | "~*"), expression] = [block.arg(0), block.arg(1)] else { return false };
    let Some(status) = refusal_inside(block) else { return false };
    let status = if (400..600).contains(&status) && status != 444 { status } else { 403 };
    let exact = expression_place(expression).map(|place| vec![place.pattern()]);
    let anywhere = if exact.is_none() { segment::patterns(expression) } else { None };
    let closest = exact.as_ref().or(anywhere.as_ref());
    let start = if modifier == "~*" { "/*".to_owned() } else { literal_start(expression) };
    for path in closest.unwrap_or(&vec![start.clone()]) {
        refuse_path(block.line, path, status, context, draft);
    }
    let shown = block.shown();
    if anywhere.is_some() {
        let excepted = if expression.contains("(?!") { ", without its exception" } else { "" };
        let text = format!(
            "{shown}: the whole block; refused in the first {} segments{excepted}; deeper paths are refused whatever they \
             are, and so are locations whose prefix does not end at a slash, until you decide",
            segment::MAX_DEPTH
        );
        draft.closes(block.line, text);
    } else if exact.is_none() {
        let text = format!(
            "{shown}: patterns are not regular expressions; all of {start} is refused until you decide"
        );
        draft.closes(block.line, text);
    }
    if modifier == "~*"
        && closest.is_some_and(|paths| paths[0].bytes().any(|byte| byte.is_ascii_alphabetic()))
    {
        let text = format!("{shown}: only as it is written here; in other case the path is let through");
        draft.opens(block.line, text);
    }
    anywhere.is_some()
}

/// The status that a location refuses everything with that would go to a service.
pub(super) fn refusal_inside(block: &Directive) -> Option<u16> {
    let mut guards = Guards::default();
    // The notes on what stands inside come when the location itself is read.
    let mut scratch = Draft::default();
    let children = || block.block.iter().flatten();
    for directive in children() {
        guards.take(directive, &mut scratch);
    }
    guards.judge(&mut scratch);
    guards.refusal().or(children().filter_map(returned_status).find(|status| *status >= 400))
}

fn refuse_path(line: usize, path: &str, status: u16, context: &Context<'_, '_>, draft: &mut Draft) {
    for host in &context.hosts {
        let (pattern, listeners) = (format!("{host}{path}"), context.listeners.clone());
        let response_headers = context.settings.response_edits(draft);
        let denial = RouteSpec { pattern, listeners, response_headers, ..RouteSpec::default() };
        draft.deny(line, &denial, status);
    }
}

/// The pattern of all paths that an expression can match.
fn literal_start(expression: &str) -> String {
    let mut depth = 0;
    let mut alternatives = false;
    for c in expression.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        // Behind a backslash a parenthesis may stand for itself.
        alternatives |= c == '|' && (depth < 1 || expression.contains('\\'));
    }
    let anchored = expression.strip_prefix("^/").filter(|_| !alternatives).unwrap_or_default();
    let end = anchored.find(|c| "\\.*+?()[]{}|^$".contains(c)).unwrap_or(anchored.len());
    let mut literal = &anchored[..end];
    if anchored[end..].starts_with(['?', '*', '{']) {
        // The byte before it may be absent.
        literal = literal.char_indices().next_back().map_or("", |(at, _)| &literal[..at]);
    }
    format!("/{literal}*")
}

/// `limit_except GET { deny all; }`: GET includes HEAD.
pub(super) fn limit_except(block: &Directive, settings: &mut Settings, draft: &mut Draft) {
    let mut methods = block.args.clone();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    settings.methods = methods;
    let denied =
        matches!(block.block.as_deref(), Some([only]) if only.name == "deny" && only.arg(0) == "all");
    if denied {
        draft.approximated(block.line, format!("{}: other methods are answered 403", block.shown()));
    } else {
        let text = format!("{}: the whole block; for other methods, {GUARDED}", block.shown());
        draft.closes(block.line, text);
    }
}
