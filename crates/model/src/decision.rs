//! What a policy decided, on what evidence, against which alternative, and how it turned out: the noun of the
//! decision journal. It neither decides nor keeps anything.

use serde::{Deserialize, Serialize};

/// Figures of one decision or outcome at most.
pub const FIGURES_MAX: usize = 16;
/// Bytes of one text of a decision at most.
pub const TEXT_MAX: usize = 512;

/// One decision and why it was taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The policy's name, as in its file, its metrics and its documentation: `evict.adaptive`, `outlier`.
    pub policy: Box<str>,
    /// What it is about: a queue, an endpoint, a route.
    pub subject: Box<str>,
    /// What was decided: `10 % -> 4 %`, `ejected for 30 s`.
    pub decided: Box<str>,
    /// Why, in one line.
    pub because: Box<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Figure>,
    /// What would have been done otherwise; empty where there was no choice.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub alternative: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_gain: Option<Figure>,
}

/// A number with its name and unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub name: Box<str>,
    pub value: f64,
    /// Empty for counts.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub unit: Box<str>,
}

impl Figure {
    #[must_use]
    pub fn new(name: &str, value: f64, unit: &str) -> Self {
        Self { name: name.into(), value, unit: unit.into() }
    }
}

/// How a decision turned out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds from the decision to this look.
    pub after_s: u64,
    /// In a few words.
    pub result: Box<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Figure>,
}

/// A decision as the journal has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows with each decision of one journal.
    pub id: u64,
    /// Microseconds since 1970.
    pub at_us: u64,
    #[serde(flatten)]
    pub decision: Decision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Decision {
    /// Within [`TEXT_MAX`] and [`FIGURES_MAX`], without numbers that are not finite.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for text in
            [&mut self.policy, &mut self.subject, &mut self.decided, &mut self.because, &mut self.alternative]
        {
            bound_text(text);
        }
        bound_figures(&mut self.evidence);
        let mut gain: Vec<Figure> = self.expected_gain.take().into_iter().collect();
        bound_figures(&mut gain);
        self.expected_gain = gain.pop();
        self
    }
}

impl Outcome {
    /// As [`Decision::bounded`].
    #[must_use]
    pub fn bounded(mut self) -> Self {
        bound_text(&mut self.result);
        bound_figures(&mut self.evidence);
        self
    }
}

fn bound_text(text: &mut Box<str>) {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        *text = text[..end].into();
    }
}

fn bound_figures(figures: &mut Vec<Figure>) {
    figures.retain(|figure| figure.value.is_finite());
    figures.truncate(FIGURES_MAX);
    for figure in figures {
        bound_text(&mut figure.name);
        bound_text(&mut figure.unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_has_bounds() {
        let mut evidence = vec![Figure::new("requests", 1.0, ""); 40];
        evidence.insert(0, Figure::new("ratio", f64::NAN, ""));
        let decision = Decision {
            policy: "evict.adaptive".into(),
            because: "ä".repeat(TEXT_MAX).into(),
            evidence,
            expected_gain: Some(Figure::new("hits", f64::INFINITY, "points")),
            ..Decision::default()
        };
        let bounded = decision.bounded();
        assert_eq!((bounded.because.len(), bounded.evidence.len()), (TEXT_MAX, FIGURES_MAX));
        assert_eq!(bounded.evidence[0].name, "requests".into());
        assert_eq!(bounded.expected_gain, None);
    }
}
