//! Templates of redirects and rewrites filled in from a request. Names are resolved once, when the
//! configuration is compiled; whether a template makes sense is checked in `headgate_model`.

use super::{Ask, Captures, host};
use headgate_model::pattern::PathPattern;
use headgate_model::template::Template;

/// A template whose placeholders are resolved for the routes of one pattern.
#[derive(Clone, Debug)]
pub struct Expansion {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<[u8]>),
    Host,
    Path,
    Query,
    Rest,
    /// By its place in the pattern.
    Capture(usize),
}

impl Expansion {
    /// Resolves the placeholders of `template`; an unknown one stands for nothing.
    #[must_use]
    pub fn new(template: &Template, path: &PathPattern) -> Self {
        let piece = |name: &str| match name {
            "host" => Some(Piece::Host),
            "path" => Some(Piece::Path),
            "query" => Some(Piece::Query),
            "rest" => Some(Piece::Rest),
            _ => path.captures().position(|capture| capture == name).map(Piece::Capture),
        };
        // Literal text has no braces, so that `{}` stands out as the place of each placeholder.
        let mut places = String::new();
        template.fill(&mut places, |_| Some("{}"));
        let mut names = template.placeholders();
        let mut pieces = Vec::new();
        for text in places.split("{}") {
            if !text.is_empty() {
                pieces.push(Piece::Text(text.as_bytes().into()));
            }
            pieces.extend(names.next().and_then(piece));
        }
        Self { pieces: pieces.into() }
    }

    /// Appends the text to `out`, filled in from the request:
    ///
    /// - `{host}` in lower case, without port; `{path}`; `{query}` without `?`; `{rest}` and captures as
    ///   they came. A `?` right before an empty `{query}` goes with it.
    /// - Control bytes and blanks are left out, wherever they come from: nothing can end the line that the
    ///   text becomes part of.
    /// - A text that begins with one slash has one slash in the end: `/{rest}` filled in with `/b.example`
    ///   would send the client to another host (`//b.example`, RFC 3986 section 4.2; browsers read `\` as
    ///   `/`).
    ///
    /// A rewritten path can have dot segments that the client's path had not (`/a*` to `/{rest}` from
    /// `/a..`): it has to pass the same check as the client's.
    pub fn expand(&self, ask: &Ask<'_>, captures: &Captures, out: &mut Vec<u8>) {
        let start = out.len();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => append(out, text),
                Piece::Host => {
                    let from = out.len();
                    append(out, host::without_port(ask.host));
                    out[from..].make_ascii_lowercase();
                }
                Piece::Path => append(out, ask.path),
                Piece::Query => match ask.query {
                    None | Some([]) if out[start..].ends_with(b"?") => out.truncate(out.len() - 1),
                    query => append(out, query.unwrap_or_default()),
                },
                Piece::Rest => append(out, captures.rest().of(ask.path)),
                Piece::Capture(place) => {
                    let part = captures.as_slice().get(*place).copied().unwrap_or_default();
                    append(out, part.of(ask.path));
                }
            }
        }
        if self.begins_with_one_slash() {
            let slashes = out[start..].iter().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
            if slashes > 1 {
                out.drain(start + 1..start + slashes);
            }
        }
    }

    fn begins_with_one_slash(&self) -> bool {
        match self.pieces.first() {
            Some(Piece::Path) => true,
            Some(Piece::Text(text)) => text.starts_with(b"/") && !text.starts_with(b"//"),
            _ => false,
        }
    }
}

fn append(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().copied().filter(|&byte| byte > b' ' && byte != 0x7f));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ask, rule};
    use super::super::{Ask, Table};
    use super::*;
    use headgate_model::pattern::Pattern;

    fn expanded(pattern: &str, template: &str, asked: &Ask<'_>) -> String {
        let pattern: Pattern = pattern.parse().unwrap();
        let table = Table::new([rule(&pattern.to_string(), 0)]).unwrap();
        let found = table.find(asked).expect("the pattern matches");
        let mut out = b"Location: ".to_vec();
        Expansion::new(&template.parse().unwrap(), &pattern.path).expand(asked, &found.captures, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("Location: ").expect("only appends").to_owned()
    }

    #[test]
    fn fills_in_what_the_request_has() {
        let shop = |path, query| Ask { query, ..ask("Shop.example:8080", path) };
        for (pattern, template, path, query, expected) in [
            ("/*", "https://{host}{path}?{query}", "/a/b", Some("x=1&y"), "https://shop.example/a/b?x=1&y"),
            ("/*", "https://{host}{path}?{query}", "/a/b", None, "https://shop.example/a/b"),
            ("/*", "https://{host}{path}?{query}", "/a/b", Some(""), "https://shop.example/a/b"),
            ("/*", "/search?q=1&{query}", "/a", Some("b"), "/search?q=1&b"),
            ("/u/{id}/{x}/*", "/v/{x}{id}-{rest}", "/u/7/8/y/z", None, "/v/87-y/z"),
            ("/img*", "/pictures{rest}", "/img/1.png", None, "/pictures/1.png"),
            ("/{a}/{b}", "{b}{a}{b}", "/1/2", None, "212"),
            ("/a", "/fixed", "/a", Some("q"), "/fixed"),
            ("/a", "x{unknown}y", "/a", None, "xy"),
            ("/a", "", "/a", None, ""),
        ] {
            let asked = shop(path, query.map(str::as_bytes));
            assert_eq!(expanded(pattern, template, &asked), expected, "{template} for {path}");
        }
    }

    #[test]
    fn a_path_never_becomes_another_host() {
        for (pattern, template, path) in [
            ("/old/*", "/{rest}", "/old//evil.example"),
            ("/old/*", "/{rest}", "/old///evil.example"),
            ("/old/*", "/{rest}", "/old/\\evil.example"),
            ("/old/*", "/{rest}", "/old/\r\n/evil.example"),
            ("/*", "{path}", "//evil.example"),
        ] {
            assert_eq!(expanded(pattern, template, &ask("a", path)), "/evil.example", "{path:?}");
        }
        assert_eq!(expanded("/*", "//cdn.example/{rest}", &ask("a", "/x")), "//cdn.example/x", "as written");
    }

    #[test]
    fn nothing_ends_the_line() {
        let asked = Ask { query: Some(b"q\r\nA: b\0\x7f\tc"), ..ask("h\r\nx", "/a\r\nSet-Cookie: b\nc") };
        let text = expanded("/*", "https://{host}/{rest}?{query}", &asked);
        assert_eq!(text, "https://hx/aSet-Cookie:bc?qA:bc");
    }
}
