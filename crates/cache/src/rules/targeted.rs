//! Targeted cache control (RFC 9213): response fields meant for one class of caches, which then stand in the place
//! of `Cache-Control` and `Expires`. Their syntax is a dictionary of structured fields (RFC 8941); one that does
//! not parse counts as absent. `Surrogate-Control` is older and has the syntax of `Cache-Control`.

use super::directives::{Directive, ResponseDirectives, directives};
use super::fields::{Fields, lines};

/// What the first of the fields in `names` that is valid and not empty says; None when there is none.
pub(super) fn targeted(response: &impl Fields, names: &[impl AsRef<[u8]>]) -> Option<ResponseDirectives> {
    names.iter().find_map(|name| {
        let name = name.as_ref();
        if name.eq_ignore_ascii_case(b"surrogate-control") {
            surrogate(response, name)
        } else {
            structured(response, name)
        }
    })
}

/// Parameters name the surrogate that a directive is for. Headgate announces no capabilities, so what reaches it
/// is for it. A field that says nothing of caching (`content="ESI/1.0"`) says nothing.
fn surrogate(response: &impl Fields, name: &[u8]) -> Option<ResponseDirectives> {
    let mut said = ResponseDirectives::default();
    for line in lines(response, name) {
        for directive in directives(line) {
            let until_parameters =
                |text: &'_ [u8]| text.iter().position(|&byte| byte == b';').unwrap_or(text.len());
            let name = &directive.name[..until_parameters(directive.name)];
            let argument = directive.argument.filter(|_| name.len() == directive.name.len());
            let argument = argument.map(|argument| &argument[..until_parameters(argument)]);
            said.apply(&Directive { name, argument });
        }
    }
    (said != ResponseDirectives::default()).then_some(said)
}

fn structured(response: &impl Fields, name: &[u8]) -> Option<ResponseDirectives> {
    let mut said = ResponseDirectives::default();
    let mut empty = true;
    for line in lines(response, name) {
        let mut rest = line.trim_ascii();
        while !rest.is_empty() {
            empty = false;
            let (directive, after) = member(rest)?;
            if let Some(directive) = directive {
                // The last of several with the same key counts in a dictionary.
                said.replace(&directive);
            }
            rest = next_member(after)?;
        }
    }
    (!empty).then_some(said)
}

/// What stands behind the comma; empty at the end of the line. None for a comma with nothing behind it.
fn next_member(rest: &[u8]) -> Option<&[u8]> {
    match rest.trim_ascii_start().split_first() {
        None => Some(b""),
        Some((b',', after)) => Some(after.trim_ascii_start()).filter(|after| !after.is_empty()),
        Some(_) => None,
    }
}

/// One member with its parameters, and what follows. `?0` makes it one that was not said.
fn member(text: &[u8]) -> Option<(Option<Directive<'_>>, &[u8])> {
    let (name, rest) = key(text)?;
    let (said, rest) = match rest.split_first() {
        Some((b'=', value)) => {
            let rest = if value.starts_with(b"(") { inner_list(value)? } else { bare_item(value)? };
            let value = &value[..value.len() - rest.len()];
            let argument = match value {
                b"?0" => None,
                b"?1" => Some(None),
                _ if value.starts_with(b"(") => Some(None),
                _ => Some(Some(value)),
            };
            (argument.map(|argument| Directive { name, argument }), rest)
        }
        _ => (Some(Directive { name, argument: None }), rest),
    };
    Some((said, parameters(rest)?))
}

fn parameters(mut rest: &[u8]) -> Option<&[u8]> {
    while let Some(after) = rest.strip_prefix(b";") {
        let spaces = after.iter().take_while(|&&byte| byte == b' ').count();
        rest = key(&after[spaces..])?.1;
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = bare_item(value)?;
        }
    }
    Some(rest)
}

fn inner_list(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"(")?;
    loop {
        let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
        let separated = spaces > 0 || rest.len() + 1 == text.len();
        rest = &rest[spaces..];
        if let Some(after) = rest.strip_prefix(b")") {
            return Some(after);
        }
        rest = parameters(bare_item(separated.then_some(rest)?)?)?;
    }
}

fn key(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = text.first()?;
    (first.is_ascii_lowercase() || *first == b'*').then_some(())?;
    let part = |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
    Some(text.split_at(text.iter().take_while(part).count()))
}

