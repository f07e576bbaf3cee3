//! Studies from their text to their results on the disk.

use super::*;
use crate::workload::no_files;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

const STUDY: &str = r#"
name = "small"
question = "Does it work?"
repeats = 2
seed = 7

[system]
entry = { "*" = "shop" }

[system.service.shop]
replicas = 4
does = [{ work = { exponential = { mean = "10ms" } } }]

[workload.closed]
think = { exponential = { mean = "100ms" } }
phases = [{ lasts = "10s", level = 1, measured = false }, { lasts = "1m", level = 1 }]

[[factor]]
name = "balance"
[[factor.level]]
name = "random"
set.system.service."*".balance = "random"
[[factor.level]]
name = "least"
set.system.service."*".balance = "least_requests"
absent = ["learning"]

[[factor]]
name = "users"
path = "workload.closed.phases.*.level"
values = [5, 20]
"#;

fn study(text: &str) -> Result<Study, StudyError> {
    Study::read(text, &mut no_files())
}

fn told(text: &str) -> String {
    study(text).unwrap_err().to_string()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("headgate-study-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn finished(study: &Study, run: Run) -> Finished {
    let (measures, results) = simulate(study, run).unwrap();
    Finished {
        levels: study.plan().cells()[run.cell].by_factor(),
        repeat: run.repeat,
        seed: run.seed,
        ground: Ground::Sim,
        measures,
        digest: Some(format!("{:016x}", results.digest())),
        processes: BTreeMap::new(),
        notes: Vec::new(),
        took_s: 0.5,
        origin: Origin { headgate: "0.0.0".to_owned(), machine: "a test".to_owned() },
    }
}

#[test]
fn every_combination_is_run_as_often_as_asked_with_a_seed_of_its_own() {
    let study = study(STUDY).unwrap();
    let cells: Vec<String> = study.plan().cells().iter().map(ToString::to_string).collect();
    let expected = [
        "balance=random, users=5",
        "balance=random, users=20",
        "balance=least, users=5",
        "balance=least, users=20",
    ];
    assert_eq!(cells, expected);
    let runs: Vec<Run> = study.plan().runs().collect();
    assert_eq!(runs.len(), 8);
    let seeds: std::collections::BTreeSet<u64> = runs.iter().map(|run| run.seed).collect();
    assert_eq!(seeds.len(), 8);
}

#[test]
fn one_more_level_changes_no_other_run() {
    let before = study(STUDY).unwrap();
    let after = study(&STUDY.replace("values = [5, 20]", "values = [1, 5, 20]")).unwrap();
    let seed = |study: &Study, name: &str| {
        let cell = study.plan().cells().iter().position(|cell| cell.to_string() == name).unwrap();
        study.plan().runs().find(|run| run.cell == cell && run.repeat == 2).unwrap().seed
    };
    assert_eq!(seed(&before, "balance=least, users=20"), seed(&after, "balance=least, users=20"));
}

#[test]
fn levels_reach_the_system_and_the_workload() {
    let study = study(STUDY).unwrap();
    let (system, workload) = study.specs(&study.plan().cells()[3]).unwrap();
    let least = headgate_model::spec::Balance::Name(headgate_model::spec::BalancePolicy::LeastRequests);
    assert_eq!(system.services["shop"].balance, least);
    let phases = workload.closed.unwrap().phases;
    assert!(phases.iter().all(|phase| phase.level == 20.0), "{phases:?}");
}

#[test]
fn a_run_is_repeated_to_the_bit_and_its_measures_make_sense() {
    let study = study(STUDY).unwrap();
    let run = study.plan().runs().nth(1).unwrap();
    let (one, other) = (finished(&study, run), finished(&study, run));
    assert_eq!(one, other);
    let measure = |measure| one.measures[&measure];
    // Twenty users who think for 100 ms and wait for about 10 ms.
    assert!((150.0..190.0).contains(&measure(Measure::ThroughputPerS)), "{:?}", one.measures);
    assert!((10.0..30.0).contains(&measure(Measure::LatencyMeanMs)), "{:?}", one.measures);
    assert!(measure(Measure::LatencyP95Ms) < measure(Measure::LatencyP99Ms));
    assert_eq!(measure(Measure::SuccessPercent), 100.0);
}

#[test]
fn mistakes_are_named_before_anything_runs() {
    let unknown = told(&STUDY.replace("replicas = 4", "repicas = 4"));
    assert!(unknown.contains("line 11") && unknown.contains("repicas"), "{unknown}");
    let unknown = told(&STUDY.replace("repeats = 2", "repeat = 2"));
    assert!(unknown.contains("line 4") && unknown.contains("`repeat`"), "{unknown}");
    let cases = [
        ("values = [5, 20]", "values = []", "factor[1].values: is empty"),
        ("values = [5, 20]", "values = [5, 5]", "factor[1].values[1]: is there twice"),
        (
            "values = [5, 20]",
            "values = [5, -1]",
            "with balance=random, users=-1: workload.closed.phases[0].level",
        ),
        ("values = [5, 20]", "values = [5, nan]", "factor[1].values[1]: is NaN"),
        ("phases.*.level", "phases.9.level", "with balance=random, users=5: `workload.closed.phases.9`"),
        (
            "closed.phases.*",
            "closd.phases.*",
            "with balance=random, users=5: workload: unknown field `closd`",
        ),
        ("path = \"workload.", "path = \"world.", "factor[1].path: leads nowhere"),
        ("name = \"users\"", "name = \"balance\"", "factor[1].name: is there twice"),
        ("\"least_requests\"", "\"least\"", "with balance=least, users=5: system: unknown variant `least`"),
        ("repeats = 2", "repeats = 0", "repeats: is 0"),
        ("repeats = 2", "repeats = 1000000", "make more than 100000 runs"),
        ("name = \"small\"", "name = \"../small\"", "name: is `../small`"),
        ("name = \"small\"", "name = \"..\"", "name: is `..`"),
        ("seed = 7", "seed = 7\npublished.fast.cpu_percent = 1.0", "published.fast: is no level"),
        ("entry = { \"*\" = \"shop\" }", "entry = { \"*\" = \"shoe\" }", "shoe"),
    ];
    for (from, to, expected) in cases {
        assert!(STUDY.contains(from), "{from}");
        let told = told(&STUDY.replace(from, to));
        assert!(told.contains(expected), "{to}: {told}");
    }
}

#[test]
fn an_interrupted_study_goes_on_where_it_stopped() {
    let study = study(STUDY).unwrap();
    let path = folder("resumed");
    let runs: Vec<Run> = study.plan().runs().collect();
    let mut open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    open.add(finished(&study, runs[0])).unwrap();
    open.add(finished(&study, runs[1])).unwrap();
    drop(open);
    let open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    assert_eq!(open.finished(), [finished(&study, runs[0]), finished(&study, runs[1])]);
    assert!(open.damage().is_empty());
}

#[test]
fn a_line_cut_short_costs_one_run_and_no_other() {
    let study = study(STUDY).unwrap();
    let path = folder("cut");
    let runs: Vec<Run> = study.plan().runs().collect();
    let mut open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    open.add(finished(&study, runs[0])).unwrap();
    open.add(finished(&study, runs[1])).unwrap();
    drop(open);
    let file = path.join("runs.jsonl");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    let mut open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    assert_eq!(open.finished(), [finished(&study, runs[0])]);
    assert_eq!(open.damage().iter().map(|damage| damage.line).collect::<Vec<_>>(), [2]);
    open.add(finished(&study, runs[1])).unwrap();
    drop(open);
    assert_eq!(
        Folder::open(&path, STUDY, &NamedFiles::new()).unwrap().finished().len(),
        2,
        "what follows the damage is whole"
    );
    fs::write(&file, b"\xff\xfe garbage\n{}\n").unwrap();
    let kept = Folder::read(&path).unwrap();
    assert!(kept.finished.is_empty());
    assert_eq!(kept.damage.len(), 2);
}

#[test]
fn results_of_another_study_are_not_touched() {
    let study = study(STUDY).unwrap();
    let path = folder("another");
    let mut open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    open.add(finished(&study, study.plan().runs().next().unwrap())).unwrap();
    drop(open);
    let before = fs::read(path.join("runs.jsonl")).unwrap();
    let error = Folder::open(&path, "name = \"other\"", &NamedFiles::new()).unwrap_err();
    assert!(matches!(error, FolderError::Another { .. }), "{error}");
    assert_eq!(fs::read(path.join("runs.jsonl")).unwrap(), before);
}

#[test]
fn the_runs_that_are_missing_are_made_whatever_the_number_of_threads() {
    let study = study(STUDY).unwrap();
    let origin = Origin { headgate: "0.0.0".to_owned(), machine: "a test".to_owned() };
    let by = |threads: usize| {
        let mut folder =
            Folder::open(&folder(&format!("threads-{threads}")), STUDY, &NamedFiles::new()).unwrap();
        folder.add(finished(&study, study.plan().runs().nth(3).unwrap())).unwrap();
        let mut told = Vec::new();
        run(&study, &mut folder, &origin, Making::Sim { threads }, &mut |progress| {
            told.push(progress.finished)
        })
        .unwrap();
        assert_eq!(told, (1..=8).collect::<Vec<_>>(), "the one that was there counts, and is not made again");
        assert!(missing(&study, &folder, Ground::Sim).is_empty());
        let mut digests: Vec<_> = folder
            .finished()
            .iter()
            .map(|run| (run.levels.clone(), run.repeat, run.digest.clone()))
            .collect();
        digests.sort();
        digests
    };
    assert_eq!(by(1), by(3));
}

fn all_finished(study: &Study) -> Vec<Finished> {
    study.plan().runs().map(|run| finished(study, run)).collect()
}

#[test]
fn the_report_shows_every_combination_and_says_what_is_weak_about_it() {
    let study = study(STUDY).unwrap();
    let runs = all_finished(&study);
    let damage = [Damage { line: 3, problem: "cut".to_owned() }];
    let html = analysis::report(&study, &runs[1..], &damage).html();
    for piece in [
        "<td>random</td><td>5</td><td>1</td>",
        "<td>least</td><td>20</td><td>2</td>",
        "1 runs are missing",
        "1 lines of the results could not be read",
        "2 repeats prove little",
        "<td>least</td><td>learning</td>",
        "Analysis of variance",
        "random - least",
    ] {
        assert!(html.contains(piece), "{piece}");
    }
    assert!(!html.contains("Recovery"), "nothing was struck");
}

#[test]
fn a_report_of_nothing_is_still_a_report() {
    let study = study(STUDY).unwrap();
    let html = analysis::report(&study, &[], &[]).html();
    assert!(html.contains("8 runs are missing"));
}

#[test]
fn recovery_is_told_where_something_was_struck() {
    let text = STUDY.replace(
        "[workload.closed]",
        "[[system.fault]]\nat = \"20s\"\nlasts = \"5s\"\nwhat = \"kill\"\nservice = \"shop\"\nreplicas = 1\n[workload.closed]",
    );
    let study = study(&text).unwrap();
    let html = analysis::report(&study, &all_finished(&study), &[]).html();
    assert!(html.contains("Recovery from the fault") && html.contains("class=\"bars\""));
}

#[test]
fn one_line_of_csv_for_each_run() {
    let study = study(STUDY).unwrap();
    let runs = all_finished(&study);
    let csv = analysis::csv(&study, &runs);
    let mut lines = csv.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(head[..5], ["balance", "users", "repeat", "seed", "ground"]);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.len() == head.len()));
    let column = head.iter().position(|name| *name == "latency_mean_ms").unwrap();
    assert_eq!(rows[2][column].parse::<f64>().unwrap(), runs[2].measures[&Measure::LatencyMeanMs]);
}

