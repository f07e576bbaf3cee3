//! Distributions of durations and sizes: how they are written in a file, and how they are drawn. Draws are
//! whole nanoseconds or bytes. It knows nothing of what is measured with them.

use super::error::{SpecError, at_least, at_most, positive};
use super::normal;
use headgate_model::dice::Dice;
use headgate_model::spec::{Bytes, Span};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Observed values that a description may list.
const OBSERVED_MAX: usize = 1_000_000;

/// A quantity that is drawn: durations in nanoseconds, sizes in bytes.
pub trait Quantity: Copy {
    /// In the unit that is drawn.
    fn units(self) -> u64;
}

impl<const DEFAULT_MS: u64> Quantity for Span<DEFAULT_MS> {
    fn units(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl<const DEFAULT: u64> Quantity for Bytes<DEFAULT> {
    fn units(self) -> u64 {
        self.0
    }
}

/// How a quantity is spread, as written in a file: `{ lognormal = { mean = "5ms", cv = 1.2 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution<T> {
    Constant(T),
    Uniform {
        min: T,
        max: T,
    },
    Exponential {
        mean: T,
    },
    /// `cv`: standard deviation over mean. What would be negative counts as zero, which lifts the mean.
    Normal {
        mean: T,
        cv: f64,
    },
    /// `cv`: standard deviation over mean.
    Lognormal {
        mean: T,
        cv: f64,
    },
    /// Heavy tail between two bounds; the smaller the shape, the heavier.
    Pareto {
        shape: f64,
        min: T,
        max: T,
    },
    /// One of these, each as likely; a value that is listed twice is twice as likely.
    Empirical(Vec<T>),
}

impl<T: Quantity> Distribution<T> {
    /// The sampler of this distribution, or what is wrong with it.
    pub fn sampler(&self) -> Result<Sampler, SpecError> {
        const ORDER: &str = "write min <= max";
        const CV: &str = "write a coefficient of variation of 0 or more, like 1.0";
        let mean_of = |name: &str, mean: T| {
            let units = mean.units() as f64;
            positive(&format!("{name}.mean"), units, "write a mean above zero").map(|()| units)
        };
        Ok(match self {
            Self::Constant(value) => Sampler(Kind::Constant(value.units())),
            Self::Uniform { min, max } if min.units() > max.units() => {
                return Err(SpecError::new("uniform", "min is above max", ORDER));
            }
            Self::Uniform { min, max } => Sampler(Kind::Uniform {
                min: min.units(),
                count: (max.units() - min.units()).saturating_add(1),
            }),
            Self::Exponential { mean } => Sampler(Kind::Exponential { mean: mean_of("exponential", *mean)? }),
            Self::Normal { mean, cv } => {
                at_least("normal.cv", *cv, 0.0, CV)?;
                let mean = mean_of("normal", *mean)?;
                Sampler(Kind::Normal { mean, deviation: mean * cv })
            }
            Self::Lognormal { mean, cv } => {
                at_least("lognormal.cv", *cv, 0.0, CV)?;
                Sampler::lognormal(mean_of("lognormal", *mean)?, *cv)
            }
            Self::Pareto { shape, min, max } => {
                positive("pareto.shape", *shape, "write a shape above zero, like 1.2")?;
                if min.units() == 0 || min.units() > max.units() {
                    return Err(SpecError::new("pareto", "min is zero or above max", "write 0 < min <= max"));
                }
                Sampler::pareto(*shape, min.units() as f64, max.units() as f64)
            }
            Self::Empirical(values) => {
                at_most("empirical", values.len(), OBSERVED_MAX)?;
                let values: Arc<[u64]> = values.iter().map(|value| value.units()).collect();
                Sampler::empirical(values)
                    .ok_or_else(|| SpecError::new("empirical", "is empty", "list at least one value"))?
            }
        })
    }
}

/// Draws whole nanoseconds or bytes. Clones share the table of observed values.
#[derive(Clone, Debug)]
pub struct Sampler(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Constant(u64),
    Uniform {
        min: u64,
        count: u64,
    },
    Exponential {
        mean: f64,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// Mean and standard deviation of the logarithm.
    Lognormal {
        mu: f64,
        sigma: f64,
    },
    Pareto {
        min: f64,
        max: f64,
        /// `1 - (min / max)^shape`.
        range: f64,
        shape: f64,
    },
    Empirical(Arc<[u64]>),
}

impl Sampler {
    #[must_use]
    pub fn constant(value: u64) -> Self {
        Self(Kind::Constant(value))
    }

    /// `mean` above zero.
    #[must_use]
    pub fn exponential(mean: f64) -> Self {
        Self(Kind::Exponential { mean: mean.max(f64::MIN_POSITIVE) })
    }

    /// The lognormal distribution of this mean and coefficient of variation.
    #[must_use]
    pub fn lognormal(mean: f64, cv: f64) -> Self {
        let variance = (cv * cv).ln_1p();
        Self(Kind::Lognormal {
            mu: mean.max(f64::MIN_POSITIVE).ln() - variance / 2.0,
            sigma: variance.sqrt(),
        })
    }

    /// Pareto between two bounds, `0 < min <= max`.
    #[must_use]
    pub fn pareto(shape: f64, min: f64, max: f64) -> Self {
        Self(Kind::Pareto { min, max, range: 1.0 - (min / max).powf(shape), shape })
    }

    /// One of these values, each as likely; `None` without values.
    #[must_use]
    pub fn empirical(values: Arc<[u64]>) -> Option<Self> {
        (!values.is_empty()).then_some(Self(Kind::Empirical(values)))
    }

    /// One draw.
    #[inline]
    pub fn sample(&self, dice: &mut Dice) -> u64 {
        // A float beyond u64 saturates, and one below zero becomes zero.
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Uniform { min, count } => min + dice.below(*count),
            Kind::Exponential { mean } => (mean * normal::exponential(dice) + 0.5) as u64,
            Kind::Normal { mean, deviation } => (mean + deviation * normal::standard(dice) + 0.5) as u64,
            Kind::Lognormal { mu, sigma } => ((mu + sigma * normal::standard(dice)).exp() + 0.5) as u64,
            Kind::Pareto { min, max, range, shape } => {
                let value = min / (1.0 - dice.unit() * range).powf(1.0 / shape);
                value.clamp(*min, *max) as u64
            }
            Kind::Empirical(values) => values[dice.below(values.len() as u64) as usize],
        }
    }

    /// The mean of the draws, but for their rounding; that of [`Distribution::Normal`] with its zeros.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value as f64,
            Kind::Uniform { min, count } => *min as f64 + (count - 1) as f64 / 2.0,
            Kind::Exponential { mean } => *mean,
            Kind::Normal { mean, deviation } => normal::mean_of_positive_part(*mean, *deviation),
            Kind::Lognormal { mu, sigma } => (mu + sigma * sigma / 2.0).exp(),
            Kind::Pareto { min, max, range, shape } => {
                if (shape - 1.0).abs() < 1e-9 {
                    return min / range * (max / min).ln();
                }
                shape * min / (range * (shape - 1.0)) * (1.0 - (min / max).powf(shape - 1.0))
            }
            Kind::Empirical(values) => {
                values.iter().map(|&value| value as f64).sum::<f64>() / values.len() as f64
            }
        }
    }
}

