//! Which request follows which, and where its parameters come from: for each pair of templates that sessions ask for
//! within a few steps, rules such as "the first parameter is the earlier request's, the second is in its response".
//! Each rule knows how often it named the right path at each distance, so it gives a probability for paths that nobody
//! has asked for yet.

use super::template::{Placed, Template, Templates};
use std::collections::{BTreeMap, VecDeque};

/// Steps that a rule reaches.
pub const REACH: usize = 4;
/// Rules between two templates; the weakest gives way.
const RULES_MAX: usize = 32;
/// Ways in which one parameter may be explained at once, and all of a path together.
const SOURCES_MAX: usize = 4;
const COMBINATIONS_MAX: usize = 8;
const PARAMETERS_MAX: usize = 4;
/// Values of a response that are looked at, and those that a session remembers of all its last responses.
pub const FIELDS_MAX: usize = 32;
const REMEMBERED_MAX: usize = 2 * FIELDS_MAX;
/// What was seen of a template this often is halved, so that old habits fade.
const SEEN_MAX: f32 = 2_000.0;
/// Classes of gaps by powers of two of a millisecond.
const GAPS: usize = 20;

/// A value of a response, under the name of its place there: `$.items[0].id` as a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: u64,
    pub value: String,
}

/// One request of a session, as the graph remembers it.
#[derive(Clone, Debug)]
struct Asked {
    placed: Placed,
    at_ns: u64,
    fields: Vec<Field>,
}

/// The last requests of a session, newest last.
#[derive(Clone, Debug, Default)]
pub struct Recent(VecDeque<Asked>);

impl Recent {
    /// Of the older responses, those that are too many.
    fn forget_fields(&mut self) {
        let mut room = REMEMBERED_MAX;
        for asked in self.0.iter_mut().rev() {
            asked.fields.truncate(room);
            asked.fields.shrink_to_fit();
            room -= asked.fields.len();
        }
    }
}

/// Where a parameter comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A parameter of the earlier request.
    Same(u8),
    /// One more than a parameter of the earlier request, as in pages.
    Next(u8),
    /// A value of the earlier response.
    Field(u64),
}

#[derive(Clone, Debug)]
struct Rule {
    /// One for each parameter.
    sources: Vec<Source>,
    /// How often it was right, by the steps between.
    right: [f32; REACH],
}

#[derive(Clone, Debug, Default)]
struct Edge {
    rules: Vec<Rule>,
    gaps: [f32; GAPS],
}

/// A path that may be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub template: Template,
    pub path: String,
    /// Probability that it is the session's next request.
    pub next: f32,
    /// Probability that it is among the next few.
    pub soon: f32,
    /// Share of the gaps that were no longer than the horizon.
    pub in_time: f32,
}

/// The graph.
#[derive(Clone, Debug)]
pub struct Graph {
    edges: BTreeMap<(Template, Template), Edge>,
    seen: BTreeMap<Template, f32>,
    most: usize,
    left_out: u64,
}

