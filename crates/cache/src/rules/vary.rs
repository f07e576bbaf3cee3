//! Which requests a stored response answers (RFC 9111 section 4.1): the request fields that its `Vary` names, in a
//! form in which requests that mean the same look the same.

use super::fields::{Block, Fields, Members, is_token, lines, members, write_field};

/// Fields that one `Vary` may name, and bytes that their values may have; more is not stored.
const MAX_NAMES: usize = 16;
const MAX_SELECTING_BYTES: usize = 4_096;
/// Members of a list that are compared without regard to their order; longer lists are compared in order.
const MAX_UNORDERED: usize = 64;

/// Stands for a field that the request did not have: no value of a field can hold it. An absent field and an
/// empty one are two things.
const ABSENT: &[u8] = b"\x01";
/// Stands between the parts of a stored value; the same holds for it.
const BETWEEN: u8 = 0;

/// What `Vary` of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vary {
    /// It answers every request.
    Nothing,
    /// It answers requests that agree in the fields that it names.
    Fields,
    /// It answers no other request: `*`, what is no list of names, or the certificate of a client's connection, which
    /// the cache does not see in a request.
    Never,
}

/// What `Vary` of `response` says.
pub fn vary(response: &impl Fields) -> Vary {
    let mut count = 0;
    for name in members(response, b"vary") {
        if name == b"*" || !is_token(name) || is_certificate(name) || count == MAX_NAMES {
            return Vary::Never;
        }
        count += 1;
    }
    if count == 0 { Vary::Nothing } else { Vary::Fields }
}

/// RFC 9440: written behind the cache, by what was seen in a handshake.
fn is_certificate(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"client-cert") || name.eq_ignore_ascii_case(b"client-cert-chain")
}

/// Writes the fields of `request` that the response was selected by, as a [`Block`] to be stored beside it; nothing
/// for a response without `Vary`. False, and nothing written, when they are too long.
#[must_use]
pub fn write_selecting(response: &impl Fields, request: &impl Fields, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for name in members(response, b"vary") {
        let mut value = Vec::new();
        if lines(request, name).next().is_none() {
            value.extend_from_slice(ABSENT);
        }
        for (at, part) in parts(request, name).enumerate() {
            if at > 0 {
                value.push(BETWEEN);
            }
            value.extend_from_slice(part);
        }
        write_field(out, name, &value);
        if out.len() - start > MAX_SELECTING_BYTES {
            out.truncate(start);
            return false;
        }
    }
    true
}

/// Whether a response that was stored with `selecting` (of [`write_selecting`]) answers `request`.
/// `content_language` is that field of the stored response.
#[must_use]
pub fn matches(selecting: &[u8], request: &impl Fields, content_language: Option<&[u8]>) -> bool {
    Block(selecting).fields().all(|(name, stored)| {
        let is_language = name.eq_ignore_ascii_case(b"accept-language");
        same(name, stored, request)
            || is_language && content_language.is_some_and(|language| prefers(request, language))
    })
}

/// How values of a field are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they stand: white space and commas may mean anything.
    Exact,
    /// As a list: lines joined, white space around commas left out.
    List,
    /// As a list whose order means nothing.
    Set,
    /// And in which case means nothing.
    CaselessSet,
}

fn form(name: &[u8]) -> Form {
    let is_one_of = |names: &[&[u8]]| names.iter().any(|other| name.eq_ignore_ascii_case(other));
    if is_one_of(&[b"accept-encoding", b"accept-language", b"accept-charset"]) {
        Form::CaselessSet
    } else if is_one_of(&[b"accept"]) {
        Form::Set
    } else if is_one_of(&[b"cookie", b"authorization", b"user-agent"]) {
        Form::Exact
    } else {
        Form::List
    }
}

/// The parts of a request field that are compared: its lines, or the members of its list.
fn parts<'a>(request: &'a impl Fields, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let exact = form(name) == Form::Exact;
    lines(request, name).flat_map(move |line| {
        let whole = (exact && !line.is_empty()).then_some(line);
        whole.into_iter().chain(Members::new(if exact { b"" } else { line }))
    })
}

