//! Which key is asked for: even, by Zipf's law, a hot set, or a recorded sequence; the favourites may drift.
//! A key is a number; what it stands for is up to the caller.

use super::error::{SpecError, at_least, at_most, share};
use super::trace::{Files, key_sequence};
use super::zipf::Zipf;
use headgate_model::dice::Dice;
use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Keys that a recorded sequence may have.
const SEQUENCE_MAX: usize = 50_000_000;

/// How requests are spread over keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PopularitySpec {
    /// Every key as likely.
    Uniform { keys: u64 },
    /// Rank `k` from one with a probability proportional to `k^-exponent`.
    Zipf {
        keys: u64,
        #[serde(default = "usual_exponent")]
        exponent: f64,
        drift: Option<Drift>,
    },
    /// `hot_share` of the requests go evenly to the first `hot_keys` keys, the others evenly to the rest.
    Hot { keys: u64, hot_keys: u64, hot_share: f64, drift: Option<Drift> },
    /// A recorded sequence of keys, read from a file with one number per line and begun anew at its end. Open
    /// requests replay it from the start; each session and user begins at a random place.
    Trace { file: String },
}

/// Favourites change: every `every` of time, all ranks move on by `by` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    #[serde(default)]
    pub every: Span<60_000>,
    pub by: u64,
}

fn usual_exponent() -> f64 {
    0.99
}

impl Default for PopularitySpec {
    /// One key.
    fn default() -> Self {
        Self::Uniform { keys: 1 }
    }
}

/// Draws keys. Clones share a recorded sequence.
#[derive(Clone, Debug)]
pub struct Popularity {
    rank: Rank,
    keys: u64,
    drift: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Rank {
    Uniform,
    Zipf(Zipf),
    Hot { hot_keys: u64, hot_share: f64 },
    Trace(Arc<[u64]>),
}

impl Popularity {
    /// `files` gives the text of a recorded sequence.
    pub fn new(spec: &PopularitySpec, files: Files<'_>) -> Result<Self, SpecError> {
        const KEYS: &str = "write at least 1 key";
        let count = |name: &str, keys: u64| at_least(&format!("{name}.keys"), keys as f64, 1.0, KEYS);
        let (rank, keys, drift) = match spec {
            PopularitySpec::Uniform { keys } => {
                count("uniform", *keys)?;
                (Rank::Uniform, *keys, None)
            }
            PopularitySpec::Zipf { keys, exponent, drift } => {
                count("zipf", *keys)?;
                at_least("zipf.exponent", *exponent, 0.0, "write an exponent of 0 or more, like 0.99")?;
                (Rank::Zipf(Zipf::new(*keys, *exponent)), *keys, drift.as_ref())
            }
            PopularitySpec::Hot { keys, hot_keys, hot_share, drift } => {
                count("hot", *keys)?;
                share("hot.hot_share", *hot_share)?;
                if *hot_keys == 0 || hot_keys >= keys {
                    let problem = format!("is {hot_keys} of {keys} keys");
                    return Err(SpecError::new(
                        "hot.hot_keys",
                        problem,
                        "write at least 1 and fewer than `keys`",
                    ));
                }
                (Rank::Hot { hot_keys: *hot_keys, hot_share: *hot_share }, *keys, drift.as_ref())
            }
            PopularitySpec::Trace { file } => {
                let sequence = key_sequence(file, files).map_err(|error| error.within("trace"))?;
                at_most("trace.file", sequence.len(), SEQUENCE_MAX)?;
                (Rank::Trace(sequence.into()), u64::MAX, None)
            }
        };
        let drift = drift.map(|drift| (drift.every.0.as_nanos() as u64, drift.by));
        if drift.is_some_and(|(every, _)| every == 0) {
            return Err(SpecError::new(
                "drift.every",
                "is zero",
                "write how often the favourites change, like \"1m\"",
            ));
        }
        Ok(Self { rank, keys, drift })
    }

