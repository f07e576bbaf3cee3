//! A game day as a report: verdict, evidence, and the course with the faults below it.

use super::outcome::{CoursePoint, Outcome, Verdict};
use crate::report::{Chart, Report, Series, Table};

impl Outcome {
    /// The report. `environment`: further facts about the run, such as machine and version.
    #[must_use]
    pub fn report(&self, environment: &[(String, String)]) -> Report {
        let mut report = Report::new(format!("Game day: {}", self.name));
        report.text(format!("Hypothesis: {}", self.hypothesis));
        let verdict =
            format!("{}: {}. Score {:.0} of 100.", self.verdict.words(), self.reason, self.score.total);
        match self.verdict {
            Verdict::Held => report.text(verdict),
            _ => report.warning(verdict),
        }
        self.notes.iter().for_each(|note| report.warning(note.clone()));
        report.table(self.probe_table());
        report.table(self.fault_table());
        report.heading("Course");
        self.charts().into_iter().for_each(|chart| report.chart(chart));
        report.table(self.stage_table());
        report.table(self.alarm_table());
        report.heading("Score");
        report.table(self.score_table());
        let mut rows: Vec<Vec<String>> =
            self.facts().into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
        rows.push(vec!["seed".to_owned(), self.seed.to_string()]);
        rows.extend(environment.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
        report.table(Table { caption: "Facts".to_owned(), rows, ..Table::default() });
        report
    }

    fn charts(&self) -> [Chart; 3] {
        let series = |name: &str, value: &dyn Fn(&CoursePoint) -> f64| Series {
            name: name.to_owned(),
            y: self.course.iter().map(|point| Some(value(point))).collect(),
            ..Series::default()
        };
        let coloured = |colour, one: Series| Series { colour, ..one };
        let chart = |title: &str, y_label: &str, logarithmic, series| Chart {
            title: title.to_owned(),
            x_label: "seconds".to_owned(),
            y_label: y_label.to_owned(),
            logarithmic,
            x: self.course.iter().map(|point| point.at_s).collect(),
            series,
        };
        let rates = vec![
            series("planned", &|point| point.planned as f64),
            coloured(1, series("answered", &|point| point.answered as f64)),
            coloured(2, series("errors", &|point| point.errors as f64)),
        ];
        let latencies =
            vec![series("p50", &|point| point.p50_ms), coloured(1, series("p99", &|point| point.p99_ms))];
        let faults = vec![
            series("faults in force", &|point| point.faults as f64),
            coloured(1, series("users are well", &|point| f64::from(u8::from(point.is_good)))),
        ];
        [
            chart("Requests per second", "per second", false, rates),
            chart("Latency from the planned time", "ms", true, latencies),
            chart("Faults, and seconds in which the load's probes held", "", false, faults),
        ]
    }
}