impl Graph {
    /// At most `most` pairs of templates.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { edges: BTreeMap::new(), seen: BTreeMap::new(), most, left_out: 0 }
    }

    /// Pairs that had no room.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Learns from the next request of a session, and remembers it there. `fields` are of its response.
    pub fn observe(&mut self, recent: &mut Recent, placed: Placed, at_ns: u64, mut fields: Vec<Field>) {
        fields.truncate(FIELDS_MAX);
        for (steps, earlier) in recent.0.iter().rev().enumerate() {
            // What the session asked for in between already explained it.
            if recent.0.iter().rev().take(steps).any(|between| between.placed == placed) {
                break;
            }
            self.link(earlier, &placed, steps, at_ns);
        }
        let seen = self.seen.entry(placed.template).or_default();
        *seen += 1.0;
        if *seen > SEEN_MAX {
            *seen /= 2.0;
            self.fade(placed.template);
        }
        if recent.0.len() == REACH {
            recent.0.pop_front();
        }
        recent.0.push_back(Asked { placed, at_ns, fields });
        recent.forget_fields();
    }

    /// Paths with a probability of `least` at least to come soon, each once; at most `most`, likeliest first.
    #[must_use]
    pub fn name(
        &self,
        templates: &Templates,
        recent: &Recent,
        least: f32,
        horizon_ns: u64,
        most: usize,
    ) -> Vec<Named> {
        let mut named: BTreeMap<String, Named> = BTreeMap::new();
        for (steps, earlier) in recent.0.iter().rev().enumerate() {
            let from = earlier.placed.template;
            let seen = self.seen.get(&from).copied().unwrap_or(0.0);
            for ((_, to), edge) in self.edges.range((from, 0)..=(from, Template::MAX)) {
                for rule in &edge.rules {
                    let missed: f32 = rule.right[..steps].iter().sum();
                    // One more than was seen: the first time proves nothing.
                    let chances = (seen - missed).max(0.0) + 1.0;
                    let soon = (rule.right[steps..].iter().sum::<f32>() / chances).min(1.0);
                    if soon < least {
                        continue;
                    }
                    let Some(values) = values(rule, earlier) else { continue };
                    let next = (rule.right[steps] / chances).min(1.0);
                    let path = templates.path(*to, &values);
                    let in_time = edge.in_time(horizon_ns);
                    let one = Named { template: *to, path: path.clone(), next, soon, in_time };
                    let best = named.entry(path).or_insert_with(|| one.clone());
                    if one.soon > best.soon {
                        *best = one;
                    }
                }
            }
        }
        let asked: Vec<String> = recent
            .0
            .iter()
            .map(|asked| templates.path(asked.placed.template, &asked.placed.values))
            .collect();
        let mut named: Vec<Named> = named.into_values().filter(|one| !asked.contains(&one.path)).collect();
        named.sort_by(|one, other| other.soon.total_cmp(&one.soon).then_with(|| one.path.cmp(&other.path)));
        named.truncate(most);
        named
    }

    fn link(&mut self, earlier: &Asked, later: &Placed, steps: usize, at_ns: u64) {
        let Some(combinations) = explain(earlier, later) else { return };
        let pair = (earlier.placed.template, later.template);
        if self.edges.len() >= self.most && !self.edges.contains_key(&pair) {
            self.left_out += 1;
            return;
        }
        let edge = self.edges.entry(pair).or_default();
        let gap_ms = at_ns.saturating_sub(earlier.at_ns) / 1_000_000;
        edge.gaps[((u64::BITS - gap_ms.leading_zeros()) as usize).min(GAPS - 1)] += 1.0;
        for sources in combinations {
            let at = match edge.rules.iter().position(|rule| rule.sources == sources) {
                Some(at) => at,
                None if edge.rules.len() < RULES_MAX => {
                    edge.rules.push(Rule { sources, right: [0.0; REACH] });
                    edge.rules.len() - 1
                }
                None => {
                    let weight = |at: &usize| edge.rules[*at].right.iter().sum::<f32>();
                    let weakest = (0..RULES_MAX)
                        .min_by(|one, other| weight(one).total_cmp(&weight(other)))
                        .unwrap_or(0);
                    edge.rules[weakest] = Rule { sources, right: [0.0; REACH] };
                    weakest
                }
            };
            edge.rules[at].right[steps] += 1.0;
        }
    }

    fn fade(&mut self, from: Template) {
        for (_, edge) in self.edges.range_mut((from, 0)..=(from, Template::MAX)) {
            edge.gaps.iter_mut().for_each(|count| *count /= 2.0);
            edge.rules.iter_mut().flat_map(|rule| &mut rule.right).for_each(|count| *count /= 2.0);
            edge.rules.retain(|rule| rule.right.iter().sum::<f32>() >= 0.5);
        }
        self.edges.retain(|(one, _), edge| *one != from || !edge.rules.is_empty());
    }
}

impl Edge {
    fn in_time(&self, horizon_ns: u64) -> f32 {
        let class = (u64::BITS - (horizon_ns / 1_000_000).leading_zeros()) as usize;
        let within: f32 = self.gaps.iter().take(class + 1).sum();
        let all: f32 = self.gaps.iter().sum();
        if all > 0.0 { within / all } else { 0.0 }
    }
}

/// Every way to explain all parameters of the later request; none when one has no explanation.
fn explain(earlier: &Asked, later: &Placed) -> Option<Vec<Vec<Source>>> {
    if later.values.len() > PARAMETERS_MAX {
        return None;
    }
    let mut combinations = vec![Vec::new()];
    for value in &later.values {
        let sources = sources(earlier, value);
        if sources.is_empty() {
            return None;
        }
        let longer = |one: &Vec<Source>| {
            let one = one.clone();
            sources.clone().into_iter().map(move |source| [one.clone(), vec![source]].concat())
        };
        combinations = combinations.iter().flat_map(longer).take(COMBINATIONS_MAX).collect();
    }
    Some(combinations)
}

fn sources(earlier: &Asked, value: &str) -> Vec<Source> {
    let values = || (0u8..).zip(&earlier.placed.values).take(PARAMETERS_MAX);
    let same = values().filter(|(_, other)| *other == value).map(|(at, _)| Source::Same(at));
    let next = values().filter(|(_, other)| one_more(other).as_deref() == Some(value));
    let next = next.map(|(at, _)| Source::Next(at));
    let fields =
        earlier.fields.iter().filter(|field| field.value == value).map(|field| Source::Field(field.name));
    same.chain(next).chain(fields).take(SOURCES_MAX).collect()
}

fn one_more(value: &str) -> Option<String> {
    value.parse::<u32>().ok()?.checked_add(1).map(|next| next.to_string())
}

