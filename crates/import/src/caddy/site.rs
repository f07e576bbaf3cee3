//! Site blocks: their directives as routes.

use super::address::{address, secure};
use super::guard::{asks_for_certificates, deny, is_guard, keeps_away, refuse};
use super::matcher::{self, Matcher, Named};
use super::options::trusted_by_proxy;
use super::order::{Order, end_handle};
use super::parse::Directive;
use super::upstream;
use crate::draft::Draft;
use crate::quantity::size;
use headgate_model::spec::{LogFormat, Redirect, Respond, RouteSpec};

/// Where the requests of a block come from, and what was decided about them so far.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) listeners: Vec<String>,
    pub(super) hosts: Vec<String>,
    matcher: Matcher,
    pub(super) named: Named,
    order: Order,
    /// The prefix that `handle_path` took off.
    stripped: String,
    pub(super) route: RouteSpec,
    /// Something guards it that has no counterpart.
    guarded: bool,
}

impl Scope {
    /// A matcher that stands in it: as the client's path is, and with what the scope itself asks for.
    pub(super) fn narrowed(&self, inner: Matcher) -> Result<(Matcher, Matcher), String> {
        let inner = if self.stripped.is_empty() || inner == Matcher::default() {
            inner
        } else {
            inner.behind(&self.stripped)
        };
        self.matcher.and(&inner).map(|both| (inner, both))
    }
}

pub(super) fn site(block: &Directive, auto_https: bool, order: &Order, draft: &mut Draft) {
    draft.begin_server();
    let words = block.words.iter().flat_map(|word| word.split(',')).filter(|word| !word.is_empty());
    let bind = block
        .block
        .iter()
        .find(|directive| directive.word(0) == "bind")
        .map_or("", |directive| directive.word(1));
    let tls = block.block.iter().find(|directive| directive.word(0) == "tls");
    if let Some(more) =
        block.block.iter().find(|directive| directive.word(0) == "bind" && directive.words.len() > 2)
    {
        draft.untranslated(more.line, format!("{}: the first address only", more.shown()));
    }
    for word in words {
        let address = match address(word, auto_https) {
            Ok(address) => address,
            Err(reason) => {
                draft.untranslated(block.line, format!("the site {word}: {reason}"));
                continue;
            }
        };
        let Some(listener) = draft.listener(block.line, &format!("{bind}:{}", address.port)) else {
            continue;
        };
        if address.tls {
            secure(&address, &listener, tls, auto_https, block.line, draft);
        }
        if !address.host.is_empty() {
            draft.close(block.line, &address.host, std::slice::from_ref(&listener));
        }
        let scope = Scope {
            listeners: vec![listener],
            hosts: vec![address.host],
            matcher: Matcher::default(),
            named: Named::new(),
            order: order.clone(),
            stripped: String::new(),
            route: RouteSpec::default(),
            guarded: tls.is_some_and(asks_for_certificates),
        };
        directives(&block.block, scope, true, draft);
    }
}

/// The directives of a block: first what changes a message, then what answers; in Caddy's order or, inside
/// `route`, as they stand.
fn directives(block: &[Directive], mut scope: Scope, sorted: bool, draft: &mut Draft) {
    scope.named = matcher::named(block, &scope.named);
    for directive in block.iter().filter(|directive| directive.word(0).starts_with('@')) {
        let (name, line) = (directive.word(0), directive.line);
        let used = block.iter().any(|other| uses(other, name));
        match scope.named.get(name) {
            Some(Err(reason)) => {
                draft.untranslated(line, format!("{}: {reason}; the whole block", directive.shown()))
            }
            _ if !used => draft.unneeded(line, format!("{name}: nothing asks for it; the whole block")),
            _ => {}
        }
    }
    for directive in block {
        prepare(directive, &mut scope, draft);
    }
    let mut answers: Vec<&Directive> = block.iter().collect();
    if sorted {
        scope.order.sort(&mut answers, &scope.named);
    }
    for (at, directive) in answers.iter().enumerate() {
        act(directive, &mut scope, draft);
        end_handle(directive, &answers[at + 1..], &scope, draft);
    }
}

