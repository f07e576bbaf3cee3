//! Paths folded into templates: `/users/7/orders` and `/users/9/orders` are `/users/{}/orders`. A tree of segments; one
//! that looks like an identifier is a parameter at once, others when too many different ones have come to one place. It
//! is told nothing about the API.

/// Segments of a path, those of the query included.
const SEGMENTS_MAX: usize = 16;
/// Different literals at one place before it is taken for a parameter.
const LITERALS_MAX: usize = 24;
/// A literal with this share of the visits stays one when its place is folded.
const FREQUENT: f32 = 1.0 / 16.0;
const PATH_MAX: usize = 1_024;

/// A template's number.
pub type Template = u32;

/// A path as its template and the values of the template's parameters, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub template: Template,
    pub values: Vec<String>,
}

#[derive(Clone, Debug)]
struct Node {
    parent: Template,
    /// The separator before the segment, and its text; none for a parameter.
    separator: char,
    literal: Option<String>,
    children: Vec<Template>,
    visits: f32,
    is_folded: bool,
}

/// The tree.
#[derive(Clone, Debug)]
pub struct Templates {
    nodes: Vec<Node>,
    most: usize,
    unplaced: u64,
}

impl Templates {
    /// At most `most` nodes; what would need more is not placed.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let root = Node {
            parent: 0,
            separator: '/',
            literal: Some(String::new()),
            children: Vec::new(),
            visits: 0.0,
            is_folded: false,
        };
        Self { nodes: vec![root], most: most.clamp(1, u32::MAX as usize), unplaced: 0 }
    }

    /// The template of a path with its query; learns from it. None when it is too long, or the tree is full.
    pub fn place(&mut self, path: &str) -> Option<Placed> {
        let placed = self.walk(path);
        self.unplaced += u64::from(placed.is_none());
        placed
    }

    /// Paths that had no place.
    #[must_use]
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// The path that a template has with these values.
    #[must_use]
    pub fn path(&self, template: Template, values: &[String]) -> String {
        let mut line = Vec::new();
        let mut at = template;
        while let Some(node) = self.nodes.get(at as usize).filter(|_| at != 0) {
            line.push(node);
            at = node.parent;
        }
        let (mut path, mut values) = (String::new(), values.iter());
        for node in line.into_iter().rev() {
            path.push(node.separator);
            match &node.literal {
                Some(literal) => path.push_str(literal),
                None => path.push_str(values.next().map_or("{}", String::as_str)),
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// How many parameters a template has.
    #[must_use]
    pub fn parameters(&self, template: Template) -> usize {
        let (mut at, mut count) = (template, 0);
        while let Some(node) = self.nodes.get(at as usize).filter(|_| at != 0) {
            count += usize::from(node.literal.is_none());
            at = node.parent;
        }
        count
    }

    fn walk(&mut self, path: &str) -> Option<Placed> {
        if path.len() > PATH_MAX || !path.starts_with('/') {
            return None;
        }
        let (mut at, mut values) = (0, Vec::new());
        for (number, (separator, segment)) in segments(path).enumerate() {
            if number == SEGMENTS_MAX {
                return None;
            }
            at = self.step(at, separator, segment)?;
            if self.nodes[at as usize].literal.is_none() {
                values.push(segment.to_owned());
            }
            self.nodes[at as usize].visits += 1.0;
        }
        Some(Placed { template: at, values })
    }

    fn step(&mut self, from: Template, separator: char, segment: &str) -> Option<Template> {
        let is_id = looks_like_id(segment);
        let child = |tree: &Self, literal: Option<&str>| {
            let children = tree.nodes[from as usize].children.iter().copied();
            children.into_iter().find(|child| {
                let node = &tree.nodes[*child as usize];
                node.separator == separator && node.literal.as_deref() == literal
            })
        };
        if !is_id {
            if let Some(known) = child(self, Some(segment)) {
                return Some(known);
            }
            let literals = |node: &&Template| self.nodes[**node as usize].literal.is_some();
            if self.nodes[from as usize].children.iter().filter(literals).count() >= LITERALS_MAX {
                self.fold(from);
            }
            if !self.nodes[from as usize].is_folded {
                return self.grow(from, separator, Some(segment.to_owned()));
            }
        }
        child(self, None).or_else(|| self.grow(from, separator, None))
    }

    fn grow(&mut self, parent: Template, separator: char, literal: Option<String>) -> Option<Template> {
        if self.nodes.len() >= self.most {
            return None;
        }
        let number = self.nodes.len() as Template; // at most `most`
        self.nodes.push(Node {
            parent,
            separator,
            literal,
            children: Vec::new(),
            visits: 0.0,
            is_folded: false,
        });
        self.nodes[parent as usize].children.push(number);
        Some(number)
    }

    /// Only frequent literals stay. The others' nodes are lost to the tree, as what is known about them is about too
    /// few requests.
    fn fold(&mut self, at: Template) {
        let children = std::mem::take(&mut self.nodes[at as usize].children);
        let total: f32 = children.iter().map(|child| self.nodes[*child as usize].visits).sum();
        let stays = |child: &Template| {
            let node = &self.nodes[*child as usize];
            node.literal.is_none() || node.separator != '/' || node.visits >= FREQUENT * total
        };
        let children = children.into_iter().filter(stays).collect();
        let node = &mut self.nodes[at as usize];
        (node.children, node.is_folded) = (children, true);
    }
}

/// Segments with the separator before each: `/` in the path; `?` and `&` before a name of the query, `=` before its
/// value.
fn segments(path: &str) -> impl Iterator<Item = (char, &str)> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let path = path[1..].split('/').map(|segment| ('/', segment));
    let query = query.into_iter().flat_map(|query| query.split('&').enumerate()).flat_map(|(at, pair)| {
        let before = if at == 0 { '?' } else { '&' };
        let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
        std::iter::once((before, name)).chain(value.map(|value| ('=', value)))
    });
    path.chain(query)
}

/// Numbers, dates, UUIDs, and long hexadecimal words with a digit.
fn looks_like_id(segment: &str) -> bool {
    let count = |of: fn(&u8) -> bool| segment.bytes().filter(of).count();
    let digits = count(u8::is_ascii_digit);
    let joints = count(|byte| matches!(byte, b'-' | b'_'));
    let hexadecimal = count(u8::is_ascii_hexdigit);
    digits > 0
        && (digits + joints == segment.len() || (segment.len() >= 8 && hexadecimal + joints == segment.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(tree: &mut Templates, path: &str) -> (String, Vec<String>) {
        let placed = tree.place(path).unwrap();
        assert_eq!(tree.path(placed.template, &placed.values), path, "it can be written again");
        assert_eq!(tree.parameters(placed.template), placed.values.len());
        (tree.path(placed.template, &[]), placed.values)
    }

    #[test]
    fn identifiers_are_parameters_at_once() {
        let mut tree = Templates::new(1_000);
        for (path, template, values) in [
            ("/users/7/orders", "/users/{}/orders", vec!["7"]),
            ("/users/9/orders", "/users/{}/orders", vec!["9"]),
            ("/v2/items", "/v2/items", vec![]),
            (
                "/o/0b7f1c1e-52b4-4d3e-9e70-aa12bc34de56",
                "/o/{}",
                vec!["0b7f1c1e-52b4-4d3e-9e70-aa12bc34de56"],
            ),
            ("/items?page=2&sort=price", "/items?page={}&sort=price", vec!["2"]),
            ("/items/?flag", "/items/?flag", vec![]),
            ("/", "/", vec![]),
        ] {
            assert_eq!(
                named(&mut tree, path),
                (template.to_owned(), values.into_iter().map(str::to_owned).collect())
            );
        }
    }

    #[test]
    fn a_place_with_many_words_becomes_a_parameter_and_keeps_the_frequent_ones() {
        let mut tree = Templates::new(1_000);
        for round in 0..40 {
            for _ in 0..4 {
                tree.place("/shop/new/list");
            }
            tree.place(&format!("/shop/brand{}x/list", (b'a' + round % 26) as char));
            tree.place(&format!(
                "/shop/{}{}/list",
                (b'a' + round % 26) as char,
                if round < 26 { 'y' } else { 'z' }
            ));
        }
        assert_eq!(named(&mut tree, "/shop/never-seen/list").0, "/shop/{}/list");
        assert_eq!(named(&mut tree, "/shop/new/list").0, "/shop/new/list");
    }

    #[test]
    fn hostile_paths_have_no_place_and_the_tree_stays_small() {
        let mut tree = Templates::new(20);
        for path in ["", "x", &"/a".repeat(40), &format!("/{}", "a".repeat(2_000))] {
            assert_eq!(tree.place(path), None);
        }
        for number in 0..10_000u32 {
            let word: String = (0..6)
                .map(|at| char::from(b'a' + (number.wrapping_mul(2_654_435_761) >> (5 * at)) as u8 % 26))
                .collect();
            tree.place(&format!("/{word}/{}/{word}", &word[..2]));
        }
        assert!(tree.nodes.len() <= 20 && tree.unplaced() > 4);
        assert!(tree.path(9_999, &[]) == "/" && tree.parameters(9_999) == 0);
    }
}