    /// The key of the `position`-th request of a walk at `now_ns`.
    #[inline]
    pub(crate) fn key(&self, position: u64, now_ns: u64, dice: &mut Dice) -> u64 {
        let rank = match &self.rank {
            Rank::Uniform => dice.below(self.keys),
            Rank::Zipf(zipf) => zipf.sample(dice),
            Rank::Hot { hot_keys, hot_share } if dice.unit() < *hot_share => dice.below(*hot_keys),
            Rank::Hot { hot_keys, .. } => hot_keys + dice.below(self.keys - hot_keys),
            Rank::Trace(sequence) => return sequence[(position % sequence.len() as u64) as usize],
        };
        let Some((every, by)) = self.drift else { return rank };
        let moved = u128::from(rank) + u128::from(now_ns / every) * u128::from(by);
        (moved % u128::from(self.keys)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::trace::no_files;
    use super::*;

    fn popularity(text: &str) -> Result<Popularity, String> {
        let spec: PopularitySpec = toml::from_str(text).map_err(|error| error.to_string())?;
        Popularity::new(&spec, &mut no_files()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_hot_set_gets_its_share() {
        let hot = popularity("hot = { keys = 1000, hot_keys = 10, hot_share = 0.9 }").unwrap();
        let mut dice = Dice::new(1);
        let in_hot = (0..50_000).filter(|&at| hot.key(at, 0, &mut dice) < 10).count();
        assert!((44_500..45_500).contains(&in_hot), "{in_hot}");
    }

    #[test]
    fn favourites_drift() {
        let zipf =
            popularity("[zipf]\nkeys = 100\nexponent = 3.0\ndrift = { every = \"1m\", by = 30 }").unwrap();
        let favourite = |now_ns| {
            let (mut dice, mut counts) = (Dice::new(4), [0u32; 100]);
            (0..5_000).for_each(|at| counts[zipf.key(at, now_ns, &mut dice) as usize] += 1);
            counts.iter().enumerate().max_by_key(|(_, count)| **count).unwrap().0
        };
        let minute = 60_000_000_000;
        assert_eq!([0, minute - 1, minute, 4 * minute].map(favourite), [0, 0, 30, 20]);
    }

    #[test]
    fn a_recorded_sequence_is_replayed_and_begins_anew() {
        let spec = PopularitySpec::Trace { file: "keys".to_owned() };
        let mut files = |name: &str| Ok(format!("7\n{}\n9\n", name.len()));
        let trace = Popularity::new(&spec, &mut files).unwrap();
        let mut dice = Dice::new(1);
        let keys: Vec<u64> = (0..5).map(|position| trace.key(position, 0, &mut dice)).collect();
        assert_eq!(keys, [7, 4, 9, 7, 4]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("uniform = { keys = 0 }", "uniform.keys: is 0; write at least 1 key"),
            (
                "zipf = { keys = 1, exponent = -1.0 }",
                "zipf.exponent: is -1; write an exponent of 0 or more, like 0.99",
            ),
            (
                "hot = { keys = 5, hot_keys = 5, hot_share = 0.5 }",
                "hot.hot_keys: is 5 of 5 keys; write at least 1 and fewer than `keys`",
            ),
            (
                "hot = { keys = 5, hot_keys = 1, hot_share = 1.5 }",
                "hot.hot_share: is 1.5; write a share from 0 to 1",
            ),
            (
                "zipf = { keys = 5, drift = { every = \"0s\", by = 1 } }",
                "drift.every: is zero; write how often the favourites change, like \"1m\"",
            ),
            ("trace = { file = \"gone\" }", "trace.file: cannot be read: gone; name a readable file"),
        ] {
            assert_eq!(popularity(text).map(|_| ()), Err(expected.to_owned()), "{text}");
        }
        assert!(popularity("zipf = { keys = 5, exponents = 1.0 }").unwrap_err().contains("exponents"));
    }
}
