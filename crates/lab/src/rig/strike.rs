//! What a fault of a study does on the rig: something to a process, or a chaos rule of the gateway about its endpoint.
//! Whom it strikes and when the simulator has drawn.

use super::admin;
use super::error::RigError;
use super::process::ProcessFault;
use super::system::System;
use crate::admin::rules;
use crate::sim::{ChaosSpec, FaultKindSpec};
use crate::workload::SpecError;
use headgate_model::chaos::mistakes;
use headgate_model::spec::{ChaosRule, Config};
use std::time::Duration;

/// One fault, for all whom it strikes.
#[derive(Clone, Debug)]
pub(super) enum Strike {
    Process(ProcessFault),
    /// Its name begins that of each rule.
    Rule(Box<ChaosRule>),
}

impl Strike {
    /// The fault of that `number` in the description. `seed` is of the rule's dice.
    pub(super) fn of(
        what: &FaultKindSpec,
        cold_start: Duration,
        number: usize,
        seed: u64,
    ) -> Result<Self, SpecError> {
        Ok(Self::Process(match what {
            FaultKindSpec::Kill => ProcessFault::Kill { cold_start },
            FaultKindSpec::Stop => ProcessFault::Stop,
            FaultKindSpec::Slow(share) => ProcessFault::Slow { share: *share },
            FaultKindSpec::Fail(share) => ProcessFault::Fail { share: *share },
            FaultKindSpec::Delay(by) => ProcessFault::Delay { by: by.0 },
            // Refused by the layout; it strikes nobody.
            FaultKindSpec::Partition(_) => ProcessFault::Delay { by: Duration::ZERO },
            FaultKindSpec::Chaos(ChaosSpec { fault, percent, probes }) => {
                let rule = ChaosRule {
                    name: format!("fault-{number}"),
                    route: None,
                    service: None,
                    endpoint: None,
                    percent: *percent,
                    fault: fault.clone(),
                    probes: *probes,
                    seed: Some(seed),
                    lasts: None,
                };
                if let Some(mistake) = mistakes(&rule, &Config::default()).first() {
                    let field = format!("fault[{number}].what.chaos.{}", mistake.at.join("."));
                    return Err(SpecError::new(field, &mistake.message, "see docs/chaos.md"));
                }
                return Ok(Self::Rule(Box::new(rule)));
            }
        }))
    }

    pub(super) fn begin(&self, system: &System, victim: &str) -> Result<(), RigError> {
        match self {
            Self::Process(fault) => system.inject(victim, *fault),
            Self::Rule(rule) => rules::add(&about(rule, system, victim), &admin::target(system.admin())?)
                .map_err(|why| RigError::Rule { name: victim.to_owned(), why }),
        }
    }

    pub(super) fn end(&self, system: &System, victim: &str) -> Result<(), RigError> {
        match self {
            Self::Process(fault) => system.lift(victim, *fault),
            Self::Rule(rule) => {
                let rule = about(rule, system, victim);
                rules::remove(&rule, &admin::target(system.admin())?, &mut None)
                    .map_err(|why| RigError::Rule { name: victim.to_owned(), why })
            }
        }
    }
}

fn about(rule: &ChaosRule, system: &System, victim: &str) -> ChaosRule {
    let endpoint = system.replica(victim).map(|(_, address)| address.to_string());
    ChaosRule { name: format!("{}-{victim}", rule.name), endpoint, ..rule.clone() }
}