/// Whether a directive or one inside it asks for the matcher of this name.
fn uses(directive: &Directive, matcher: &str) -> bool {
    directive.rest(1).iter().any(|word| word == matcher)
        || directive.block.iter().any(|inner| uses(inner, matcher))
}

fn prepare(directive: &Directive, scope: &mut Scope, draft: &mut Draft) {
    let (line, shown) = (directive.line, directive.shown());
    let (mut matched, mut rest) = matcher::split(directive.rest(1), &scope.named);
    if directive.word(0) == "rewrite" && rest.is_empty() {
        (matched, rest) = (Ok(Matcher::default()), directive.rest(1));
    }
    let conditional = matched.as_ref() != Ok(&Matcher::default());
    match directive.word(0) {
        "header" | "request_header" | "rewrite" | "uri" if conditional => {
            draft.untranslated(line, format!("{shown}: put it into a handle block with this matcher"));
        }
        "request_header" if rest.len() == 2 && rest[1].contains('{') => {
            upstream::unsayable_header(directive, &rest[0], &mut scope.route.request_headers, draft);
        }
        "header" | "request_header" => {
            let response = directive.word(0) == "header";
            let edits =
                if response { &mut scope.route.response_headers } else { &mut scope.route.request_headers };
            if !rest.is_empty() {
                upstream::header(directive, rest, edits, draft);
            }
            for child in directive.block.iter().filter(|child| child.words != ["defer"]) {
                upstream::header(child, &child.words, edits, draft);
            }
        }
        "rewrite" => match rest {
            [path] if rewrite_path(path) => scope.route.rewrite = Some(path.clone()),
            _ => draft.untranslated(line, format!("{shown}: a rewrite is a path without placeholders")),
        },
        "uri" => match rest {
            [kind, prefix] if kind == "strip_prefix" && rewrite_path(prefix) => {
                scope.stripped.push_str(prefix)
            }
            _ => draft.untranslated(line, format!("{shown}: no counterpart")),
        },
        name if is_guard(directive) => {
            let narrowed = matched.and_then(|inner| scope.narrowed(inner));
            let covers = match narrowed {
                Ok((_, both)) if conditional => {
                    let answer = Respond { status: 403, ..Respond::default() };
                    deny(line, &both, &answer, scope, draft);
                    "those paths are"
                }
                _ => {
                    scope.guarded = true;
                    "what it guards is"
                }
            };
            let why = if name == "import" { "it may restrict access" } else { "no access control" };
            draft.closes(
                line,
                format!("{shown}: the whole block; {why}; {covers} answered 403 until you decide"),
            );
        }
        "request_body" => {
            for child in &directive.block {
                match (child.word(0), size(child.word(1))) {
                    ("max_size", Some(bytes)) => {
                        let text =
                            "the limit on request bodies is the listener's: of all of its sites and paths";
                        draft.approximated(child.line, format!("{}: {text}", child.shown()));
                        scope
                            .listeners
                            .iter()
                            .for_each(|listener| draft.body_limit(child.line, listener, bytes));
                    }
                    _ => draft.untranslated(child.line, format!("{}: no counterpart", child.shown())),
                }
            }
        }
        _ => {}
    }
}

fn tls(directive: &Directive, draft: &mut Draft) {
    let (line, shown) = (directive.line, directive.shown());
    let known = directive.rest(1).len() == 2 && directive.block.is_empty();
    if asks_for_certificates(directive) {
        let text = format!(
            "{shown}: the whole block; client certificates are asked for by a listener: tls.client_ca; what it \
                     guards is answered 403 until you decide"
        );
        draft.closes(line, text);
    } else if !known {
        draft.untranslated(
            line,
            format!("{shown}: the whole block; certificates are files: tls.certificates of the listener"),
        );
    }
}

