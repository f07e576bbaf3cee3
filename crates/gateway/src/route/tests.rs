//! The table against the definition: whatever routes and requests the dice come up with, it chooses what
//! a search of all routes by `Pattern::matches` and `Pattern::precedence` chooses.

use super::*;
use headgate_model::dice::Dice;

type Pairs<'r> = &'r [(&'r str, &'r str)];

impl Fields for Pairs<'_> {
    fn value_of(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, value)| value.as_bytes())
    }
}

const NO_FIELDS: &Pairs<'static> = &(&[] as Pairs<'static>);

pub(super) fn rule(pattern: &str, index: usize) -> RouteRule {
    RouteRule {
        pattern: pattern.parse().unwrap_or_else(|error| panic!("{pattern}: {error}")),
        listeners: Vec::new(),
        methods: Vec::new(),
        headers: Vec::new(),
        query: Vec::new(),
        refuses: false,
        index,
    }
}

pub(super) fn ask<'r>(host: &'r str, path: &'r str) -> Ask<'r> {
    Ask {
        listener: 0,
        host: host.as_bytes(),
        path: path.as_bytes(),
        query: None,
        method: b"GET",
        fields: NO_FIELDS,
    }
}

fn table(patterns: &[&str]) -> Table {
    Table::new(patterns.iter().zip(0..).map(|(pattern, index)| rule(pattern, index))).unwrap()
}

fn found(table: &Table, ask: &Ask<'_>) -> Option<usize> {
    table.find(ask).map(|found| found.route)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn more_specific_first_and_back_to_less_specific() {
    let table = table(&[
        "/*",
        "*.example/*",
        "*.shop.example/a/*",
        "www.shop.example/a/b",
        "www.shop.example/{x}/c",
        "/api/{v}/users/me",
        "/api/v1/users/{id}",
        "/api/v1/*",
        "/api/v1/us*",
        "[2001:db8::1]/*",
    ]);
    for (host, path, route) in [
        ("www.shop.example", "/a/b", 3),
        ("www.shop.example", "/a/c", 4),
        ("www.shop.example", "/a/d", 2),
        ("www.shop.example", "/b/d", 1),
        ("WWW.Shop.Example.:443", "/a/b", 3),
        ("example", "/b", 0),
        ("", "/b", 0),
        ("other", "/api/v1/users/me", 6),
        ("other", "/api/v2/users/me", 5),
        ("other", "/api/v1/users/me/x", 8),
        ("other", "/api/v1/users/", 8),
        ("other", "/api/v1/x", 7),
        ("other", "/api/v1", 0),
        ("[2001:DB8:0::1]:8080", "/x", 9),
        ("2001:db8::1", "/x", 0),
    ] {
        assert_eq!(found(&table, &ask(host, path)), Some(route), "{host}{path}");
    }
    assert_eq!(found(&table, &ask("other", "*")), None, "OPTIONS * has no path");
    let long = format!("{}.example", "a".repeat(300));
    assert_eq!(found(&table, &ask(&long, "/x")), Some(0), "no name is that long");
}

#[test]
fn paths_are_compared_in_their_normal_form() {
    let table = table(&["/a", "/api/*", "/api*", "/%62/{x}"]);
    for (path, route) in [
        ("/a", Some(0)),
        ("/%61", Some(0)),
        ("/A", None),
        ("/a/", None),
        ("/api", Some(2)),
        ("/api/", Some(1)),
        ("/%61%70i/x/y", Some(1)),
        ("/apis", Some(2)),
        ("/api%2fx", Some(2)),
        ("/b/%2F", Some(3)),
    ] {
        assert_eq!(found(&table, &ask("h", path)), route, "{path}");
    }
}

#[test]
fn a_refusal_holds_for_every_reading_of_a_path() {
    let refusing = |pattern, index| RouteRule { refuses: true, ..rule(pattern, index) };
    let table = Table::new([
        refusing("/admin*", 0),
        rule("/admin/open/*", 1),
        rule("/*", 2),
        rule("/users/{id}", 3),
        refusing("s/*", 4),
        rule("s/users/{id}", 5),
        rule("s/x*", 6),
    ])
    .unwrap();
    for (host, path, route) in [
        ("h", "//admin", 0),
        ("h", "/%2Fadmin/x", 0),
        ("h", "/%61dmin", 0),
        ("h", "/\\admin", 0),
        ("h", "//admin%2fopen/x", 2),
        ("h", "/x//y", 2),
        ("h", "/users/a%2Fb", 3),
        // What refuses all the rest of a host is less specific than the route found.
        ("s", "/users/a%2Fb", 5),
        ("s", "/x%2Fb", 6),
    ] {
        let asked = ask(host, path);
        assert_eq!(found(&table, &asked), Some(route), "{host}{path}");
        let tried = table.explain(&asked);
        let chosen = tried.iter().find(|tried| tried.verdict == Verdict::Chosen).unwrap();
        assert_eq!(chosen.route, route, "{host}{path}");
    }
}

#[test]
fn captures_lie_where_the_path_has_them() {
    let table = table(&["/users/{user}/files/{file}/*", "/users/{user}", "/img*", "/a"]);
    let texts = |path: &'static str| {
        let captures = table.find(&ask("h", path)).unwrap().captures;
        let text = |part: &headgate_net::head::Part| &path[part.range()];
        (captures.as_slice().iter().map(text).collect::<Vec<_>>(), text(&captures.rest()))
    };
    assert_eq!(texts("/users/7/files/x.txt/y/z"), (vec!["7", "x.txt"], "y/z"));
    assert_eq!(texts("/users/7"), (vec!["7"], ""));
    assert_eq!(texts("/img/x.png"), (vec![], "/x.png"));
    assert_eq!(texts("/a"), (vec![], ""));
    assert_eq!(texts("/%75sers/%37/files/a%2fb/%79/z"), (vec!["%37", "a%2fb"], "%79/z"));
}

