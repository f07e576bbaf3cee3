//! What a run is expected to show, as it is written on the command line: `p99<50ms`, `errors<0.1%`.

use super::error::LoadError;
use super::summary::Summary;
use super::timeline::Moment;
use headgate_model::spec::parse_duration;
use schemars::JsonSchema;
use serde::Serialize;

/// A condition on the figures of all phases that count.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    text: String,
    metric: Metric,
    order: Order,
    /// In the unit of the metric.
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    /// Latency from the planned time at this quantile, in microseconds.
    Quantile(f64),
    /// Latency from sending at this quantile, in microseconds.
    SentQuantile(f64),
    Mean,
    /// Share of planned requests without a good answer.
    Errors,
    /// Answers per second.
    Rate,
    Dropped,
    Late,
    /// 99th percentile of the generator's own lateness, in microseconds.
    SendError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// How an expectation turned out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Verdict {
    /// As it was written.
    pub expectation: String,
    /// What came out, with its unit.
    pub actual: String,
    pub met: bool,
}

const REMEDY: &str = "write one like p99<50ms, sent.p99.9<=20ms, mean<5ms, errors<0.1%, rate>=1000, dropped<=0, \
                      late<=10 or send_error<100us";

impl Expectation {
    /// Reads `METRIC ORDER BOUND`.
    ///
    /// # Errors
    /// [`LoadError::Setting`] with examples.
    pub fn parse(text: &str) -> Result<Self, LoadError> {
        Self::read(text).ok_or_else(|| LoadError::Setting {
            setting: "expect",
            problem: format!("`{text}` is no expectation"),
            remedy: REMEDY,
        })
    }

    fn read(text: &str) -> Option<Self> {
        let at = text.find(['<', '>'])?;
        let (name, rest) = (text[..at].trim(), &text[at + 1..]);
        let (or_equal, bound) = match rest.strip_prefix('=') {
            Some(bound) => (true, bound.trim()),
            None => (false, rest.trim()),
        };
        let order = match (text.as_bytes()[at], or_equal) {
            (b'<', false) => Order::Less,
            (b'<', true) => Order::AtMost,
            (_, false) => Order::More,
            (_, true) => Order::AtLeast,
        };
        let quantile = |text: &str| {
            if text == "max" {
                return Some(1.0);
            }
            let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
            (percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
        };
        let metric = match name {
            "mean" => Metric::Mean,
            "errors" => Metric::Errors,
            "rate" => Metric::Rate,
            "dropped" => Metric::Dropped,
            "late" => Metric::Late,
            "send_error" => Metric::SendError,
            _ => match name.strip_prefix("sent.") {
                Some(name) => Metric::SentQuantile(quantile(name)?),
                None => Metric::Quantile(quantile(name)?),
            },
        };
        let bound = match metric {
            Metric::Quantile(_) | Metric::SentQuantile(_) | Metric::Mean | Metric::SendError => {
                parse_duration(bound).ok()?.as_secs_f64() * 1e6
            }
            Metric::Errors => match bound.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
                None => bound.parse().ok().filter(|share| *share <= 1.0)?,
            },
            Metric::Rate | Metric::Dropped | Metric::Late => bound.parse().ok()?,
        };
        (bound.is_finite() && bound >= 0.0).then(|| Self { text: text.to_owned(), metric, order, bound })
    }

    /// Whether [`Self::holds_in`] can tell.
    #[must_use]
    pub fn is_per_second(&self) -> bool {
        match self.metric {
            Metric::Quantile(at) => at == 0.5 || at == 0.99,
            Metric::Errors | Metric::Rate => true,
            _ => false,
        }
    }

    /// Whether a single second meets it; `None` for figures that only a whole run has, such as p99.9, and for a
    /// second in which nothing was asked and nothing ended.
    #[must_use]
    pub fn holds_in(&self, moment: &Moment) -> Option<bool> {
        let Moment { planned, answered, errors, .. } = *moment;
        let ended = answered.max(errors);
        if planned.max(ended) == 0 {
            return None;
        }
        let latency = |us: f64| if ended > 0 { us } else { f64::INFINITY };
        let value = match self.metric {
            Metric::Quantile(0.5) => latency(moment.p50_us),
            Metric::Quantile(0.99) => latency(moment.p99_us),
            Metric::Errors => errors as f64 / planned.max(ended) as f64,
            Metric::Rate => answered as f64,
            _ => return None,
        };
        Some(self.is_met(value))
    }

