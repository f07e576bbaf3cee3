//! The route table: which route a request belongs to. It decides exactly as `headgate_model::pattern`
//! defines, at a cost that does not grow with the number of routes; what a route then does is not here.
//!
//! - A more specific host whose paths or conditions do not match falls through to the less specific one,
//!   a longer prefix to the shorter one, and so on through the whole order.
//! - `/api/*` matches `/api/` and `/api/x`, not `/api`; `/api*` matches `/api`, `/api/x` and `/apis`.
//! - Paths and patterns are compared in the normal form of RFC 3986: `/%61` is `/a`, `/%2F` is not `//`.
//!   The gateway refuses dot segments, plain and encoded, before it routes.
//! - A refusal, a route that answers 400 or more by itself, holds for every way to read a path: where the
//!   path with all its bytes decoded and its slashes merged belongs to a refusal that is more specific than
//!   the route found, the refusal is used. Otherwise `//admin` or `/%2Fadmin` would pass what guards `/admin`.
//! - `OPTIONS *` has no path and matches no route.
//! - Host in any case and with any port; a name may end in a dot; IPv6 may be written in any form.
//! - Where a header field or a query parameter is repeated, the first one counts.
//!
//! Lookups: the host and each of its suffixes by hash, the exact path by hash, then the trees of templates
//! and prefixes segment by segment. Routes of one pattern that differ in conditions are tried in turn.

mod captures;
mod condition;
mod expand;
mod host;
mod tree;
mod words;

#[cfg(test)]
mod tests;

pub use captures::{Captures, MOST_CAPTURES};
pub use condition::Verdict;
pub use expand::Expansion;

use condition::Conditions;
use headgate_model::pattern::{PathPattern, Pattern, Segment, normal, resolved, sent_len};
use headgate_net::head::RequestHead;
use host::{HostName, Hosts};
use std::borrow::Cow;
use std::ops::ControlFlow;
use tree::Tree;
use words::Words;

/// Segments that a template or a prefix may have; bounds the depth of a lookup.
pub const MOST_SEGMENTS: usize = 64;

/// Compiled routes: built once for each configuration, then only read, without locks or allocations.
pub struct Table {
    hosts: Hosts,
    sites: Vec<Site>,
    /// Exact paths, in the scope of their site.
    exact: Words<Chain>,
    tree: Tree,
    /// In order of precedence.
    rules: Vec<Rule>,
    /// Whether any of them refuses.
    refuses: bool,
}

/// One route as the table wants it.
#[derive(Clone, Debug)]
pub struct RouteRule {
    pub pattern: Pattern,
    /// Indices of the listeners it belongs to; empty for all.
    pub listeners: Vec<u32>,
    /// Empty for all.
    pub methods: Vec<String>,
    /// Name in any case and value; `*` for any value.
    pub headers: Vec<(String, String)>,
    /// Name and value; `*` for any value.
    pub query: Vec<(String, String)>,
    /// Whether it answers 400 or more by itself.
    pub refuses: bool,
    /// Its place in the file.
    pub index: usize,
}

/// What a request shows to the table.
#[derive(Clone, Copy)]
pub struct Ask<'r> {
    /// Index of the listener that it came in by.
    pub listener: u32,
    /// As the client sent it, perhaps with a port; empty when it sent none.
    pub host: &'r [u8],
    /// Without query; begins with `/`, or is `*`.
    pub path: &'r [u8],
    /// Without `?`.
    pub query: Option<&'r [u8]>,
    pub method: &'r [u8],
    /// Read only where a route has conditions on header fields.
    pub fields: &'r dyn Fields,
}

/// The header fields of a request.
pub trait Fields {
    /// The value of the first field of that name, which is given in lower case.
    fn value_of(&self, name: &[u8]) -> Option<&[u8]>;
}

impl Fields for RequestHead {
    fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        Self::value_of(self, name)
    }
}

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// [`RouteRule::index`] of the route.
    pub route: usize,
    pub captures: Captures,
}