fn same(name: &[u8], stored: &[u8], request: &impl Fields) -> bool {
    let absent = || lines(request, name).next().is_none();
    if stored == ABSENT {
        return absent();
    }
    let before = || stored.split(|&byte| byte == BETWEEN).filter(|part| !part.is_empty());
    let now = || parts(request, name);
    let form = form(name);
    let equal: fn(&[u8], &[u8]) -> bool = match form {
        Form::CaselessSet => same_member,
        Form::Exact | Form::List | Form::Set => |one, other| one == other,
    };
    // Nearly always: the same values in the same order.
    if all_equal(before(), now(), equal) {
        return !stored.is_empty() || !absent();
    }
    if matches!(form, Form::Exact | Form::List) {
        return false;
    }
    let small = before().count() <= MAX_UNORDERED && now().count() <= MAX_UNORDERED;
    small
        && before().all(|one| now().any(|other| equal(one, other)))
        && now().all(|one| before().any(|other| equal(one, other)))
}

fn all_equal<'a>(
    mut one: impl Iterator<Item = &'a [u8]>,
    mut other: impl Iterator<Item = &'a [u8]>,
    equal: fn(&[u8], &[u8]) -> bool,
) -> bool {
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if equal(one, other) => {}
            _ => return false,
        }
    }
}

/// Without regard to case and to white space around `;` and `=`.
fn same_member(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &&u8| !matches!(byte, b' ' | b'\t');
    let letters = |text| <[u8]>::iter(text).filter(plain).map(u8::to_ascii_lowercase);
    one == other || letters(one).eq(letters(other))
}

/// Whether `language` is what the request prefers to all others: then a server that has it sends it.
fn prefers(request: &impl Fields, language: &[u8]) -> bool {
    let mut best: Option<(&[u8], u32)> = None;
    let mut alone = false;
    for member in members(request, b"accept-language") {
        let (range, weight) = weighted(member);
        match best {
            Some((_, top)) if weight < top => {}
            Some((_, top)) if weight == top => alone = false,
            _ => (best, alone) = (Some((range, weight)), true),
        }
    }
    best.is_some_and(|(range, weight)| alone && weight > 0 && range.eq_ignore_ascii_case(language))
}

/// A language range and its weight in thousandths (RFC 9110 section 12.4.2); 0 for a weight that is none.
fn weighted(member: &[u8]) -> (&[u8], u32) {
    let mut parts = member.splitn(2, |&byte| byte == b';');
    let range = parts.next().unwrap_or_default().trim_ascii();
    let Some(parameter) = parts.next().map(<[u8]>::trim_ascii) else { return (range, 1_000) };
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q=")).unwrap_or_default();
    let thousandths = match value {
        [b'1'] => 1_000,
        [b'1', b'.', zeros @ ..] if zeros.len() <= 3 && zeros.iter().all(|&digit| digit == b'0') => 1_000,
        [b'0'] => 0,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            let sum = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
            sum * 10u32.pow(3 - digits.len() as u32)
        }
        _ => 0,
    };
    (range, thousandths)
}

#[cfg(test)]
mod tests {
    use super::super::fields::tests::head;
    use super::*;

    fn answers(names: &str, stored_for: &str, request: &str) -> bool {
        let mut selecting = Vec::new();
        assert!(write_selecting(&head(&format!("Vary: {names}")), &head(stored_for), &mut selecting));
        matches(&selecting, &head(request), None)
    }

    #[test]
    fn a_star_anywhere_answers_nobody() {
        for names in ["*", "*, *", ", *", "*, Foo", "Foo, *", "a b", "Foo\nVary: *"] {
            assert_eq!(vary(&head(&format!("Vary: {names}"))), Vary::Never, "{names}");
        }
        assert_eq!(vary(&head("Vary:\nVary: ,")), Vary::Nothing);
        assert_eq!(vary(&head("Vary: a\nvary: b")), Vary::Fields);
        assert_eq!(vary(&head(&format!("Vary: {}", "a,".repeat(17)))), Vary::Never);
    }

    #[test]
    fn all_named_fields_agree_and_others_do_not_matter() {
        assert!(answers("Foo, Bar", "Foo: 1\nBar: abc\nOther: 2", "bar: abc\nfoo: 1\nOther: 3"));
        assert!(!answers("Foo, Bar", "Foo: 1\nBar: abc", "Foo: 2\nBar: abc"));
        assert!(!answers("Foo", "Foo: a", "Foo: A"));
        assert!(answers("", "Foo: 1", "Foo: 2"));
    }

