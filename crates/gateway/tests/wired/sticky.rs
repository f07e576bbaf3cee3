//! Sticky sessions: the cookie leads back to its endpoint and nobody else can write one.

use crate::gateway::Gateway;
use crate::peers::{Response, Upstream, get, send};

struct Shop {
    upstreams: [Upstream; 3],
}

impl Shop {
    fn new() -> Self {
        Self { upstreams: [Upstream::fixed(200, "0"), Upstream::fixed(200, "1"), Upstream::fixed(200, "2")] }
    }

    /// The configuration with the endpoints of these indices and weights.
    fn config(&self, endpoints: &[(usize, u16)]) -> String {
        let endpoint = |&(index, weight): &(usize, u16)| {
            format!("{{ address = \"{}\", weight = {weight} }}", self.upstreams[index].address)
        };
        let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
        format!(
            "[[route]]\nmatch = \"/*\"\nservice = \"shop\"\n[service.shop]\nendpoints = [{}]\n\
             sticky = {{ secret = \"0123456789abcdef\", ttl = \"1h\" }}\n",
            endpoints.join(", ")
        )
    }
}

/// The `name=value` that a response sets.
fn cookie(response: &Response) -> String {
    let [cookie] = response.values("set-cookie")[..] else { panic!("{response:?}") };
    cookie.split(';').next().unwrap().to_owned()
}

fn get_with(gateway: &Gateway, cookie: &str) -> Response {
    send(gateway.address, "GET", "/", &format!("cookie: a=b; {cookie}\r\n"))
}

const EQUAL: &[(usize, u16)] = &[(0, 1), (1, 1), (2, 1)];

#[test]
fn a_client_stays_where_it_is_as_long_as_that_is_there() {
    let shop = Shop::new();
    let gateway = Gateway::start(&shop.config(EQUAL));
    let first = get(gateway.address, "/");
    let [set] = first.values("set-cookie")[..] else { panic!("{first:?}") };
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"), "{set}");
    let home: usize = first.body.parse().unwrap();
    assert!(!set.contains(&shop.upstreams[home].address.port().to_string()), "{set}");
    let cookie = cookie(&first);
    for _ in 0..6 {
        let again = get_with(&gateway, &cookie);
        assert_eq!(again.body, first.body);
        assert!(again.values("set-cookie").is_empty(), "{again:?}");
    }

    let heavier: Vec<_> =
        EQUAL.iter().map(|&(index, _)| (index, if index == home { 1 } else { 9 })).collect();
    gateway.reload(&shop.config(&heavier));
    assert_eq!(get_with(&gateway, &cookie).body, first.body);

    let others: Vec<_> = EQUAL.iter().copied().filter(|&(index, _)| index != home).collect();
    gateway.reload(&shop.config(&others));
    let moved = get_with(&gateway, &cookie);
    assert_ne!(moved.body, first.body);
    assert_eq!(get_with(&gateway, &self::cookie(&moved)).body, moved.body);
}

#[test]
fn a_cookie_that_was_tampered_with_is_replaced() {
    let shop = Shop::new();
    let gateway = Gateway::start(&shop.config(EQUAL));
    let good = cookie(&get(gateway.address, "/"));
    let last = good.chars().last().unwrap();
    let forged = format!("{}{}", &good[..good.len() - 1], if last == '0' { '1' } else { '0' });
    for bad in [forged.as_str(), "headgate_sticky=", "headgate_sticky=x.y.z"] {
        assert_ne!(cookie(&get_with(&gateway, bad)), bad);
    }
}

#[test]
fn an_endpoint_that_is_ejected_is_left_and_the_cookie_follows() {
    let shop = Shop::new();
    let gateway = Gateway::start(&shop.config(EQUAL));
    let first = get(gateway.address, "/");
    let home: usize = first.body.parse().unwrap();
    gateway.eject("shop", home);
    let moved = get_with(&gateway, &cookie(&first));
    assert_ne!(moved.body, first.body);
    assert_ne!(cookie(&moved), cookie(&first));
}
