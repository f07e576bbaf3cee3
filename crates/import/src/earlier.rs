//! Answers by order and answers by specificity: where a gateway takes the first of several that match, what a
//! later and more specific route shares with an earlier one stays the earlier one's.

use crate::denial::{Meeting, meet};
use headgate_model::pattern::Pattern;
use headgate_model::spec::RouteSpec;

/// The routes so far, in the order of the old gateway.
#[derive(Default)]
pub(crate) struct Earlier(Vec<RouteSpec>);

/// What earlier routes leave of a later one.
#[derive(Debug, PartialEq)]
pub(crate) enum Left {
    /// An earlier one, of this pattern, takes all of it.
    Nothing(String),
    /// The rest, once these stand before it: what it shares with earlier ones, answered as they do.
    Behind(Vec<RouteSpec>),
}

impl Earlier {
    pub(crate) fn push(&mut self, route: RouteSpec) {
        self.0.push(route);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Sets a later route against all of them.
    pub(crate) fn leave(&self, route: &RouteSpec) -> Left {
        let mut parts = Vec::new();
        for earlier in &self.0 {
            match meet(route, earlier) {
                Meeting::All => return Left::Nothing(earlier.pattern.clone()),
                Meeting::Part(both) if is_tried_before(route, earlier) => parts.push(RouteSpec {
                    pattern: both.pattern,
                    listeners: both.listeners,
                    methods: both.methods,
                    headers: both.headers,
                    query: both.query,
                    ..earlier.clone()
                }),
                Meeting::Part(_) | Meeting::Nothing | Meeting::Unclear => {}
            }
        }
        Left::Behind(parts)
    }
}

/// Whether Headgate tries `a` before `b`, which stands before it.
fn is_tried_before(a: &RouteSpec, b: &RouteSpec) -> bool {
    let rank = |route: &RouteSpec, index| {
        let conditions = usize::from(!route.methods.is_empty()) + route.headers.len() + route.query.len();
        route.pattern.parse::<Pattern>().ok().map(|pattern| pattern.precedence(conditions, index))
    };
    rank(a, 1) < rank(b, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(pattern: &str, methods: &[&str], service: &str) -> RouteSpec {
        RouteSpec {
            pattern: pattern.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            service: Some(service.to_owned()),
            ..RouteSpec::default()
        }
    }

    #[test]
    fn the_earlier_keeps_what_a_more_specific_one_would_take() {
        let mut earlier = Earlier::default();
        earlier.push(route("/*", &["POST"], "writes"));
        let left = |later| earlier.leave(&later);
        assert_eq!(left(route("/a*", &[], "a")), Left::Behind(vec![route("/a*", &["POST"], "writes")]));
        assert_eq!(left(route("/a", &["POST"], "a")), Left::Nothing("/*".to_owned()));
        // It is tried before these anyway, or shares nothing with them.
        assert_eq!(left(route("/*", &[], "a")), Left::Behind(Vec::new()));
        assert_eq!(left(route("/a", &["GET"], "a")), Left::Behind(Vec::new()));
    }
}
