//! A study as written in a file, and the same checked: its base can be run, its factors fit the base, and so
//! does every combination of their levels.

use super::error::StudyError;
use super::measure::Measure;
use super::patch;
use super::plan::{Cell, Level, Plan};
use crate::sim::{Sim, SystemSpec};
use crate::workload::{Files, Workload, WorkloadSpec};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Runs that a study may have.
const RUNS_MAX: usize = 100_000;
/// Repeats that a claim needs at least.
pub(super) const REPEATS_FOR_A_CLAIM: u32 = 5;

/// A study file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    pub name: String,
    /// What the study is to find out.
    pub question: String,
    /// Runs of each combination of levels, each with a seed of its own.
    #[serde(default = "repeats")]
    pub repeats: u32,
    #[serde(default)]
    pub seed: u64,
    /// The system that the factors change.
    #[serde(default)]
    pub system: SystemSpec,
    /// The workload that the factors change.
    #[serde(default)]
    pub workload: WorkloadSpec,
    #[serde(rename = "factor", default)]
    pub factors: Vec<FactorSpec>,
    /// What others have published, to be held against: by level of the factor that is compared, by measure.
    #[serde(default)]
    pub published: BTreeMap<String, BTreeMap<Measure, f64>>,
}

fn repeats() -> u32 {
    REPEATS_FOR_A_CLAIM
}

/// What is varied: either numbers that are put at a path of the base, or named levels with tables that are laid
/// over it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorSpec {
    pub name: String,
    /// Where the values go, with `*` for all entries of a table or list: `workload.closed.phases.*.level`.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub values: Vec<f64>,
    #[serde(rename = "level", default)]
    pub levels: Vec<LevelSpec>,
}

/// One named level.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    pub name: String,
    /// Laid over the base; the key `*` means every entry that is there.
    #[serde(default)]
    pub set: Table,
    /// What belongs to the level and is not in the study: not built yet, or measured elsewhere. It is named in the
    /// report and not imitated.
    #[serde(default)]
    pub absent: Vec<String>,
}

/// Text by the name that a study gives to a file.
pub type NamedFiles = BTreeMap<String, String>;

/// A checked study.
#[derive(Clone, Debug)]
pub struct Study {
    pub spec: StudySpec,
    /// The text that it was read from.
    pub text: String,
    /// The text of each file that it names, by name, as it was when the study was read: later changes of a file are in
    /// no run.
    pub files: NamedFiles,
    plan: Plan,
    base: Table,
}

impl Study {
    /// Reads and checks a study file. `files` gives the text of each file that it names, by path.
    ///
    /// # Errors
    /// The first mistake, before anything is run: also one that only a combination of levels makes.
    pub fn read(text: &str, files: Files<'_>) -> Result<Self, StudyError> {
        let form = |error: toml::de::Error| StudyError::Form(error.to_string().trim_end().to_owned());
        let spec: StudySpec = toml::from_str(text).map_err(form)?;
        check(&spec)?;
        let mut base: Table = text.parse().map_err(form)?;
        base.retain(|key, _| key == "system" || key == "workload");
        let plan = Plan::new(&spec);
        let mut study = Self { spec, text: text.to_owned(), files: NamedFiles::new(), plan, base };
        let mut read = NamedFiles::new();
        let mut keep = |name: &str| match read.get(name) {
            Some(text) => Ok(String::clone(text)),
            None => {
                let text = files(name)?;
                read.insert(name.to_owned(), text.clone());
                Ok(text)
            }
        };
        for cell in study.plan.cells() {
            let (system, workload) = study.specs(cell)?;
            let workload = study.workload(cell, &workload, study.spec.seed, &mut keep)?;
            let made = Sim::new(&system, workload, study.spec.seed);
            made.map_err(|error| in_cell(cell, &error.within("system")))?;
        }
        study.files = read;
        Ok(study)
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The workload of a cell with a seed.
    pub(super) fn workload(
        &self,
        cell: &Cell,
        spec: &WorkloadSpec,
        seed: u64,
        files: Files<'_>,
    ) -> Result<Workload, StudyError> {
        let workload = Workload::new(spec, seed, files);
        workload.map_err(|error| in_cell(cell, &error.within("workload")))
    }

    /// Gives the files that the study names, as they were when it was read.
    pub(super) fn named_files(&self) -> impl FnMut(&str) -> Result<String, String> {
        |name: &str| {
            let text = self.files.get(name).cloned();
            text.ok_or_else(|| format!("{name} was not there when the study was read"))
        }
    }

    /// What the base becomes with the levels of a cell.
    pub(super) fn specs(&self, cell: &Cell) -> Result<(SystemSpec, WorkloadSpec), StudyError> {
        let mut document = self.base.clone();
        for (factor, level) in self.spec.factors.iter().zip(&cell.levels) {
            let changed = match level {
                Level::Number(value) => {
                    let path: Vec<&str> = factor.path.as_deref().unwrap_or_default().split('.').collect();
                    patch::put(&mut document, &path, &number(*value))
                }
                Level::Named(name) => match factor.levels.iter().find(|level| level.name == *name) {
                    Some(level) => patch::lay(&mut document, &level.set),
                    None => Ok(()),
                },
            };
            changed.map_err(|error| in_cell(cell, &error))?;
        }
        Ok((part(&document, "system", cell)?, part(&document, "workload", cell)?))
    }
}

/// Whole numbers stay whole, since counts refuse fractions.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::Integer(value as i64)
    } else {
        Value::Float(value)
    }
}

