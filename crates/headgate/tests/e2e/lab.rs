//! `headgate lab`: studies from the command line to the files that they leave.

use crate::support::{output, scratch};
use std::fs;
use std::path::Path;
use std::process::Output;

const STUDY: &str = r#"
name = "tiny"
question = "Does it work?"
repeats = 2
[system]
entry = { "*" = "shop" }
[system.service.shop]
replicas = 4
does = [{ work = { exponential = { mean = "10ms" } } }]
[workload.open]
phases = [{ lasts = "10s", level = 100 }]
[[factor]]
name = "balance"
level = [{ name = "random", set.system.service.shop.balance = "random" }, { name = "p2c", set.system.service.shop.balance = "p2c" }]
[[factor]]
name = "rate"
path = "workload.open.phases.*.level"
values = [50, 100, 200]
"#;

fn lab(arguments: &[&str]) -> Output {
    output(&[&["lab"], arguments].concat())
}

fn run(file: &Path, out: &Path) -> Output {
    lab(&["run", file.to_str().unwrap(), "--out", out.to_str().unwrap()])
}

fn runs(out: &Path) -> Vec<String> {
    fs::read_to_string(out.join("runs.jsonl")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_study_leaves_its_runs_and_a_report_and_goes_on_after_an_interruption() {
    let scratch = scratch();
    let (file, out) = (scratch.file("tiny.toml"), scratch.file("results"));
    fs::write(&file, STUDY).unwrap();
    let done = run(&file, &out);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8_lossy(&done.stderr).contains("12 of 12 runs"));
    let whole = runs(&out);
    assert_eq!(whole.len(), 12);
    for name in ["report.html", "report.json", "report.md", "runs.csv", "study.toml"] {
        assert!(out.join(name).metadata().unwrap().len() > 0, "{name}");
    }
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    for piece in ["12 of 12", "Analysis of variance", "Correlation with rate", "parabolas through all runs"] {
        assert!(html.contains(piece), "{piece}");
    }

    // As an interruption in the middle of writing leaves it.
    let cut = format!("{}\n{}", whole[..5].join("\n"), &whole[5][..40]);
    fs::write(out.join("runs.jsonl"), cut).unwrap();
    let again = run(&file, &out);
    assert!(again.status.success());
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("runs.jsonl, line 6") && told.contains("5 of 12 runs"), "{told}");
    let digest = |line: &String| {
        let run: serde_json::Value = serde_json::from_str(line).ok()?;
        Some((run["levels"].to_string(), run["repeat"].as_u64(), run["digest"].to_string()))
    };
    let mut before: Vec<_> = whole.iter().filter_map(digest).collect();
    // All but the line that was cut.
    let mut after: Vec<_> = runs(&out).iter().filter_map(digest).collect();
    before.sort();
    after.sort();
    assert_eq!(before, after, "the runs that were made again are the same, and no other was touched");
}

#[test]
fn results_are_reported_and_compared_without_being_made_again() {
    let scratch = scratch();
    let (file, out, other) = (scratch.file("tiny.toml"), scratch.file("one"), scratch.file("other"));
    fs::write(&file, STUDY).unwrap();
    assert!(run(&file, &out).status.success());
    fs::remove_file(out.join("report.html")).unwrap();
    let before = runs(&out);
    assert!(lab(&["report", out.to_str().unwrap()]).status.success());
    assert!(out.join("report.html").exists());
    assert_eq!(runs(&out), before);
    fs::write(&file, STUDY.replace("replicas = 4", "replicas = 3")).unwrap();
    assert!(run(&file, &other).status.success());
    let compared = lab(&["compare", out.to_str().unwrap(), other.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert!(compared.status.success() && text.contains("balance=p2c, rate=200"), "{text}");
    assert!(String::from_utf8_lossy(&compared.stderr).contains("not the same"), "their replicas differ");
    let same = lab(&["compare", out.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(same.status.success() && same.stderr.is_empty());
}

#[test]
fn a_study_with_a_trace_is_reported_from_its_folder_alone() {
    let scratch = scratch();
    let (file, rates, out) = (scratch.file("tiny.toml"), scratch.file("rates.txt"), scratch.file("results"));
    let trace = "trace = { file = \"rates.txt\" }\n[[factor]]";
    let with_trace = STUDY.replace("phases = [{ lasts = \"10s\", level = 100 }]\n[[factor]]", trace);
    let (with_trace, _) = with_trace.split_once("[[factor]]\nname = \"rate\"").unwrap();
    fs::write(&file, with_trace).unwrap();
    fs::write(&rates, "50\n90\n").unwrap();
    let done = run(&file, &out);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let before = runs(&out);
    fs::write(&rates, "50\n90\n70\n").unwrap();
    let other = run(&file, &out);
    assert_eq!(other.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&other.stderr).contains("other content of the files"));
    fs::remove_file(&rates).unwrap();
    fs::remove_file(out.join("report.html")).unwrap();
    assert!(lab(&["report", out.to_str().unwrap()]).status.success());
    assert!(out.join("report.html").exists());
    assert_eq!(runs(&out), before);
}

#[test]
fn mistakes_end_a_study_before_it_begins_and_touch_no_results() {
    let scratch = scratch();
    let (file, out) = (scratch.file("tiny.toml"), scratch.file("results"));
    let told = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = run(&file, &out);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = told(&STUDY.replace("replicas = 4", "repicas = 4"));
    assert!(text.contains("line 8") && text.contains("repicas"), "{text}");
    let text = told(&STUDY.replace("[50, 100, 200]", "[50, -1]"));
    assert!(text.contains("balance=random, rate=-1") && text.contains("phases[0].level"), "{text}");
    assert!(!out.exists(), "nothing was begun");
    fs::write(&file, STUDY).unwrap();
    assert!(run(&file, &out).status.success());
    let before = runs(&out);
    let text = told(&STUDY.replace("repeats = 2", "repeats = 3"));
    assert!(text.contains("another study"), "{text}");
    assert_eq!(runs(&out), before);
    let missing = lab(&["report", scratch.file("nowhere").to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(1));
}
