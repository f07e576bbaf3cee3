//! What a reader of the journal would notice.

use super::*;
use headgate_model::decision::Figure;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("headgate-journal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn decision(policy: &str, subject: &str) -> Decision {
    Decision {
        policy: policy.into(),
        subject: subject.into(),
        decided: "10 % -> 4 %".into(),
        because: "shadows saved more".into(),
        evidence: vec![Figure::new("gain", 2.1, "points"), Figure::new("requests", 40_000.0, "")],
        alternative: "s3fifo".into(),
        expected_gain: None,
    }
}

fn subjects(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|entry| &*entry.decision.subject).collect()
}

#[test]
fn what_is_asked_for_comes_back_in_order_of_time() {
    let journal = Journal::default();
    for (policy, subject) in
        [("evict.adaptive", "small queue"), ("evicted", "x"), ("outlier", "shop 10.0.0.1:80")]
    {
        journal.record(decision(policy, subject));
    }
    let ask = |query: Query| journal.page(&query);
    assert_eq!(subjects(&ask(Query::default())), ["small queue", "x", "shop 10.0.0.1:80"]);
    assert_eq!(subjects(&ask(Query { policy: "evict".into(), ..Query::default() })), ["small queue"]);
    assert_eq!(subjects(&ask(Query { about: "10.0.0.1".into(), ..Query::default() })), ["shop 10.0.0.1:80"]);
    assert_eq!(subjects(&ask(Query { about: "outlier".into(), ..Query::default() })), ["shop 10.0.0.1:80"]);
    assert_eq!(subjects(&ask(Query { limit: 1, ..Query::default() })), ["shop 10.0.0.1:80"]);
    assert!(ask(Query { since_us: u64::MAX, ..Query::default() }).entries.is_empty());
}

#[test]
fn memory_has_a_bound_and_numbers_grow() {
    let journal = Journal::default();
    let ids: Vec<u64> =
        (0..ENTRIES_MAX + 10).map(|at| journal.record(decision("a", &at.to_string()))).collect();
    assert!(ids.is_sorted_by(|one, other| one < other));
    let page = journal.page(&Query { limit: usize::MAX, ..Query::default() });
    assert_eq!((page.entries.len(), &*page.entries[0].decision.subject), (ENTRIES_MAX, "10"));
}

#[test]
fn it_survives_a_restart_and_a_torn_line() {
    let folder = Folder::new();
    let journal = Journal::default();
    journal.record(decision("a", "before the folder was set"));
    journal.keep_in(Some(&folder.0)).unwrap();
    let id = journal.record(decision("a", "first"));
    journal.outcome(id, Outcome { after_s: 600, result: "+1.9 points".into(), evidence: Vec::new() });
    journal.close(PATIENCE);
    // Killed within a line.
    let file = folder.0.join("journal.jsonl");
    let mut text = fs::read(&file).unwrap();
    text.extend(b"{\"id\":7,\"at_us\":1,\"pol");
    fs::write(&file, text).unwrap();
    let again = Journal::default();
    again.keep_in(Some(&folder.0)).unwrap();
    again.record(decision("a", "second"));
    again.close(PATIENCE);
    let page = again.page(&Query::default());
    assert_eq!(subjects(&page), ["before the folder was set", "first", "second"]);
    assert_eq!(&*page.entries[1].outcome.as_ref().unwrap().result, "+1.9 points");
    let loaded = load(&folder.0, 10).unwrap();
    assert_eq!((loaded.entries.len(), loaded.damaged), (3, 1));
    assert_eq!(loaded.entries[0], page.entries[0]);
}

#[test]
fn files_are_rotated_and_only_two_are_kept() {
    let folder = Folder::new();
    let mut file = disk::Segment::with_limit(&folder.0, 4_000).unwrap();
    for at in 0..100 {
        let entry = Entry { id: at, at_us: at, decision: decision("a", "b"), outcome: None };
        file.append(&serde_json::to_vec(&Line::Entry(Box::new(entry))).unwrap()).unwrap();
    }
    let sizes: Vec<u64> =
        fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() == 2 && sizes.iter().all(|bytes| *bytes <= 4_000), "{sizes:?}");
    let loaded = load(&folder.0, 1_000).unwrap();
    let ids: Vec<u64> = loaded.entries.iter().map(|entry| entry.id).collect();
    let last: Vec<u64> = (100 - ids.len() as u64..100).collect();
    assert!(ids.len() > 15 && ids == last, "the newest, none missing: {ids:?}");
    assert_eq!(load(&folder.0, 3).unwrap().entries.len(), 3);
}

#[test]
fn a_disk_that_fails_is_counted_and_holds_nobody() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("file"), "").unwrap();
    let journal = Journal::default();
    assert!(journal.keep_in(Some(&folder.0.join("file/below"))).is_err());
    journal.keep_in(Some(Path::new("/dev/full/x"))).unwrap_err();
    let id = journal.record(decision("a", "b"));
    journal.outcome(id + 1, Outcome::default());
    assert_eq!(journal.page(&Query::default()).entries.len(), 1);
    assert!(load(&folder.0.join("nowhere"), 1).is_err());
    assert_eq!(load(&folder.0, 1).unwrap(), Loaded::default());
}

#[test]
fn an_entry_reads_as_one_line() {
    let outcome = Outcome { after_s: 600, result: "+1.9 points".into(), evidence: Vec::new() };
    let mut decision = decision("evict.adaptive", "small\n queue");
    decision.evidence.push(Figure::new("ratio", 0.012_345, ""));
    let entry = Entry { id: 1, at_us: 50_602_000_000, decision, outcome: Some(outcome) };
    assert_eq!(
        render(&entry, 80_000_000_000),
        "14:03:22 evict.adaptive: small queue 10 % -> 4 %: shadows saved more (gain 2.100 points, requests 40000, \
         ratio 0.01235); otherwise: s3fifo; outcome after 10 min: +1.9 points"
    );
    assert_eq!(clock(50_602_000_000, u64::MAX), "1970-01-01 14:03:22");
}
