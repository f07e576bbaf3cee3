//! Lines of bare numbers or words, as the traces of the caching literature have them.

use super::{Line, Request, key};

/// Keys that one line of an ARC trace may stand for; more is damage, not a request.
const RUN_MAX: u64 = 65_536;

fn request(key: u64, bytes: Option<u64>) -> Line {
    Line::Request(Request { key, bytes, duration_us: None, is_cacheable: true })
}

/// One key a line; `*` separates passes in the LIRS traces.
pub(super) fn keys(line: &str) -> Line {
    match line.trim() {
        "*" => Line::Nothing,
        word if word.contains(char::is_whitespace) => Line::Damaged("more than one word"),
        word => request(key(&[word.as_bytes()]), None),
    }
}

/// `time key bytes`. The same key with another size is another object.
pub(super) fn sized(line: &str) -> Line {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[_, object, bytes] = words.as_slice() else {
        return Line::Damaged("not three words");
    };
    match bytes.parse() {
        Ok(size) => request(key(&[object.as_bytes(), bytes.as_bytes()]), Some(size)),
        Err(_) => Line::Damaged("the size is no number"),
    }
}

/// `first count ignored number`.
pub(super) fn arc(line: &str) -> Line {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[first, count, _, _] = words.as_slice() else {
        return Line::Damaged("not four words");
    };
    match (first.parse::<u64>(), count.parse::<u64>()) {
        (Ok(first), Ok(count)) if (1..=RUN_MAX).contains(&count) && first.checked_add(count).is_some() => {
            Line::Run { first, count }
        }
        _ => Line::Damaged("no first page and number of pages, 1 to 65536"),
    }
}
