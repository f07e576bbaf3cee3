//! The corpus of cases in `tests/corpus`: every one is read in one piece, byte by byte and in random pieces,
//! and has to be understood the same way each time.

use crate::transcript;
use crate::wire::{Pieces, Wire, run};
use std::collections::BTreeSet;

struct Case {
    outcome: Vec<u8>,
    name: String,
    bytes: Vec<u8>,
}

/// Reads a table: outcome | name | RFC and section | bytes.
fn cases(table: &str) -> Vec<Case> {
    let mut names = BTreeSet::new();
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<&str> = line.splitn(4, " | ").collect();
            let [outcome, name, clause, bytes] = columns[..] else { panic!("not four columns: {line}") };
            assert!(names.insert(name.to_owned()), "two cases are called `{name}`");
            let (rfc, section) = clause.split_once(' ').expect("an RFC and a section");
            assert!(
                rfc.parse::<u16>().is_ok() && section.starts_with(|c: char| c.is_ascii_digit()),
                "{line}"
            );
            Case { outcome: unescape(outcome), name: name.to_owned(), bytes: unescape(bytes) }
        })
        .collect()
}

/// `\r \n \t \0 \\ \xHH` and `\{text*count}`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let (escape, after) = after.split_at(1);
        rest = after;
        match escape {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "t" => out.push(b'\t'),
            "0" => out.push(0),
            "\\" => out.push(b'\\'),
            "x" => {
                out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            "{" => {
                let (inside, after) = rest.split_once('}').unwrap();
                let (text, count) = inside.rsplit_once('*').unwrap();
                out.extend_from_slice(&unescape(text).repeat(count.parse().unwrap()));
                rest = after;
            }
            _ => panic!("an unknown escape in {text}"),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Checks every case of `table` in every way of arriving, and that there are at least `least` cases.
fn check(table: &str, least: usize, read: impl AsyncFn(&Wire) -> Vec<u8>) {
    let cases = cases(table);
    assert!(cases.len() >= least, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        for pieces in Pieces::SOME {
            let wire = Wire::receiving(&case.bytes, pieces);
            let got = run(read(&wire));
            if got != case.outcome {
                let (want, got) = (case.outcome.escape_ascii(), got.escape_ascii());
                wrong.push(format!("{} ({pieces:?})\n  want {want}\n  got  {got}", case.name));
            }
            assert_eq!(wire.buffers.lent(), 0, "{}: a buffer was kept", case.name);
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn refused_requests() {
    check(include_str!("../corpus/requests_refused.txt"), 200, transcript::requests);
}

#[test]
fn accepted_requests() {
    check(include_str!("../corpus/requests_accepted.txt"), 60, transcript::requests);
}

#[test]
fn responses() {
    check(include_str!("../corpus/responses.txt"), 70, async |wire| transcript::response(wire, false).await);
}

#[test]
fn responses_to_head() {
    check(include_str!("../corpus/responses_to_head.txt"), 7, async |wire| {
        transcript::response(wire, true).await
    });
}