/// The lognormal distribution that fits observed values (durations of spans, sizes) by maximum likelihood: its
/// mean and coefficient of variation, as [`Distribution::Lognormal`] takes them. Zeros count as one; `None`
/// without values.
#[must_use]
pub fn fit_lognormal(values: &[u64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let logs = || values.iter().map(|&value| (value.max(1) as f64).ln());
    let count = values.len() as f64;
    let mu = logs().sum::<f64>() / count;
    let variance = logs().map(|log| (log - mu).powi(2)).sum::<f64>() / count;
    Some(((mu + variance / 2.0).exp(), variance.exp_m1().sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Distribution<Span<0>>, String> {
        let table: std::collections::BTreeMap<String, Distribution<Span<0>>> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        Ok(table["x"].clone())
    }

    fn of(text: &str) -> Sampler {
        parse(text).unwrap().sampler().unwrap()
    }

    const ALL: [&str; 7] = [
        "x = { constant = \"5ms\" }",
        "x = { uniform = { min = \"1ms\", max = \"9ms\" } }",
        "x = { exponential = { mean = \"5ms\" } }",
        "x = { normal = { mean = \"5ms\", cv = 1.0 } }",
        "x = { lognormal = { mean = \"5ms\", cv = 1.5 } }",
        "x = { pareto = { shape = 1.3, min = \"1ms\", max = \"100ms\" } }",
        "x = { empirical = [\"1ms\", \"1ms\", \"4ms\"] }",
    ];

    #[test]
    fn draws_have_the_mean_that_is_promised() {
        for text in ALL {
            let (sampler, mut dice) = (of(text), Dice::new(3));
            let draws = 400_000;
            let sum: f64 = (0..draws).map(|_| sampler.sample(&mut dice) as f64).sum();
            let (mean, promised) = (sum / f64::from(draws), sampler.mean());
            assert!((mean / promised - 1.0).abs() < 0.015, "{text}: {mean} instead of {promised}");
        }
    }

    #[test]
    fn lognormal_has_its_coefficient_of_variation_and_is_found_again_by_the_fit() {
        let (sampler, mut dice) = (Sampler::lognormal(5e6, 0.8), Dice::new(5));
        let draws: Vec<u64> = (0..200_000).map(|_| sampler.sample(&mut dice)).collect();
        let mean = draws.iter().sum::<u64>() as f64 / draws.len() as f64;
        let variance = draws.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((variance.sqrt() / mean - 0.8).abs() < 0.02);
        let (mean, cv) = fit_lognormal(&draws).unwrap();
        assert!((mean / 5e6 - 1.0).abs() < 0.01 && (cv / 0.8 - 1.0).abs() < 0.01, "{mean} {cv}");
        assert_eq!(fit_lognormal(&[]), None);
        let (mean, cv) = fit_lognormal(&[0, 0]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12 && cv.abs() < 1e-12);
    }

    #[test]
    fn bounds_are_kept() {
        let (uniform, pareto, mut dice) = (of(ALL[1]), of(ALL[5]), Dice::new(1));
        for _ in 0..100_000 {
            assert!((1_000_000..=9_000_000).contains(&uniform.sample(&mut dice)));
            assert!((1_000_000..=100_000_000).contains(&pareto.sample(&mut dice)));
        }
    }

    #[test]
    fn mistakes_are_named_with_their_remedy() {
        for (text, expected) in [
            (
                "x = { uniform = { min = \"2ms\", max = \"1ms\" } }",
                "uniform: min is above max; write min <= max",
            ),
            ("x = { exponential = { mean = \"0s\" } }", "exponential.mean: is 0; write a mean above zero"),
            (
                "x = { lognormal = { mean = \"1s\", cv = nan } }",
                "lognormal.cv: is NaN; write a coefficient of variation of 0 or more, like 1.0",
            ),
            (
                "x = { pareto = { shape = 1.0, min = \"0s\", max = \"1s\" } }",
                "pareto: min is zero or above max; write 0 < min <= max",
            ),
            ("x = { empirical = [] }", "empirical: is empty; list at least one value"),
        ] {
            let error = parse(text).unwrap().sampler().expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        for (text, word) in
            [("x = { lognormal = { mean = \"1s\", cv = 1, sd = 2 } }", "sd"), ("x = { gamma = {} }", "gamma")]
        {
            assert!(parse(text).unwrap_err().contains(word), "{text}");
        }
    }

    #[test]
    fn extremes_do_not_panic() {
        let mut dice = Dice::new(1);
        let year = Span::<0>(Duration::from_secs(8_760 * 3_600));
        for spec in [
            Distribution::Lognormal { mean: year, cv: 1e150 },
            Distribution::Uniform { min: Span(Duration::ZERO), max: year },
            Distribution::Pareto { shape: 1e-9, min: Span(Duration::from_nanos(1)), max: year },
        ] {
            let sampler = spec.sampler().unwrap();
            (0..1_000).for_each(|_| _ = sampler.sample(&mut dice));
        }
        let whole = Distribution::Uniform { min: Bytes::<0>(0), max: Bytes(u64::MAX) };
        whole.sampler().unwrap().sample(&mut dice);
    }
}
