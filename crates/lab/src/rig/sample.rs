//! What a process holds and has used, from `/proc`, on the clock of the system that it belongs to.

use std::fs;
use std::time::{Duration, Instant};

/// One look at one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// From the start of the system.
    pub at: Duration,
    /// Changes when the process is started anew; the count of its time then begins at zero.
    pub pid: u32,
    /// Processor time in user mode and in the kernel, in steps of 10 ms.
    pub cpu: Duration,
    /// Resident memory, pages shared with other processes included.
    pub rss_bytes: u64,
    /// Resident memory with shared pages divided among those that share them; zero where the kernel does not say.
    pub pss_bytes: u64,
}

/// The looks at one process, in bounded memory: when there are too many, every second one is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    taken: Vec<Sample>,
    /// Looks per sample that is kept.
    step: u64,
    looks: u64,
}

/// Samples of a process, at the most.
const SAMPLES_MAX: usize = 4_096;

impl Samples {
    pub(super) fn add(&mut self, sample: Sample) {
        self.step = self.step.max(1);
        if self.looks.is_multiple_of(self.step) {
            self.taken.push(sample);
        }
        self.looks += 1;
        if self.taken.len() >= SAMPLES_MAX {
            let mut place = 0;
            self.taken.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.step *= 2;
        }
    }

    /// In order of time.
    #[must_use]
    pub fn all(&self) -> &[Sample] {
        &self.taken
    }

    /// Those from `from` to `to`.
    pub fn between(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Sample> {
        self.taken.iter().filter(move |sample| (from..=to).contains(&sample.at))
    }

    /// Cores used on the mean between two times: processor time over time. Zero without two samples.
    #[must_use]
    pub fn cores(&self, from: Duration, to: Duration) -> f64 {
        let (mut used, mut passed) = (0.0, 0.0);
        let mut before: Option<&Sample> = None;
        for sample in self.between(from, to) {
            if let Some(before) = before.filter(|before| before.pid == sample.pid) {
                used += sample.cpu.saturating_sub(before.cpu).as_secs_f64();
                passed += sample.at.saturating_sub(before.at).as_secs_f64();
            }
            before = Some(sample);
        }
        if passed > 0.0 { used / passed } else { 0.0 }
    }

    /// Mean of the proportional memory between two times, or of the resident one where there is no other.
    #[must_use]
    pub fn memory_bytes(&self, from: Duration, to: Duration) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for sample in self.between(from, to) {
            sum += if sample.pss_bytes > 0 { sample.pss_bytes } else { sample.rss_bytes } as f64;
            count += 1.0;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

/// Looks at a process; nothing when it is gone.
pub(super) fn look(pid: u32, start: Instant) -> Option<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let cpu = cpu_of(&stat)?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(Sample {
        at: start.elapsed(),
        pid,
        cpu,
        rss_bytes: pages * rustix::param::page_size() as u64,
        pss_bytes: field_kib(&memory, "Pss:").unwrap_or(0) << 10,
    })
}

/// utime and stime, the 14th and 15th field; the second is the name in parentheses and may hold anything.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_hides_no_field() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 0 1 2 3 4 150 50 0 0 20 0 1 0 1 1 1";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(cpu_of(stat), Some(Duration::from_secs_f64(200.0 / ticks)));
        assert_eq!(cpu_of("42 (a"), None);
        assert_eq!(field_kib("Rss:   10 kB\nPss:    7 kB\n", "Pss:"), Some(7));
    }

    #[test]
    fn this_process_is_seen() {
        let sample = look(std::process::id(), Instant::now()).unwrap();
        assert!(sample.rss_bytes > 100_000, "{sample:?}");
        assert_eq!(look(u32::MAX, Instant::now()), None);
    }

    #[test]
    fn cores_are_counted_over_restarts_and_memory_is_bounded() {
        let mut samples = Samples::default();
        let second = Duration::from_secs;
        for at in 0..10_000u64 {
            // Half a core; started anew in the middle.
            let cpu = second(at % 5_000) / 2;
            samples.add(Sample { at: second(at), pid: (at / 5_000) as u32, cpu, rss_bytes: 4, pss_bytes: 2 });
        }
        assert!(samples.all().len() < SAMPLES_MAX);
        assert!((samples.cores(second(0), second(10_000)) - 0.5).abs() < 1e-9);
        assert_eq!(samples.memory_bytes(second(100), second(200)), 2.0);
    }
}
