//! Finished runs by the levels of their factors: one factor is compared, one is the axis, the others are
//! told apart.

use crate::study::spec::{Roles, roles};
use crate::study::{Finished, Measure, Study};
use std::collections::BTreeMap;
use std::fmt;

/// The runs of a study, to be asked for by level.
pub(super) struct Groups<'a> {
    finished: &'a [Finished],
    /// Name and levels of the factor whose levels are compared.
    pub compared: Option<(&'a str, Vec<String>)>,
    /// Name and levels of the factor on the axis.
    pub axis: Option<(&'a str, Vec<f64>)>,
    /// Other factors with their levels.
    pub others: Vec<(&'a str, Vec<String>)>,
}

/// One combination of levels of all factors but the compared one.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Factor and level: the axis first.
    pub levels: Vec<(String, String)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (factor, level)) in self.levels.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{factor} {level}")?;
        }
        Ok(())
    }
}

impl<'a> Groups<'a> {
    pub(super) fn new(study: &'a Study, finished: &'a [Finished]) -> Self {
        let names = |index: usize| {
            let factor = &study.spec.factors[index];
            let numbers = factor.values.iter().map(f64::to_string);
            let levels = numbers.chain(factor.levels.iter().map(|level| level.name.clone())).collect();
            (factor.name.as_str(), levels)
        };
        let Roles { axis, compared } = roles(&study.spec);
        let others =
            (0..study.spec.factors.len()).filter(|&index| Some(index) != axis && Some(index) != compared);
        let numbers = |index: usize| {
            let factor = &study.spec.factors[index];
            (factor.name.as_str(), factor.values.clone())
        };
        Self {
            finished,
            compared: compared.map(names),
            axis: axis.map(numbers),
            others: others.map(names).collect(),
        }
    }

    /// Levels of the compared factor; one without a name when there is none.
    pub(super) fn levels(&self) -> Vec<String> {
        self.compared.as_ref().map_or_else(|| vec![String::new()], |(_, levels)| levels.clone())
    }

    /// Every combination of the levels of the factors that are not compared; a single one when there are none.
    pub(super) fn places(&self) -> Vec<Place> {
        let axis = self.axis.iter().map(|(name, places)| {
            let levels: Vec<String> = places.iter().map(f64::to_string).collect();
            (*name, levels)
        });
        let mut places = vec![Place::default()];
        for (name, levels) in axis.chain(self.others.iter().cloned()) {
            let with = |place: &Place| {
                let one = |level: &String| {
                    let mut levels = place.levels.clone();
                    levels.push((name.to_owned(), level.clone()));
                    Place { levels }
                };
                levels.iter().map(one).collect::<Vec<Place>>()
            };
            places = places.iter().flat_map(with).collect();
        }
        places
    }

    /// The values of a measure over all runs of one level of the compared factor, in the order of the runs.
    pub(super) fn of(&self, measure: Measure, level: &str) -> Vec<f64> {
        self.with(measure, &[(self.compared_name(), level)]).map(|(_, value)| value).collect()
    }

    /// The same of those at one place.
    pub(super) fn at(&self, measure: Measure, level: &str, place: &Place) -> Vec<f64> {
        let place = place.levels.iter().map(|(factor, level)| (factor.as_str(), level.as_str()));
        let levels: Vec<(&str, &str)> = place.chain([(self.compared_name(), level)]).collect();
        self.with(measure, &levels).map(|(_, value)| value).collect()
    }

    /// The values of a measure over all runs with these levels, by combination of levels: runs of one combination are
    /// repeats of each other, those of different ones are not.
    pub(super) fn strata(&self, measure: Measure, levels: &[(&str, &str)]) -> Vec<Vec<f64>> {
        let mut strata: BTreeMap<&BTreeMap<String, String>, Vec<f64>> = BTreeMap::new();
        for (run, value) in self.with(measure, levels) {
            strata.entry(&run.levels).or_default().push(value);
        }
        strata.into_values().collect()
    }

    /// The same of all runs of one level of the compared factor.
    pub(super) fn strata_of(&self, measure: Measure, level: &str) -> Vec<Vec<f64>> {
        self.strata(measure, &[(self.compared_name(), level)])
    }

    /// The same of those at one point of the axis.
    pub(super) fn strata_along(&self, measure: Measure, level: &str, point: f64) -> Vec<Vec<f64>> {
        let axis = self.axis.as_ref().map_or("", |(name, _)| *name);
        self.strata(measure, &[(self.compared_name(), level), (axis, &point.to_string())])
    }

    /// Points of the axis and values of a measure, run by run, for one level of the compared factor.
    pub(super) fn pairs(&self, measure: Measure, level: &str) -> (Vec<f64>, Vec<f64>) {
        let points = self.axis.as_ref().map_or(&[][..], |(_, points)| points);
        let of = |point: f64| {
            let values = self.strata_along(measure, level, point).into_iter().flatten();
            values.map(move |value| (point, value))
        };
        points.iter().flat_map(|point| of(*point)).unzip()
    }

    /// How many runs of one level of the compared factor there are, in all or at one place.
    pub(super) fn count(&self, level: &str, place: &Place) -> usize {
        let place = place.levels.iter().map(|(factor, level)| (factor.as_str(), level.as_str()));
        self.runs(&place.chain([(self.compared_name(), level)]).collect::<Vec<_>>()).count()
    }

    /// Runs with these levels and their value of a measure.
    fn with(&self, measure: Measure, levels: &[(&str, &str)]) -> impl Iterator<Item = (&'a Finished, f64)> {
        self.runs(levels).filter_map(move |run| Some((run, *run.measures.get(&measure)?)))
    }

    /// Runs with these levels. A factor without a name is none.
    fn runs(&self, levels: &[(&str, &str)]) -> impl Iterator<Item = &'a Finished> {
        let fits = |run: &&Finished| {
            let mut wanted = levels.iter().filter(|(factor, _)| !factor.is_empty());
            wanted.all(|(factor, level)| run.levels.get(*factor).is_some_and(|known| known == level))
        };
        self.finished.iter().filter(fits)
    }

    pub(super) fn compared_name(&self) -> &str {
        self.compared.as_ref().map_or("", |(name, _)| *name)
    }

    pub(super) fn has(&self, measure: Measure) -> bool {
        self.finished.iter().any(|run| run.measures.contains_key(&measure))
    }
}
