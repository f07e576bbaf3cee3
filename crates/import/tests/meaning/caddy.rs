//! Caddy.

use super::{answer, import, notes};
use headgate_import::{Kind, caddy};

#[test]
fn what_one_site_refuses_another_may_allow() {
    let text = ":8080 {\n\t@post method POST\n\trespond @post 405\n\treverse_proxy 10.0.0.1:80\n}
http://api.example:8080 {\n\treverse_proxy 10.0.0.2:80\n}\n";
    let found = import(caddy, text);
    assert_eq!(answer(&found, "POST", "api.example", "/"), "service 10.0.0.2-80");
    assert_eq!(answer(&found, "POST", "shop.example", "/"), "405");
}

#[test]
fn only_the_forwarding_fields_that_headgate_writes_are_not_needed() {
    let text = ":8080 {\n\treverse_proxy 10.0.0.1:80 {\n\t\theader_up X-Forwarded-Port 443
\t\theader_up X-Forwarded-Prefix {path}\n\t\theader_up X-Forwarded-For {remote_host}\n\t}\n}\n";
    let found = import(caddy, text);
    let edits = &found.config.routes[0].request_headers;
    assert_eq!(edits.set.get("x-forwarded-port").map(String::as_str), Some("443"));
    assert_eq!(edits.remove, ["x-forwarded-prefix"]);
    assert!(notes(&found, 4, Kind::Untranslated).contains("X-Forwarded-Prefix"));
    assert!(notes(&found, 5, Kind::Unneeded).contains("X-Forwarded-For"));
}

/// A site with these lines.
fn site(lines: &str) -> String {
    format!(":8080 {{\n{lines}}}\n")
}

#[test]
fn an_answer_to_everything_comes_before_a_proxy_of_a_path() {
    let found = import(caddy, &site("\trespond \"hello\"\n\treverse_proxy /a* 10.0.0.1:80\n"));
    assert_eq!(answer(&found, "GET", "h.example", "/a"), "200");
    assert!(notes(&found, 3, Kind::Unneeded).contains("never reached"), "{:?}", found.notes);
}

#[test]
fn a_handle_comes_before_a_refusal_outside() {
    let text =
        site("\t@post method POST\n\trespond @post 405\n\thandle {\n\t\treverse_proxy 10.0.0.1:80\n\t}\n");
    let found = import(caddy, &text);
    assert_eq!(answer(&found, "POST", "h.example", "/"), "service 10.0.0.1-80");
    assert!(notes(&found, 3, Kind::Unneeded).contains("never reached"), "{:?}", found.notes);
}

#[test]
fn what_a_later_answer_shares_with_an_earlier_one_is_the_earlier_ones() {
    let text = site(
        "\t@post method POST\n\treverse_proxy /a/b* 10.0.0.3:80\n\treverse_proxy @post 10.0.0.2:80
\thandle /a* {\n\t\treverse_proxy 10.0.0.1:80\n\t}\n\t@put method PUT\n\trespond @put 405\n\treverse_proxy 10.0.0.4:80\n",
    );
    let found = import(caddy, &text);
    let of = |method, path| answer(&found, method, "h.example", path);
    assert_eq!(of("GET", "/a/b"), "service 10.0.0.1-80");
    assert_eq!(of("PUT", "/a"), "service 10.0.0.1-80");
    assert_eq!(of("PUT", "/x"), "405");
    assert_eq!(of("POST", "/x"), "service 10.0.0.2-80");
    assert_eq!(of("GET", "/x"), "service 10.0.0.4-80");
}