#[test]
fn comparing_shows_what_has_changed_and_what_has_not() {
    let study = study(STUDY).unwrap();
    let runs = all_finished(&study);
    let same = analysis::compare(&runs, &runs);
    assert!(same.rows.iter().all(|row| row[4] == "+0.0 %" || row[4] == "-"), "{same}");
    let mut slower = runs.clone();
    for run in &mut slower {
        run.measures.entry(Measure::LatencyMeanMs).and_modify(|latency| *latency *= 2.0);
    }
    slower.retain(|run| run.levels["users"] == "20");
    let table = analysis::compare(&runs, &slower);
    let changed = table.rows.iter().filter(|row| row[4] == "+100.0 %").count();
    assert_eq!(changed, 2, "{table}");
    assert!(table.to_string().contains("2 combinations are only in one of the two"));
}

#[test]
fn one_maker_at_a_time_and_readers_at_any() {
    let path = folder("busy");
    let open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    let error = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap_err();
    assert!(matches!(error, FolderError::Busy { .. }), "{error}");
    assert_eq!(Folder::read(&path).unwrap().study, STUDY);
    drop(open);
    Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
}

#[test]
fn runs_without_their_study_are_not_taken_for_those_of_another() {
    let study = study(STUDY).unwrap();
    let path = folder("nameless");
    let mut open = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap();
    open.add(finished(&study, study.plan().runs().next().unwrap())).unwrap();
    drop(open);
    fs::remove_file(path.join("study.toml")).unwrap();
    let error = Folder::open(&path, STUDY, &NamedFiles::new()).unwrap_err().to_string();
    assert!(error.contains("put the study's file there"), "{error}");
    fs::write(path.join("study.toml"), STUDY).unwrap();
    assert_eq!(Folder::open(&path, STUDY, &NamedFiles::new()).unwrap().finished().len(), 1);
}

