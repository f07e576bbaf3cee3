//! The course of a run while it runs, as one line of text: for a terminal with a chart of the last minute, for
//! a log without.

use super::text::{grouped, time};
use super::timeline::Moment;
use std::collections::VecDeque;

/// Seconds that the chart goes back.
const HISTORY: usize = 40;
/// Share of a thread's time from which the generator is the limit.
const BUSY: f64 = 0.9;

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    answered: VecDeque<u64>,
    errors: u64,
}

impl Progress {
    /// Takes in one more second.
    pub fn take(&mut self, moment: &Moment) {
        if self.answered.len() == HISTORY {
            self.answered.pop_front();
        }
        self.answered.push_back(moment.answered);
        self.errors += moment.errors;
    }

    /// At most `width` characters, for a terminal.
    #[must_use]
    pub fn live(&self, moment: &Moment, width: usize) -> String {
        let text = self.plain(moment);
        let room = width.saturating_sub(text.chars().count() + 2);
        let skipped = self.answered.len().saturating_sub(room);
        let chart = sparkline(self.answered.iter().skip(skipped).copied());
        format!("{text}  {chart}").chars().take(width).collect()
    }

    /// The same for a log.
    #[must_use]
    pub fn plain(&self, moment: &Moment) -> String {
        let warm_up = if moment.measured { "" } else { " (not counted)" };
        let errors =
            if self.errors == 0 { String::new() } else { format!("  errors {}", grouped(self.errors)) };
        let limit = if moment.busy_share > BUSY { "  GENERATOR BUSY" } else { "" };
        format!(
            "{:>4}/{} s  {}{warm_up}  {}/s  p50 {}  p99 {}{errors}{limit}",
            moment.second + 1,
            moment.of_seconds,
            moment.phase,
            grouped(moment.answered),
            time(moment.p50_us),
            time(moment.p99_us),
        )
    }
}

/// Heights from zero to the highest.
fn sparkline(values: impl Iterator<Item = u64> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.clone().max().unwrap_or(0).max(1);
    values.map(|value| BARS[(value * 7).div_ceil(highest).min(7) as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal_and_shows_the_course() {
        let mut progress = Progress::default();
        let mut moment =
            Moment { phase: "steady".to_owned(), of_seconds: 60, measured: true, ..Moment::default() };
        for second in 0..100 {
            moment = Moment { second, answered: second % 8 * 100, ..moment };
            progress.take(&moment);
        }
        assert_eq!(progress.answered.len(), HISTORY);
        for width in [10, 60, 80, 200] {
            assert!(progress.live(&moment, width).chars().count() <= width);
        }
        let line = progress.live(&moment, 200);
        assert!(line.contains("100/60 s  steady  300/s") && line.contains("▁▂▃▄▅▆▇█"), "{line}");
        assert!(!line.contains("errors") && !line.contains("GENERATOR"));
        let busy = Moment { errors: 3, busy_share: 0.95, ..moment };
        progress.take(&busy);
        let line = progress.plain(&busy);
        assert!(line.contains("errors 3") && line.ends_with("GENERATOR BUSY"), "{line}");
    }
}
