//! The measuring half of `cargo xtask bench predict`. Arguments: `sequences FOLDER SEEDS [SHARE]` for the accuracy of
//! next-request prediction on public sequences, SHARE being the first part of the sessions; `prefetch SEEDS [FILE]` for
//! what fetching ahead gains on the generated API, and on web07 if FILE is that trace.

mod prefetch;
mod sequences;

use headgate_stats::interval::mean_interval;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["sequences", folder, seeds, share @ ..] => sequences::run(folder, seeds, share.first().copied()),
        ["prefetch", seeds, web @ ..] => prefetch::run(seeds, web.first().copied()),
        _ => Err("usage: predict_bench sequences FOLDER SEEDS [SHARE] | prefetch SEEDS [FILE]".to_owned()),
    };
    if let Err(error) = result {
        say(&error);
        std::process::exit(1);
    }
}

/// A mean with its 95 % interval over seeds; one value alone as it is.
struct Spread<'a>(&'a [f64]);

impl std::fmt::Display for Spread<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.0.iter().sum::<f64>() / self.0.len().max(1) as f64;
        match mean_interval(self.0, 0.95) {
            Ok(interval) => write!(out, "{mean:.2} ± {:.2}", (interval.high - interval.low) / 2.0),
            Err(_) => write!(out, "{mean:.2}"),
        }
    }
}

/// A line for whoever reads the table.
fn say(text: &str) {
    use std::io::Write;
    // A reader that went away is not a failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}
