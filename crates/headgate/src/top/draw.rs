//! What `headgate top` shows, as lines of text: the totals, a chart of the last minute, the busiest routes
//! and endpoints. It knows no terminal.

use super::table::{Row, cut, table};
use headgate_observe::top::{EndpointHealth, EndpointRow, Percentiles, RouteRow, TopSnapshot};
use std::collections::VecDeque;

/// All that is shown.
pub(super) struct View<'a> {
    pub(super) admin: &'a str,
    pub(super) top: &'a TopSnapshot,
    /// Oldest first, one per second.
    pub(super) requests_per_s: &'a VecDeque<f64>,
    pub(super) sort: Sort,
    /// Why there is no newer look.
    pub(super) trouble: Option<&'a str>,
}

/// Which rows come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Requests,
    Errors,
    P99,
}

impl Sort {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Requests => Self::Errors,
            Self::Errors => Self::P99,
            Self::P99 => Self::Requests,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::P99 => "p99",
        }
    }

    fn key(self, requests: f64, errors: f64, latency: Percentiles) -> f64 {
        match self {
            Self::Requests => requests,
            Self::Errors => errors,
            Self::P99 => latency.p99_us as f64,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Heading,
    Alert,
}

/// At most `height` lines of at most `width` characters.
pub(super) fn frame(view: &View<'_>, width: usize, height: usize) -> Vec<Line> {
    let plain = |text: &str| Line { text: cut(text, width), style: Style::Plain };
    let title = format!("headgate top   {}", view.admin);
    let mut lines = vec![Line { text: cut(&title, width), style: Style::Bold }];
    lines.extend(totals(view.top).iter().map(|text| plain(text)));
    lines.push(plain(&chart(view.requests_per_s, width)));
    lines.push(match view.trouble {
        Some(trouble) => Line { text: cut(trouble, width), style: Style::Alert },
        None => plain(""),
    });

    // Two headings, a line between the tables, and two at the end.
    let room = height.saturating_sub(lines.len() + 5);
    let (routes, endpoints) = (routes(view.top, view.sort), endpoints(view.top, view.sort));
    let shown = routes.len().min((room / 2).max(room.saturating_sub(endpoints.len())));
    lines.extend(tabled(ROUTE_HEADINGS, &routes, shown, width));
    lines.push(plain(""));
    lines.extend(tabled(ENDPOINT_HEADINGS, &endpoints, room - shown, width));
    let keys = format!("q quit   s sort by {} (now by {})", view.sort.next().name(), view.sort.name());
    lines.extend([plain(""), plain(&keys)]);
    lines.truncate(height);
    lines
}

/// The same without chart and colours, with all rows at full width.
pub(super) fn plain(top: &TopSnapshot) -> String {
    let mut lines = totals(top).to_vec();
    lines.push(String::new());
    lines.extend(table(ROUTE_HEADINGS.map(str::to_owned), &routes(top, Sort::Requests), usize::MAX));
    lines.push(String::new());
    lines.extend(table(ENDPOINT_HEADINGS.map(str::to_owned), &endpoints(top, Sort::Requests), usize::MAX));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn totals(top: &TopSnapshot) -> [String; 3] {
    let (requests, clients) = (&top.requests, &top.connections);
    let Percentiles { p50_us, p90_us, p99_us, p999_us } = requests.latency;
    let [p50, p90, p99, p999] = [p50_us, p90_us, p99_us, p999_us].map(latency);
    let faults = match &top.faults[..] {
        [] => "none".to_owned(),
        faults => {
            let each = |row: &headgate_observe::top::FaultRow| {
                format!("{} {}/s ({})", row.kind, rate(row.per_s), row.blame)
            };
            faults.iter().map(each).collect::<Vec<_>>().join("   ")
        }
    };
    [
        format!(
            "requests {}/s   5xx {}/s ({} %)   p50 {p50}   p90 {p90}   p99 {p99}   p99.9 {p999}",
            rate(requests.per_s),
            rate(requests.errors_per_s),
            percent(requests.errors_per_s, requests.per_s),
        ),
        format!(
            "clients  {} open   {} new/s   {} refused/s   in {}/s   out {}/s",
            clients.active,
            rate(clients.accepted_per_s),
            rate(clients.refused_per_s),
            bytes(clients.bytes_in_per_s),
            bytes(clients.bytes_out_per_s),
        ),
        format!("faults   {faults}"),
    ]
}

/// A bar per second, the newest to the right, and what the highest stands for.
fn chart(requests_per_s: &VecDeque<f64>, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = requests_per_s.iter().copied().fold(0.0, f64::max);
    let legend = format!(" max {}/s", rate(highest));
    let room = width.saturating_sub("minute   ".len() + legend.chars().count());
    let bar = |per_s: f64| {
        // The cast saturates, also for what is not a number.
        let level = if highest > 0.0 { (per_s / highest * 7.0).round() as usize } else { 0 };
        BARS[level.min(7)]
    };
    let bars: String = requests_per_s
        .iter()
        .skip(requests_per_s.len().saturating_sub(room))
        .map(|&per_s| bar(per_s))
        .collect();
    format!("minute   {bars}{legend}")
}

const ROUTE_HEADINGS: [&str; 6] = ["ROUTE", "SERVICE", "REQ/S", "5XX %", "P50", "P99"];
const ENDPOINT_HEADINGS: [&str; 9] =
    ["ENDPOINT", "SERVICE", "HEALTH", "REQ/S", "FAIL %", "RETRY/S", "OPEN", "P50", "P99"];

fn routes(top: &TopSnapshot, sort: Sort) -> Vec<Row<6>> {
    let mut rows: Vec<_> = top.routes.iter().collect();
    let key = |row: &RouteRow| sort.key(row.requests.per_s, row.requests.errors_per_s, row.requests.latency);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let cells = |RouteRow { route, service, requests }: &RouteRow| {
        [
            route.clone(),
            if service.is_empty() { "-".to_owned() } else { service.clone() },
            rate(requests.per_s),
            percent(requests.errors_per_s, requests.per_s),
            latency(requests.latency.p50_us),
            latency(requests.latency.p99_us),
        ]
    };
    rows.into_iter().map(cells).collect()
}

fn endpoints(top: &TopSnapshot, sort: Sort) -> Vec<Row<9>> {
    let failed = |row: &EndpointRow| row.failed_per_s + row.connect_failed_per_s;
    let mut rows: Vec<_> = top.endpoints.iter().collect();
    let key = |row: &EndpointRow| sort.key(row.requests_per_s, failed(row), row.latency);
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let cells = |row: &EndpointRow| {
        [
            row.endpoint.clone(),
            row.service.clone(),
            health(row.health).to_owned(),
            rate(row.requests_per_s),
            percent(failed(row), row.requests_per_s),
            rate(row.retries_per_s),
            row.in_flight.to_string(),
            latency(row.latency.p50_us),
            latency(row.latency.p99_us),
        ]
    };
    rows.into_iter().map(cells).collect()
}

/// The first `shown` rows below their headings, which say how many there are when some are left out.
fn tabled<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[Row<COLUMNS>],
    shown: usize,
    width: usize,
) -> Vec<Line> {
    let shown = shown.min(rows.len());
    let mut headings = headings.map(str::to_owned);
    if shown < rows.len() {
        headings[0] = format!("{} ({shown} of {})", headings[0], rows.len());
    }
    let style = |at| if at == 0 { Style::Heading } else { Style::Plain };
    let lines = table(headings, &rows[..shown], width).into_iter().enumerate();
    lines.map(|(at, text)| Line { text, style: style(at) }).collect()
}

fn health(health: EndpointHealth) -> &'static str {
    match health {
        EndpointHealth::Draining => "draining",
        EndpointHealth::Unhealthy => "unhealthy",
        EndpointHealth::Ejected => "ejected",
        EndpointHealth::Healthy => "healthy",
        EndpointHealth::Unknown => "-",
    }
}

fn rate(per_s: f64) -> String {
    match per_s {
        0.0 => "0".to_owned(),
        low if low < 10.0 => format!("{low:.1}"),
        high => format!("{high:.0}"),
    }
}

/// Without requests there is no share of them.
fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1}", part / whole * 100.0) } else { "-".to_owned() }
}

/// Zero means that there was nothing to measure.
fn latency(us: u64) -> String {
    match us {
        0 => "-".to_owned(),
        1..1_000 => format!("{us}us"),
        1_000..10_000 => format!("{:.1}ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{}ms", us / 1_000),
        _ => format!("{:.1}s", us as f64 / 1e6),
    }
}

fn bytes(count: f64) -> String {
    match count {
        0.0 => "0 B".to_owned(), // of either sign: a sum of nothing is negative zero
        few if few < 1e3 => format!("{few:.0} B"),
        kilo if kilo < 1e6 => format!("{:.1} kB", kilo / 1e3),
        mega if mega < 1e9 => format!("{:.1} MB", mega / 1e6),
        giga => format!("{:.1} GB", giga / 1e9),
    }
}

#[cfg(test)]
mod tests;
