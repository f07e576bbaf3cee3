//! An entry as a line for people.

use std::fmt::Write;

use headgate_model::decision::{Entry, Figure};

use crate::timestamp::Rfc3339;

const DAY_US: u64 = 86_400 * 1_000_000;

/// `14:03:22 evict.adaptive: small queue 10 % -> 4 %: why (evidence); otherwise: what; outcome after 10 min: result`.
/// Without control characters, which might steer a terminal.
#[must_use]
pub fn render(entry: &Entry, now_us: u64) -> String {
    let decision = &entry.decision;
    let mut line = format!(
        "{} {}: {} {}: {}",
        clock(entry.at_us, now_us),
        decision.policy,
        decision.subject,
        decision.decided,
        decision.because
    );
    put_figures(&mut line, &decision.evidence);
    // Writing into a String cannot fail.
    if !decision.alternative.is_empty() {
        let _ = write!(line, "; otherwise: {}", decision.alternative);
    }
    if let Some(gain) = &decision.expected_gain {
        let _ = write!(line, "; expected: {}", amount(gain));
    }
    if let Some(outcome) = &entry.outcome {
        let _ = write!(line, "; outcome after {}: {}", span(outcome.after_s), outcome.result);
        put_figures(&mut line, &outcome.evidence);
    }
    line.retain(|c| !c.is_control());
    line
}

/// The time of day in UTC; with the date when it is not that of `now_us`.
#[must_use]
pub fn clock(at_us: u64, now_us: u64) -> String {
    let text = Rfc3339(at_us).to_string();
    match text.split_once('T') {
        Some((_, time)) if at_us / DAY_US == now_us / DAY_US => time[..8].to_owned(),
        Some((date, time)) => format!("{date} {}", &time[..8]),
        None => text,
    }
}

fn put_figures(line: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    let all: Vec<String> =
        figures.iter().map(|figure| format!("{} {}", figure.name, amount(figure))).collect();
    let _ = write!(line, " ({})", all.join(", "));
}

fn amount(figure: &Figure) -> String {
    let space = if figure.unit.is_empty() { "" } else { " " };
    format!("{}{space}{}", number(figure.value), figure.unit)
}

/// Four significant digits; whole numbers in full.
fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let digits = 3 - value.abs().log10().floor().clamp(-12.0, 3.0) as i32;
    format!("{value:.*}", digits.max(0) as usize)
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}
