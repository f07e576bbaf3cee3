//! The workload as the rig sends it: each step asks the service that takes it, by a path that says which key and
//! how many bytes. Times, keys and sizes stay those of the simulator.

use crate::sim::SystemSpec;
use crate::workload::{SpecError, StepSpec, Workload, WorkloadSpec};

/// The workload with its paths. `zone` is the number of the gateway's zone.
pub(super) fn routed(
    system: &SystemSpec,
    workload: &WorkloadSpec,
    zone: usize,
) -> Result<WorkloadSpec, SpecError> {
    let mut routed = workload.clone();
    if routed.steps.is_empty() {
        // What a workload without steps stands for, by a name.
        routed.steps.insert("all".to_owned(), StepSpec::default());
    }
    for (name, step) in &mut routed.steps {
        let service = match system.entry.get(name).or_else(|| system.entry.get("*")) {
            Some(service) => service,
            None if system.services.len() == 1 => system.services.keys().next().unwrap_or(name),
            None => {
                let remedy = "say which service takes it, or write entry = { \"*\" = \"NAME\" }";
                return Err(SpecError::new(format!("entry.{name}"), "is missing", remedy));
            }
        };
        step.path = format!("/{service}/{{key}}?bytes={{bytes}}&zone={zone}");
    }
    Ok(routed)
}

/// The most arrivals per second or users of any phase.
pub(super) fn peak(workload: &Workload) -> f64 {
    let phases = workload.phases().all().iter();
    phases.map(|phase| phase.level.max(phase.from.unwrap_or(0.0))).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::no_files;

    #[test]
    fn each_step_asks_its_service_and_draws_as_before() {
        let system: SystemSpec =
            toml::from_str("entry = { cart = \"b\", \"*\" = \"a\" }\n[service.a]\n[service.b]").unwrap();
        let text = "[open]\nphases = [{ lasts = \"10s\", level = 50 }]\n[keys.uniform]\nkeys = 9\n\
                    [steps.cart]\npath = \"/cart\"\nwrites = 0.5\n[steps.home]\npath = \"/\"";
        let spec: WorkloadSpec = toml::from_str(text).unwrap();
        let routed = routed(&system, &spec, 1).unwrap();
        assert_eq!(routed.steps["cart"].path, "/b/{key}?bytes={bytes}&zone=1");
        assert_eq!(routed.steps["home"].path, "/a/{key}?bytes={bytes}&zone=1");
        let all = |spec: &WorkloadSpec| {
            Workload::new(spec, 3, &mut no_files()).unwrap().singles().collect::<Vec<_>>()
        };
        assert_eq!(all(&spec), all(&routed));
        let plain: WorkloadSpec =
            toml::from_str("[open]\nphases = [{ lasts = \"10s\", level = 50 }]").unwrap();
        let one: SystemSpec = toml::from_str("[service.a]").unwrap();
        assert_eq!(all(&plain), all(&super::routed(&one, &plain, 0).unwrap()));
        assert_eq!(peak(&Workload::new(&plain, 1, &mut no_files()).unwrap()), 50.0);
    }
}