fn log(directive: &Directive, draft: &mut Draft) {
    let file = directive.block.iter().find(|child| child.word(0) == "output" && child.word(1) == "file");
    let path = file.map(|child| child.word(2)).filter(|path| !path.is_empty());
    draft.log(file.unwrap_or(directive).line, LogFormat::Json, path);
    for child in &directive.block {
        let shown = child.shown();
        match (child.word(0), child.word(1)) {
            ("output", "file") if child.block.is_empty() => {}
            ("output", "file") => {
                let text =
                    format!("{shown}: the whole block; files are rotated from outside, SIGHUP reopens them");
                draft.untranslated(child.line, text);
            }
            ("output", "stdout") | ("format", "json") if child.block.is_empty() => {
                draft.unneeded(child.line, format!("{shown}: the access log is JSON on standard output"));
            }
            ("format", _) => draft.approximated(
                child.line,
                format!("{shown}: the whole block; written as JSON with Headgate's fields"),
            ),
            _ => {
                let text = format!("{shown}: the whole block; the access log has a format and a path only");
                draft.untranslated(child.line, text);
            }
        }
    }
}

fn rewrite_path(path: &str) -> bool {
    path.starts_with('/') && headgate_model::grammar::path_fault(path).is_none()
}

fn act(directive: &Directive, scope: &mut Scope, draft: &mut Draft) {
    let (line, shown) = (directive.line, directive.shown());
    let name = directive.word(0);
    let named = scope.named.clone();
    let (matched, rest) = matcher::split(directive.rest(1), &named);
    match name {
        "reverse_proxy" if is_guard(directive) => {}
        "handle" | "handle_path" | "route" | "reverse_proxy" | "redir" | "respond" | "abort" | "error"
        | "file_server" | "php_fastcgi" => {}
        "header" | "request_header" | "rewrite" | "uri" | "request_body" | "bind" => return,
        _ if is_guard(directive) => return,
        "tls" => return tls(directive, draft),
        "log" => return log(directive, draft),
        name if name.starts_with('@') => return,
        _ => {
            leftover(directive, draft);
            return;
        }
    }
    let narrowed = matched.and_then(|inner| scope.narrowed(inner));
    let (inner, both) = match narrowed {
        Ok(found) => found,
        Err(reason) if keeps_away(directive) => {
            let text = format!(
                "{shown}: {reason}; the whole block; everything here is answered 403 until you decide"
            );
            draft.closes(line, text);
            scope.guarded = true;
            return;
        }
        Err(reason) => {
            draft.untranslated(line, format!("{shown}: {reason}; the whole block"));
            return;
        }
    };
    let conditional = rest.len() < directive.rest(1).len();
    if conditional && refuse(directive, rest, &both, scope, draft) {
        return;
    }
    let mut scope = Scope { matcher: both, ..scope.clone() };
    match name {
        "handle" | "route" => directives(&directive.block, scope, name == "handle", draft),
        "handle_path" => match inner.prefix() {
            Some(prefix) => {
                scope.stripped = prefix.to_owned();
                directives(&directive.block, scope, true, draft);
            }
            None => draft.untranslated(line, format!("{shown}: it needs a path with `*`")),
        },
        _ => answer(directive, rest, scope, draft),
    }
}

