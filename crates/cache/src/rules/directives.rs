//! `Cache-Control` of requests and responses (RFC 9111 section 5.2, with RFC 5861 and RFC 8246), read as caution
//! wants it: what forbids counts even when it is written oddly, what allows must be written well.

use super::fields::{Members, is_token};

/// The greatest number of seconds that a directive says: more counts as this (RFC 9111 section 1.2.2).
pub(super) const MAX_SECONDS: u32 = 1 << 31;

/// One member of a `Cache-Control` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    pub(super) name: &'a [u8],
    /// What stands behind `=`, quotes included.
    pub(super) argument: Option<&'a [u8]>,
}

impl<'a> Directive<'a> {
    fn read(member: &'a [u8]) -> Self {
        match member.iter().position(|&byte| byte == b'=') {
            None => Self { name: member, argument: None },
            // White space is not allowed there: the name counts, its argument does not.
            Some(at) if member[..at].ends_with(b" ") || member[..at].ends_with(b"\t") => {
                Self { name: member[..at].trim_ascii_end(), argument: Some(b"") }
            }
            Some(at) => Self { name: &member[..at], argument: Some(&member[at + 1..]) },
        }
    }

    /// The argument as seconds, plain or quoted; None when it is anything else or missing.
    #[must_use]
    pub(super) fn seconds(&self) -> Option<u32> {
        let argument = self.argument?;
        let plain =
            argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument);
        seconds(plain)
    }

    /// Names of fields in the argument of `no-cache` and `private`; empty for the unqualified form, and when the
    /// argument is not a list of names.
    fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let argument = self.argument.unwrap_or_default();
        let list = argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument);
        let whole = Members::new(list).all(is_token);
        Members::new(if whole { list } else { b"" })
    }
}

/// Digits as seconds, at most [`MAX_SECONDS`]; None for anything else.
#[must_use]
pub(super) fn seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let sum =
        digits.iter().fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some(sum.min(MAX_SECONDS))
}

/// Members of one `Cache-Control` line.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Directive<'_>> {
    Members::new(line).map(Directive::read)
}

/// What a request asks of caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    pub no_cache: bool,
    pub no_store: bool,
    pub only_if_cached: bool,
    /// Seconds, as the next two.
    pub max_age: Option<u32>,
    pub min_fresh: Option<u32>,
    /// [`MAX_SECONDS`] when any staleness will do.
    pub max_stale: Option<u32>,
    pub stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// Adds what `line` says. Of several that say the same the first counts; numbers that are none are left out.
    pub(super) fn add(&mut self, line: &[u8]) {
        for directive in directives(line) {
            let seconds = directive.seconds();
            match directive.name {
                name if is(name, b"no-cache") => self.no_cache = true,
                name if is(name, b"no-store") => self.no_store = true,
                name if is(name, b"only-if-cached") => self.only_if_cached = true,
                name if is(name, b"max-age") => set(&mut self.max_age, seconds),
                name if is(name, b"min-fresh") => set(&mut self.min_fresh, seconds),
                name if is(name, b"max-stale") => {
                    let any = directive.argument.is_none().then_some(MAX_SECONDS);
                    set(&mut self.max_stale, any.or(seconds));
                }
                name if is(name, b"stale-if-error") => set(&mut self.stale_if_error, seconds),
                _ => {}
            }
        }
    }
}

/// What a response allows caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ResponseDirectives {
    pub(super) no_store: bool,
    /// Without names of fields, as `no_cache`.
    pub(super) private: bool,
    pub(super) no_cache: bool,
    /// `private` or `no-cache` with names of fields.
    pub(super) withholds_fields: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) immutable: bool,
    /// Seconds, as those below. What is no number counts as zero: stale (RFC 9111 section 4.2.1).
    pub(super) max_age: Option<u32>,
    pub(super) s_maxage: Option<u32>,
    pub(super) stale_while_revalidate: Option<u32>,
    pub(super) stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    /// Adds what a line of `Cache-Control` says. Of several that say the same the first counts (RFC 9111 section
    /// 4.2.1).
    pub(super) fn add(&mut self, line: &[u8]) {
        for directive in directives(line) {
            self.apply(&directive);
        }
    }

    /// Adds one directive.
    pub(super) fn apply(&mut self, directive: &Directive<'_>) {
        let seconds = directive.seconds();
        let qualified = directive.names().next().is_some();
        match directive.name {
            name if is(name, b"no-store") => self.no_store = true,
            name if is(name, b"private") || is(name, b"no-cache") => {
                let all = if is(name, b"private") { &mut self.private } else { &mut self.no_cache };
                *all |= !qualified;
                self.withholds_fields |= qualified;
            }
            name if is(name, b"public") => self.public = true,
            name if is(name, b"must-revalidate") => self.must_revalidate = true,
            name if is(name, b"proxy-revalidate") => self.proxy_revalidate = true,
            name if is(name, b"must-understand") => self.must_understand = true,
            name if is(name, b"immutable") => self.immutable = true,
            name if is(name, b"max-age") => set(&mut self.max_age, Some(seconds.unwrap_or(0))),
            name if is(name, b"s-maxage") => set(&mut self.s_maxage, Some(seconds.unwrap_or(0))),
            name if is(name, b"stale-while-revalidate") => set(&mut self.stale_while_revalidate, seconds),
            name if is(name, b"stale-if-error") => set(&mut self.stale_if_error, seconds),
            _ => {}
        }
    }

    /// Adds one directive in the place of what was said before under its name.
    pub(super) fn replace(&mut self, directive: &Directive<'_>) {
        let slot = match directive.name {
            name if is(name, b"max-age") => &mut self.max_age,
            name if is(name, b"s-maxage") => &mut self.s_maxage,
            name if is(name, b"stale-while-revalidate") => &mut self.stale_while_revalidate,
            name if is(name, b"stale-if-error") => &mut self.stale_if_error,
            _ => return self.apply(directive),
        };
        *slot = None;
        self.apply(directive);
    }

    /// Whether `line` names `field` in `private="..."` or `no-cache="..."`: such a field is not to be stored, or
    /// not to be used again without asking (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
    #[must_use]
    pub(super) fn withholds(line: &[u8], field: &[u8]) -> bool {
        directives(line)
            .filter(|directive| is(directive.name, b"private") || is(directive.name, b"no-cache"))
            .any(|directive| directive.names().any(|name| is(name, field)))
    }
}

