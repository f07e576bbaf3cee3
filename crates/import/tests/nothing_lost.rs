//! A directive that cannot be translated is listed, wherever it stands: with its line, or with the line of
//! a block that is listed as a whole.

use headgate_import::{Import, Kind, caddy, haproxy, nginx};
use proptest::prelude::*;

type Translate = fn(&str, &str) -> Import;

const NGINX: &str = include_str!("golden/nginx/site.in");
const HAPROXY: &str = include_str!("golden/haproxy/site.in");
const CADDY: &str = include_str!("golden/caddy/site.in");

/// Of each format: the sample, its translation, and directives that have no counterpart.
const FORMATS: [(&str, Translate, [&str; 4]); 3] = [
    ("nginx", nginx, ["zz_unknown a b;", "mirror /copy;", "limit_rate 10k;", "zz_block { inner 1; }"]),
    ("haproxy", haproxy, ["zz-unknown a b", "filter compression", "acl zz zz_fetch 1", "monitor-uri /up"]),
    ("caddy", caddy, ["zz_unknown a b", "templates", "zz_other a b c d", "tracing"]),
];

/// The lines behind which a directive can stand: those that end a directive, or begin a block.
fn places(format: &str, text: &str) -> Vec<usize> {
    let ends = |line: &str| match format {
        "nginx" => line.ends_with([';', '{', '}']),
        "caddy" => line.ends_with('{') || line.ends_with('}') && line.trim() == "}" || line.starts_with('\t'),
        _ => !line.is_empty(),
    };
    // Behind Caddy's first block of options only a site may follow at the top.
    let inside = |at: usize| format != "caddy" || depth(text, at) > 0;
    let lines: Vec<&str> = text.lines().collect();
    (1..lines.len()).filter(|&at| ends(lines[at - 1]) && inside(at)).collect()
}

fn depth(text: &str, lines: usize) -> usize {
    let before = text.lines().take(lines);
    before.fold(0, |depth, line| depth + usize::from(line.ends_with('{')) - usize::from(line.trim() == "}"))
}

/// The lines, from 1, of the blocks around a line.
fn around(text: &str, line: usize) -> Vec<usize> {
    let mut open = Vec::new();
    for (at, text) in text.lines().take(line - 1).enumerate() {
        if text.ends_with('{') {
            open.push(at + 1);
        } else if text.trim() == "}" {
            open.pop();
        } else if !text.starts_with([' ', '\t', '#']) && !text.trim().is_empty() && !text.contains([';', '{'])
        {
            open = vec![at + 1];
        }
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_unknown_is_listed(format in 0..3usize, place in any::<prop::sample::Index>(), which in 0..4usize) {
        let (name, translate, directives) = FORMATS[format];
        let sample = [NGINX, HAPROXY, CADDY][format];
        let places = places(name, sample);
        let at = places[place.index(places.len())];
        let mut lines: Vec<&str> = sample.lines().collect();
        lines.insert(at, directives[which]);
        let text = lines.join("\n") + "\n";
        let import = translate(&text, "sample");
        let line = at + 1;
        let own = import.notes.iter().any(|note| note.line == line && note.kind != Kind::Approximated);
        let whole = import.notes.iter().any(|note| {
            around(&text, line).contains(&note.line) && (note.text.contains("the whole") || note.text.contains("this whole"))
        });
        prop_assert!(own || whole, "{}: line {} of\n{}\n{:#?}", name, line, text, import.notes);
        let env = |name: &str| Some(format!("${{{name}}}"));
        prop_assert!(headgate_model::load(&import.toml, "headgate.toml", &env).is_ok());
    }
}

/// A rule on access that is inserted anywhere is listed and never opens a route; where it holds, it closes
/// some.
#[test]
fn access_rules_are_listed_apart_wherever_they_stand() {
    let rules: [(&str, Translate, &str); 3] = [
        (NGINX, nginx, "auth_request /auth;"),
        (HAPROXY, haproxy, "http-request deny if { src 10.0.0.0/8 }"),
        (CADDY, caddy, "forward_auth * auth:80"),
    ];
    for ((sample, translate, rule), name) in rules.into_iter().zip(["nginx", "haproxy", "caddy"]) {
        let services =
            |import: &Import| import.config.routes.iter().filter(|route| route.service.is_some()).count();
        let before = services(&translate(sample, "sample"));
        let mut closed = 0;
        for at in places(name, sample) {
            let mut lines: Vec<&str> = sample.lines().collect();
            lines.insert(at, rule);
            let text = lines.join("\n") + "\n";
            let import = translate(&text, "sample");
            let listed = import.notes.iter().any(|note| {
                note.line == at + 1
                    || around(&text, at + 1).contains(&note.line) && note.text.contains("whole")
            });
            assert!(listed, "{name}: line {}\n{text}\n{:#?}", at + 1, import.notes);
            let guards =
                import.notes.iter().any(|note| note.line == at + 1 && note.kind == Kind::ClosesAccess);
            assert!(services(&import) <= before, "{name}: line {}", at + 1);
            closed += usize::from(guards && services(&import) < before);
        }
        assert!(closed > 3, "{name}: {closed}");
    }
}
