//! A cursor over the parsed TOML that knows where in the file it stands. A step to what is not there
//! stays at the nearest place that is.

use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// One step towards a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A place in the file.
#[derive(Clone)]
pub(crate) struct Place<'d> {
    value: Option<&'d DeValue<'d>>,
    pub(crate) span: Range<usize>,
}

impl<'d> Place<'d> {
    pub(crate) fn root(root: &'d Spanned<DeValue<'d>>) -> Self {
        Self { value: Some(root.get_ref()), span: root.span() }
    }

    /// Whether the file has something here.
    pub(crate) fn exists(&self) -> bool {
        self.value.is_some()
    }

    pub(crate) fn is_array(&self) -> bool {
        self.value.is_some_and(|value| value.as_array().is_some())
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Self {
        let found = self.value.and_then(DeValue::as_table).and_then(|table| table.get(key));
        self.step(found)
    }

    /// The value of an element.
    pub(crate) fn at(&self, index: usize) -> Self {
        let found = self.value.and_then(DeValue::as_array).and_then(|array| array.get(index));
        self.step(found)
    }

    /// The key itself.
    pub(crate) fn key(&self, key: &str) -> Self {
        let found = self.value.and_then(DeValue::as_table).and_then(|table| table.get_key_value(key));
        Self { value: None, span: found.map_or_else(|| self.span.clone(), |(key, _)| key.span()) }
    }

    fn step(&self, found: Option<&'d Spanned<DeValue<'d>>>) -> Self {
        Self {
            value: found.map(Spanned::get_ref),
            span: found.map_or_else(|| self.span.clone(), Spanned::span),
        }
    }
}

/// The steps to the key or value with exactly this span.
pub(crate) fn path_to(root: &DeValue<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    search(root, span, &mut steps).then_some(steps)
}

fn search(value: &DeValue<'_>, span: &Range<usize>, steps: &mut Vec<Step>) -> bool {
    let mut try_child = |step: Step, found: bool, child: &DeValue<'_>| {
        steps.push(step);
        let found = found || search(child, span, steps);
        if !found {
            steps.pop();
        }
        found
    };
    match value {
        DeValue::Table(table) => table.iter().any(|(key, child)| {
            // The list of tables begins where its first table does; that one is meant.
            let first = child.get_ref().as_array().and_then(|list| list.first());
            let is_first = first.is_some_and(|first| first.span() == *span);
            let found = key.span() == *span || child.span() == *span && !is_first;
            try_child(Step::Key(key.get_ref().to_string()), found, child.get_ref())
        }),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .any(|(at, child)| try_child(Step::Index(at), child.span() == *span, child.get_ref())),
        _ => false,
    }
}

/// Takes what stands at these steps out of the tree; false when there is nothing.
pub(crate) fn remove(root: &mut DeValue<'_>, steps: &[Step]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    match (root, step) {
        (DeValue::Table(table), Step::Key(key)) if rest.is_empty() => table.remove(key.as_str()).is_some(),
        (DeValue::Table(table), Step::Key(key)) => {
            table.get_mut(key.as_str()).is_some_and(|child| remove(child.get_mut(), rest))
        }
        (DeValue::Array(array), Step::Index(at)) if rest.is_empty() => {
            let mut kept = DeArray::new();
            array
                .iter()
                .enumerate()
                .filter(|(index, _)| index != at)
                .for_each(|(_, child)| kept.push(child.clone()));
            let found = kept.len() < array.len();
            *array = kept;
            found
        }
        (DeValue::Array(array), Step::Index(at)) => {
            array.get_mut(*at).is_some_and(|child| remove(child.get_mut(), rest))
        }
        _ => false,
    }
}

/// The top-level lists of tables: of the configuration, and of game days.
const LISTS: [&str; 5] = ["route", "chaos", "probe", "method", "abort"];

/// How people refer to a table: `[listen.web]`, `the third [[route]]`.
pub(crate) fn table_name(steps: &[Step]) -> String {
    let mut name = String::new();
    let mut ordinal = None;
    for step in steps {
        match step {
            Step::Key(key) if name.is_empty() => name.push_str(key),
            Step::Key(key) => {
                name.push('.');
                name.push_str(key);
            }
            Step::Index(at) if LISTS.contains(&name.as_str()) => ordinal = Some((name.clone(), at + 1)),
            Step::Index(at) => name.push_str(&format!("[{at}]")),
        }
    }
    match ordinal {
        _ if name.is_empty() => "the top level".to_owned(),
        Some((list, number)) if name == list => format!("[[{list}]] number {number}"),
        Some((list, number)) => format!("[{name}] of [[{list}]] number {number}"),
        None => format!("[{name}]"),
    }
}
