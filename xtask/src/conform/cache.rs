//! The run of the cache suite: options, stage, verdict.

use super::HELP;
use super::proxy::{Kind, Proxy};
use super::score::{Score, Table};
use super::suite::Suite;
use crate::Outcome;
use std::path::PathBuf;

/// Optimal checks that Headgate has to pass.
const OPTIMAL_FLOOR: usize = 90;

/// What is asked for on the command line.
#[derive(Debug)]
struct Options {
    proxy: Kind,
    headgate: Option<PathBuf>,
    id: Option<String>,
}

impl Options {
    fn parse(words: &[&str]) -> Outcome<Self> {
        let mut options = Self { proxy: Kind::Headgate, headgate: None, id: None };
        let mut words = words.iter();
        while let Some(&name) = words.next() {
            let value = words.next().ok_or_else(|| HELP.to_owned())?;
            match name {
                "--proxy" => options.proxy = Kind::parse(value)?,
                "--headgate" => options.headgate = Some(PathBuf::from(value)),
                "--id" => options.id = Some((*value).to_owned()),
                _ => return Err(format!("unknown option {name}\n{HELP}")),
            }
        }
        Ok(options)
    }
}

/// Fails when Headgate misses a required check, or too many optimal ones.
pub(super) fn run(words: &[&str]) -> Outcome {
    let options = Options::parse(words)?;
    let mut suite = Suite::start()?;
    let proxy = Proxy::start(options.proxy, options.headgate.as_deref(), suite.address(), suite.folder())?;
    if let Some(id) = &options.id {
        println!("{}", suite.explain(id, proxy.address())?);
        return Ok(());
    }
    let table = Table::parse(&suite.checks()?)?;
    let score = table.score(&suite.results(proxy.address())?)?;
    print!("{score}");
    println!("{}: {}", options.proxy.name(), score.line());
    if options.proxy == Kind::Headgate { verdict(&score) } else { Ok(()) }
}

fn verdict(score: &Score) -> Outcome {
    let missed = score.required_missed();
    if missed > 0 {
        return Err(format!("{missed} required checks fail"));
    }
    if score.optimal_passed() < OPTIMAL_FLOOR {
        return Err(format!("{} optimal checks pass, at least {OPTIMAL_FLOOR} must", score.optimal_passed()));
    }
    Ok(())
}