#[test]
fn conditions_pick_and_explain_says_why() {
    let table = Table::new([
        RouteRule { methods: vec!["GET".to_owned(), "HEAD".to_owned()], ..rule("/a", 0) },
        RouteRule { headers: pairs(&[("X-Tenant", "*"), ("X-Beta", "yes")]), ..rule("/a", 1) },
        RouteRule { query: pairs(&[("debug", "*")]), ..rule("/a", 2) },
        RouteRule { query: pairs(&[("debug", "1")]), ..rule("/a", 3) },
        RouteRule { listeners: vec![1, 3], ..rule("/a", 4) },
        rule("/*", 5),
    ])
    .unwrap();
    let post = Ask { method: b"POST", ..ask("h", "/a") };
    let both: Pairs<'_> = &[("x-tenant", "t"), ("x-beta", "yes"), ("x-beta", "no")];
    let (one, late): (Pairs<'_>, Pairs<'_>) =
        (&[("x-beta", "yes")], &[("x-tenant", ""), ("x-beta", "no"), ("x-beta", "yes")]);
    for (asked, route) in [
        (ask("h", "/a"), 0),
        (Ask { method: b"HEAD", ..post }, 0),
        (Ask { method: b"get", ..post }, 5),
        (post, 5),
        (Ask { fields: &both, ..post }, 1),
        (Ask { fields: &one, ..post }, 5),
        (Ask { fields: &late, ..post }, 5),
        (Ask { query: Some(b"debug"), ..post }, 2),
        (Ask { query: Some(b"x&debug=2"), ..post }, 2),
        (Ask { query: Some(b"debug=2&debug=1"), ..ask("h", "/a") }, 0),
        (Ask { query: Some(b"debug=1"), ..post }, 2),
        (Ask { query: Some(b"debugs=1"), ..post }, 5),
        (Ask { listener: 3, ..post }, 4),
        (Ask { listener: 2, ..post }, 5),
    ] {
        assert_eq!(found(&table, &asked), Some(route));
    }
    let tried: Vec<_> = table.explain(&post).iter().map(|tried| (tried.route, tried.verdict)).collect();
    assert_eq!(
        tried,
        [
            (1, Verdict::Header("x-tenant")),
            (0, Verdict::Method),
            (2, Verdict::Query("debug")),
            (3, Verdict::Query("debug")),
            (4, Verdict::Listener),
            (5, Verdict::Chosen),
        ]
    );
}

#[test]
fn refuses_patterns_beyond_its_limits() {
    let captures = |count: usize| (0..count).map(|name| format!("/{{c{name}}}")).collect::<String>();
    let table = Table::new([rule(&captures(MOST_CAPTURES), 0)]).ok();
    let path = "/1".repeat(MOST_CAPTURES);
    let found = table.and_then(|table| table.find(&ask("h", &path))).expect("sixteen fit");
    assert_eq!(found.captures.as_slice().len(), MOST_CAPTURES);

    let error = Table::new([rule("/", 0), rule(&captures(MOST_CAPTURES + 1), 1)]).err();
    assert!(error.unwrap().to_string().starts_with("[[route]] number 2: `/{c0}/{c1}"));
    assert!(Table::new([rule(&format!("{}/*", "/a".repeat(MOST_SEGMENTS)), 0)]).is_err());
    assert!(Table::new([rule(&"/a".repeat(1_000), 0)]).is_ok(), "an exact path has no depth");
}