/// The values that a rule gives after an earlier request; none when its response lacks a field.
fn values(rule: &Rule, earlier: &Asked) -> Option<Vec<String>> {
    let value = |source: &Source| match source {
        Source::Same(at) => earlier.placed.values.get(usize::from(*at)).cloned(),
        Source::Next(at) => one_more(earlier.placed.values.get(usize::from(*at))?),
        Source::Field(name) => {
            earlier.fields.iter().find(|field| field.name == *name).map(|field| field.value.clone())
        }
    };
    rule.sources.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Teaches sessions given as paths with the first item of their responses.
    fn taught(sessions: &[&[(&str, &str)]]) -> (Templates, Graph) {
        let (mut templates, mut graph) = (Templates::new(100), Graph::new(100));
        for session in sessions {
            walk(&mut templates, &mut graph, session);
        }
        (templates, graph)
    }

    fn walk(templates: &mut Templates, graph: &mut Graph, session: &[(&str, &str)]) -> Recent {
        let mut recent = Recent::default();
        for (at, (path, item)) in (0..).zip(session) {
            let fields = vec![Field { name: 1, value: (*item).to_owned() }];
            let placed = templates.place(path).unwrap();
            graph.observe(&mut recent, placed, at * 40 * MS, fields);
        }
        recent
    }

    fn names(templates: &Templates, graph: &Graph, recent: &Recent) -> Vec<(String, f32)> {
        let named = graph.name(templates, recent, 0.2, 1_000 * MS, 8);
        named.into_iter().map(|named| (named.path, (10.0 * named.soon).round() / 10.0)).collect()
    }

    #[test]
    fn a_parameter_is_carried_over_to_a_path_never_seen() {
        let sessions: Vec<Vec<(String, &str)>> = (0..20)
            .map(|user| vec![(format!("/users/{user}"), ""), (format!("/users/{user}/orders"), "")])
            .collect();
        let (mut templates, mut graph) = taught(&[]);
        for session in &sessions {
            let session: Vec<(&str, &str)> =
                session.iter().map(|(path, item)| (path.as_str(), *item)).collect();
            walk(&mut templates, &mut graph, &session);
        }
        let recent = walk(&mut templates, &mut graph, &[("/users/777", "")]);
        assert_eq!(names(&templates, &graph, &recent), [("/users/777/orders".to_owned(), 0.9)]);
    }

    #[test]
    fn a_field_of_the_response_and_the_next_page_are_bindings_too() {
        let (mut templates, mut graph) = taught(&[]);
        for page in 10..40 {
            let (list, item) = (format!("/list?page={page}"), (page * 91 % 1_000).to_string());
            let (path, next) = (format!("/items/{item}"), format!("/list?page={}", page + 1));
            walk(&mut templates, &mut graph, &[(&list, &item), (&path, ""), (&next, "")]);
        }
        let recent = walk(&mut templates, &mut graph, &[("/list?page=7", "123456")]);
        let named = names(&templates, &graph, &recent);
        let paths: Vec<&str> = named.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/items/123456", "/list?page=8"], "{named:?}");
        let after = walk(&mut templates, &mut graph, &[("/list?page=7", "123456"), ("/items/123456", "")]);
        let paths = names(&templates, &graph, &after);
        assert_eq!(
            paths.first().map(|(path, _)| path.as_str()),
            Some("/list?page=8"),
            "not what it has already"
        );
    }

    #[test]
    fn a_template_without_parameters_follows_as_often_as_it_did_and_in_time() {
        let (mut templates, mut graph) = taught(&[]);
        for round in 0..40 {
            let second = if round % 4 == 0 { "/rare" } else { "/usual" };
            walk(&mut templates, &mut graph, &[("/home", ""), (second, "")]);
        }
        let recent = walk(&mut templates, &mut graph, &[("/home", "")]);
        let named = graph.name(&templates, &recent, 0.1, 1_000 * MS, 8);
        assert_eq!(named[0].path, "/usual");
        assert!((named[0].next - 0.7).abs() < 0.05 && named[0].in_time == 1.0, "{named:?}");
        assert_eq!(graph.name(&templates, &recent, 0.1, MS, 8)[0].in_time, 0.0, "40 ms is beyond 1 ms");
    }

    #[test]
    fn pairs_and_rules_are_bounded() {
        let (mut templates, mut graph) = (Templates::new(500), Graph::new(10));
        for number in 0..2_000u32 {
            let word = |salt: u32| char::from(b'a' + (number.wrapping_mul(salt) >> 7) as u8 % 20).to_string();
            let paths = [format!("/{}", word(77_777_777)), format!("/{}/x", word(99_999_989))];
            walk(&mut templates, &mut graph, &[(&paths[0], ""), (&paths[1], "")]);
        }
        assert!(graph.edges.len() <= 10 && graph.left_out() > 0);
        assert!(graph.edges.values().all(|edge| edge.rules.len() <= RULES_MAX));
    }
}