/// What follows the item that `text` begins with.
fn bare_item(text: &[u8]) -> Option<&[u8]> {
    let count = |text: &[u8], part: fn(&u8) -> bool| text.iter().take_while(|byte| part(byte)).count();
    match text.first()? {
        b'-' | b'0'..=b'9' => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            let whole = count(digits, u8::is_ascii_digit);
            let rest = &digits[whole..];
            let Some(fraction) = rest.strip_prefix(b".") else {
                return (1..=15).contains(&whole).then_some(rest);
            };
            let places = count(fraction, u8::is_ascii_digit);
            ((1..=12).contains(&whole) && (1..=3).contains(&places)).then_some(&fraction[places..])
        }
        b'"' => string(text),
        b':' => {
            let end = text[1..].iter().position(|&byte| byte == b':')?;
            let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
            text[1..=end].iter().all(base64).then_some(&text[end + 2..])
        }
        b'?' => text.get(1).filter(|byte| matches!(byte, b'0' | b'1')).map(|_| &text[2..]),
        b'*' | b'A'..=b'Z' | b'a'..=b'z' => {
            let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte);
            Some(&text[count(text, part)..])
        }
        _ => None,
    }
}

/// A string, in which a backslash stands before `"` and backslashes only.
fn string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', b'"' | b'\\', after @ ..] => after,
            [b'\\', ..] => return None,
            [b' '..=b'~', after @ ..] => after,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    fn read(text: &str) -> Option<ResponseDirectives> {
        targeted(&head(text), &["cdn-cache-control", "surrogate-control"])
    }

    fn max_age(text: &str) -> Option<u32> {
        read(text)?.max_age
    }

    #[test]
    fn a_dictionary_of_directives() {
        let said = read("CDN-Cache-Control: max-age=60;x=\"y\", must-revalidate, no-store=?0, z=(1 \"a\");b")
            .unwrap();
        assert!(said.must_revalidate && !said.no_store);
        assert_eq!(said.max_age, Some(60));
        assert_eq!(max_age("CDN-Cache-Control: max-age=60, max-age=30"), Some(30));
        assert_eq!(max_age("CDN-Cache-Control: max-age=60\nCDN-Cache-Control: public"), Some(60));
        assert_eq!(
            max_age("CDN-Cache-Control: max-age=1.5"),
            Some(0),
            "a number of another kind means stale"
        );
        let said = read("CDN-Cache-Control: private=\"a, b\", no-cache=(\"x\")").unwrap();
        assert!(said.withholds_fields && !said.private && said.no_cache);
    }

    #[test]
    fn what_does_not_parse_counts_as_absent() {
        for value in [
            "",
            "max-age=60,",
            "max-age=60 public",
            "Max-Age=60",
            "max-age = 60",
            "max-age=",
            "max-age=60, \"x\"",
            "max-age=\"60",
            "x=\"a\\b\"",
            "x=?2",
            "x=:a b:",
            "x=1.",
            "x=1234567890123456",
            "x=(1\"a\")",
            "x=(1",
            "max-age=60;",
            "max-age=60;A",
        ] {
            assert_eq!(read(&format!("CDN-Cache-Control: {value}")), None, "{value}");
        }
        for value in
            ["x=\"a\\\\\", y", "x=\"\\\"\\\\\\\"\"", "x=:YQ==:", "x=-12.345", "*=*a:/", "x=()", "x=( 1  2 )"]
        {
            assert!(read(&format!("CDN-Cache-Control: {value}")).is_some(), "{value}");
        }
    }

    #[test]
    fn the_first_valid_one_counts() {
        assert_eq!(max_age("Surrogate-Control: max-age=5\nCDN-Cache-Control: max-age=60"), Some(60));
        assert_eq!(max_age("Surrogate-Control: max-age=5\nCDN-Cache-Control: ,"), Some(5));
        assert_eq!(max_age("Cache-Control: max-age=5"), None);
    }

    #[test]
    fn surrogate_control_is_read_as_cache_control_with_targets() {
        assert_eq!(max_age("Surrogate-Control: MaX-aGe=3600;me, foobar"), Some(3600));
        assert_eq!(max_age("Surrogate-Control: max-age=99999999999"), Some(1 << 31));
        assert!(read("Surrogate-Control: no-store;me").unwrap().no_store);
        assert_eq!(read("Surrogate-Control: content=\"ESI/1.0\""), None);
    }
}