#[test]
fn five_thousand_routes_fit_in_two_megabytes() {
    let rules = |kind: &str| -> Vec<RouteRule> {
        let own = |index| rule(&format!("tenant-{index}.shop.example/api/service-{index}/*"), index);
        let shared = |index| rule(&format!("/api/service-{index}/users/{{id}}"), index);
        let varied = |index| RouteRule { methods: vec!["GET".to_owned()], ..own(index) };
        (0..5_000).map(|index| if kind == "own" { varied(index) } else { shared(index) }).collect()
    };
    for kind in ["own", "shared"] {
        let table = Table::new(rules(kind)).unwrap();
        let bytes = table.hosts.heap_bytes()
            + table.sites.capacity() * size_of::<Site>()
            + table.exact.heap_bytes()
            + table.tree.heap_bytes()
            + table.rules.capacity() * size_of::<Rule>()
            + table.rules.iter().map(|rule| rule.conditions.heap_bytes()).sum::<usize>();
        assert!(bytes < 2 << 20, "{kind}: {bytes} bytes");
        let asked = ask("tenant-4321.shop.example", "/api/service-4321/users/7");
        assert_eq!(found(&table, &asked), Some(4321));
    }
}

/// What the documentation of `headgate_model::pattern` and of the route's settings says, for one route
/// at a time.
fn search(rules: &[RouteRule], host: &str, asked: &Ask<'_>) -> Option<Match> {
    let path = std::str::from_utf8(asked.path).unwrap();
    let parameters: Vec<(&str, &str)> = asked
        .query
        .map(|query| std::str::from_utf8(query).unwrap())
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let accepts = |wanted: &str, got: Option<&str>| got.is_some_and(|got| wanted == "*" || wanted == got);
    let meets = |rule: &&RouteRule| {
        let header = |(name, wanted): &(String, String)| {
            let got = asked.fields.value_of(name.to_lowercase().as_bytes());
            accepts(wanted, got.map(|got| std::str::from_utf8(got).unwrap()))
        };
        let query = |(name, wanted): &(String, String)| {
            let got = parameters.iter().find(|(known, _)| known == name);
            accepts(wanted, got.map(|(_, value)| *value))
        };
        rule.pattern.matches(host, path).is_some()
            && (rule.listeners.is_empty() || rule.listeners.contains(&asked.listener))
            && (rule.methods.is_empty() || rule.methods.iter().any(|name| name.as_bytes() == asked.method))
            && rule.headers.iter().all(header)
            && rule.query.iter().all(query)
    };
    let place = |rule: &&RouteRule| {
        let conditions = usize::from(!rule.methods.is_empty()) + rule.headers.len() + rule.query.len();
        rule.pattern.precedence(conditions, rule.index)
    };
    let best = rules.iter().filter(meets).min_by_key(place)?;
    let matched = best.pattern.matches(host, path)?;
    let part = |text: &str| {
        let start = text.as_ptr() as usize - path.as_ptr() as usize;
        headgate_net::head::Part::new(start..start + text.len())
    };
    let mut captures = Captures::default();
    matched.named.iter().for_each(|(_, text)| captures.push(part(text)));
    if matches!(best.pattern.path, PathPattern::Prefix(_)) {
        captures.set_rest(part(matched.rest));
    }
    Some(Match { route: best.index, captures })
}

fn one_of<'a>(dice: &mut Dice, list: &[&'a str]) -> &'a str {
    list[dice.below(list.len() as u64) as usize]
}

fn random_rule(dice: &mut Dice, index: usize) -> RouteRule {
    let host = one_of(dice, &["", "", "a", "b.a", "*.a", "*.b.a", "c.b.a", "[::1]", "10.0.0.1"]);
    let mut path = String::new();
    for name in 0..dice.below(4) + 1 {
        match dice.below(6) {
            0 | 1 => path.push_str(&format!("/{{n{name}}}")),
            _ => path.push_str(one_of(dice, &["/x", "/x", "/y", "/xy", "/"])),
        }
    }
    let end = if path.ends_with('}') { ["", "", "/*", "/x*"] } else { ["", "", "*", "/*"] };
    path.push_str(one_of(dice, &end));
    let mut some = |sides: u64, list: &[&str]| -> Vec<String> {
        let count = if dice.below(sides) == 0 { dice.below(3) } else { 0 };
        let mut chosen: Vec<_> = (0..count).map(|_| one_of(dice, list).to_owned()).collect();
        chosen.dedup();
        chosen
    };
    let (methods, names, keys) = (some(3, &["GET", "POST"]), some(3, &["X-A", "x-b"]), some(3, &["p", "q"]));
    let listeners = some(4, &["0", "1"]).iter().map(|text| text.parse().unwrap()).collect();
    let mut valued = |names: Vec<String>| -> Vec<(String, String)> {
        names.into_iter().map(|name| (name, one_of(dice, &["*", "1", ""]).to_owned())).collect()
    };
    let (headers, query) = (valued(names), valued(keys));
    RouteRule { listeners, methods, headers, query, ..rule(&format!("{host}{path}"), index) }
}