    #[test]
    fn an_absent_field_agrees_with_an_absent_one_only() {
        assert!(answers("Foo, Bar", "Foo: 1", "Foo: 1"));
        for name in ["Foo", "Accept-Encoding", "Cookie"] {
            assert!(!answers(name, &format!("{name}: 1"), ""), "{name}");
            assert!(!answers(name, "", &format!("{name}: 1")), "{name}");
            assert!(!answers(name, "", &format!("{name}:")), "{name}");
            assert!(!answers(name, &format!("{name}:"), ""), "{name}");
            assert!(answers(name, &format!("{name}:"), &format!("{name}:")), "{name}");
        }
    }

    #[test]
    fn lines_and_white_space_between_members_do_not_matter() {
        assert!(
            answers("Foo", "Foo: 1, 2", "Foo: 1\nFoo: 2") && answers("Foo", "Foo: 1\nFoo: 2", "Foo: 1,2")
        );
        assert!(answers("Foo", "Foo: 1,2", "Foo:  1, 2 "));
        assert!(!answers("Foo", "Foo: 1, 2", "Foo: 2, 1"));
        assert!(!answers("Foo", "Foo: \"1, 2\"", "Foo: \"1,2\""));
    }

    #[test]
    fn languages_and_codings_are_sets_without_case() {
        for request in ["en, de", "de, en", "eN, De", " en ,   de", "de\nAccept-Language: en"] {
            assert!(answers(
                "accept-language",
                "Accept-Language: en, de",
                &format!("Accept-Language: {request}")
            ));
        }
        assert!(!answers("accept-language", "Accept-Language: en, de", "Accept-Language: en"));
        assert!(!answers("accept-language", "Accept-Language: en", "Accept-Language: en, de"));
        assert!(!answers("accept-language", "Accept-Language: en, de", "Accept-Language: en, fr"));
        assert!(answers(
            "Accept-Encoding",
            "Accept-Encoding: gzip;q=0.5, br",
            "Accept-Encoding: BR, gzip; q=0.5"
        ));
        assert!(
            answers("Accept", "Accept: a/b, c/d", "Accept: c/d,a/b")
                && !answers("Accept", "Accept: a/b", "Accept: A/b")
        );
    }

    #[test]
    fn cookies_are_compared_as_they_stand() {
        assert!(answers("Cookie", "Cookie: a=1, 2", "Cookie: a=1, 2"));
        assert!(!answers("Cookie", "Cookie: a=1, 2", "Cookie: a=1,2"));
        assert!(answers("Cookie", "Cookie: a\nCookie: b", "Cookie: a\nCookie: b"));
        assert!(!answers("Cookie", "Cookie: a\nCookie: b", "Cookie: a"));
    }

    #[test]
    fn what_is_in_the_preferred_language_answers() {
        let mut selecting = Vec::new();
        assert!(write_selecting(
            &head("Vary: Accept-Language"),
            &head("Accept-Language: en, de"),
            &mut selecting
        ));
        let answers =
            |request: &str| matches(&selecting, &head(&format!("Accept-Language: {request}")), Some(b"de"));
        for request in ["fr;q=0.5, de;q=1.0", "DE", "fr;q=0.999, de", "de;q=0.001"] {
            assert!(answers(request), "{request}");
        }
        for request in ["fr, de", "de;q=0", "de;q=0.5, fr;q=0.6", "de-AT", "de;q=2", "*"] {
            assert!(!answers(request), "{request}");
        }
    }

    #[test]
    fn too_much_to_select_by_is_not_written() {
        let mut out = b"before".to_vec();
        let request = head(&format!("Foo: {}", "x".repeat(MAX_SELECTING_BYTES)));
        assert!(!write_selecting(&head("Vary: Foo"), &request, &mut out));
        assert_eq!(out, b"before");
    }

    #[test]
    fn every_request_is_answered_by_what_was_stored_for_it() {
        for seed in 0..20_000 {
            let dice = &mut headgate_model::dice::Dice::new(seed);
            let names = ["Foo", "Cookie", "Accept", "Accept-Language"];
            let mut text = String::new();
            for _ in 0..dice.below(4) {
                let value: String =
                    (0..dice.below(9)).map(|_| char::from(b"ab,;=q \"\\"[dice.below(9) as usize])).collect();
                text += &format!("{}: {value}\n", names[dice.below(4) as usize]);
            }
            assert!(answers("Foo, Cookie, Accept, Accept-Language", &text, &text), "seed {seed}: {text}");
        }
    }
}
