//! The result of a run as a report: the same figures as the text, and the course and spread of latencies as
//! charts.

use super::summary::Summary;
use super::text::{LATENCY_HEAD, time};
use crate::report::{Chart, Report, Series, Table};

impl Summary {
    /// The report. `environment`: further facts about the run, such as machine and version.
    #[must_use]
    pub fn report(&self, environment: &[(String, String)]) -> Report {
        let mut report = Report::new("Load test");
        report.text(self.headline());
        self.notes.iter().for_each(|note| report.warning(note.clone()));
        report.table(Table {
            caption: "Requests".to_owned(),
            rows: pairs(self.total.rows(self.run.model)),
            ..Table::default()
        });
        report.table(self.latencies());
        if !self.expectations.is_empty() {
            report.table(self.verdicts());
        }
        report.heading("Course");
        self.course().into_iter().for_each(|chart| report.chart(chart));
        report.heading("Spread");
        report.chart(self.spread());
        report.table(self.by_phase());
        report.heading("How it was measured");
        let mut rows = vec![("generator".to_owned(), self.exactness())];
        rows.push(("address".to_owned(), self.run.address.clone()));
        rows.push(("timeout".to_owned(), format!("{} s", self.run.timeout_s)));
        rows.extend_from_slice(environment);
        report.table(Table { caption: "Environment".to_owned(), rows: pairs(rows), ..Table::default() });
        report
    }

    fn latencies(&self) -> Table {
        let row = |name: &str, cells: [String; 9]| {
            std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
        };
        Table {
            caption: "Latency".to_owned(),
            head: row("", LATENCY_HEAD.map(str::to_owned)),
            rows: vec![
                row("from the planned time", self.total.from_planned.cells()),
                row("from sending", self.total.from_sent.cells()),
                row("generator's own lateness", self.generator.send_error.cells()),
            ],
            notes: vec![
                "From the planned time to the end of the answer is what a client would have seen; requests that \
                 timed out or were dropped are in it."
                    .to_owned(),
            ],
        }
    }

    fn verdicts(&self) -> Table {
        let verdict = |met: bool| if met { "met" } else { "FAILED" }.to_owned();
        let row = |one: &super::Verdict| vec![one.expectation.clone(), one.actual.clone(), verdict(one.met)];
        Table {
            caption: "Expectations".to_owned(),
            head: ["expected", "actual", ""].map(str::to_owned).to_vec(),
            rows: self.expectations.iter().map(row).collect(),
            notes: Vec::new(),
        }
    }

    fn course(&self) -> [Chart; 2] {
        // The last answers trickle in after the plan's end; drawn, they would look like a collapse.
        let last = self.timeline.iter().rposition(|point| point.planned > 0 || point.errors > 0);
        let points = &self.timeline[..last.map_or(0, |last| last + 1)];
        let series = |name: &str, value: &dyn Fn(&super::Point) -> f64| Series {
            name: name.to_owned(),
            y: points.iter().map(|point| Some(value(point))).collect(),
            ..Series::default()
        };
        let per_s = |count: u64, point: &super::Point| count as f64 / point.seconds.max(1) as f64;
        let x: Vec<f64> = points.iter().map(|point| point.at_s as f64).collect();
        let chart = |title: &str, y_label: &str, logarithmic, series| Chart {
            title: title.to_owned(),
            x_label: "seconds".to_owned(),
            y_label: y_label.to_owned(),
            logarithmic,
            x: x.clone(),
            series,
        };
        let rates = vec![
            series("planned", &|point| per_s(point.planned, point)),
            series("answered", &|point| per_s(point.answered, point)),
            series("errors", &|point| per_s(point.errors, point)),
        ];
        let latencies = vec![
            series("p50", &|point| point.p50_us / 1e3),
            series("p99", &|point| point.p99_us / 1e3),
            series("max", &|point| point.max_us / 1e3),
        ];
        [
            chart("Requests per second", "per second", false, rates),
            chart("Latency from the planned time", "ms", true, latencies),
        ]
    }

    /// Over the number of nines, so that the tail is not squeezed into the last pixel.
    fn spread(&self) -> Chart {
        let points: Vec<_> = self.distribution.iter().filter(|point| point.quantile < 1.0).collect();
        let series = |name: &str, value: &dyn Fn(&super::DistributionPoint) -> f64| Series {
            name: name.to_owned(),
            y: points.iter().map(|point| Some(value(point))).collect(),
            ..Series::default()
        };
        Chart {
            title: "Latency by percentile: 1 is p90, 2 is p99, 3 is p99.9".to_owned(),
            x_label: "nines".to_owned(),
            y_label: "ms".to_owned(),
            logarithmic: true,
            x: points.iter().map(|point| -(1.0 - point.quantile).log10()).collect(),
            series: vec![
                series("from the planned time", &|point| point.from_planned_us / 1e3),
                series("from sending", &|point| point.from_sent_us / 1e3),
            ],
        }
    }

    fn by_phase(&self) -> Table {
        let head = ["phase", "from s", "level", "planned", "answered/s", "errors %", "p50", "p99", "counts"];
        let row = |phase: &super::PhaseResult| {
            vec![
                phase.name.clone(),
                format!("{:.0}", phase.start_s),
                phase.levels(),
                phase.result.planned.to_string(),
                format!("{:.1}", phase.result.answered_per_s),
                format!("{:.3}", 100.0 * phase.result.error_share),
                time(phase.result.from_planned.p50_us),
                time(phase.result.from_planned.p99_us),
                if phase.measured { "yes" } else { "no" }.to_owned(),
            ]
        };
        Table {
            caption: "Phases".to_owned(),
            head: head.map(str::to_owned).to_vec(),
            rows: self.phases.iter().map(row).collect(),
            notes: vec!["Requests belong to the phase for which they were planned.".to_owned()],
        }
    }
}

fn pairs(rows: Vec<(String, String)>) -> Vec<Vec<String>> {
    rows.into_iter().map(|(name, value)| vec![name, value]).collect()
}
