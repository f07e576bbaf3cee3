//! An input from its first byte to its last, in bounded memory: lines or words into requests. What cannot be read
//! is counted, and the first few are shown with their line; only an input without a single request is an error.

use super::format::{Format, Line, Parser, Request};
use super::trace::Recorder;
use std::io::{BufRead, ErrorKind, Read};

/// A longer line is damage; its rest is skipped.
const LINE_MAX: u64 = 64 * 1024;
/// Damaged lines that are kept to be shown, for each input.
const SHOWN: usize = 5;
/// How much of a damaged line is shown.
const SHOWN_CHARS: usize = 80;

/// What became of the lines of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub requests: u64,
    /// Of a method or with a status that a cache does not store.
    pub not_cacheable: u64,
    pub damaged: u64,
    /// Number of the line from 1, why, and how it begins.
    pub examples: Vec<(u64, String, String)>,
    /// Why reading stopped before the end, for example damaged compression.
    pub broken_off: Option<String>,
}

impl Tally {
    fn damage(&mut self, number: u64, why: &str, line: &str) {
        self.damaged += 1;
        if self.examples.len() < SHOWN {
            let start = line.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
            self.examples.push((number, why.to_owned(), start));
        }
    }
}

/// Reads `input` to its end. `all`: also what a cache would not store. `progress` is told the requests so far, now
/// and then.
pub fn lines(
    input: &mut dyn BufRead,
    parser: &mut Parser,
    all: bool,
    recorder: &mut Recorder,
    progress: &mut dyn FnMut(usize),
) -> Tally {
    let mut tally = Tally::default();
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        match input.take(LINE_MAX).read_until(b'\n', &mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                tally.broken_off = Some(format!("line {number}: {error}"));
                break;
            }
        }
        if buffer.len() as u64 == LINE_MAX && !buffer.ends_with(b"\n") {
            tally.damage(number, "longer than 64 KiB", &String::from_utf8_lossy(&buffer[..SHOWN_CHARS]));
            if let Err(error) = skip_line(input) {
                tally.broken_off = Some(format!("line {number}: {error}"));
                break;
            }
            continue;
        }
        let line = String::from_utf8_lossy(&buffer);
        let line = line.trim_end_matches(['\n', '\r']);
        match parser.line(line) {
            Line::Nothing => {}
            Line::Damaged(why) => tally.damage(number, why, line),
            Line::Request(request) if all || request.is_cacheable => {
                tally.requests += 1;
                recorder.add(&request);
            }
            Line::Request(_) => tally.not_cacheable += 1,
            Line::Run { first, count } => {
                tally.requests += count;
                (first..first + count).for_each(|key| recorder.add(&bare(key)));
            }
        }
        if number % 65_536 == 0 {
            progress(recorder.len());
        }
    }
    tally
}

/// As [`lines`], for keys of `word` bytes, 4 or 8.
pub fn words(
    input: &mut dyn BufRead,
    format: Format,
    recorder: &mut Recorder,
    progress: &mut dyn FnMut(usize),
) -> Tally {
    let mut tally = Tally::default();
    let size = format.word().unwrap_or(4);
    let mut word = [0; 8];
    for number in 1.. {
        match fill(input, &mut word[8 - size..]) {
            Ok(read) if read == size => {}
            Ok(0) => break,
            Ok(_) => {
                tally.damage(number, "the last key is cut off", "");
                break;
            }
            Err(error) => {
                tally.broken_off = Some(format!("key {number}: {error}"));
                break;
            }
        }
        tally.requests += 1;
        recorder.add(&bare(u64::from_be_bytes(word)));
        if number % 65_536 == 0 {
            progress(recorder.len());
        }
    }
    tally
}

fn bare(key: u64) -> Request {
    Request { key, bytes: None, duration_us: None, is_cacheable: true }
}

/// Reads until `word` is full or the input ends.
fn fill(input: &mut dyn BufRead, word: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < word.len() {
        match input.read(&mut word[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn skip_line(input: &mut dyn BufRead) -> std::io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        let (used, is_over) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(used);
        if is_over {
            return Ok(());
        }
    }
}
