//! `cargo xtask bench disk`: the disk tier beside foyer's, over the same objects, in turns. The runs are those of
//! `peers/`, a program outside the workspace.

use super::machine;
use super::options::Options;
use super::report::{Spread, show_ratio, spread, table};
use crate::Outcome;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const KINDS: [&str; 2] = ["headgate", "foyer"];

/// Figures by name.
type Figures = BTreeMap<String, f64>;

/// Takes `--rounds N` and `--write`.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let options = Options::parse("disk", arguments)?;
    let root = crate::root();
    let target = root.join("target/peers");
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--manifest-path", "peers/Cargo.toml", "--target-dir"])
        .arg(&target)
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !status.success() {
        return Err("peers do not build".to_owned());
    }
    let program = target.join("release/headgate-peers");
    let mut rounds: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for round in 0..options.rounds {
        for (kind, figures) in KINDS.iter().zip(&mut rounds) {
            let folder = target.join(format!("disk-{kind}"));
            let figures_of_round = measure(&program, kind, &folder, round);
            // Several hundred MiB.
            let _ = fs::remove_dir_all(&folder);
            figures.push(figures_of_round?);
        }
    }
    let mut text = vec![format!("- {}", machine::machine())];
    text.extend(machine::commit().map(|commit| format!("- commit: {commit}")));
    text.push(format!(
        "\nMedians of {} interleaved rounds; the ratio is taken round by round, median",
        options.rounds
    ));
    text.push(
        "(least-most). 20,000 objects of 1 to 64 KiB; Zipf 0.9, 16 reads at once; `crowd` has room for a"
            .to_owned(),
    );
    text.push(
        "quarter of the bytes, what is missed is stored. Every byte that is read is compared.\n".to_owned(),
    );
    text.push(render(&rounds));
    let text = text.join("\n");
    println!("{text}");
    if options.write {
        machine::store("disk", "Disk tier beside foyer", &options.command, &text)?;
    }
    Ok(())
}

fn measure(program: &Path, kind: &str, folder: &Path, round: usize) -> Outcome<Figures> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let output = Command::new(program)
        .args([kind, &folder.display().to_string(), &(round + 1).to_string()])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if !output.status.success() {
        return Err(format!("the run of {kind} ended with {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(text.lines().filter_map(figure).collect())
}

fn render([own, other]: &[Vec<Figures>; 2]) -> String {
    let mut lines = vec![["figure", KINDS[0], KINDS[1], "headgate / foyer"].map(str::to_owned).to_vec()];
    let names = own.first().map(|figures| figures.keys()).into_iter().flatten();
    for name in names {
        let values = |figures: &[Figures]| -> Vec<f64> {
            figures.iter().filter_map(|figures| figures.get(name).copied()).collect()
        };
        let (own, other) = (values(own), values(other));
        let ratios = own.iter().zip(&other).map(|(own, other)| own / other).collect();
        let show =
            |spread: Option<Spread>| spread.map_or("-".to_owned(), |spread| format!("{:.1}", spread.median));
        let ratio = spread(ratios).map_or("-".to_owned(), show_ratio);
        lines.push(vec![name.replace('_', " "), show(spread(own)), show(spread(other)), ratio]);
    }
    table(&lines)
}