    /// Holds the figures against it. Latencies of a run without any count as infinite.
    pub(super) fn judge(&self, summary: &Summary) -> Verdict {
        let total = &summary.total;
        let quantile = |at: f64, from_sent: bool| {
            let record = summary.record.as_ref()?;
            let histogram = if from_sent { &record.from_sent } else { &record.from_planned };
            (!histogram.is_empty()).then(|| histogram.value_at_quantile(at) as f64 / 1e3)
        };
        let some = |value: f64| (total.planned > 0).then_some(value);
        let actual = match self.metric {
            Metric::Quantile(at) => quantile(at, false),
            Metric::SentQuantile(at) => quantile(at, true),
            Metric::Mean => quantile(0.5, false).map(|_| total.from_planned.mean_us),
            Metric::Errors => some(total.error_share),
            Metric::Rate => Some(total.answered_per_s),
            Metric::Dropped => some(total.failed.dropped as f64),
            Metric::Late => some(total.late as f64),
            Metric::SendError => some(summary.generator.send_error.p99_us),
        };
        let met = actual.is_some_and(|actual| self.is_met(actual));
        let shown = actual.map_or_else(|| "nothing was measured".to_owned(), |actual| self.shown(actual));
        Verdict { expectation: self.text.clone(), actual: shown, met }
    }

    fn is_met(&self, actual: f64) -> bool {
        match self.order {
            Order::Less => actual < self.bound,
            Order::AtMost => actual <= self.bound,
            Order::More => actual > self.bound,
            Order::AtLeast => actual >= self.bound,
        }
    }

    fn shown(&self, actual: f64) -> String {
        match self.metric {
            Metric::Quantile(_) | Metric::SentQuantile(_) | Metric::Mean | Metric::SendError => {
                super::text::time(actual)
            }
            Metric::Errors => format!("{:.4} %", actual * 100.0),
            Metric::Rate => format!("{actual:.1}/s"),
            Metric::Dropped | Metric::Late => format!("{actual:.0}"),
        }
    }
}

impl Summary {
    /// Judges the run; whether all expectations are met.
    pub fn judge(&mut self, expectations: &[Expectation]) -> bool {
        self.expectations = expectations.iter().map(|one| one.judge(self)).collect();
        self.expectations.iter().all(|verdict| verdict.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read_with_their_units() {
        for (text, metric, order, bound) in [
            ("p99<50ms", Metric::Quantile(0.99), Order::Less, 50_000.0),
            ("sent.p50 <= 1.5ms", Metric::SentQuantile(0.5), Order::AtMost, 1_500.0),
            ("max<1s", Metric::Quantile(1.0), Order::Less, 1e6),
            ("errors<0.5%", Metric::Errors, Order::Less, 0.005),
            ("errors<=0.01", Metric::Errors, Order::AtMost, 0.01),
            ("rate>=1000", Metric::Rate, Order::AtLeast, 1_000.0),
            ("rate>1", Metric::Rate, Order::More, 1.0),
            ("dropped<=0", Metric::Dropped, Order::AtMost, 0.0),
        ] {
            let read = Expectation::parse(text).unwrap();
            assert_eq!((read.metric, read.order), (metric, order), "{text}");
            assert!((read.bound - bound).abs() < 1e-9, "{text}: {}", read.bound);
        }
        let p999 = Expectation::parse("p99.9<1ms").unwrap();
        assert!(matches!(p999.metric, Metric::Quantile(at) if (at - 0.999).abs() < 1e-12));
    }

    #[test]
    fn a_single_second_is_judged_by_what_is_known_of_it() {
        let second =
            Moment { planned: 100, answered: 98, errors: 4, p50_us: 1e3, p99_us: 2e4, ..Moment::default() };
        let nothing_ends = Moment { planned: 100, ..Moment::default() };
        let idle = Moment::default();
        for (text, expected) in [
            ("errors<5%", [Some(true), Some(true), None]),
            ("errors>3.9%", [Some(true), Some(false), None]),
            ("p50<=1ms", [Some(true), Some(false), None]),
            ("p99>1s", [Some(false), Some(true), None]),
            ("rate>=98", [Some(true), Some(false), None]),
            ("p99.9<1s", [None; 3]),
        ] {
            let one = Expectation::parse(text).unwrap();
            assert_eq!(
                [&second, &nothing_ends, &idle].map(|moment| one.holds_in(moment)),
                expected,
                "{text}"
            );
            assert_eq!(one.is_per_second(), expected[0].is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expectation_is_answered_with_examples() {
        for text in [
            "",
            "p99",
            "p99<50",
            "p101<1s",
            "p<1s",
            "errors<5",
            "rate>=fast",
            "speed<1s",
            "p99=1s",
            "dropped<-1",
        ] {
            let error = Expectation::parse(text).unwrap_err().to_string();
            assert!(error.contains("p99<50ms"), "{text}: {error}");
        }
    }
}