#[test]
fn directives_of_one_name_go_by_their_matchers() {
    let text = site(
        "\thandle {\n\t\treverse_proxy 10.0.0.1:80\n\t}\n\t@post method POST\n\thandle @post {\n\t\treverse_proxy 10.0.0.2:80\n\t}
\thandle /a* {\n\t\treverse_proxy 10.0.0.3:80\n\t}\n\thandle_path /a/b/* {\n\t\treverse_proxy 10.0.0.4:80\n\t}\n",
    );
    let found = import(caddy, &text);
    let of = |method, path| answer(&found, method, "h.example", path);
    assert_eq!(of("POST", "/a/b/c"), "service 10.0.0.4-80");
    assert_eq!(of("POST", "/a"), "service 10.0.0.3-80");
    assert_eq!(of("POST", "/"), "service 10.0.0.2-80");
    assert_eq!(of("GET", "/"), "service 10.0.0.1-80");
}

#[test]
fn a_route_goes_by_the_order_of_its_lines() {
    let text = site(
        "\troute {\n\t\treverse_proxy /a* 10.0.0.1:80\n\t\trespond \"x\" 404\n\t\treverse_proxy /a/b* 10.0.0.2:80\n\t}\n",
    );
    let found = import(caddy, &text);
    assert_eq!(answer(&found, "GET", "h.example", "/a/b"), "service 10.0.0.1-80");
    assert_eq!(answer(&found, "GET", "h.example", "/b"), "404");
}

#[test]
fn a_limit_on_bodies_is_said_to_be_of_all_sites() {
    let text =
        "http://a.example:8080 {\n\trequest_body {\n\t\tmax_size 1MB\n\t}\n\treverse_proxy 10.0.0.1:80\n}
http://b.example:8080 {\n\treverse_proxy 10.0.0.2:80\n}\n";
    let found = import(caddy, text);
    assert!(notes(&found, 3, Kind::Approximated).contains("all of its sites"), "{:?}", found.notes);
}

#[test]
fn a_block_on_one_line_is_a_fault() {
    let found = import(caddy, &site("\thandle /b* { respond 204 }\n\treverse_proxy 10.0.0.1:80\n"));
    assert!(!notes(&found, 2, Kind::Fault).is_empty(), "{:?}", found.notes);
}

#[test]
fn what_a_site_does_not_answer_goes_to_no_other() {
    let text = ":8080 {\n\treverse_proxy 10.0.0.1:80\n}
http://api.example:8080 {\n\treverse_proxy /v1/* 10.0.0.2:80\n}\n";
    let found = import(caddy, text);
    assert_eq!(answer(&found, "GET", "api.example", "/v1/x"), "service 10.0.0.2-80");
    assert_eq!(answer(&found, "GET", "api.example", "/x"), "404");
}

#[test]
fn a_field_that_is_set_to_itself_passes() {
    let text =
        site("\treverse_proxy 10.0.0.1:80 {\n\t\theader_up Authorization {header.Authorization}\n\t}\n");
    let found = import(caddy, &text);
    assert_eq!(found.config.routes[0].request_headers, Default::default());
    assert!(notes(&found, 3, Kind::Unneeded).contains("Authorization"));
}

#[test]
fn whose_word_on_the_client_is_believed_comes_over() {
    let text = "{\n\tservers :8080 {\n\t\ttrusted_proxies static 192.0.2.0/24 private_ranges\n\t\ttimeouts {
\t\t\tidle 1m\n\t\t}\n\t}\n}\n:8080 {\n\treverse_proxy 10.0.0.1:80 {\n\t\ttrusted_proxies 198.51.100.7\n\t}\n}
:8081 {\n\treverse_proxy 10.0.0.1:80\n}\n";
    let found = import(caddy, text);
    let trusted = &found.config.listeners["port-8080"].trusted_proxies;
    for network in ["192.0.2.0/24", "10.0.0.0/8", "198.51.100.7"] {
        assert!(trusted.iter().any(|other| other == network), "{network}: {trusted:?}");
    }
    assert!(found.config.listeners["port-8081"].trusted_proxies.is_empty());
    assert!(notes(&found, 4, Kind::Untranslated).contains("timeouts"));
    assert!(notes(&found, 11, Kind::Approximated).contains("198.51.100.7"));
}

#[test]
fn what_a_handle_does_not_answer_goes_to_no_other_handle() {
    let text = site(
        "\t@get method GET\n\thandle /a* {\n\t\treverse_proxy @get 10.0.0.1:80\n\t}
\thandle {\n\t\treverse_proxy 10.0.0.2:80\n\t}\n",
    );
    let found = import(caddy, &text);
    assert_eq!(answer(&found, "GET", "h.example", "/a"), "service 10.0.0.1-80");
    assert_eq!(answer(&found, "POST", "h.example", "/a"), "404");
    assert_eq!(answer(&found, "POST", "h.example", "/"), "service 10.0.0.2-80");
}

#[test]
fn what_a_handle_leaves_goes_on_to_a_proxy_after_it() {
    let text = site(
        "\thandle /a* {\n\t\theader X-A 1\n\t}\n\thandle /b* {\n\t\treverse_proxy 10.0.0.1:80\n\t}\n\treverse_proxy 10.0.0.2:80\n",
    );
    let found = import(caddy, &text);
    assert_eq!(answer(&found, "GET", "h.example", "/a"), "service 10.0.0.2-80");
}

#[test]
fn the_order_of_the_options_counts() {
    let sites = "\trespond /a* \"hello\"\n\treverse_proxy 10.0.0.1:80\n";
    let ordered = |order: &str| import(caddy, &format!("{{\n\torder {order}\n}}\n{}", site(sites)));
    for (order, first) in [
        ("respond before reverse_proxy", "200"),
        ("reverse_proxy before respond", "service 10.0.0.1-80"),
        ("reverse_proxy first", "service 10.0.0.1-80"),
        ("respond last", "service 10.0.0.1-80"),
        ("respond after handle_path", "200"),
    ] {
        let found = ordered(order);
        assert_eq!(answer(&found, "GET", "h.example", "/a"), first, "{order}");
        assert_eq!(notes(&found, 2, Kind::Untranslated), "", "{order}");
    }
    for order in ["rate_limit before respond", "respond before rate_limit", "respond"] {
        let found = ordered(order);
        assert_eq!(answer(&found, "GET", "h.example", "/a"), "200", "{order}");
        assert!(notes(&found, 2, Kind::Untranslated).contains(order), "{order}: {:?}", found.notes);
    }
    assert!(notes(&ordered("header last"), 2, Kind::Approximated).contains("those that answer"));
}

#[test]
fn a_field_with_a_certificate_says_what_tells_of_it() {
    let text = site(
        "\treverse_proxy 10.0.0.1:80 {\n\t\theader_up X-Cert {http.request.tls.client.certificate_pem}\n\t}\n",
    );
    let found = import(caddy, &text);
    assert!(notes(&found, 3, Kind::Untranslated).contains("client_cert = \"leaf\""), "{:?}", found.notes);
}