fn answer(directive: &Directive, rest: &[String], mut scope: Scope, draft: &mut Draft) {
    let (line, shown) = (directive.line, directive.shown());
    let mut route = std::mem::take(&mut scope.route);
    let done = match directive.word(0) {
        "reverse_proxy" => {
            if !scope.stripped.is_empty() && route.rewrite.is_none() {
                route.strip = Some(scope.stripped.clone());
            }
            trusted_by_proxy(directive, &scope.listeners, draft);
            upstream::reverse_proxy(directive, rest, &mut route, draft)
        }
        "redir" => {
            route.redirect = redirect(rest);
            route.redirect.is_some()
        }
        "respond" => {
            route.respond = respond(directive, rest);
            route.respond.is_some()
        }
        "error" => {
            let status =
                rest.iter().find_map(|word| word.parse().ok()).filter(|status| (200..600).contains(status));
            route.respond = status.map(|status| Respond { status, ..Respond::default() });
            route.respond.is_some()
        }
        // Without a route of its own, another one would answer what this one kept for itself.
        "abort" => {
            draft.approximated(line, format!("{shown}: answered 403"));
            route.respond = Some(Respond { status: 403, ..Respond::default() });
            true
        }
        _ => {
            let whole = if directive.block.is_empty() { "" } else { "the whole block; " };
            let text =
                format!("{shown}: {whole}Headgate serves no files; it is answered 501 until you decide");
            draft.untranslated(line, text);
            route.respond = Some(Respond { status: 501, ..Respond::default() });
            true
        }
    };
    if !done {
        // Without a route of its own, another one would answer what this one kept for itself.
        let whole = if directive.block.is_empty() { "" } else { "the whole block; " };
        draft.untranslated(line, format!("{shown}: {whole}no counterpart; answered 501 until you decide"));
        (route.service, route.redirect) = (None, None);
        route.respond = Some(Respond { status: 501, ..Respond::default() });
    }
    if route.service.is_none() {
        route = RouteSpec {
            redirect: route.redirect,
            respond: route.respond,
            response_headers: route.response_headers,
            ..RouteSpec::default()
        };
    } else if scope.guarded {
        let mut withheld = route.clone();
        withheld.listeners.clone_from(&scope.listeners);
        scope.matcher.routes(&scope.hosts, &withheld).into_iter().for_each(|route| draft.withhold(route));
        route = RouteSpec {
            respond: Some(Respond { status: 403, ..Respond::default() }),
            ..RouteSpec::default()
        };
    }
    route.listeners.clone_from(&scope.listeners);
    for mut route in scope.matcher.routes(&scope.hosts, &route) {
        let path = route.pattern.find('/').map_or("", |at| &route.pattern[at..]).to_owned();
        if route.strip.as_ref().is_some_and(|strip| !path.starts_with(strip.as_str())) {
            draft.untranslated(
                line,
                format!("{shown}: takes off {} where {path} does not begin so", scope.stripped),
            );
            route.strip = None;
        }
        // PHP takes its own files only, and leaves the others to what comes after it.
        if directive.word(0) == "php_fastcgi" {
            draft.route(line, route);
        } else {
            draft.route_in_order(line, route);
        }
    }
}

fn redirect(words: &[String]) -> Option<Redirect> {
    let status = match words.get(1).map(String::as_str) {
        None | Some("temporary") => 302,
        Some("permanent") => 301,
        Some(code) => code.parse().ok().filter(|code| matches!(code, 301 | 302 | 303 | 307 | 308))?,
    };
    let to = words.first()?.replace("{uri}", "{path}?{query}");
    let known = to.replace("{path}", "").replace("{query}", "").replace("{host}", "");
    let plain =
        !known.contains(['{', '}', ' ']) && headgate_model::grammar::is_field_value(&to) && !to.is_empty();
    plain.then_some(Redirect { to, status })
}

pub(super) fn respond(directive: &Directive, words: &[String]) -> Option<Respond> {
    let block_body =
        directive.block.iter().find(|child| child.word(0) == "body").map(|child| child.word(1).to_owned());
    let (body, status) = match words {
        [] => (String::new(), None),
        [only] if only.len() == 3 && only.parse::<u16>().is_ok() => (String::new(), only.parse().ok()),
        [body] => (body.clone(), None),
        [body, status, ..] => (body.clone(), Some(status.parse().ok()?)),
    };
    let status = Some(status.unwrap_or(200)).filter(|status| (200..600).contains(status))?;
    let body = if matches!(status, 204 | 205 | 304) { String::new() } else { block_body.unwrap_or(body) };
    (!body.contains('{')).then(|| Respond { status, body, ..Respond::default() })
}

fn leftover(directive: &Directive, draft: &mut Draft) {
    let reason = match directive.word(0) {
        "encode" => "Headgate does not compress: the service can",
        "root" | "try_files" | "templates" => "Headgate serves no files",
        "import" => "write the snippet or file in its place first",
        "handle_errors" => "a service's fallback answers when no endpoint can",
        "vars" | "map" => "no variables",
        _ => "no counterpart",
    };
    let whole = if directive.block.is_empty() { "" } else { "the whole block; " };
    draft.untranslated(directive.line, format!("{}: {whole}{reason}", directive.shown()));
}
