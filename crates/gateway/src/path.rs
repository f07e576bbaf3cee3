//! Whether a path means the same to everybody who reads it.

/// Whether a segment of `path` is `.` or `..`, with its dots and its separators percent-encoded or not: two
/// readers that resolve dots differently see two different paths (RFC 3986 section 5.2.4). `\`, `%2f` and
/// `%5c` separate segments for some servers, and `;` begins a segment's parameters.
#[inline]
#[must_use]
pub fn has_dot_segment(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'.' | b'%')) && has_dot_segment_decoded(path)
}

fn has_dot_segment_decoded(path: &[u8]) -> bool {
    // Dots that the segment so far consists of; `None` when it has anything else.
    let mut dots = Some(0);
    let mut rest = path;
    while let Some((byte, after)) = next_decoded(rest) {
        rest = after;
        let ends = matches!(byte, b'/' | b'\\' | b';');
        if ends && matches!(dots, Some(1 | 2)) {
            return true;
        }
        dots = match byte {
            b'/' | b'\\' => Some(0),
            b'.' => dots.map(|dots| dots + 1),
            _ => None,
        };
    }
    matches!(dots, Some(1 | 2))
}

/// The first byte, decoded once if it is percent-encoded, and what follows it.
fn next_decoded(path: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = path
        && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
    {
        return Some(((high * 16 + low) as u8, rest));
    }
    path.split_first().map(|(byte, rest)| (*byte, rest))
}

#[cfg(test)]
mod tests {
    use super::has_dot_segment;
    use headgate_model::dice::Dice;

    #[test]
    fn dot_segments_are_found_however_they_are_written() {
        for path in [
            "/..",
            "/a/../b",
            "/a/./b",
            "/.",
            "/a/.",
            "/%2e%2E/b",
            "/a/.%2e",
            "/a/..;x=1/b",
            "/a/..%3bx=1/b",
            "/..%2fb",
            "/..\\b",
            "/a%2f..%2fb",
            "/a%2F..%2Fb",
            "/a%2f..",
            "/a%5c%2e.%5Cb",
            "/a\\..\\b",
            "/a\\.",
            "/...%2f..",
        ] {
            assert!(has_dot_segment(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/a.b",
            "/.well-known/x",
            "/a/...",
            "/a/..b",
            "/a..",
            "*",
            "/%2ehidden",
            "/a%2fb",
            "/a..%2fb",
            "/%",
            "/%2",
            "/..%zz",
            "/%252e%252e/",
            "/;..",
        ] {
            assert!(!has_dot_segment(path.as_bytes()), "{path}");
        }
    }

    /// The plain reading: decode all, split at all separators, cut parameters off.
    fn by_splitting(path: &[u8]) -> bool {
        let mut decoded = Vec::new();
        let mut rest = path;
        while let Some((byte, after)) = super::next_decoded(rest) {
            decoded.push(byte);
            rest = after;
        }
        decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
            let name = segment.split(|&byte| byte == b';').next().unwrap_or_default();
            name == b"." || name == b".."
        })
    }

    #[test]
    fn agrees_with_the_plain_reading() {
        let pieces = ["/", ".", "%2e", "%2E", "%2f", "%5C", "\\", ";", "%3B", "a", "%", "2", "e"];
        let mut dice = Dice::new(1);
        let mut found = 0;
        for _ in 0..20_000 {
            let count = dice.below(8);
            let path: String = (0..count).map(|_| pieces[dice.below(pieces.len() as u64) as usize]).collect();
            let path = format!("/{path}");
            assert_eq!(has_dot_segment(path.as_bytes()), by_splitting(path.as_bytes()), "{path}");
            found += u32::from(has_dot_segment(path.as_bytes()));
        }
        assert!((1_000..19_000).contains(&found), "{found}");
    }
}
