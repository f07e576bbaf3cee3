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
const ABSENT: &[u8] = b"\0";

/// What `Vary` of a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vary {
    /// It answers every request.
    Nothing,
    /// It answers requests that agree in the fields that it names.
    Fields,
    /// It answers no other request: `*`, or what is no list of names.
    Never,
}

/// What `Vary` of `response` says.
pub fn vary(response: &impl Fields) -> Vary {
    let mut count = 0;
    for name in members(response, b"vary") {
        if name == b"*" || !is_token(name) || count == MAX_NAMES {
            return Vary::Never;
        }
        count += 1;
    }
    if count == 0 { Vary::Nothing } else { Vary::Fields }
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
                value.push(b',');
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
    lines(request, name).flat_map(move |line| split(line, exact))
}

fn split(value: &[u8], exact: bool) -> impl Iterator<Item = &[u8]> {
    let whole = (exact && !value.is_empty()).then_some(value);
    whole.into_iter().chain(Members::new(if exact { b"" } else { value }))
}

fn same(name: &[u8], stored: &[u8], request: &impl Fields) -> bool {
    if lines(request, name).next().is_none() {
        return stored == ABSENT;
    }
    if stored == ABSENT {
        return false;
    }
    let form = form(name);
    let stored = || split(stored, form == Form::Exact);
    let now = || parts(request, name);
    match form {
        Form::Exact => {
            let mut stored = stored();
            let whole = stored.next().unwrap_or_default();
            // Lines are stored with a comma between them.
            joined_is(whole, now())
        }
        Form::List => stored().eq(now()),
        Form::Set | Form::CaselessSet => {
            let equal = |one: &[u8], other: &[u8]| {
                if form == Form::Set { one == other } else { same_member(one, other) }
            };
            if stored().zip(now()).all(|(one, other)| equal(one, other)) && stored().count() == now().count()
            {
                return true;
            }
            let small = stored().count() <= MAX_UNORDERED && now().count() <= MAX_UNORDERED;
            small
                && stored().all(|one| now().any(|other| equal(one, other)))
                && now().all(|one| stored().any(|other| equal(one, other)))
        }
    }
}

/// Whether `whole` is the parts with a comma between each two.
fn joined_is<'a>(whole: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut rest = whole;
    for (at, part) in parts.enumerate() {
        let comma: &[u8] = if at > 0 { b"," } else { b"" };
        match rest.strip_prefix(comma).and_then(|rest| rest.strip_prefix(part)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Without regard to case and to white space around `;` and `=`.
fn same_member(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &&u8| !matches!(byte, b' ' | b'\t');
    one.iter()
        .filter(plain)
        .map(u8::to_ascii_lowercase)
        .eq(other.iter().filter(plain).map(u8::to_ascii_lowercase))
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
