//! Samples of a bench row, their medians and per-round ratios, and the aligned tables they become: one form
//! for the terminal and for Markdown.

use super::machine;
use super::options::Options;
use super::peers::{Kind, LOAD_CORE, PROXY_CORE};
use crate::Outcome;
use std::fmt::Write as _;

/// A figure of a sample. The order is that of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Rate,
    P50,
    P99,
    Late,
    Hits,
    Cpu,
    CpuUser,
    CpuKernel,
    Resident,
    PerConnection,
    PerObject,
    Reload,
    LoadBusy,
    Foreign,
}

/// The figures of one proxy in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) values: Vec<(Metric, f64)>,
    pub(crate) errors: Vec<String>,
}

/// Whom Headgate is to be better than, where they take part.
const RIVALS: [Kind; 3] = [Kind::Nginx, Kind::Haproxy, Kind::Varnish];

/// One row of the bench: every proxy, every round.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) peers: Vec<(Kind, Outcome<Vec<Sample>>)>,
    /// What Headgate is to reach: this metric, at most this ratio to the best of `RIVALS`.
    pub(crate) goals: Vec<(Metric, f64)>,
    /// At most this ratio of CPU to the byte relay.
    pub(crate) relay_goal: Option<f64>,
}

/// Median with extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Metric {
    const ALL: [Self; 14] = [
        Self::Rate,
        Self::P50,
        Self::P99,
        Self::Late,
        Self::Hits,
        Self::Cpu,
        Self::CpuUser,
        Self::CpuKernel,
        Self::Resident,
        Self::PerConnection,
        Self::PerObject,
        Self::Reload,
        Self::LoadBusy,
        Self::Foreign,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Rate => "per s",
            Self::P50 => "p50 us",
            Self::P99 => "p99 us",
            Self::Late => "late p99",
            Self::Hits => "hit %",
            Self::Cpu => "CPU us",
            Self::CpuUser => "user",
            Self::CpuKernel => "kernel",
            Self::Resident => "RSS MiB",
            Self::PerConnection => "KiB/conn",
            Self::PerObject => "B/object",
            Self::Reload => "reload ms",
            Self::LoadBusy => "load core %",
            Self::Foreign => "others %",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Rate
            | Self::P50
            | Self::P99
            | Self::Late
            | Self::PerObject
            | Self::LoadBusy
            | Self::Foreign => format!("{value:.0}"),
            Self::Cpu | Self::CpuUser | Self::CpuKernel | Self::PerConnection => format!("{value:.2}"),
            Self::Hits | Self::Resident | Self::Reload => format!("{value:.1}"),
        }
    }

    /// The few whose ratio says something.
    fn compared(self) -> bool {
        !matches!(self, Self::Late | Self::CpuUser | Self::CpuKernel | Self::LoadBusy | Self::Foreign)
    }
}

impl Sample {
    pub(crate) fn get(&self, metric: Metric) -> Option<f64> {
        self.values.iter().find(|(other, _)| *other == metric).map(|(_, value)| *value)
    }
}

impl Row {
    /// A row that nobody could be measured in.
    pub(crate) fn failed(name: &str, kinds: &[Kind], why: &str) -> Self {
        let peers = kinds.iter().map(|&kind| (kind, Err(why.to_owned()))).collect();
        Self { name: name.to_owned(), peers, goals: Vec::new(), relay_goal: None }
    }

    pub(crate) fn samples(&self, kind: Kind) -> Option<&[Sample]> {
        let (_, samples) = self.peers.iter().find(|(other, _)| *other == kind)?;
        samples.as_deref().ok()
    }

    pub(crate) fn median(&self, kind: Kind, metric: Metric) -> Option<f64> {
        let values: Vec<f64> = self.samples(kind)?.iter().filter_map(|sample| sample.get(metric)).collect();
        spread(values).map(|spread| spread.median)
    }

    /// Headgate's figure over `reference`'s, round by round.
    fn ratio(&self, metric: Metric, reference: impl Fn(usize) -> Option<f64>) -> Option<Spread> {
        let own = self.samples(Kind::Headgate)?;
        let ratios = own.iter().enumerate().filter_map(|(round, sample)| {
            let other = reference(round)?;
            (other > 0.0).then(|| sample.get(metric).map(|value| value / other))?
        });
        spread(ratios.collect())
    }