fn part<T: Default + for<'de> Deserialize<'de>>(
    document: &Table,
    name: &str,
    cell: &Cell,
) -> Result<T, StudyError> {
    let Some(value) = document.get(name) else { return Ok(T::default()) };
    T::deserialize(value.clone()).map_err(|error| in_cell(cell, &format!("{name}: {}", error.message())))
}

fn in_cell(cell: &Cell, problem: &dyn ToString) -> StudyError {
    StudyError::Cell { cell: cell.to_string(), problem: problem.to_string() }
}

fn check(spec: &StudySpec) -> Result<(), StudyError> {
    let is_plain = |text: &str| {
        !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
    };
    const PLAIN: &str = "write letters, digits, `-`, `_` and, not at the front, `.`";
    // It names a folder.
    if !is_plain(&spec.name) || spec.name.starts_with('.') {
        return Err(StudyError::value("name", format!("is `{}`", spec.name), PLAIN));
    }
    if spec.repeats == 0 {
        return Err(StudyError::value("repeats", "is 0", "write 5 or more; fewer prove little"));
    }
    let mut names = BTreeSet::new();
    for (index, factor) in spec.factors.iter().enumerate() {
        let field = format!("factor[{index}]");
        if !is_plain(&factor.name) {
            return Err(StudyError::value(field + ".name", format!("is `{}`", factor.name), PLAIN));
        }
        if !names.insert(&factor.name) {
            return Err(StudyError::value(field + ".name", "is there twice", "give each factor its own"));
        }
        check_levels(factor, &field, &is_plain)?;
    }
    let cells = spec
        .factors
        .iter()
        .try_fold(1usize, |cells, factor| cells.checked_mul(factor.values.len().max(factor.levels.len())));
    let runs = cells.and_then(|cells| cells.checked_mul(spec.repeats as usize));
    if runs.is_none_or(|runs| runs > RUNS_MAX) {
        let problem = format!("make more than {RUNS_MAX} runs");
        return Err(StudyError::value("factors and repeats", problem, "leave levels or repeats out"));
    }
    let compared = roles(spec).compared.map(|index| &spec.factors[index]);
    for (level, measures) in &spec.published {
        if !compared.is_some_and(|factor| has_level(factor, level)) {
            let problem = "is no level of the factor that is compared";
            return Err(StudyError::value(format!("published.{level}"), problem, "write one of its levels"));
        }
        if let Some((measure, _)) = measures.iter().find(|(_, value)| !value.is_finite()) {
            let field = format!("published.{level}.{}", measure.name());
            return Err(StudyError::value(field, "is no finite number", "write what was published"));
        }
    }
    Ok(())
}

/// What factors are for, by their places.
pub(super) struct Roles {
    /// The first with numbers.
    pub axis: Option<usize>,
    /// The first with named levels, or else the second with numbers.
    pub compared: Option<usize>,
}

pub(super) fn roles(spec: &StudySpec) -> Roles {
    let axis = spec.factors.iter().position(|factor| !factor.values.is_empty());
    let named = spec.factors.iter().position(|factor| factor.values.is_empty());
    let compared = named.or_else(|| (0..spec.factors.len()).find(|index| Some(*index) != axis));
    Roles { axis, compared }
}

fn has_level(factor: &FactorSpec, name: &str) -> bool {
    factor.levels.iter().any(|level| level.name == name)
        || factor.values.iter().any(|value| Level::Number(*value).to_string() == name)
}

fn check_levels(factor: &FactorSpec, field: &str, is_plain: &dyn Fn(&str) -> bool) -> Result<(), StudyError> {
    const ONE_FORM: &str = "write either `path` and `values`, or [[factor.level]] tables";
    let by_number = factor.path.is_some() || !factor.values.is_empty();
    match (by_number, factor.levels.is_empty()) {
        (true, false) => return Err(StudyError::value(field, "has both values and levels", ONE_FORM)),
        (false, true) => return Err(StudyError::value(field, "has no levels", ONE_FORM)),
        _ => {}
    }
    if by_number
        && factor
            .path
            .as_deref()
            .is_none_or(|path| !path.starts_with("system.") && !path.starts_with("workload."))
    {
        let remedy = "write where the values go, beginning with `system.` or `workload.`";
        return Err(StudyError::value(format!("{field}.path"), "leads nowhere", remedy));
    }
    if by_number && factor.values.is_empty() {
        return Err(StudyError::value(format!("{field}.values"), "is empty", ONE_FORM));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in factor.values.iter().enumerate() {
        let field = format!("{field}.values[{index}]");
        if !value.is_finite() {
            return Err(StudyError::value(field, format!("is {value}"), "write a finite number"));
        }
        if !seen.insert(Level::Number(*value).to_string()) {
            return Err(StudyError::value(field, "is there twice", "write each value once"));
        }
    }
    for (index, level) in factor.levels.iter().enumerate() {
        let field = format!("{field}.level[{index}]");
        if !is_plain(&level.name) || !seen.insert(level.name.clone()) {
            let problem = format!("`{}` is there twice, or no plain word", level.name);
            return Err(StudyError::value(field + ".name", problem, "give each level a word of its own"));
        }
        if let Some(key) = level.set.keys().find(|key| *key != "system" && *key != "workload") {
            let problem = "is neither of the system nor of the workload";
            return Err(StudyError::value(format!("{field}.set.{key}"), problem, "begin with one of these"));
        }
    }
    Ok(())
}