fn is(name: &[u8], other: &[u8]) -> bool {
    name.eq_ignore_ascii_case(other)
}

fn set(slot: &mut Option<u32>, value: Option<u32>) {
    *slot = slot.or(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(line: &str) -> ResponseDirectives {
        let mut directives = ResponseDirectives::default();
        directives.add(line.as_bytes());
        directives
    }

    fn max_age(line: &str) -> Option<u32> {
        response(line).max_age
    }

    #[test]
    fn numbers_plain_quoted_and_too_large() {
        for (line, seconds) in [
            ("max-age=3600", 3600),
            ("MaX-aGe=3600", 3600),
            ("max-age=\"3600\"", 3600),
            ("max-age=003600", 3600),
            ("foobar, max-age=3600", 3600),
            ("max-age=2147483647", 2_147_483_647),
            ("max-age=2147483649", MAX_SECONDS),
            ("max-age=99999999999", MAX_SECONDS),
        ] {
            assert_eq!(max_age(line), Some(seconds), "{line}");
        }
    }

    #[test]
    fn a_number_that_is_none_means_stale() {
        for line in [
            "max-age='3600'",
            "max-age=-3600",
            "max-age=3600.0",
            "max-age=a3600",
            "max-age=3600a",
            "max-age= 3600",
            "max-age =3600",
            "max-age=",
            "max-age",
        ] {
            assert_eq!(max_age(line), Some(0), "{line}");
        }
    }

    #[test]
    fn quoted_text_of_other_directives_says_nothing() {
        assert_eq!(max_age("extension=\"max-age=3600\", max-age=1"), Some(1));
        assert_eq!(max_age("max-age=\"1\", extension=\"x, max-age=3600\""), Some(1));
        assert_eq!(max_age("extension=\"x, no-store\""), None);
    }

    #[test]
    fn of_several_the_first_counts() {
        assert_eq!(max_age("max-age=1, max-age=1800"), Some(1));
        let mut directives = response("max-age=1800");
        directives.add(b"max-age=1");
        assert_eq!(directives.max_age, Some(1800));
    }

    #[test]
    fn qualified_forms_withhold_fields_and_nothing_else() {
        let line = "no-cache=\"a, B\", private=c, max-age=1";
        let directives = response(line);
        assert!(!directives.no_cache && !directives.private && directives.withholds_fields);
        for (field, withheld) in [("A", true), ("b", true), ("c", true), ("d", false)] {
            assert_eq!(ResponseDirectives::withholds(line.as_bytes(), field.as_bytes()), withheld, "{field}");
        }
    }

    #[test]
    fn a_qualified_form_that_is_no_list_of_names_counts_whole() {
        for line in ["no-cache=\"a b\"", "no-cache=\"\"", "no-cache=", "No-CaChE"] {
            assert!(response(line).no_cache, "{line}");
        }
        assert!(response("private=\"{}\"").private);
    }

    #[test]
    fn of_a_request() {
        let mut directives = RequestDirectives::default();
        directives.add(b"max-stale, min-fresh=5, max-age=x, nothing-to-see-here");
        let expected = RequestDirectives {
            max_stale: Some(MAX_SECONDS),
            min_fresh: Some(5),
            ..RequestDirectives::default()
        };
        assert_eq!(directives, expected);
    }

    /// Without quotes a line is what splitting says; only `max-age`, `no-store` and `private` are looked at.
    fn plainly(line: &str) -> ResponseDirectives {
        let mut said = ResponseDirectives::default();
        for part in line.split(',').map(str::trim) {
            let (name, argument) =
                part.split_once('=').map_or((part, None), |(name, text)| (name, Some(text)));
            let text =
                argument.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            match name.trim_end().to_ascii_lowercase().as_str() {
                "no-store" => said.no_store = true,
                "private" => {
                    let names = argument.filter(|_| name == name.trim_end()).unwrap_or_default().trim();
                    let qualified = !names.is_empty() && is_token(names.as_bytes());
                    said.private |= !qualified;
                    said.withholds_fields |= qualified;
                }
                "max-age" if said.max_age.is_none() => {
                    let seconds =
                        text.filter(|_| name == name.trim_end()).map_or(0, |text| text.parse().unwrap());
                    said.max_age = Some(seconds);
                }
                _ => {}
            }
        }
        said
    }

    #[test]
    fn lines_without_quotes_say_what_splitting_them_says() {
        const WORDS: [&str; 12] =
            ["max-age", "MAX-age", "no-store", "private", "x", "=", "=", ",", ",", " ", "7", "15"];
        for seed in 0..50_000 {
            let dice = &mut headgate_model::dice::Dice::new(seed);
            let line: String = (0..dice.below(12)).map(|_| WORDS[dice.below(12) as usize]).collect();
            if line.bytes().filter(u8::is_ascii_digit).count() > 8 {
                continue;
            }
            assert_eq!(response(&line), plainly(&line), "seed {seed}: {line}");
        }
    }
}