    fn ratio_to(&self, kind: Kind, metric: Metric) -> Option<Spread> {
        self.ratio(metric, |round| self.samples(kind)?.get(round)?.get(metric))
    }

    /// What is left of the best rival's CPU where nothing is done but a read and a write: no goal below it can be
    /// reached.
    fn floor(&self) -> Option<String> {
        let floor = self.samples(Kind::Answerer)?.iter().enumerate();
        let ratios = floor.filter_map(|(round, sample)| {
            Some(sample.get(Metric::Cpu)? / self.best(round, Metric::Cpu).filter(|&best| best > 0.0)?)
        });
        let spread = show_ratio(spread(ratios.collect())?);
        Some(format!("answerer / the best of them: {} {spread}", Metric::Cpu.title()))
    }

    /// The best rival's figure in a round.
    fn best(&self, round: usize, metric: Metric) -> Option<f64> {
        RIVALS
            .into_iter()
            .filter_map(|kind| self.samples(kind)?.get(round)?.get(metric))
            .min_by(f64::total_cmp)
    }

    /// To the best rival in each round. All goals are on metrics where less is better.
    fn ratio_to_best(&self, metric: Metric) -> Option<Spread> {
        self.ratio(metric, |round| self.best(round, metric))
    }

    /// The row as a table of medians, with the ratios, errors and goals under it.
    pub(crate) fn render(&self) -> String {
        let has = |metric: &Metric| self.peers.iter().any(|(kind, _)| self.median(*kind, *metric).is_some());
        let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(has).collect();
        let mut lines = vec![vec!["proxy".to_owned()]];
        lines[0].extend(metrics.iter().map(|metric| metric.title().to_owned()));
        let mut notes = Vec::new();
        for (kind, outcome) in &self.peers {
            let mut line = vec![kind.name().to_owned()];
            for &metric in &metrics {
                line.push(self.median(*kind, metric).map_or("-".to_owned(), |value| metric.show(value)));
            }
            lines.push(line);
            match outcome {
                Err(why) => notes.push(format!("{}: failed: {why}", kind.name())),
                Ok(samples) => {
                    for (round, sample) in samples.iter().enumerate().filter(|(_, s)| !s.errors.is_empty()) {
                        notes.push(format!(
                            "{}, round {}: {}",
                            kind.name(),
                            round + 1,
                            sample.errors.join(", ")
                        ));
                    }
                }
            }
        }
        let mut text = format!("### {}\n\n{}", self.name, table(&lines));
        notes.extend(self.load_bound());
        for kind in RIVALS.into_iter().chain([Kind::Relay, Kind::Answerer]) {
            let ratios: Vec<String> = metrics
                .iter()
                .filter(|metric| metric.compared())
                .filter_map(|&metric| {
                    Some(format!("{} {}", metric.title(), show_ratio(self.ratio_to(kind, metric)?)))
                })
                .collect();
            if !ratios.is_empty() {
                notes.push(format!("headgate / {}: {}", kind.name(), ratios.join("; ")));
            }
        }
        notes.extend(self.floor());
        notes.extend(self.verdicts());
        if !notes.is_empty() {
            text.push('\n');
        }
        for note in notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    fn load_bound(&self) -> Option<String> {
        let full = self
            .peers
            .iter()
            .filter(|(kind, _)| self.median(*kind, Metric::LoadBusy).is_some_and(|busy| busy > 97.0));
        let names: Vec<&str> = full.map(|(kind, _)| kind.name()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "load core full with {}: their rates and latencies are the generator's, compare the CPU",
                names.join(", ")
            )
        })
    }

    /// One line for each goal: reached or not, by how much.
    pub(crate) fn verdicts(&self) -> Vec<String> {
        let verdict = |title: &str, whom: &str, spread: Spread, limit: f64| {
            let word = if spread.median <= limit { "reached" } else { "MISSED" };
            format!("goal {word}: {title} {} of {whom}, at most {limit:.2}", show_ratio(spread))
        };
        let rivals = match self.samples(Kind::Varnish) {
            Some(_) => "the best of NGINX, HAProxy and Varnish",
            None => "the better of NGINX and HAProxy",
        };
        let best = self.goals.iter().filter_map(|&(metric, limit)| {
            Some(verdict(metric.title(), rivals, self.ratio_to_best(metric)?, limit))
        });
        let relay = self.relay_goal.and_then(|limit| {
            let spread = self.ratio_to(Kind::Relay, Metric::Cpu)?;
            Some(verdict(Metric::Cpu.title(), "the byte relay", spread, limit))
        });
        best.chain(relay).collect()
    }
}

