//! Texts of public data sets into sessions of page numbers.

use std::collections::BTreeMap;

/// Sessions in the order of their beginning, each with its keys in the order of asking.
pub type Sessions = Vec<Vec<u64>>;

/// One session a line, keys apart by blanks. What is no number is left out.
#[must_use]
pub fn lines(text: &str) -> Sessions {
    let session = |line: &str| line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    text.lines().map(session).filter(|keys: &Vec<u64>| !keys.is_empty()).collect()
}

/// The "DST" format of the anonymous web data: a line `C` begins a visitor, each line `V` is an area of the visit.
#[must_use]
pub fn visits(text: &str) -> Sessions {
    let mut sessions = Sessions::new();
    for line in text.lines() {
        let mut words = line.split(',');
        match (words.next(), words.next()) {
            (Some("C"), _) => sessions.push(Vec::new()),
            (Some("V"), Some(area)) => {
                if let (Some(session), Ok(area)) = (sessions.last_mut(), area.parse()) {
                    session.push(area);
                }
            }
            _ => {}
        }
    }
    sessions.retain(|keys| !keys.is_empty());
    sessions
}

/// An access log in the Combined format: one session for each client address, successful GETs only, in the order of
/// the log. Addresses stay here.
#[must_use]
pub fn access(text: &str) -> Sessions {
    let mut clients: BTreeMap<&str, usize> = BTreeMap::new();
    let mut paths: BTreeMap<&str, u64> = BTreeMap::new();
    let mut sessions = Sessions::new();
    for line in text.lines() {
        let Some((client, rest)) = line.split_once(' ') else { continue };
        let mut quoted = rest.split('"');
        let request = quoted.nth(1).unwrap_or_default();
        let status = quoted.next().unwrap_or_default().trim_start();
        let mut words = request.split(' ');
        let (Some("GET"), Some(path)) = (words.next(), words.next()) else { continue };
        if !status.starts_with('2') && !status.starts_with("304") {
            continue;
        }
        let number = paths.len() as u64;
        let path = *paths.entry(path).or_insert(number);
        let next = sessions.len();
        let at = *clients.entry(client).or_insert(next);
        if at == next {
            sessions.push(Vec::new());
        }
        sessions[at].push(path);
    }
    sessions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_gives_its_sessions() {
        assert_eq!(lines("1 2 3 \n\n x 4\n"), [vec![1, 2, 3], vec![4]]);
        let text = "A,1000,1,\"a\",\"/a\"\nC,\"1\",1\nV,1000,1\nV,1001,1\nC,\"2\",2\nC,\"3\",3\nV,1000,1\n";
        assert_eq!(visits(text), [vec![1_000, 1_001], vec![1_000]]);
        let line = |client, method, path, status| {
            format!(
                "{client} - - [17/May/2015:10:05:03 +0000] \"{method} {path} HTTP/1.1\" {status} 1 \"-\" \"-\"\n"
            )
        };
        let text = line("a", "GET", "/x", 200)
            + &line("b", "GET", "/y", 304)
            + &line("a", "POST", "/x", 200)
            + &line("a", "GET", "/z", 404)
            + &line("a", "GET", "/y", 200)
            + "damaged\n";
        assert_eq!(access(&text), [vec![0, 1], vec![1]]);
    }
}
