//! The comparison as a report: the same tables as the text, and curves over the size of the cache.

use super::result::{Comparison, Row};
use crate::report::{Chart, Report, Series, Table};

const MIB: f64 = (1u64 << 20) as f64;

impl Comparison {
    /// The report. `facts`: what was read and how; `notes`: what a reader must not overlook.
    #[must_use]
    pub fn report(&self, facts: &[(String, String)], notes: &[String]) -> Report {
        let mut report = Report::new("Replay: what a cache would have saved");
        report.text(self.headline());
        notes.iter().for_each(|note| report.warning(note.clone()));
        report.chart(self.chart("Object hits", &|row| row.object_hit_ratio));
        report.chart(self.chart("Byte hits", &|row| row.byte_hit_ratio));
        if let Some(total_us) = self.total_us.filter(|total_us| *total_us > 0.0) {
            report.chart(self.chart("Time saved", &|row| row.savings.saved_us / total_us));
        }
        if let Some(toml) = self.configuration() {
            report.heading("Recommended configuration");
            report.code(toml);
        }
        self.doublings().into_iter().for_each(|text| report.text(text));
        report.heading("By size");
        self.tables().into_iter().for_each(|table| report.table(table));
        report.heading("What was read");
        let rows = facts.iter().map(|(name, fact)| vec![name.clone(), fact.clone()]).collect();
        report.table(Table { caption: "Inputs".to_owned(), rows, ..Table::default() });
        report
    }

    fn chart(&self, title: &str, value: &dyn Fn(&Row) -> f64) -> Chart {
        let sizes = self.sizes();
        // Small caches of small objects are not squeezed into zero.
        let (unit, name) =
            if sizes.last().is_some_and(|most| *most as f64 > MIB) { (MIB, "MiB") } else { (1.0, "bytes") };
        let series = self.policies().into_iter().enumerate().map(|(colour, policy)| Series {
            name: policy.to_owned(),
            y: sizes.iter().map(|size| self.row(policy, *size).map(|row| 100.0 * value(row))).collect(),
            colour,
            ..Series::default()
        });
        Chart {
            title: format!("{title} by size of the cache"),
            x_label: name.to_owned(),
            y_label: "%".to_owned(),
            logarithmic: false,
            x: sizes.iter().map(|size| *size as f64 / unit).collect(),
            series: series.collect(),
        }
    }
}