/// Stores the rows as a dated file, with how to read them; `settings` says where those of the proxies are.
pub(crate) fn store(
    options: &Options,
    head: &[String],
    name: &str,
    title: &str,
    settings: &str,
    rows: &[Row],
) -> Outcome {
    let mut text: String = head.iter().map(|line| format!("- {line}\n")).collect();
    let _ = write!(
        text,
        "\nProxy pinned to core {PROXY_CORE}, generator and origin to core {LOAD_CORE}. Medians of {} interleaved rounds of {} s;
ratios are taken round by round, median (least-most). CPU is the proxy's time per request in microseconds, RSS that
of its largest process. `load core %` is how busy the generator's core was, `others %` what ran beside the proxy on
its core, `late p99` how late the paced generator itself was. Below 1.00 Headgate needs less. {settings}\n\n",
        options.rounds, options.seconds
    );
    for row in rows {
        let _ = writeln!(text, "{}", row.render());
    }
    machine::store(name, title, &options.command, &text)
}

/// Median and extremes; nothing for no values.
pub(crate) fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (&least, &most) = (values.first()?, values.last()?);
    let middle = values.len() / 2;
    let median = if values.len().is_multiple_of(2) {
        (values[middle - 1] + values[middle]) / 2.0
    } else {
        values[middle]
    };
    Some(Spread { median, least, most })
}

pub(crate) fn show_ratio(spread: Spread) -> String {
    format!("{:.2} ({:.2}-{:.2})", spread.median, spread.least, spread.most)
}

/// A Markdown table with aligned columns: the first to the left, figures to the right.
pub(crate) fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                let _ = if column == 0 { write!(text, "|{dashes}-") } else { write!(text, "|{dashes}:") };
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(headgate: &[f64], nginx: &[f64], haproxy: &[f64]) -> Row {
        let samples = |values: &[f64]| {
            let sample = |&value| Sample { values: vec![(Metric::Cpu, value)], errors: Vec::new() };
            Ok(values.iter().map(sample).collect())
        };
        Row {
            name: "small".to_owned(),
            peers: vec![
                (Kind::Headgate, samples(headgate)),
                (Kind::Nginx, samples(nginx)),
                (Kind::Haproxy, samples(haproxy)),
                (Kind::Relay, Err("no such file".to_owned())),
            ],
            goals: vec![(Metric::Cpu, 0.85)],
            relay_goal: Some(1.15),
        }
    }

    #[test]
    fn ratios_are_paired_by_round_with_the_better_peer_of_that_round() {
        let row = row(&[8.0, 9.0, 30.0], &[10.0, 20.0, 30.0], &[20.0, 10.0, 40.0]);
        let spread = row.ratio_to_best(Metric::Cpu).unwrap();
        assert_eq!(spread, Spread { median: 0.9, least: 0.8, most: 1.0 });
    }

    #[test]
    fn losses_and_failures_are_in_the_table() {
        let text = row(&[9.0], &[10.0], &[20.0]).render();
        assert!(text.contains("goal MISSED: CPU us 0.90"), "{text}");
        assert!(text.contains("relay: failed: no such file"), "{text}");
        assert!(row(&[8.0], &[10.0], &[20.0]).render().contains("goal reached"));
    }

    #[test]
    fn every_line_of_a_table_has_the_same_width() {
        let lines = vec![vec!["a".to_owned(), "1234".to_owned()], vec!["longer".to_owned(), "5".to_owned()]];
        let text = table(&lines);
        let widths: Vec<usize> = text.lines().map(str::len).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