#[test]
fn files_that_a_study_names_belong_to_its_results() {
    let text = STUDY
        .replace("[workload.closed]", "[workload.open]\ntrace = { file = \"rates\" }\n[workload.closed]");
    let text = &text[..text.find("[workload.closed]").unwrap()];
    let mut asked = 0;
    let mut read = |content: &str| {
        let mut files = |name: &str| {
            asked += 1;
            (name == "rates").then(|| content.to_owned()).ok_or("no such file".to_owned())
        };
        Study::read(text, &mut files).unwrap()
    };
    let (study, changed) = (read("5\n9\n"), read("5\n9\n7\n"));
    assert_eq!(asked, 2, "once for each study, whatever the combinations");
    let path = folder("files");
    let run = study.plan().runs().next().unwrap();
    let mut open = Folder::open(&path, text, &study.files).unwrap();
    open.add(finished(&study, run)).unwrap();
    drop(open);
    assert_eq!(Folder::read(&path).unwrap().files, study.files);
    assert_eq!(Folder::open(&path, text, &study.files).unwrap().finished().len(), 1);
    let error = Folder::open(&path, text, &changed.files).unwrap_err();
    assert!(matches!(error, FolderError::OtherFiles { .. }), "{error}");
    assert_ne!(finished(&study, run).digest, finished(&changed, run).digest);
}

#[test]
fn named_levels_are_compared_wherever_they_stand() {
    let levels = STUDY.find("[[factor]]").unwrap();
    let numbers = STUDY.rfind("[[factor]]").unwrap();
    let more = "[[factor]]\nname = \"replicas\"\npath = \"system.service.shop.replicas\"\nvalues = [3, 4]\n";
    let text = format!(
        "{}{}\n{more}{}[published.least]\ncpu_percent = 7.0\n",
        &STUDY[..levels],
        &STUDY[numbers..],
        &STUDY[levels..numbers]
    );
    let study = study(&text).unwrap();
    let markdown = analysis::report(&study, &all_finished(&study), &[]).markdown();
    assert!(markdown.contains("Do the levels of balance differ?"), "{markdown}");
    assert!(
        markdown.contains("Beside what was published") && markdown.contains("Cross-validation by replicas")
    );
}
