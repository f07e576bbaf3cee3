//! A game day on the rig: what its processes are called, and where they are once they run.

use super::check::Mistakes;
use super::spec::{GameDaySpec, ProcessStep, TargetSpec};
use crate::rig::{GATEWAY, Layout, System};
use crate::workload::SpecError;

/// What is to be started, if the file says so.
pub(super) fn layout(spec: &GameDaySpec, seed: u64) -> Option<Result<Layout, SpecError>> {
    let rig = spec.system.rig.as_ref()?;
    if !rig.faults.is_empty() {
        let remedy = "write faults as [[method]], so that they are taken back";
        return Some(Err(SpecError::new("fault", "is not for game days", remedy)));
    }
    let clocks = spec.method.iter().filter(|action| matches!(action.process, Some(ProcessStep::Clock(_))));
    let clocks = clocks.flat_map(|action| action.targets.iter().cloned()).collect();
    Some(Layout::of(rig, seed).map(|layout| Layout { clocks, ..layout }))
}

/// Refuses what says where a system is that has yet to be started.
pub(super) fn check(spec: &GameDaySpec, mistakes: &mut Mistakes<'_>) {
    let system = &spec.system;
    let elsewhere = !(system.gateway.is_empty() && system.admin.is_empty() && system.targets.is_empty());
    if system.rig.is_some() && elsewhere {
        let help = "leave `gateway`, `admin` and `target` out; the replicas are the targets";
        mistakes.add(&["system", "rig"], "a rig beside a system that runs already", help);
    }
}

/// Fills in what a file about a running system would say: addresses and targets. Before the system runs, places
/// stand in for addresses.
pub(super) fn place(spec: &mut GameDaySpec, layout: &Layout, running: Option<&System>) {
    let system = &mut spec.system;
    let gateway = running.map_or_else(|| "127.0.0.1:1".to_owned(), |system| system.gateway().to_string());
    system.gateway = format!("http://{gateway}");
    system.admin = running.map_or_else(|| "127.0.0.1:1".to_owned(), |system| system.admin().to_string());
    system.targets.clear();
    for (number, seat) in layout.replicas.iter().enumerate() {
        let name = &seat.replica.name;
        let address = match running.and_then(|system| system.replica(name)) {
            Some((_, address)) => address.to_string(),
            None => format!("127.0.0.1:{}", number + 2),
        };
        let target =
            TargetSpec { endpoint: Some(address), service: Some(seat.service.clone()), pid_file: None };
        system.targets.insert(name.clone(), target);
    }
    system.targets.insert(GATEWAY.to_owned(), TargetSpec::default());
    // Each service has its path at the gateway.
    let entry = system.rig.as_ref().and_then(|rig| {
        let only = || rig.services.keys().next().filter(|_| rig.services.len() == 1);
        rig.entry.get("*").or_else(only)
    });
    if let Some(entry) = entry.filter(|_| spec.load.path == "/" && spec.load.steps.is_empty()) {
        spec.load.path = format!("/{entry}/{{key}}");
    }
}
