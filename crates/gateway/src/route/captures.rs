//! What a match found in a path: positions only, so that it copies nothing and fits on the stack.

use headgate_net::head::Part;

/// Captures that one pattern may have.
pub const MOST_CAPTURES: usize = 16;

/// Where in the path the captures of the matching pattern lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    parts: [Part; MOST_CAPTURES],
    count: usize,
    rest: Part,
}

impl Captures {
    /// The captures in the order of the pattern; parts of the path.
    #[must_use]
    pub fn as_slice(&self) -> &[Part] {
        &self.parts[..self.count]
    }

    /// What `*` stood for; empty for a pattern without one.
    #[must_use]
    pub fn rest(&self) -> Part {
        self.rest
    }

    /// The same, with every position put through `place`.
    pub(super) fn moved(mut self, place: impl Fn(usize) -> usize) -> Self {
        let moved = |part: Part| Part::new(place(part.range().start)..place(part.range().end));
        self.parts[..self.count].iter_mut().for_each(|part| *part = moved(*part));
        self.rest = moved(self.rest);
        self
    }

    /// The table refuses patterns with more captures than there is room for.
    pub(super) fn push(&mut self, part: Part) {
        self.parts[self.count] = part;
        self.count += 1;
    }

    /// Takes back the last `push`. The part itself is cleared, so that equal captures compare equal.
    pub(super) fn pop(&mut self) {
        self.count -= 1;
        self.parts[self.count] = Part::default();
    }

    pub(super) fn set_rest(&mut self, rest: Part) {
        self.rest = rest;
    }
}
