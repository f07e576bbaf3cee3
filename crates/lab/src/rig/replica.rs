//! What one `headgate service` process of the rig does, and the words in which the rig speaks to it. It is the
//! simulator's replica as a file; the process itself is the binary's matter.

use crate::sim::StageSpec;
use headgate_model::spec::Span;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// One replica, as `headgate service --replica FILE` reads it from JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSpec {
    /// Sent as `x-served-by`.
    pub name: String,
    /// Virtual cores; a call uses one at most.
    pub cpus: f64,
    /// Work that a core does in a second, in seconds.
    pub speed: f64,
    /// Calls that hold a place at once.
    pub concurrency: u32,
    /// Calls that wait for a place; beyond it: 503.
    pub queue: u32,
    /// What a call does, one stage after the other.
    pub does: Vec<StageSpec>,
    /// Work for each KiB of the response, on top of the first stage.
    pub work_per_kib: Span<0>,
    /// Of the dice for work and shares.
    pub seed: u64,
    /// Its zone, by number.
    pub zone: u16,
    /// Round trip to a caller in each zone, by number.
    pub rtt: Vec<Span<0>>,
}

/// A line on the standard input of a service that was started with `--with-parent`. It is answered by one
/// line on standard output that begins with `ok` or `error`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    /// Calls to other services go to this gateway.
    Gateway(SocketAddr),
    /// Work at this share of the usual speed.
    Speed(f64),
    /// Answer this share of the calls with 500 at once.
    Fail(f64),
    /// Each message to and from it takes this much longer.
    Delay(Duration),
    /// Say what has been used: [`Usage`] as JSON after `ok`.
    Usage,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(address) => write!(f, "gateway {address}"),
            Self::Speed(share) => write!(f, "speed {share}"),
            Self::Fail(share) => write!(f, "fail {share}"),
            Self::Delay(delay) => write!(f, "delay {}", delay.as_micros()),
            Self::Usage => f.write_str("usage"),
        }
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{line}` is none of: gateway ADDRESS, speed SHARE, fail SHARE, delay MICROSECONDS, usage"
            )
        };
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        let number = || value.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        let command = match word {
            "gateway" => value.parse().ok().map(Self::Gateway),
            "speed" => number().map(Self::Speed),
            "fail" => number().filter(|share| *share <= 1.0).map(Self::Fail),
            "delay" => value.parse().ok().map(Duration::from_micros).map(Self::Delay),
            "usage" => Some(Self::Usage),
            _ => None,
        };
        command.ok_or_else(wrong)
    }
}

/// What a replica has used since it was started, in virtual capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Nanoseconds of cores.
    pub used_core_ns: f64,
    /// The integral of calls inside over nanoseconds.
    pub inside_ns: f64,
    /// Calls that reached it, probes excluded.
    pub calls: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_they_are_written() {
        for command in [
            Command::Gateway(SocketAddr::from(([127, 0, 0, 1], 80))),
            Command::Speed(0.25),
            Command::Fail(1.0),
            Command::Delay(Duration::from_millis(20)),
            Command::Usage,
        ] {
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        for wrong in ["", "speed", "speed -1", "speed nan", "fail 2", "delay 1s", "gateway x", "stop"] {
            assert!(wrong.parse::<Command>().is_err(), "{wrong}");
        }
    }
}
