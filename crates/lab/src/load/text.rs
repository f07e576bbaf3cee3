//! The result of a run as lines of plain text, and how times and counts are written in them.

use super::summary::{Latency, Measured, Model, PhaseResult, Protocol, Summary};
use std::fmt::Write as _;

impl Summary {
    /// The summary for a terminal or a log.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("{}\n\n", self.headline());
        for (label, value) in self.total.rows(self.run.model) {
            line(&mut out, &label, &value);
        }
        out.push('\n');
        line(&mut out, "latency", &LATENCY_HEAD.map(|head| format!("{head:>9}")).concat());
        line(&mut out, "  from planned", &self.total.from_planned.row());
        line(&mut out, "  from sending", &self.total.from_sent.row());
        out.push('\n');
        line(&mut out, "generator", &self.exactness());
        if self.phases.iter().filter(|phase| phase.measured).count() > 1 {
            out.push('\n');
            line(&mut out, "phase", "from s     level     per s    errors       p50       p99");
            self.phases.iter().for_each(|phase| line(&mut out, &phase.name, &phase.row()));
        }
        if !self.notes.is_empty() {
            out.push('\n');
            self.notes.iter().for_each(|note| line(&mut out, "note", note));
        }
        if !self.expectations.is_empty() {
            out.push('\n');
        }
        for verdict in &self.expectations {
            let word = if verdict.met { "met" } else { "FAILED" };
            line(
                &mut out,
                &format!("expected {}", verdict.expectation),
                &format!("{word}: {}", verdict.actual),
            );
        }
        out
    }

    /// What was run, on one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let run = &self.run;
        let protocol = match run.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        let model = match run.model {
            Model::Open => "open model",
            Model::Closed => "closed model",
        };
        format!(
            "{}  {protocol}{}, {model}, {}, {}, seed {}",
            run.target,
            if run.tls { " over TLS" } else { "" },
            plural(run.connections, "connection"),
            plural(run.threads, "thread"),
            run.seed
        )
    }

    /// How exact the generator was, and how busy.
    #[must_use]
    pub fn exactness(&self) -> String {
        let Latency { p50_us, p99_us, max_us, .. } = self.generator.send_error;
        let busy = self.generator.busy_shares.iter().copied().fold(0.0, f64::max);
        format!(
            "send-time error p50 {}, p99 {}, max {}; busy {:.0} %",
            time(p50_us),
            time(p99_us),
            time(max_us),
            100.0 * busy
        )
    }
}

/// Above the columns of [`Latency::row`].
pub(super) const LATENCY_HEAD: [&str; 9] =
    ["mean", "stdev", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"];

impl Latency {
    /// In the order of [`LATENCY_HEAD`].
    pub(super) fn cells(&self) -> [String; 9] {
        let Self { mean_us, stdev_us, p50_us, p90_us, p95_us, p99_us, p999_us, p9999_us, max_us, .. } = *self;
        [mean_us, stdev_us, p50_us, p90_us, p95_us, p99_us, p999_us, p9999_us, max_us].map(time)
    }

    fn row(&self) -> String {
        self.cells().map(|cell| format!("{cell:>9}")).concat()
    }
}

impl Measured {
    /// What became of the requests, as labels and values.
    pub(super) fn rows(&self, model: Model) -> Vec<(String, String)> {
        let row = |label: &str, value: String| (label.to_owned(), value);
        let with_rate = |count: u64, per_s: f64| format!("{} ({per_s:.1}/s)", grouped(count));
        let mut rows = vec![row("measured", format!("{:.1} s", self.seconds))];
        if model == Model::Open {
            rows.push(row("planned", with_rate(self.planned, self.planned_per_s)));
        }
        rows.push(row("answered", with_rate(self.answered, self.answered_per_s)));
        if model == Model::Open {
            rows.push(row("sent late", grouped(self.late)));
        }
        let statuses = self.statuses.iter().map(|(status, count)| format!("{status}: {}", grouped(*count)));
        rows.push(row("statuses", statuses.collect::<Vec<_>>().join(", ")));
        let failed: Vec<String> = self
            .failed
            .named()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{reason}: {}", grouped(count)))
            .collect();
        let failed = if failed.is_empty() { "none".to_owned() } else { failed.join(", ") };
        rows.push(row("unanswered", failed));
        rows.push(row("errors", format!("{:.3} %", 100.0 * self.error_share)));
        let mib = self.bytes_received as f64 / f64::from(1 << 20);
        rows.push(row("received", format!("{mib:.1} MiB ({:.1} MiB/s)", mib / self.seconds.max(1e-9))));
        rows
    }
}

impl PhaseResult {
    fn row(&self) -> String {
        let Measured { answered_per_s, error_share, from_planned, .. } = &self.result;
        format!(
            "{:>6.0} {:>9} {answered_per_s:>9.1} {:>7.2} % {:>9} {:>9}{}",
            self.start_s,
            self.levels(),
            100.0 * error_share,
            time(from_planned.p50_us),
            time(from_planned.p99_us),
            if self.measured { "" } else { "  not counted" }
        )
    }

    pub(super) fn levels(&self) -> String {
        if self.level_from == self.level_to {
            return format!("{}", self.level_to);
        }
        format!("{}-{}", self.level_from, self.level_to)
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    // Writing into a String does not fail.
    let _ = writeln!(out, "{label:<15} {text}");
}

/// Three digits with the unit that fits: `87.3us`, `1.24ms`, `2.05s`.
pub(super) fn time(micros: f64) -> String {
    let digits = |value: f64| match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    match micros {
        0.0 => "0".to_owned(),
        micros if micros < 999.5 => format!("{}us", digits(micros)),
        micros if micros < 999_500.0 => format!("{}ms", digits(micros / 1e3)),
        micros => format!("{}s", digits(micros / 1e6)),
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_are_short() {
        for (micros, text) in [
            (0.0, "0"),
            (0.064, "0.06us"),
            (87.34, "87.3us"),
            (999.4, "999us"),
            (999.7, "1.00ms"),
            (12_345.0, "12.3ms"),
            (2_050_000.0, "2.05s"),
        ] {
            assert_eq!(time(micros), text);
        }
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
