//! What came of a game day, as data: the JSON report, from which the text and the page are made.

use super::radius::Footprint;
use super::spec::Stage;
use serde::Serialize;

/// Of the format; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// The result of a game day. Times are seconds since its beginning.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub format: u32,
    pub name: String,
    pub hypothesis: String,
    pub seed: u64,
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    pub score: Score,
    pub probes: Vec<ProbeResult>,
    pub faults: Vec<FaultResult>,
    pub blast_radius: RadiusResult,
    pub aborts: Vec<AbortResult>,
    pub alarms: Vec<AlarmChange>,
    pub budget: Budget,
    pub stages: Vec<StageResult>,
    /// What a reader must not overlook.
    pub notes: Vec<String>,
    /// Second by second.
    pub course: Vec<CoursePoint>,
}

/// How a game day ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every probe of every stage was right, every fault hit and was taken back.
    Held,
    /// The game day ran to its end, and the hypothesis did not hold.
    NotHeld,
    /// The steady state did not hold before; nothing was done to the system.
    NotBegun,
    /// A condition to abort was met, or a fault could not be brought about. All faults were taken back.
    Aborted,
    /// Somebody stopped it. All faults were taken back.
    Interrupted,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Held => "the hypothesis held",
            Self::NotHeld => "the hypothesis did not hold",
            Self::NotBegun => "not begun: there was no steady state",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

/// 0 to 100; docs/gamedays.md has the formula.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    pub total: f64,
    pub parts: Vec<ScorePart>,
}

/// One part of the score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScorePart {
    pub name: &'static str,
    pub weight: f64,
    /// 0 to 1.
    pub value: f64,
    pub why: String,
}

/// One probe in one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeResult {
    pub name: String,
    pub stage: Stage,
    pub passed: bool,
    pub asked: u64,
    pub wrong: u64,
    /// The last wrong answer, or the last one.
    pub evidence: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultResult {
    pub name: String,
    /// What it did, in words.
    pub what: Vec<String>,
    pub targets: Vec<String>,
    /// From the beginning of the method.
    pub planned_begin_s: f64,
    pub planned_end_s: f64,
    pub began_s: Option<f64>,
    pub ended_s: Option<f64>,
    /// Attempts that it hit; none where that is not counted.
    pub hits: Option<u64>,
    /// It was looked at that it is gone.
    pub rolled_back: bool,
    pub problem: Option<String>,
    /// From its beginning to the first alarm about what it was aimed at.
    pub detected_s: Option<f64>,
    /// What that was.
    pub detected_by: Option<String>,
    /// From its beginning until users were well again while it lasted; zero when they never were not.
    pub mitigated_s: Option<f64>,
    /// From its end until users were well and no alarm about it was left.
    pub recovered_s: Option<f64>,
    pub expectations: Vec<ExpectationResult>,
}

/// How soon something was expected, and was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectationResult {
    /// `detected`, `mitigated` or `recovered`.
    pub what: &'static str,
    pub within_s: f64,
    pub actual_s: Option<f64>,
    pub met: bool,
}

/// How much was affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RadiusResult {
    pub cap: Footprint,
    /// The most at any moment, by the plan.
    pub planned: Footprint,
    /// The highest share of attempts that was hit over five seconds.
    pub measured_requests_percent: f64,
}

/// A condition to abort.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbortResult {
    pub condition: String,
    pub met_at_s: Option<f64>,
}

/// The gateway takes an endpoint out, or back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmChange {
    pub at_s: f64,
    /// `ejected`, `unhealthy`, `breaker open`.
    pub kind: String,
    pub service: String,
    pub endpoint: String,
    pub is_raised: bool,
    /// No fault was aimed at it.
    pub is_false: bool,
}

/// What users were promised, and what of the allowance is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Budget {
    pub success_percent: f64,
    /// Requests during and after the method.
    pub planned: u64,
    pub failed: u64,
    /// Of so many requests the promise allows so many to fail.
    pub allowed: f64,
    pub spent_percent: f64,
}

/// The load in one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageResult {
    pub stage: Stage,
    pub began_s: f64,
    pub seconds: f64,
    pub planned: u64,
    pub answered: u64,
    pub failed: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// One second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoursePoint {
    pub at_s: f64,
    pub stage: Stage,
    pub planned: u64,
    pub answered: u64,
    pub errors: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// The probes of the load held in it.
    pub is_good: bool,
    /// In force.
    pub faults: usize,
}

impl Outcome {
    /// As a document.
    ///
    /// # Errors
    /// None in practice: every value here has a JSON form.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}
