//! Templates and prefixes as trees of segments. A walk visits everything that matches a path in the order
//! of `headgate_model::pattern`; it does not look at conditions.
//!
//! A walk that goes back and tries again visits each node once at most, so the configuration bounds its
//! cost and no path can raise it beyond that. Literal segments cost one lookup at each node, whether it
//! has two children or ten thousand.

use super::Chain;
use super::captures::Captures;
use super::words::Words;
use headgate_model::pattern::{PathPattern, Segment};
use headgate_net::head::Part;
use std::ops::ControlFlow;

/// The trees of all sites; each site has one for templates and one for prefixes.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Literal segment below a node to the next node.
    literals: Words<u32>,
    /// Beginning of a segment below a node, `/img*`, to the routes of that prefix.
    beginnings: Words<Chain>,
}

#[derive(Default)]
struct Node {
    capture: Option<u32>,
    /// Routes of the template that ends here.
    end: Chain,
    /// Routes of the prefix `/*` below this node.
    open: Chain,
    /// Lengths, the longest first, of the beginnings below this node.
    beginning_lens: Vec<u32>,
}

impl Tree {
    pub(super) fn root(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.nodes.len() as u32 - 1
    }

    /// Where the routes of a pattern hang below `root`. None for an exact path, and for a prefix that does
    /// not end in a literal, which matches nothing.
    pub(super) fn chain(&mut self, root: u32, path: &PathPattern) -> Option<&mut Chain> {
        let segments = match path {
            PathPattern::Exact(_) => return None,
            PathPattern::Template(segments) => {
                let node = self.descend(root, segments);
                return Some(&mut self.nodes[node as usize].end);
            }
            PathPattern::Prefix(segments) => segments,
        };
        let Some((Segment::Literal(last), before)) = segments.split_last() else { return None };
        let id = self.descend(root, before);
        let node = &mut self.nodes[id as usize];
        if last.is_empty() {
            return Some(&mut node.open);
        }
        let len = last.len() as u32;
        if let Err(at) = node.beginning_lens.binary_search_by(|known| len.cmp(known)) {
            node.beginning_lens.insert(at, len);
        }
        Some(self.beginnings.slot(id, last.as_bytes(), None))
    }

    fn descend(&mut self, root: u32, segments: &[Segment]) -> u32 {
        segments.iter().fold(root, |node, segment| {
            let new = self.nodes.len() as u32;
            let next = match segment {
                Segment::Literal(text) => *self.literals.slot(node, text.as_bytes(), new),
                Segment::Capture(_) => *self.nodes[node as usize].capture.get_or_insert(new),
            };
            if next == new {
                self.nodes.push(Node::default());
            }
            next
        })
    }

    /// Visits, best first, what `path` matches from byte `at` on, where a segment's slash or the end is.
    /// Ends early with what `visit` breaks with.
    pub(super) fn walk<B>(
        &self,
        id: u32,
        path: &[u8],
        at: usize,
        captures: &mut Captures,
        visit: &mut impl FnMut(Chain, &Captures) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let node = &self.nodes[id as usize];
        let Some(rest) = path[at..].strip_prefix(b"/") else {
            // `*` of `OPTIONS *` is no path; it does not begin with a slash.
            if at < path.len() {
                return ControlFlow::Continue(());
            }
            // An earlier branch may have left its rest.
            captures.set_rest(Part::default());
            return visit(node.end, captures);
        };
        let start = at + 1;
        let segment = &rest[..rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len())];
        let end = start + segment.len();

        if let Some(child) = self.literals.get(id, segment) {
            self.walk(child, path, end, captures, visit)?;
        }
        for &len in &node.beginning_lens {
            let beginning = segment.get(..len as usize);
            if let Some(chain) = beginning.and_then(|text| self.beginnings.get(id, text)) {
                captures.set_rest(Part::new(start + len as usize..path.len()));
                visit(chain, captures)?;
            }
        }
        if let Some(child) = node.capture.filter(|_| !segment.is_empty()) {
            captures.push(Part::new(start..end));
            self.walk(child, path, end, captures, visit)?;
            captures.pop();
        }
        captures.set_rest(Part::new(start..path.len()));
        visit(node.open, captures)
    }

    pub(super) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.literals.shrink();
        self.beginnings.shrink();
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let lens = |node: &Node| node.beginning_lens.capacity() * size_of::<u32>();
        self.nodes.capacity() * size_of::<Node>()
            + self.nodes.iter().map(lens).sum::<usize>()
            + self.literals.heap_bytes()
            + self.beginnings.heap_bytes()
    }
}
