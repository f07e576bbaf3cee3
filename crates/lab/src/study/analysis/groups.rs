//! Finished runs by the levels of their factors: the factor that is compared is the first of the study, the
//! one on the axis is the first with numbers.

use super::super::{Finished, Measure, Study};

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

impl<'a> Groups<'a> {
    pub(super) fn new(study: &'a Study, finished: &'a [Finished]) -> Self {
        let names = |index: usize| {
            let factor = &study.spec.factors[index];
            let numbers = factor.values.iter().map(f64::to_string);
            let levels = numbers.chain(factor.levels.iter().map(|level| level.name.clone())).collect();
            (factor.name.as_str(), levels)
        };
        let count = study.spec.factors.len();
        let axis = (0..count).find(|&index| !study.spec.factors[index].values.is_empty());
        let compared = (0..count).find(|&index| Some(index) != axis);
        let others = (0..count).filter(|&index| Some(index) != axis && Some(index) != compared);
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

    /// The values of a measure over all runs with these levels, in the order of the runs.
    pub(super) fn values(&self, measure: Measure, levels: &[(&str, &str)]) -> Vec<f64> {
        let fits = |run: &&Finished| {
            let mut wanted = levels.iter().filter(|(factor, _)| !factor.is_empty());
            wanted.all(|(factor, level)| run.levels.get(*factor).is_some_and(|known| known == level))
        };
        self.finished.iter().filter(fits).filter_map(|run| run.measures.get(&measure).copied()).collect()
    }

    /// The same for one level of the compared factor.
    pub(super) fn of(&self, measure: Measure, level: &str) -> Vec<f64> {
        self.values(measure, &[(self.compared_name(), level)])
    }

    /// The same for one level of the compared factor and one place on the axis.
    pub(super) fn at(&self, measure: Measure, level: &str, place: f64) -> Vec<f64> {
        let axis = self.axis.as_ref().map_or("", |(name, _)| *name);
        self.values(measure, &[(self.compared_name(), level), (axis, &place.to_string())])
    }

    /// Places on the axis and values of a measure, run by run, for one level of the compared factor.
    pub(super) fn pairs(&self, measure: Measure, level: &str) -> (Vec<f64>, Vec<f64>) {
        let places = self.axis.as_ref().map_or(&[][..], |(_, places)| places);
        let of = |place: f64| self.at(measure, level, place).into_iter().map(move |value| (place, value));
        places.iter().flat_map(|place| of(*place)).unzip()
    }

    pub(super) fn compared_name(&self) -> &str {
        self.compared.as_ref().map_or("", |(name, _)| *name)
    }

    pub(super) fn has(&self, measure: Measure) -> bool {
        self.finished.iter().any(|run| run.measures.contains_key(&measure))
    }
}
