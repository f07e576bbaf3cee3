//! Draws the length of a delay from the distribution that a rule names.

use headgate_model::dice::Dice;
use headgate_model::spec::Delay;
use std::f64::consts::TAU;
use std::time::Duration;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;
/// No draw is longer: a heavy tail has no end of its own, and every timeout is over long before.
const MOST_SECONDS: f64 = 3_600.0;

/// A distribution, its parameters in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum DelayDraw {
    Constant(Duration),
    Uniform {
        latency: f64,
        jitter: f64,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    /// Of the logarithm.
    Lognormal {
        mu: f64,
        sigma: f64,
    },
    /// The least delay and the tail index.
    Pareto {
        scale: f64,
        shape: f64,
    },
}

impl DelayDraw {
    pub(super) fn new(spec: &Delay) -> Self {
        let seconds = |span: Duration| span.as_secs_f64();
        match spec {
            Delay::Constant(delay) => Self::Constant(delay.0),
            Delay::Uniform(it) => {
                Self::Uniform { latency: seconds(it.latency.0), jitter: seconds(it.jitter.0) }
            }
            Delay::Normal(it) => {
                Self::Normal { mean: seconds(it.mean.0), deviation: seconds(it.deviation.0) }
            }
            Delay::Lognormal(it) => {
                let (median, p99) = (seconds(it.median.0), seconds(it.p99.0));
                Self::Lognormal { mu: median.ln(), sigma: (p99 / median).ln() / Z99 }
            }
            Delay::Pareto(it) => {
                // P(X > x) = (scale / x)^shape, so that p99 / median = 50^(1 / shape).
                let (median, p99) = (seconds(it.median.0), seconds(it.p99.0));
                let shape = 50_f64.ln() / (p99 / median).ln();
                Self::Pareto { scale: median / 2_f64.powf(shape.recip()), shape }
            }
        }
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> Duration {
        let seconds = match *self {
            Self::Constant(delay) => return delay,
            Self::Uniform { latency, jitter } => latency + jitter * (2.0 * dice.unit() - 1.0),
            Self::Normal { mean, deviation } => mean + deviation * normal(dice),
            Self::Lognormal { mu, sigma } => (mu + sigma * normal(dice)).exp(),
            Self::Pareto { scale, shape } => scale * (1.0 - dice.unit()).powf(-shape.recip()),
        };
        Duration::from_secs_f64(seconds.clamp(0.0, MOST_SECONDS))
    }
}

/// Standard normal (Box and Muller, 1958).
fn normal(dice: &mut Dice) -> f64 {
    // Never zero, whose logarithm has no end.
    let radius = (-2.0 * (1.0 - dice.unit()).ln()).sqrt();
    radius * (TAU * dice.unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::spec::{Normal, Span, Tail, Uniform};

    const DRAWS: usize = 40_000;

    /// Sorted draws in seconds.
    fn draws(spec: &Delay) -> Vec<f64> {
        let (draw, mut dice) = (DelayDraw::new(spec), Dice::new(7));
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| draw.draw(&mut dice).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    fn ms(ms: u64) -> Span<0> {
        Span(Duration::from_millis(ms))
    }

    fn close(is: f64, wanted: f64) {
        assert!((is / wanted - 1.0).abs() < 0.1, "{is} for {wanted}");
    }

    #[test]
    fn the_quantiles_are_those_that_were_asked_for() {
        let tail = Tail { median: ms(50), p99: ms(1_000) };
        for spec in [Delay::Lognormal(tail), Delay::Pareto(tail)] {
            let drawn = draws(&spec);
            close(drawn[DRAWS / 2], 0.05);
            close(drawn[DRAWS * 99 / 100], 1.0);
            assert!(drawn[0] > 0.0 && drawn[DRAWS - 1] <= MOST_SECONDS);
        }
    }

    #[test]
    fn uniform_and_normal_lie_around_their_middle() {
        let uniform = draws(&Delay::Uniform(Uniform { latency: ms(300), jitter: ms(100) }));
        assert!(uniform[0] >= 0.2 && uniform[DRAWS - 1] <= 0.4);
        close(uniform[DRAWS / 4], 0.25);
        let normal = draws(&Delay::Normal(Normal { mean: ms(300), deviation: ms(50) }));
        close(normal[DRAWS / 2], 0.3);
        close(normal[DRAWS * 84 / 100] - normal[DRAWS / 2], 0.05);
        let cut_off = draws(&Delay::Normal(Normal { mean: ms(0), deviation: ms(50) }));
        assert_eq!(cut_off[DRAWS / 4], 0.0, "time does not run backwards");
        assert_eq!(draws(&Delay::Constant(ms(20)))[..2], [0.02, 0.02]);
    }
}
