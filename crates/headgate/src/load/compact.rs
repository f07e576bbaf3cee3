//! Short forms of what a workload file spells out: `exponential:1s`, `zipf:10000:0.99`, `100:30s,200:1m`.

use headgate_lab::workload::{Distribution, Phase, PopularitySpec};
use headgate_model::spec::{Bytes, Span, parse_bytes, parse_duration};
use std::time::Duration;

/// Phases of one level: a level alone, or `LEVEL:DURATION,FROM-TO:DURATION,...`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Levels {
    One(f64),
    Phases(Vec<Phase>),
}

pub(crate) fn levels(text: &str) -> Result<Levels, String> {
    const FORM: &str = "write a number like 100, or phases like 100:30s,100-500:1m";
    let wrong = || format!("`{text}` is no level; {FORM}");
    let number = |text: &str| text.parse::<f64>().ok().filter(|level| level.is_finite() && *level >= 0.0);
    if !text.contains(':') {
        return number(text).map(Levels::One).ok_or_else(wrong);
    }
    let phase = |(index, part): (usize, &str)| {
        let (level, lasts) = part.split_once(':')?;
        let lasts = parse_duration(lasts).ok()?;
        let name = format!("{} {level}", index + 1);
        match level.split_once('-') {
            None => Some(Phase::steady(&name, lasts, number(level)?)),
            Some((from, to)) => {
                Some(Phase { from: Some(number(from)?), ..Phase::steady(&name, lasts, number(to)?) })
            }
        }
    };
    text.split(',').enumerate().map(phase).collect::<Option<_>>().map(Levels::Phases).ok_or_else(wrong)
}

pub(crate) fn times(text: &str) -> Result<Distribution<Span<0>>, String> {
    distribution(
        text,
        &|text| parse_duration(text).ok().map(Span),
        "100ms, exponential:1s or lognormal:1s:1.5",
    )
}

pub(crate) fn sizes(text: &str) -> Result<Distribution<Bytes<0>>, String> {
    distribution(
        text,
        &|text| parse_bytes(text).ok().map(Bytes),
        "1KiB, uniform:100B:2KiB or pareto:1.2:1KiB:1MiB",
    )
}

fn distribution<T>(
    text: &str,
    unit: &dyn Fn(&str) -> Option<T>,
    examples: &str,
) -> Result<Distribution<T>, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |text: &str| text.parse::<f64>().ok();
    let read = || {
        Some(match parts.as_slice() {
            [constant] | ["constant", constant] => Distribution::Constant(unit(constant)?),
            ["exponential", mean] => Distribution::Exponential { mean: unit(mean)? },
            ["uniform", min, max] => Distribution::Uniform { min: unit(min)?, max: unit(max)? },
            ["normal", mean, cv] => Distribution::Normal { mean: unit(mean)?, cv: number(cv)? },
            ["lognormal", mean, cv] => Distribution::Lognormal { mean: unit(mean)?, cv: number(cv)? },
            ["pareto", shape, min, max] => {
                Distribution::Pareto { shape: number(shape)?, min: unit(min)?, max: unit(max)? }
            }
            _ => return None,
        })
    };
    read().ok_or_else(|| format!("`{text}` is no distribution; write one like {examples}"))
}

pub(crate) fn keys(text: &str) -> Result<PopularitySpec, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let read = || {
        Some(match parts.as_slice() {
            ["uniform", keys] => PopularitySpec::Uniform { keys: keys.parse().ok()? },
            ["zipf", keys] => zipf(keys, "0.99")?,
            ["zipf", keys, exponent] => zipf(keys, exponent)?,
            ["hot", keys, hot_keys, hot_share] => PopularitySpec::Hot {
                keys: keys.parse().ok()?,
                hot_keys: hot_keys.parse().ok()?,
                hot_share: hot_share.parse().ok()?,
                drift: None,
            },
            ["trace", file] => PopularitySpec::Trace { file: (*file).to_owned() },
            _ => return None,
        })
    };
    read().ok_or_else(|| {
        format!("`{text}` is no popularity; write one like uniform:1000, zipf:10000:0.99, hot:1000:10:0.9 or trace:FILE")
    })
}

fn zipf(keys: &str, exponent: &str) -> Option<PopularitySpec> {
    Some(PopularitySpec::Zipf { keys: keys.parse().ok()?, exponent: exponent.parse().ok()?, drift: None })
}

/// `name: value`.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| "a header is written as \"name: value\"".to_owned())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A length of time above zero.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(length) if !length.is_zero() => Ok(length),
        Ok(_) => Err("zero; write one like 10s".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_one_or_phases() {
        assert_eq!(levels("100"), Ok(Levels::One(100.0)));
        let Ok(Levels::Phases(phases)) = levels("100:30s,100-500:1m") else { panic!("phases") };
        assert_eq!(phases[0], Phase::steady("1 100", Duration::from_secs(30), 100.0));
        assert_eq!((phases[1].from, phases[1].level), (Some(100.0), 500.0));
        for text in ["", "-1", "many", "100:", "100:30", "1-2-3:1s", "100:1s,", "inf"] {
            assert!(levels(text).unwrap_err().contains("100-500:1m"), "{text}");
        }
    }

    #[test]
    fn short_forms_mean_what_the_file_would_say() {
        let file = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let short = |value: toml::Value| value.as_table().unwrap().clone();
        for (text, written) in [
            ("100ms", "constant = \"100ms\""),
            ("exponential:1s", "[exponential]\nmean = \"1s\""),
            ("lognormal:5ms:1.2", "[lognormal]\nmean = \"5ms\"\ncv = 1.2"),
        ] {
            assert_eq!(short(toml::Value::try_from(times(text).unwrap()).unwrap()), file(written), "{text}");
        }
        assert!(
            sizes("pareto:1.2:1KiB:1MiB").is_ok() && keys("zipf:10:1").is_ok() && keys("trace:a.txt").is_ok()
        );
        for text in ["", "100", "exponential", "exponential:1", "zipf:5", "uniform:1s"] {
            assert!(times(text).unwrap_err().contains("exponential:1s"), "{text}");
        }
        for text in ["", "zipf", "zipf:x", "hot:1:2", "5"] {
            assert!(keys(text).unwrap_err().contains("zipf:10000:0.99"), "{text}");
        }
        assert_eq!(header("A: b: c"), Ok(("A".to_owned(), "b: c".to_owned())));
        assert!(header("novalue").is_err() && length("0s").is_err());
    }
}
