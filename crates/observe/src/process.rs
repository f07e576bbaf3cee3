//! What the process says about itself: version, start, memory, open files, and which configuration it runs.
//! It reads `/proc`; where there is none, those metrics are absent and not zero.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use crate::counter::{Counter, Gauge};
use crate::registry::WorkerMetrics;
use crate::timestamp::unix_us;

const RELOADS: &str = "headgate_config_reloads_total";
const OUTCOMES: &[&str; 2] = &["applied", "refused"];

/// Facts about the process. Those that change are as old as the last [`Self::refresh`].
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    cells: WorkerMetrics,
}

impl ProcessMetrics {
    /// To be made when the process starts: that moment is its start time. Only once per registry, because a
    /// gauge shows the sum over all who set it.
    #[must_use]
    pub fn new(cells: &WorkerMetrics, version: &str) -> Self {
        let help = "Always one; the label is what is worth reading.";
        cells.gauge("headgate_build_info", help, &[("version", version)]).set(1);
        let start_s = unix_us(SystemTime::now()) / 1_000_000;
        let help = "When the process started, in seconds since 1970.";
        cells.gauge("process_start_time_seconds", help, &[]).set(gauged(start_s));
        Self { cells: cells.clone() }
    }

    /// Reads memory and open files anew; to be called before each scrape.
    pub fn refresh(&self) {
        if let Some(bytes) =
            fs::read_to_string("/proc/self/status").ok().and_then(|text| resident_bytes(&text))
        {
            let help = "Physical memory that the process holds.";
            self.cells.gauge("process_resident_memory_bytes", help, &[]).set(gauged(bytes));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The folder that is being read is open too.
            let open = open.count().saturating_sub(1) as u64;
            self.cells.gauge("process_open_fds", "Open files and sockets.", &[]).set(gauged(open));
        }
    }
}

/// Which configuration is in force, and how reloads ended. Only one thread at a time may use it.
#[derive(Clone, Debug)]
pub struct ConfigMetrics {
    by_outcome: Arc<[Counter]>,
    generation: Arc<Gauge>,
}

impl ConfigMetrics {
    #[must_use]
    pub fn new(cells: &WorkerMetrics) -> Self {
        let help = "Generation of the configuration in force; discovery makes new ones too.";
        let generation = cells.gauge("headgate_config_generation", help, &[]);
        let help = "Attempts to reload the configuration, by how they ended.";
        Self { by_outcome: cells.counters(RELOADS, help, &[], ("outcome", OUTCOMES)), generation }
    }

    /// To be told after the start, each reload, and each change that discovery made.
    pub fn in_force(&self, generation: u64) {
        self.generation.set(gauged(generation));
    }

    /// Counts a reload that took effect.
    pub fn applied(&self) {
        self.by_outcome[0].inc();
    }

    /// Counts a reload that changed nothing, because the new configuration was faulty.
    pub fn refused(&self) {
        self.by_outcome[1].inc();
    }
}

fn gauged(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The line `VmRSS:   1234 kB` of proc_pid_status(5).
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, Value};

    fn gauge(registry: &Registry, name: &str) -> Option<i64> {
        let gathered = registry.gather();
        let family = gathered.iter().find(|family| family.name == name)?;
        match family.series[..] {
            [(_, Value::Gauge(level))] => Some(level),
            _ => panic!("{family:?}"),
        }
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        let status = "Name:\theadgate\nVmPeak:\t  999 kB\nVmRSS:\t    1234 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(1_234 * 1_024));
        for odd in ["", "VmRSS:", "VmRSS: 12", "VmRSS: x kB", "VmRSS: 18446744073709551615 kB"] {
            assert_eq!(resident_bytes(odd), None, "{odd}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn open_files_and_memory_are_refreshed() {
        let registry = Registry::default();
        let process = ProcessMetrics::new(&registry.worker(0), "1.2.3");
        assert_eq!(gauge(&registry, "process_open_fds"), None, "nothing is known before the first look");
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        process.refresh();
        assert!(gauge(&registry, "process_open_fds").unwrap() >= 500);
        assert!(gauge(&registry, "process_resident_memory_bytes").unwrap() > 100_000);
        drop(files);
        process.refresh();
        assert!(gauge(&registry, "process_open_fds").unwrap() < 500, "a second look forgets the first");
    }

    #[test]
    fn reloads_are_told_apart_from_generations() {
        let registry = Registry::default();
        let config = ConfigMetrics::new(&registry.worker(0));
        config.in_force(1);
        config.applied();
        config.in_force(7);
        config.refused();
        config.refused();
        assert_eq!(gauge(&registry, "headgate_config_generation"), Some(7));
        let gathered = registry.gather();
        let family = gathered.iter().find(|family| family.name == RELOADS).unwrap();
        let counts: Vec<_> =
            (family.series.iter()).map(|(labels, value)| (labels.value("outcome"), value.clone())).collect();
        assert_eq!(counts, [("applied", Value::Counter(1)), ("refused", Value::Counter(2))]);
    }
}