/// A route whose host and path match, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried<'t> {
    /// [`RouteRule::index`] of the route.
    pub route: usize,
    pub verdict: Verdict<'t>,
}

/// A pattern that is beyond the table's limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "[[route]] number {}: `{pattern}` has more than {MOST_CAPTURES} captures or {MOST_SEGMENTS} segments; \
     shorten it and let `*` stand for the rest",
    index + 1
)]
pub struct TooLong {
    /// [`RouteRule::index`] of the route.
    pub index: usize,
    pub pattern: Pattern,
}

/// The first of the routes that have one pattern; [`Rule::next`] leads to the others, in order.
type Chain = Option<u32>;

/// Roots of one host pattern's trees.
#[derive(Default)]
struct Site {
    templates: Option<u32>,
    prefixes: Option<u32>,
}

struct Rule {
    index: usize,
    next: Chain,
    conditions: Conditions,
    refuses: bool,
}

impl Table {
    /// # Errors
    /// Names the pattern that is beyond [`MOST_CAPTURES`] or [`MOST_SEGMENTS`].
    pub fn new(rules: impl IntoIterator<Item = RouteRule>) -> Result<Self, TooLong> {
        let mut rules: Vec<RouteRule> = rules.into_iter().collect();
        rules.sort_by_cached_key(|rule| {
            let conditions = usize::from(!rule.methods.is_empty()) + rule.headers.len() + rule.query.len();
            rule.pattern.precedence(conditions, rule.index)
        });
        if let Some(bad) = rules.iter().find(|rule| is_too_long(&rule.pattern.path)) {
            return Err(TooLong { index: bad.index, pattern: bad.pattern.clone() });
        }
        let mut table = Self {
            hosts: Hosts::default(),
            sites: Vec::new(),
            exact: Words::default(),
            tree: Tree::default(),
            rules: Vec::with_capacity(rules.len()),
            refuses: rules.iter().any(|rule| rule.refuses),
        };
        for rule in &rules {
            let (index, refuses) = (rule.index, rule.refuses);
            table.rules.push(Rule { index, next: None, conditions: Conditions::new(rule), refuses });
        }
        // From the last to the first: each goes to the head of its chain.
        for (id, rule) in rules.iter().enumerate().rev() {
            if let Some(chain) = table.chain(&rule.pattern) {
                let next = chain.replace(id as u32);
                table.rules[id].next = next;
            }
        }
        table.hosts.shrink();
        table.sites.shrink_to_fit();
        table.exact.shrink();
        table.tree.shrink();
        Ok(table)
    }

    /// The route of a request; `None` when none matches. Captures are parts of the path as it was sent.
    #[must_use]
    pub fn find(&self, ask: &Ask<'_>) -> Option<Match> {
        let normal = normal(ask.path);
        let (id, mut captures) = self.first(ask, &normal)?;
        if let Some((_, refusal)) = self.refusal(ask, &normal, id) {
            let route = self.rules[refusal as usize].index;
            return Some(Match { route, captures: Captures::default() });
        }
        if matches!(normal, Cow::Owned(_)) {
            captures = captures.moved(|at| sent_len(ask.path, at).unwrap_or(ask.path.len()));
        }
        Some(Match { route: self.rules[id as usize].index, captures })
    }

    /// The rule of a request with this path, and what it captures of it.
    fn first(&self, ask: &Ask<'_>, path: &[u8]) -> Option<(u32, Captures)> {
        let choose = |id: u32, captures: &Captures| match self.rules[id as usize].conditions.verdict(ask) {
            Verdict::Chosen => ControlFlow::Break((id, *captures)),
            _ => ControlFlow::Continue(()),
        };
        self.try_each(ask.host, path, choose).break_value()
    }

