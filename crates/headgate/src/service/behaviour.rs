//! What a service does with a request, from flags or from a replica's file: both become the same stages.

use super::ServiceOptions;
use super::downstream::Downstream;
use headgate_lab::rig::ReplicaSpec;
use headgate_lab::sim::StageSpec;
use headgate_lab::workload::{Sampler, SpecError};
use std::sync::Arc;
use std::time::Duration;

/// The checked behaviour.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) name: String,
    pub(super) cores: f64,
    pub(super) speed: f64,
    pub(super) places: usize,
    pub(super) queue: usize,
    pub(super) stages: Vec<Stage>,
    pub(super) work_per_kib_ns: u64,
    pub(super) seed: u64,
    /// What it is within a study; a service that stands alone is in none.
    pub(super) replica: Option<Replica>,
}

/// What a replica of a study has beside.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) zone: u16,
    /// By the number of the caller's zone.
    pub(super) one_way: Vec<Duration>,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    Work(Sampler),
    /// All at once; the stage is over when the last has answered.
    Calls(Vec<Call>),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) to: To,
    pub(super) share: f64,
    pub(super) optional: bool,
}

#[derive(Clone, Debug)]
pub(super) enum To {
    Url(Arc<Downstream>),
    /// By name, through the gateway.
    Service(String),
}

impl Behaviour {
    /// What the flags say; the error says what is wrong with them.
    pub(super) fn from_flags(options: &ServiceOptions) -> Result<Self, String> {
        if !options.variation.is_finite() || options.variation < 0.0 {
            return Err("the variation of the service time is zero or more".to_owned());
        }
        let work = match &options.work {
            Some(work) => work.sampler().map_err(|error| error.within("work").to_string())?,
            None if options.variation == 0.0 => Sampler::constant(options.mean.as_nanos() as u64),
            None => Sampler::lognormal(options.mean.as_nanos() as f64, options.variation),
        };
        let urls = options.downstream.iter().map(|url| Downstream::new(url).map(Arc::new));
        let calls = urls.map(|peer| Ok(Call { to: To::Url(peer?), share: 1.0, optional: false }));
        let calls: Vec<Call> = calls.collect::<Result<_, String>>()?;
        let mut stages = vec![Stage::Work(work)];
        if options.parallel {
            stages.push(Stage::Calls(calls));
        } else {
            stages.extend(calls.into_iter().map(|call| Stage::Calls(vec![call])));
        }
        Self {
            name: options.name.clone(),
            cores: options.cores.unwrap_or(f64::INFINITY),
            speed: 1.0,
            places: options.concurrency,
            queue: options.queue,
            stages,
            work_per_kib_ns: 0,
            seed: options.seed,
            replica: None,
        }
        .checked()
    }

    /// What a replica's file says.
    pub(super) fn from_replica(spec: &ReplicaSpec) -> Result<Self, String> {
        let stage = |(index, stage): (usize, &StageSpec)| match stage {
            StageSpec::Work(work) => {
                let sampler =
                    work.sampler().map_err(|error: SpecError| error.within(&format!("does[{index}].work")));
                sampler.map(Stage::Work).map_err(|error| error.to_string())
            }
            StageSpec::Calls(calls) => Ok(Stage::Calls(
                calls
                    .iter()
                    .map(|call| Call {
                        to: To::Service(call.service.clone()),
                        share: call.share,
                        optional: call.optional,
                    })
                    .collect(),
            )),
        };
        Self {
            name: spec.name.clone(),
            cores: spec.cpus,
            speed: spec.speed,
            places: spec.concurrency as usize,
            queue: spec.queue as usize,
            stages: spec.does.iter().enumerate().map(stage).collect::<Result<_, _>>()?,
            work_per_kib_ns: spec.work_per_kib.0.as_nanos() as u64,
            seed: spec.seed,
            replica: Some(Replica {
                zone: spec.zone,
                one_way: spec.rtt.iter().map(|rtt| rtt.0 / 2).collect(),
            }),
        }
        .checked()
    }

    fn checked(self) -> Result<Self, String> {
        if self.cores.is_nan() || self.cores <= 0.0 {
            return Err("the cores are a number above zero".to_owned());
        }
        if !self.speed.is_finite() || self.speed < 0.0 {
            return Err("the speed is a number of zero or more".to_owned());
        }
        if self.places == 0 {
            return Err("the concurrency is at least 1".to_owned());
        }
        Ok(self)
    }

    /// One way of a message to or from a caller in that zone.
    pub(super) fn one_way(&self, zone: usize) -> Duration {
        let replica = self.replica.as_ref();
        replica.and_then(|replica| replica.one_way.get(zone)).copied().unwrap_or_default()
    }
}
