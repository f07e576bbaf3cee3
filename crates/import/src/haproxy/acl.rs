//! ACLs and conditions: what they say about host, path, method, headers, query and TLS.

use super::parse::Line;
use headgate_model::spec::RouteSpec;
use std::collections::BTreeMap;

/// One way in which a request can fulfil a condition. Empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    hosts: Vec<String>,
    paths: Vec<String>,
    methods: Vec<String>,
    /// Methods that do not match; only where `methods` is empty.
    pub(super) other_than: Vec<String>,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    pub(super) tls: Option<bool>,
}

impl Match {
    /// Whether it asks for nothing but TLS or its absence.
    pub(super) fn is_everything(&self) -> bool {
        Self { tls: None, ..self.clone() } == Self::default()
    }

    /// Whether it asks for one of several methods and for nothing else.
    fn is_methods(&self) -> bool {
        !self.methods.is_empty() && Self { methods: Vec::new(), ..self.clone() } == Self::default()
    }

    /// The routes that match so, methods to be left out aside: one for each host and path.
    pub(super) fn routes(&self, route: &RouteSpec) -> Vec<RouteSpec> {
        let any_host = [String::new()];
        let any_path = ["/*".to_owned()];
        let hosts = if self.hosts.is_empty() { &any_host[..] } else { &self.hosts };
        let paths = if self.paths.is_empty() { &any_path[..] } else { &self.paths };
        let one = |host: &String, path: &String| RouteSpec {
            pattern: format!("{host}{path}"),
            methods: self.methods.clone(),
            headers: self.headers.clone(),
            query: self.query.clone(),
            ..route.clone()
        };
        hosts.iter().flat_map(|host| paths.iter().map(move |path| one(host, path))).collect()
    }

    /// Both at once, where that can be said in one pattern.
    fn and(&self, other: &Self) -> Option<Self> {
        let list = |a: &[String], b: &[String]| match (a, b) {
            (a, []) => Some(a.to_vec()),
            ([], b) => Some(b.to_vec()),
            (a, b) if a == b => Some(a.to_vec()),
            _ => None,
        };
        let map = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| {
            let conflict = b.iter().any(|(key, value)| a.get(key).is_some_and(|other| other != value));
            (!conflict).then(|| a.iter().chain(b).map(|(key, value)| (key.clone(), value.clone())).collect())
        };
        if self.tls.is_some() && other.tls.is_some() && self.tls != other.tls {
            return None;
        }
        let mut other_than = [&self.other_than[..], &other.other_than].concat();
        let mut methods = list(&self.methods, &other.methods)?;
        if !methods.is_empty() {
            methods.retain(|method| !other_than.contains(method));
            other_than.clear();
            // No method at all is nothing that a pattern could say.
            (!methods.is_empty()).then_some(())?;
        }
        Some(Self {
            hosts: list(&self.hosts, &other.hosts)?,
            paths: list(&self.paths, &other.paths)?,
            methods,
            other_than,
            headers: map(&self.headers, &other.headers)?,
            query: map(&self.query, &other.query)?,
            tls: self.tls.or(other.tls),
        })
    }
}

/// The ACLs of a section; those of the same name are alternatives.
#[derive(Default)]
pub(super) struct Acls {
    named: BTreeMap<String, Result<Vec<Match>, String>>,
    /// The criteria behind each name, as they are called in the file.
    criteria: BTreeMap<String, Vec<String>>,
}

/// More alternatives than this are not written out as routes.
const MAX_ALTERNATIVES: usize = 64;

impl Acls {
    /// Takes an `acl NAME CRITERION ...` line in.
    ///
    /// # Errors
    /// Why the criterion has no counterpart.
    pub(super) fn add(&mut self, line: &Line) -> Result<(), String> {
        let found = criterion(line.rest(2));
        self.criteria.entry(line.word(1).to_owned()).or_default().push(line.word(2).to_owned());
        let result = found.as_ref().map(drop).map_err(String::clone);
        let entry = self.named.entry(line.word(1).to_owned()).or_insert_with(|| Ok(Vec::new()));
        match (entry, found) {
            (Ok(all), Ok(found)) => all.extend(found),
            (entry, Err(reason)) => *entry = Err(reason),
            (Err(_), Ok(_)) => {}
        }
        result
    }

    /// Whether a condition asks who the client is or what it did, rather than what it asks for.
    pub(super) fn is_about_client(&self, words: &[String]) -> bool {
        let about_request = |criterion: &String| {
            let plain =
                ["path", "base", "url", "query", "method", "ssl_fc", "always_", "nbsrv", "be_", "fe_"];
            let lower = criterion.to_ascii_lowercase();
            let name = lower.strip_prefix("req.").unwrap_or(&lower);
            plain.iter().any(|start| name.starts_with(start))
                || name.starts_with("hdr")
                    && ["(host", "(user-agent", "(accept", "(upgrade", "(connection"]
                        .iter()
                        .any(|known| name.contains(known))
        };
        words.split(|word| word == "or" || word == "||").flat_map(terms).any(|(_, term)| match term {
            Term::Named(name) if matches!(name.as_str(), "if" | "unless") => false,
            Term::Named(name) => match self.criteria.get(&name) {
                Some(criteria) => !criteria.iter().all(about_request),
                None => predefined(&name).is_none() && !is_about_protocol(&name),
            },
            Term::Anonymous(words) => words.first().is_none_or(|first| !about_request(first)),
        })
    }

