//! The workload as its users see it: what a file says is what comes out, and mistakes are named.

use super::{Load, SpecError, Workload, WorkloadSpec, no_files};

fn workload(text: &str, seed: u64) -> Result<Workload, String> {
    let spec: WorkloadSpec = toml::from_str(text).map_err(|error| error.to_string())?;
    Workload::new(&spec, seed, &mut no_files()).map_err(|error: SpecError| error.to_string())
}

const SHOP: &str = "
    [closed]
    think = { lognormal = { mean = \"2s\", cv = 0.5 } }
    phases = [
        { name = \"warm-up\", lasts = \"10s\", from = 0, level = 20, measured = false },
        { name = \"steady\", lasts = \"1m\", level = 20 },
    ]
    [keys.zipf]
    keys = 1000
    [steps.home]
    next = { item = 0.7 }
    [steps.item]
    path = \"/item/{key}?for={tenant}\"
    weight = 0
    next = { item = 0.5, cart = 0.2, home = 0.1 }
    response = { pareto = { shape = 1.2, min = \"1KiB\", max = \"1MiB\" } }
    [steps.cart]
    path = \"/cart\"
    weight = 0
    writes = 1.0
    request = { constant = \"300B\" }
    think = { constant = \"5s\" }
    [tenants.big]
    weight = 3
    [tenants.small]
";

/// Steps from `home` until the session ends, in expectation: home h = 1 + 0.1 i, item i = 0.7 h + 0.5 i,
/// cart = 0.2 i.
#[test]
fn sessions_walk_the_chain() {
    let shop = workload(SHOP, 1).unwrap();
    let mut user = shop.user(3);
    let names: Vec<&str> = shop.journey().steps().iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["cart", "home", "item"]);
    let (mut counts, mut sessions, mut last) = ([0u32; 3], 0u32, None);
    for _ in 0..100_000 {
        let request = user.request(0);
        assert_eq!(request.write, request.step == 0, "only the cart writes");
        assert_eq!(request.request_bytes, if request.write { 300 } else { 0 });
        if last != Some(request.session) {
            assert_eq!(request.step, 1, "a session begins at home");
            sessions += 1;
        }
        last = Some(request.session);
        counts[usize::from(request.step)] += 1;
        let next = user.answered();
        if request.step == 0 {
            assert_eq!((next.think_ns, next.same_session), (5_000_000_000, false));
        }
    }
    let (home, item) = (1.0 / 0.86, 1.4 / 0.86);
    for (count, expected) in counts.into_iter().zip([0.2 * item, home, item]) {
        let per_session = f64::from(count) / f64::from(sessions);
        assert!((per_session / expected - 1.0).abs() < 0.03, "{per_session} instead of {expected}");
    }
}

#[test]
fn users_come_by_the_ramp_and_differ() {
    let shop = workload(SHOP, 1).unwrap();
    let Load::Closed(closed) = shop.load() else { panic!("closed") };
    assert_eq!(closed.users(), 20);
    let second = closed.next_turn(10, 0).unwrap() / 1_000_000_000;
    assert_eq!(second, 5, "half of the ramp");
    let first_keys = |user| {
        let mut user = shop.user(user);
        (0..20).map(|_| user.request(0).key).collect::<Vec<_>>()
    };
    assert_eq!(first_keys(1), first_keys(1));
    assert_ne!(first_keys(1), first_keys(2));
    let big = (0..4_000).filter(|&user| shop.user(user).request(0).tenant == 0).count();
    assert!((2_850..3_150).contains(&big), "three of four users belong to the big tenant: {big}");
}

/// Another size distribution must leave steps, keys and times as they were.
#[test]
fn aspects_have_dice_of_their_own() {
    let walk = |text: &str| {
        let workload = workload(text, 9).unwrap();
        let mut user = workload.user(0);
        let step = |_| {
            let request = user.request(0);
            (request.step, request.key, user.answered().think_ns)
        };
        (0..500).map(step).collect::<Vec<_>>()
    };
    let constant =
        SHOP.replace("pareto = { shape = 1.2, min = \"1KiB\", max = \"1MiB\" }", "constant = \"9B\"");
    assert_ne!(constant, SHOP);
    assert_eq!(walk(SHOP), walk(&constant));
}

#[test]
fn singles_are_drawn_by_weight_and_repeat_from_the_seed() {
    let text = "open = { phases = [{ lasts = \"100s\", level = 200 }] }
        [steps.read]
        weight = 9
        [steps.write]
        writes = 0.5";
    let all: Vec<_> = workload(text, 4).unwrap().singles().collect();
    assert!((19_300..20_700).contains(&all.len()), "{}", all.len());
    assert!(all.is_sorted_by_key(|(at_ns, _)| *at_ns));
    assert!(all.iter().enumerate().all(|(index, (_, request))| request.session == index as u64));
    let writes = all.iter().filter(|(_, request)| request.write).count() as f64 / all.len() as f64;
    assert!((writes - 0.05).abs() < 0.01, "{writes}");
    assert!(workload(text, 4).unwrap().singles().eq(all.iter().copied()));
    assert!(!workload(text, 5).unwrap().singles().eq(all));
    assert_eq!(workload(text, 4).unwrap().session_starts().count(), 0);
    assert_eq!(workload(SHOP, 4).unwrap().singles().count(), 0);
}

#[test]
fn sessions_arrive_in_the_partly_open_model() {
    let text = "open = { arrive = \"sessions\", phases = [{ lasts = \"50s\", level = 10 }] }
        [steps.a]
        next = { a = 0.5 }";
    let workload = workload(text, 2).unwrap();
    let starts: Vec<u64> = workload.session_starts().collect();
    assert!((400..600).contains(&starts.len()), "{}", starts.len());
    let length = |session| {
        let mut visitor = workload.session(session);
        (1..).find(|_| !(visitor.request(0).session == session && visitor.answered().same_session)).unwrap()
    };
    let mean = f64::from((0..4_000).map(length).sum::<u32>()) / 4_000.0;
    assert!((mean - 2.0).abs() < 0.1, "{mean}");
}

#[test]
fn mistakes_are_named_by_path_with_their_remedy() {
    let open = "open = { phases = [{ lasts = \"1s\", level = 1 }] }\n";
    for (text, expected) in [
        (String::new(), "open, closed: both are there, or neither; write either [open]"),
        (
            "closed = { phases = [{ lasts = \"1s\", level = -5 }] }".to_owned(),
            "closed.phases[0].level: is -5; ",
        ),
        (
            format!("{open}[steps.a]\nnext = {{ b = 0.5 }}"),
            "steps.a.next.b: is not a step; name one of the steps",
        ),
        (
            format!("{open}[steps.a]\nnext = {{ a = 0.7, b = 0.7 }}\n[steps.b]"),
            "steps.a.next: sums up to 1.4; ",
        ),
        (
            format!("{open}[steps.a]\nweight = 0"),
            "steps.a.weight: makes a sum of 0; write a weight above zero",
        ),
        (format!("{open}[steps.a]\npath = \"a b\""), "steps.a.path: is no path; "),
        (format!("{open}[steps.a]\nwrites = 2.0"), "steps.a.writes: is 2; write a share from 0 to 1"),
        (format!("{open}[tenants.t]\nweight = -1"), "tenants.t.weight: is -1; write a weight of 0 or more"),
        (format!("{open}keys = {{ uniform = {{ keys = 0 }} }}"), "keys.uniform.keys: is 0; "),
        (
            format!("{open}[steps.a.response.lognormal]\nmean = \"1KiB\"\ncv = -1"),
            "steps.a.response.lognormal.cv: is -1; ",
        ),
    ] {
        let error = workload(&text, 1).unwrap_err();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    for text in ["[closed]\nuser = 5", "opened = {}", "[steps.a]\npaths = \"/\""] {
        assert!(workload(text, 1).unwrap_err().contains("unknown field"), "{text}");
    }
}