#[test]
fn chooses_what_a_search_of_all_routes_chooses() {
    let mut matched = 0;
    for seed in 0..2_000 {
        let mut dice = Dice::new(seed);
        let count = 1 + dice.below(40) as usize;
        let rules: Vec<RouteRule> = (0..count).map(|index| random_rule(&mut dice, index)).collect();
        let table = Table::new(rules.clone()).unwrap();
        for _ in 0..25 {
            let dice = &mut dice;
            let host = one_of(dice, &["a", "b.a", "c.b.a", "d.c.b.a", ".a", "z", "", "[::1]", "10.0.0.1"]);
            let sent = match dice.below(4) {
                0 if !host.is_empty() => format!("{}:8080", host.to_uppercase()),
                1 if host.ends_with('a') => format!("{host}."),
                2 if host == "[::1]" => "[0:0::0:1]".to_owned(),
                _ => host.to_owned(),
            };
            let path: String = match dice.below(20) {
                0 => "*".to_owned(),
                _ => (0..dice.below(5) + 1).map(|_| one_of(dice, &["/x", "/x", "/y", "/xy", "/"])).collect(),
            };
            let query: String = (0..dice.below(4))
                .map(|_| one_of(dice, &["p", "p=1&", "&q=1", "q=&", "p=2", "pq=1"]))
                .collect();
            let fields: Vec<(&str, &str)> = (0..dice.below(3))
                .map(|_| (one_of(dice, &["x-a", "x-b"]), one_of(dice, &["1", "", "2"])))
                .collect();
            let fields: Pairs<'_> = &fields;
            let asked = Ask {
                listener: dice.below(3) as u32,
                host: sent.as_bytes(),
                path: path.as_bytes(),
                query: (dice.below(2) == 0).then_some(query.as_bytes()),
                method: one_of(dice, &["GET", "POST", "PUT"]).as_bytes(),
                fields: &fields,
            };
            let (got, expected) = (table.find(&asked), search(&rules, host, &asked));
            assert_eq!(got, expected, "seed {seed}: {sent}{path}");
            matched += usize::from(got.is_some());

            let tried = table.explain(&asked);
            let chosen = tried.iter().filter(|tried| tried.verdict == Verdict::Chosen);
            let chosen: Vec<usize> = chosen.map(|tried| tried.route).collect();
            assert_eq!(chosen, got.map(|got| got.route).into_iter().collect::<Vec<_>>(), "seed {seed}");
        }
    }
    assert!((10_000..45_000).contains(&matched), "the requests are worth asking: {matched} of 50000 match");
}

#[test]
fn the_methods_that_a_path_has() {
    let with = |pattern: &str, index, methods: &[&str]| RouteRule {
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        ..rule(pattern, index)
    };
    let other_listener = RouteRule { listeners: vec![7], ..with("/a", 2, &["PATCH"]) };
    let with_header = RouteRule { headers: pairs(&[("x", "1")]), ..with("/a", 3, &["DELETE"]) };
    let table = Table::new([
        with("/a", 0, &["POST", "PUT"]),
        with("/{any}", 1, &["PUT", "BREW"]),
        other_listener,
        with_header,
        with("/b", 4, &[]),
    ])
    .unwrap();
    assert_eq!(table.allowed(&ask("", "/a")), [&b"BREW"[..], b"POST", b"PUT"]);
    let fields: Pairs<'_> = &[("x", "1")];
    assert_eq!(
        table.allowed(&Ask { fields: &fields, ..ask("", "/a") }),
        [&b"BREW"[..], b"DELETE", b"POST", b"PUT"]
    );
    assert!(table.allowed(&ask("", "/a/b")).is_empty());
    assert!(table.allowed(&Ask { path: b"*", ..ask("", "") }).is_empty());
}