    /// The ways to fulfil `if ...` or `unless ...`; no words are always fulfilled.
    pub(super) fn condition(&self, words: &[String]) -> Result<Vec<Match>, String> {
        let ways = self.condition_of_refusal(words)?;
        if ways.iter().any(|way| !way.other_than.is_empty()) {
            return Err("a negation of methods, which only a refusal can have".to_owned());
        }
        Ok(ways)
    }

    /// The same for a refusal, which can leave methods out.
    pub(super) fn condition_of_refusal(&self, words: &[String]) -> Result<Vec<Match>, String> {
        let Some((keyword, words)) = words.split_first() else { return Ok(vec![Match::default()]) };
        let mut all = Vec::new();
        for alternative in words.split(|word| word == "or" || word == "||") {
            let mut ways = vec![Match::default()];
            let terms = terms(alternative);
            if keyword == "unless" && (terms.len() != 1 || words.len() != alternative.len()) {
                return Err("`unless` with several conditions".to_owned());
            }
            for (negated, term) in terms {
                let term = self.term(&term, negated != (keyword == "unless"))?;
                let pairs = ways.iter().flat_map(|way| term.iter().map(move |other| way.and(other)));
                let joined: Option<Vec<Match>> = pairs.collect();
                ways = joined.ok_or("two conditions on the same thing at once")?;
                if ways.len() + all.len() > MAX_ALTERNATIVES {
                    return Err("too many alternatives".to_owned());
                }
            }
            all.extend(ways);
        }
        Ok(all)
    }

    /// The ways to fulfil what is understood of a condition; `None` when that would be everything.
    pub(super) fn condition_known(&self, words: &[String]) -> Option<Vec<Match>> {
        let words = words.strip_prefix(&["if".to_owned()])?;
        let mut all = Vec::new();
        for alternative in words.split(|word| word == "or" || word == "||") {
            let known =
                terms(alternative).into_iter().filter_map(|(negated, term)| self.term(&term, negated).ok());
            let mut ways = vec![Match::default()];
            for term in known {
                let pairs = ways.iter().flat_map(|way| term.iter().map(move |other| way.and(other)));
                ways = pairs.collect::<Option<Vec<Match>>>().filter(|ways| ways.len() <= MAX_ALTERNATIVES)?;
            }
            all.extend(ways);
        }
        (!all.iter().any(Match::is_everything)).then_some(all)
    }

    fn term(&self, term: &Term, negated: bool) -> Result<Vec<Match>, String> {
        let found = match term {
            Term::Named(name) => match self.named.get(name) {
                Some(found) => found.clone()?,
                None => predefined(name).ok_or_else(|| format!("there is no acl {name}"))?,
            },
            Term::Anonymous(words) => criterion(words)?,
        };
        match (negated, found.as_slice()) {
            (false, _) => Ok(found),
            (true, []) => Ok(vec![Match::default()]),
            (true, [Match { tls: Some(tls), .. }]) if found.iter().all(Match::is_everything) => {
                Ok(vec![Match { tls: Some(!tls), ..Match::default() }])
            }
            (true, ways) if ways.iter().all(Match::is_methods) => {
                let other_than = ways.iter().flat_map(|way| way.methods.clone()).collect();
                Ok(vec![Match { other_than, ..Match::default() }])
            }
            (true, _) => Err("a negation".to_owned()),
        }
    }
}

/// The name of an `acl`, or a criterion between `{` and `}`.
enum Term {
    Named(String),
    Anonymous(Vec<String>),
}

/// Splits into terms: a name, or the words between `{` and `}`; each perhaps after `!`.
fn terms(words: &[String]) -> Vec<(bool, Term)> {
    let (mut terms, mut negated) = (Vec::new(), false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bare = word.trim_start_matches('!');
        negated ^= (word.len() - bare.len()) % 2 == 1;
        match bare {
            "" => continue,
            "{" => {
                let inside = words.by_ref().take_while(|word| *word != "}").cloned().collect();
                terms.push((negated, Term::Anonymous(inside)));
            }
            name => terms.push((negated, Term::Named(name.to_owned()))),
        }
        negated = false;
    }
    terms
}

fn predefined(name: &str) -> Option<Vec<Match>> {
    let method = |names: &[&str]| {
        vec![Match { methods: names.iter().map(|name| (*name).to_owned()).collect(), ..Match::default() }]
    };
    match name {
        "TRUE" => Some(vec![Match::default()]),
        "METH_GET" => Some(method(&["GET", "HEAD"])),
        "METH_POST" => Some(method(&["POST"])),
        "METH_HEAD" => Some(method(&["HEAD"])),
        "METH_OPTIONS" => Some(method(&["OPTIONS"])),
        "METH_PUT" => Some(method(&["PUT"])),
        "METH_DELETE" => Some(method(&["DELETE"])),
        "METH_CONNECT" => Some(method(&["CONNECT"])),
        "METH_TRACE" => Some(method(&["TRACE"])),
        // Nothing else comes through.
        "HTTP" => Some(vec![Match::default()]),
        "FALSE" => Some(Vec::new()),
        _ => None,
    }
}

