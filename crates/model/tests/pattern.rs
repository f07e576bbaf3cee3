//! Route patterns: what they match, what they refuse, and that their order is total and sensible.

use headgate_model::dice::Dice;
use headgate_model::pattern::{Pattern, Precedence};

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn matches_what_the_documentation_says() {
    for (text, host, path, expected) in [
        ("/*", "any.example", "/", true),
        ("/*", "any.example", "/a/b", true),
        ("/api/*", "a", "/api/", true),
        ("/api/*", "a", "/api/x/y", true),
        ("/api/*", "a", "/api", false),
        ("/api*", "a", "/apis", true),
        ("/about", "a", "/about", true),
        ("/about", "a", "/about/", false),
        ("Shop.Example/*", "shop.example", "/", true),
        ("shop.example/*", "www.shop.example", "/", false),
        ("*.shop.example/*", "www.shop.example", "/", true),
        ("*.shop.example/*", "a.b.shop.example", "/", true),
        ("*.shop.example/*", "shop.example", "/", false),
        ("*.shop.example/*", ".shop.example", "/", false),
        ("[2001:DB8::1]/*", "[2001:db8::1]", "/", true),
        ("/users/{id}/orders", "a", "/users/7/orders", true),
        ("/users/{id}/orders", "a", "/users//orders", false),
        ("/users/{id}/orders", "a", "/users/7/8/orders", false),
        ("/users/{id}", "a", "/users/7/", false),
        ("/users/{id}/*", "a", "/users/7/x", true),
        ("/users/{id}/*", "a", "/users/7", false),
    ] {
        assert_eq!(pattern(text).matches(host, path).is_some(), expected, "{text} on {host}{path}");
    }
}

#[test]
fn captures_are_slices_of_the_path() {
    let pattern = pattern("/users/{user}/files/{file}/*");
    let captures = pattern.matches("a", "/users/7/files/x.txt/y/z").unwrap();
    assert_eq!(captures.get("user"), Some("7"));
    assert_eq!(captures.get("file"), Some("x.txt"));
    assert_eq!(captures.get("rest"), Some("y/z"));
    assert_eq!(captures.get("other"), None);
}

#[test]
fn order_is_the_documented_one() {
    let in_order = [
        "shop.example/about",
        "shop.example/{page}",
        "shop.example/*",
        "*.eu.shop.example/*",
        "*.shop.example/about",
        "*.shop.example/*",
        "/api/users/me",
        "/api/users/{id}",
        "/api/{kind}/{id}",
        "/api/users/me/*",
        "/api/users/m*",
        "/api/users/{id}/*",
        "/api/users/*",
        "/api/{kind}/*",
        "/api/*",
        "/ap*",
        "/{any}/*",
        "/*",
    ];
    // The file order is reversed, so that it cannot be what decides.
    let ranks: Vec<Precedence> = in_order
        .iter()
        .enumerate()
        .map(|(at, text)| pattern(text).precedence(0, in_order.len() - at))
        .collect();
    for pair in 0..ranks.len() - 1 {
        assert!(ranks[pair] < ranks[pair + 1], "{} before {}", in_order[pair], in_order[pair + 1]);
    }
    let same = pattern("/a");
    assert!(same.precedence(2, 9) < same.precedence(1, 0), "more conditions first");
    assert!(same.precedence(1, 0) < same.precedence(1, 1), "then the order of the file");
}

#[test]
fn of_two_prefixes_that_match_the_longer_is_tried_first() {
    let mut dice = Dice::new(3);
    for _ in 0..5_000 {
        let mut text = |longest: u64| -> String {
            (0..dice.below(longest) + 1).map(|_| ["a", "b", "/"][dice.below(3) as usize]).collect()
        };
        let (long, extra) = (format!("/{}", text(6)), text(4));
        let (shorter, longer) = (pattern(&format!("{long}*")), pattern(&format!("{long}{extra}*")));
        assert!(longer.precedence(0, 1) < shorter.precedence(0, 0), "{longer} before {shorter}");
    }
}

#[test]
fn refuses_with_a_reason() {
    for (text, part) in [
        ("", "missing"),
        ("shop.example", "shop.example/*"),
        ("shop.example:8080/", "port"),
        ("*/x", "path alone"),
        ("a.*.b/", "DNS name"),
        ("shop..example/", "DNS name"),
        ("/a b", "blanks"),
        ("/a/*/b", "`*` stands at the end"),
        ("/v{n}", "whole segment"),
        ("/{a}/{a}", "same name"),
        ("/{rest}", "`rest`"),
        ("/{a}*", "whole segment"),
        ("/a/../b", "`..`"),
        ("/a?b=1", "`?`"),
        ("/%zz", "hexadecimal"),
    ] {
        let error = text.parse::<Pattern>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn any_text_is_refused_or_reads_back_the_same() {
    let mut dice = Dice::new(11);
    let pieces =
        ["/", "a", "b.c", "{", "}", "id", "*", "*.", "%", "20", "[", "::1", "]", ".", "ü", " ", "?", ":80"];
    for _ in 0..50_000 {
        let text: String =
            (0..dice.below(9)).map(|_| pieces[dice.below(pieces.len() as u64) as usize]).collect();
        if let Ok(parsed) = text.parse::<Pattern>() {
            assert_eq!(parsed.to_string().parse::<Pattern>().as_ref(), Ok(&parsed), "{text}");
        }
    }
}
