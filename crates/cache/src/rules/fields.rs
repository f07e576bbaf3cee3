//! The view that every rule has of a head: pairs of name and value, in the order in which they came. It owns
//! nothing and allocates nothing.

/// The fields of a message head. Names may come in any case and more than once; values have no white space
/// around them.
pub trait Fields {
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])>;
}

impl<F: Fields> Fields for &F {
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        (**self).fields()
    }
}

/// Fields as they are stored: lines `name: value CRLF`, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a>(pub &'a [u8]);

impl Fields for Block<'_> {
    fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }
}

/// Writes one line of a [`Block`].
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Values of the lines with `name`, in their order.
pub fn lines<'a>(fields: &'a impl Fields, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The value of the first line with `name`.
pub fn first<'a>(fields: &'a impl Fields, name: &'a [u8]) -> Option<&'a [u8]> {
    lines(fields, name).next()
}

/// Members of a comma-separated list (RFC 9110 section 5.6.1), trimmed, empty ones left out. Commas inside a
/// quoted string do not count; a quote that is never closed is an ordinary character, so that it cannot hide
/// what stands behind it.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    #[must_use]
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = member_len(self.rest);
            let member = self.rest[..end].trim_ascii();
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// Bytes up to the next comma outside of quotes.
fn member_len(value: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match byte {
            b',' => return at,
            b'"' => at += quoted_len(&value[at..]).unwrap_or(1),
            _ => at += 1,
        }
    }
    value.len()
}

/// Bytes of the quoted string that `text` begins with, quotes counted; None when it does not end.
fn quoted_len(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Members over all lines with `name`, as one list.
pub(super) fn members<'a>(fields: &'a impl Fields, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    lines(fields, name).flat_map(Members::new)
}

/// Whether `text` is a token (RFC 9110 section 5.6.2).
#[must_use]
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Fields for tests: `name: value` lines.
    pub(in crate::rules) struct Head(Vec<(String, String)>);

    /// `head("Cache-Control: max-age=1\nAge: 3")`.
    pub(in crate::rules) fn head(text: &str) -> Head {
        let line =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Head(text.lines().filter_map(|text| line(text.trim())).collect())
    }

    impl Fields for Head {
        fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
            self.0.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
        }
    }

    fn split(value: &str) -> Vec<&str> {
        Members::new(value.as_bytes()).map(|member| str::from_utf8(member).unwrap()).collect()
    }

    #[test]
    fn lists_are_split_at_commas_outside_of_quotes() {
        assert_eq!(split("a, b ,,c"), ["a", "b", "c"]);
        assert_eq!(split(r#"a="x, \", y", b"#), [r#"a="x, \", y""#, "b"]);
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split(" , ,"), [""; 0]);
    }

    #[test]
    fn an_open_quote_hides_nothing() {
        assert_eq!(split(r#"max-age=60, a="x, no-store"#), ["max-age=60", r#"a="x"#, "no-store"]);
    }

    #[test]
    fn a_block_reads_what_was_written() {
        let mut bytes = Vec::new();
        write_field(&mut bytes, b"A", b"1");
        write_field(&mut bytes, b"b", b"");
        write_field(&mut bytes, b"a", b"x: y");
        let block = Block(&bytes);
        let values: Vec<&[u8]> = lines(&block, b"a").collect();
        assert_eq!(values, [&b"1"[..], b"x: y"]);
        assert_eq!(first(&block, b"B"), Some(&b""[..]));
    }
}