/// Whether HAProxy brings along an ACL of this name that has no counterpart and asks for the form of a request,
/// not for the client.
fn is_about_protocol(name: &str) -> bool {
    matches!(
        name,
        "HTTP_1.0"
            | "HTTP_1.1"
            | "HTTP_2.0"
            | "HTTP_CONTENT"
            | "HTTP_URL_ABS"
            | "HTTP_URL_SLASH"
            | "HTTP_URL_STAR"
            | "REQ_CONTENT"
            | "WAIT_END"
    )
}

/// `path_beg -i /a /b` as alternatives.
fn criterion(words: &[String]) -> Result<Vec<Match>, String> {
    let unknown = || Err(format!("{}: no counterpart", words.join(" ")));
    let Some((name, rest)) = words.split_first() else { return Err("an empty condition".to_owned()) };
    let (mut how, mut values) = (String::new(), Vec::new());
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-m" => how = rest.next().cloned().unwrap_or_default(),
            "-i" if values.is_empty() => {}
            "--" => {}
            word if word.starts_with('-') && values.is_empty() => return unknown(),
            word => values.push(word),
        }
    }
    let (fetch, argument) = match name.split_once('(') {
        Some((fetch, argument)) => (fetch, argument.trim_end_matches(')')),
        None => (name.as_str(), ""),
    };
    let fetch = fetch.strip_prefix("req.").unwrap_or(fetch);
    let (fetch, suffix) = match fetch {
        "path_beg" | "path_dir" | "path_end" | "path_reg" | "path_sub" => fetch.split_at(4),
        "hdr_beg" | "hdr_dom" | "hdr_end" | "hdr_reg" | "hdr_sub" => fetch.split_at(3),
        _ => (fetch, ""),
    };
    let how = if suffix.is_empty() { how.as_str() } else { suffix.trim_start_matches('_') };
    let lower = argument.to_ascii_lowercase();
    let lower = lower.split(',').next().unwrap_or_default();
    let host = |values: Vec<String>| Ok(vec![Match { hosts: values, ..Match::default() }]);
    let path = |values: Vec<String>| Ok(vec![Match { paths: values, ..Match::default() }]);
    let texts = || values.iter().map(|value| (*value).to_owned()).collect::<Vec<String>>();
    // These mean something else in a pattern.
    if values.iter().any(|value| value.contains(['{', '}', '*'])) {
        return unknown();
    }
    if values.is_empty() && !matches!(fetch, "ssl_fc" | "always_true") && how != "found" {
        return unknown();
    }
    match (fetch, how) {
        ("ssl_fc", _) if values.is_empty() => Ok(vec![Match { tls: Some(true), ..Match::default() }]),
        ("always_true", _) => Ok(vec![Match::default()]),
        ("path", "" | "str") => path(texts()),
        ("path", "beg") => path(values.iter().map(|value| format!("{value}*")).collect()),
        ("path", "dir") if values.iter().all(|value| value.starts_with('/')) => {
            let both = |value: &&str| {
                let value = value.trim_end_matches('/');
                [value.to_owned(), format!("{value}/*")]
            };
            path(values.iter().flat_map(both).collect())
        }
        ("method", "" | "str") => Ok(vec![Match { methods: texts(), ..Match::default() }]),
        ("hdr", "" | "str") if lower == "host" => {
            host(values.iter().map(|value| without_port(value)).collect())
        }
        ("hdr", "end") if lower == "host" && values.iter().all(|value| value.starts_with('.')) => {
            host(values.iter().map(|value| format!("*{value}")).collect())
        }
        ("hdr", "dom") if lower == "host" => {
            host(values.iter().flat_map(|value| [(*value).to_owned(), format!("*.{value}")]).collect())
        }
        ("hdr", "" | "str") if !lower.is_empty() => Ok(one_of(&values, lower, true)),
        ("hdr", "found") if !lower.is_empty() => Ok(one_of(&["*"], lower, true)),
        ("url_param" | "urlp", "" | "str") if !argument.is_empty() => Ok(one_of(&values, argument, false)),
        ("url_param" | "urlp", "found") if !argument.is_empty() => Ok(one_of(&["*"], argument, false)),
        _ => unknown(),
    }
}

fn one_of(values: &[&str], name: &str, header: bool) -> Vec<Match> {
    let one = |value: &&str| {
        let map = BTreeMap::from([(name.to_owned(), (*value).to_owned())]);
        if header {
            Match { headers: map, ..Match::default() }
        } else {
            Match { query: map, ..Match::default() }
        }
    };
    values.iter().map(one).collect()
}

/// Rules often list `name` and `name:443`; Headgate compares hosts without port.
fn without_port(host: &str) -> String {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
        _ => host.to_owned(),
    }
}