    /// The refusal before the rule `found` that the path belongs to when it is resolved, and that path.
    fn refusal(&self, ask: &Ask<'_>, path: &[u8], found: u32) -> Option<(Vec<u8>, u32)> {
        if !self.refuses {
            return None;
        }
        let path = resolved(path)?;
        let (id, _) = self.first(ask, &path)?;
        (id < found && self.rules[id as usize].refuses).then_some((path, id))
    }

    /// The methods, in order and each once, that routes list which match but for the method; empty when
    /// nothing does, or when another method would not help either.
    #[must_use]
    #[cold]
    pub fn allowed(&self, ask: &Ask<'_>) -> Vec<&[u8]> {
        let mut methods = Vec::new();
        let _: ControlFlow<()> = self.try_each(ask.host, &normal(ask.path), |id, _| {
            methods
                .extend(self.rules[id as usize].conditions.methods_for(ask).iter().map(|method| &**method));
            ControlFlow::Continue(())
        });
        methods.sort_unstable();
        methods.dedup();
        methods
    }

    /// The routes whose host and path match, in the order in which [`Self::find`] tries them, those behind the
    /// one that it chooses included.
    #[must_use]
    pub fn explain(&self, ask: &Ask<'_>) -> Vec<Tried<'_>> {
        let mut tried = Vec::new();
        let mut chosen = false;
        let mut path = normal(ask.path);
        if let Some((id, _)) = self.first(ask, &path)
            && let Some((resolved, _)) = self.refusal(ask, &path, id)
        {
            path = Cow::Owned(resolved);
        }
        let _: ControlFlow<()> = self.try_each(ask.host, &path, |id, _| {
            let rule = &self.rules[id as usize];
            let verdict = match rule.conditions.verdict(ask) {
                Verdict::Chosen if std::mem::replace(&mut chosen, true) => Verdict::Later,
                verdict => verdict,
            };
            tried.push(Tried { route: rule.index, verdict });
            ControlFlow::Continue(())
        });
        tried
    }

    /// Hands the rules whose host and path match to `visit`, in order, until it breaks.
    fn try_each<B>(
        &self,
        host: &[u8],
        path: &[u8],
        mut visit: impl FnMut(u32, &Captures) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut visit_chain = |chain: Chain, captures: &Captures| {
            let mut next = chain;
            while let Some(id) = next {
                visit(id, captures)?;
                next = self.rules[id as usize].next;
            }
            ControlFlow::Continue(())
        };
        // A table without host names, the usual one behind another gateway, need not read the host.
        let host = if self.hosts.have_names() { HostName::new(host) } else { HostName::default() };
        for id in self.hosts.matching(host.as_bytes()) {
            if let Some(chain) = self.exact.get(id, path) {
                visit_chain(chain, &Captures::default())?;
            }
            let site = &self.sites[id as usize];
            for root in [site.templates, site.prefixes].into_iter().flatten() {
                self.tree.walk(root, path, 0, &mut Captures::default(), &mut visit_chain)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Where the routes of a pattern hang.
    fn chain(&mut self, pattern: &Pattern) -> Option<&mut Chain> {
        let id = self.hosts.site(&pattern.host, self.sites.len() as u32);
        if id as usize == self.sites.len() {
            self.sites.push(Site::default());
        }
        let site = &mut self.sites[id as usize];
        let root = match &pattern.path {
            PathPattern::Exact(path) => return Some(self.exact.slot(id, path.as_bytes(), None)),
            PathPattern::Template(_) => &mut site.templates,
            PathPattern::Prefix(_) => &mut site.prefixes,
        };
        let root = *root.get_or_insert_with(|| self.tree.root());
        self.tree.chain(root, &pattern.path)
    }
}

fn is_too_long(path: &PathPattern) -> bool {
    let segments: &[Segment] = match path {
        PathPattern::Exact(_) => &[],
        PathPattern::Template(segments) | PathPattern::Prefix(segments) => segments,
    };
    segments.len() > MOST_SEGMENTS || path.captures().count() > MOST_CAPTURES
}
