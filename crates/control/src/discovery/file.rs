//! Endpoints from a file, read again when it changes. One per line: an address, optionally its weight; `#`
//! begins a comment.
//!
//! ```text
//! 10.0.0.1:8080
//! 10.0.0.2:8080 weight=3   # the larger machine
//! ```
//!
//! The file is taken as a whole or not at all: with one bad line, or none but comments, the endpoints that
//! were read before stay.

use headgate_model::address::{AddressError, EndpointAddress};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes that such a file may have.
const FILE_BYTES: u64 = 1 << 20;
/// As for endpoints in the configuration.
const WEIGHT_MAX: u16 = 1_000;

/// Why a file of endpoints was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read it: {0}; check the path and its permissions")]
    Read(#[from] io::Error),
    #[error("it is larger than 1 MiB; is it the right file?")]
    TooLarge,
    #[error("it has no endpoint; to send no more requests to one, write weight=0 behind it")]
    Empty,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: LineError },
}

/// What is wrong with one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("{0}")]
    Address(AddressError),
    #[error("`{0}` is not a weight; write for example weight=3, from 0 to 1000")]
    Weight(String),
    #[error("`{0}` after the weight; write one endpoint per line")]
    Rest(String),
    #[error("the same endpoint as in line {0}")]
    Twice(usize),
}

/// Reads a file of endpoints with their weights. Blocks on the disk.
pub(super) fn read(file: &Path) -> Result<Vec<(EndpointAddress, u16)>, FileError> {
    let mut text = String::new();
    File::open(file)?.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(FileError::TooLarge);
    }
    parse(&text)
}

fn parse(text: &str) -> Result<Vec<(EndpointAddress, u16)>, FileError> {
    let (mut endpoints, mut lines) = (Vec::new(), BTreeMap::new());
    for (line, content) in (1..).zip(text.lines()) {
        let at_line = |problem| FileError::Line { line, problem };
        let Some((address, weight)) = parse_line(content).map_err(at_line)? else { continue };
        if let Some(first) = lines.insert(address.target.clone(), line) {
            return Err(at_line(LineError::Twice(first)));
        }
        endpoints.push((address, weight));
    }
    if endpoints.is_empty() { Err(FileError::Empty) } else { Ok(endpoints) }
}

/// `None` for a line with nothing but a comment.
fn parse_line(line: &str) -> Result<Option<(EndpointAddress, u16)>, LineError> {
    let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
    let Some(address) = words.next() else { return Ok(None) };
    let address = address.parse().map_err(LineError::Address)?;
    let weight = match words.next() {
        None => 1,
        Some(word) => weight(word).ok_or_else(|| LineError::Weight(word.to_owned()))?,
    };
    match words.next() {
        None => Ok(Some((address, weight))),
        Some(word) => Err(LineError::Rest(word.to_owned())),
    }
}

fn weight(word: &str) -> Option<u16> {
    let digits = word.strip_prefix("weight=")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&weight| plain && weight <= WEIGHT_MAX)
}

#[cfg(test)]
mod tests {
    use super::{FileError, parse, read};
    use crate::testkit::Folder;
    use headgate_model::dice::Dice;

    fn read_back(text: &str) -> Vec<String> {
        let endpoints = parse(text).unwrap();
        endpoints.iter().map(|(address, weight)| format!("{address} {weight}")).collect()
    }

    #[test]
    fn lines_are_addresses_with_weights_and_comments() {
        let text = "# the shop\r\n10.0.0.1:80\r\n\n  [::1]:8080\tweight=3 # big\nunix:/run/a.sock weight=0\n\
                    https://API.example weight=1000";
        let expected =
            ["10.0.0.1:80 1", "[::1]:8080 3", "unix:/run/a.sock 0", "https://api.example:443 1000"];
        assert_eq!(read_back(text), expected);
    }

    #[test]
    fn one_bad_line_refuses_the_file_and_is_named() {
        for (text, message) in [
            ("10.0.0.1:80\nnonsense", "line 2: a port is missing; write \"host:port\""),
            ("\n\n10.0.0.1:80 3", "line 3: `3` is not a weight; write for example weight=3, from 0 to 1000"),
            ("a:80 weight=1001", "line 1: `weight=1001` is not a weight"),
            ("a:80 weight=+1", "line 1: `weight=+1` is not a weight"),
            ("a:80 weight=", "line 1: `weight=` is not a weight"),
            ("a:80 weight=1 b:80", "line 1: `b:80` after the weight"),
            ("a:80 # one\n#\nA:80 weight=2", "line 3: the same endpoint as in line 1"),
            ("# all gone\n", "it has no endpoint"),
            ("", "it has no endpoint"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_one_is_refused() {
        let folder = Folder::new("file");
        assert!(matches!(read(&folder.path("missing")), Err(FileError::Read(_))));
        assert!(matches!(read(&folder.write("large", &"#".repeat(1 << 21))), Err(FileError::TooLarge)));
        assert_eq!(read(&folder.write("good", "a:80")).unwrap().len(), 1);
    }

    /// What is written for parsed endpoints parses to the same endpoints, whatever the file looked like.
    #[test]
    fn what_was_read_reads_back() {
        let (mut read, mut refused) = (0, 0);
        for seed in 0..20_000 {
            let mut dice = Dice::new(seed);
            let words = [
                "10.0.0.1:80",
                "b:1",
                "unix:/a",
                "weight=2",
                "weight=0",
                "#",
                "\n",
                "\n",
                " ",
                "x",
                "\u{a0}",
            ];
            let text: String =
                (0..dice.below(8)).map(|_| words[dice.below(11) as usize].to_owned() + " ").collect();
            match parse(&text) {
                Ok(endpoints) => {
                    let lines: Vec<_> = endpoints.iter().map(|(a, w)| format!("{a} weight={w}")).collect();
                    assert_eq!(parse(&lines.join("\n")).unwrap(), endpoints, "{text:?}");
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
        assert!(read > 1_000 && refused > 1_000, "{read} {refused}");
    }
}
