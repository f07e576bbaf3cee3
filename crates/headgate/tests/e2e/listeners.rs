//! Where Headgate can listen and where it can connect to.

use crate::support::{Headgate, LISTEN, Origin, Service, Wire, one_service, scratch};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

#[test]
fn a_unix_socket_is_a_listener_and_an_endpoint() {
    let scratch = scratch();
    let (front, back) = (scratch.file("front"), scratch.file("back"));
    let origin = Origin::start_unix(&back);
    let gateway = Headgate::start(&format!(
        "[listen.web]
         bind = \"{LISTEN}\"
         [listen.local]
         bind = \"unix:{}\"
         [service.app]
         endpoints = [\"unix:{}\"]
         [[route]]
         match = \"/*\"
         service = \"app\"\n",
        front.display(),
        back.display()
    ));
    for (mut client, address) in [(Wire::connect_unix(&front), None), (gateway.connect(), Some("127.0.0.1"))]
    {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut upstream = origin.accept();
        let head = upstream.head();
        assert_eq!(head.value("host"), Some("a.test"));
        // The peer of a Unix socket has no address.
        assert_eq!(head.value("x-forwarded-for"), address);
        upstream.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
    }
}

#[test]
fn ipv6_is_a_listener_and_an_endpoint() {
    let Ok(origin) = Origin::start_on((Ipv6Addr::LOCALHOST, 0).into()) else {
        eprintln!("skipped: this machine has no IPv6 loopback address");
        return;
    };
    let gateway = Headgate::start(&one_service("", "", &[origin.address]).replace(LISTEN, "[::1]:0"));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n");
    let mut upstream = origin.accept();
    let head = upstream.head();
    assert_eq!(head.value("host"), Some("[::1]:80"));
    assert_eq!(head.value("x-forwarded-for"), Some("::1"));
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn a_port_alone_takes_both_families() {
    let service = Service::named("app");
    let gateway = Headgate::start(&one_service("", "", &[service.address]).replace(LISTEN, ":0"));
    let port = gateway.listener("web").port();
    assert_eq!(Wire::connect((Ipv4Addr::LOCALHOST, port).into()).get("/").status(), 200);
    if gateway.listener("web").is_ipv6() {
        assert_eq!(Wire::connect((Ipv6Addr::LOCALHOST, port).into()).get("/").status(), 200);
    }
}

#[test]
fn an_endpoint_can_be_a_name() {
    let service = Service::named("app");
    let endpoint = format!("endpoints = [\"localhost:{}\"]", service.address.port());
    let gateway = Headgate::start(&one_service("", "", &[]).replace("endpoints = []", &endpoint));
    assert_eq!(gateway.connect().get("/").text(), "app GET / HTTP/1.1");
}

#[test]
fn a_route_can_belong_to_one_listener() {
    let gateway = Headgate::start(&format!(
        "[listen.web]
         bind = \"{LISTEN}\"
         [listen.inner]
         bind = \"{LISTEN}\"
         [[route]]
         match = \"/*\"
         respond = {{ body = \"for all\" }}
         [[route]]
         match = \"/admin\"
         listeners = [\"inner\"]
         respond = {{ body = \"for few\" }}\n"
    ));
    assert_eq!(gateway.connect().get("/admin").text(), "for all");
    let mut client = Wire::connect(gateway.listener("inner"));
    assert_eq!(client.get("/admin").text(), "for few");
    assert_eq!(client.get("/").text(), "for all");
}

#[test]
fn connections_are_spread_over_the_workers() {
    let service = Service::start(|request| crate::support::response(&[], request.head.target().as_bytes()));
    let config = one_service("", "", &[service.address]).replace("workers = 1", "workers = 2");
    let gateway = Headgate::start(&config);
    let mut clients: Vec<Wire> = (0..64).map(|_| gateway.connect()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.get(&format!("/{index}")).text(), format!("/{index}"));
    }
    // Each worker has its own pool, and the requests came one after the other.
    assert_eq!(service.connections(), 2);
}

#[test]
fn flags_are_enough() {
    let services = ["a", "b"].map(Service::named);
    let to = services.each_ref().map(|service| service.address.to_string()).join(",");
    let gateway = Headgate::with_flags(&["--to", &to, "--workers", "1", "--balance", "round_robin"]);
    let mut client = gateway.connect();
    let served: BTreeSet<String> = (0..4).map(|_| client.get("/").text()).collect();
    assert_eq!(served.len(), 2);

    let gateway = Headgate::with_flags(&["--to", &to, "--from", "a.test", "--workers", "1"]);
    let mut client = gateway.connect();
    assert_eq!(client.get("/").status(), 200);
    assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").status(), 404);
}
