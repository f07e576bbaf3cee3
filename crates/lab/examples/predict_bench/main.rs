//! The measuring half of `cargo xtask bench predict`: accuracy of next-request prediction on public sequences.
//! Arguments: `sequences FOLDER SEEDS [SHARE]`. SHARE takes only the first part of the sessions.

mod sequences;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["sequences", folder, seeds, share @ ..] => sequences::run(folder, seeds, share.first().copied()),
        _ => Err("usage: predict_bench sequences FOLDER SEEDS [SHARE]".to_owned()),
    };
    if let Err(error) = result {
        say(&error);
        std::process::exit(1);
    }
}

/// A line for whoever reads the table.
fn say(text: &str) {
    use std::io::Write;
    // A reader that went away is not a failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}
