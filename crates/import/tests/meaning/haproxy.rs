//! HAProxy.

use super::{answer, import, line_of, notes};
use headgate_import::{Kind, haproxy};

/// A frontend, and a backend `b` with these lines.
fn backend(lines: &str) -> String {
    format!("frontend web\n bind :8080\n default_backend b\nbackend b\n{lines}")
}

#[test]
fn servers_beside_a_template_are_listed() {
    let text = backend(" server a1 10.0.0.1:80\n server-template t 3 _x._tcp.y check\n");
    let found = import(haproxy, &text);
    assert_eq!(found.config.services["b"].discover.as_deref(), Some("srv:_x._tcp.y"));
    let lost = notes(&found, line_of(&text, "server a1"), Kind::Untranslated);
    assert!(lost.contains("server a1 10.0.0.1:80"), "{:?}", found.notes);
}

#[test]
fn a_second_template_is_listed() {
    let text = backend(" server-template t 3 _x._tcp.y\n server-template u 3 _z._tcp.y\n");
    let found = import(haproxy, &text);
    assert_eq!(found.config.services["b"].discover.as_deref(), Some("srv:_x._tcp.y"));
    assert!(notes(&found, line_of(&text, "template u"), Kind::Untranslated).contains("_z._tcp.y"));
}

/// A frontend with these lines before its backend `b`.
fn frontend(lines: &str) -> String {
    format!("frontend web\n bind :8080\n{lines} default_backend b\nbackend b\n server s 10.0.0.1:80\n")
}

#[test]
fn options_of_a_redirect_come_in_any_order() {
    for (rule, to) in [
        ("location https://x/ code 307", "307 to https://x/"),
        ("code 307 location https://x/", "307 to https://x/"),
        ("code 301 prefix https://x", "301 to https://x{path}?{query}"),
        ("drop-query prefix https://x code 308", "308 to https://x{path}"),
        ("code 303 scheme https", "303 to https://{host}{path}?{query}"),
        ("location /y", "302 to /y"),
        ("location /y keep-query", "302 to /y?{query}"),
    ] {
        for start in ["http-request redirect", "redirect"] {
            let found = import(haproxy, &frontend(&format!(" {start} {rule} if {{ path /a }}\n")));
            assert_eq!(answer(&found, "GET", "h.example", "/a"), to, "{start} {rule}");
            assert_eq!(answer(&found, "GET", "h.example", "/b"), "service b");
        }
    }
}

#[test]
fn options_of_a_redirect_without_a_counterpart_are_listed() {
    let text = frontend(" redirect prefix /x append-slash set-cookie SEEN=1 ignore-empty if { path /a }\n");
    let found = import(haproxy, &text);
    let lost = notes(&found, 3, Kind::Untranslated);
    for option in ["append-slash", "set-cookie SEEN=1", "ignore-empty"] {
        assert!(lost.contains(option), "{option}: {lost}");
    }
    let found = import(haproxy, &frontend(" redirect location /x drop-query if { path /a }\n"));
    assert!(notes(&found, 3, Kind::Unneeded).contains("drop-query"), "{:?}", found.notes);
}

#[test]
fn a_redirect_without_a_usable_target_is_no_redirect() {
    for rule in ["code 302", "location", "location /%[path]", "code 999 location /x", "code x location /x"] {
        let found = import(haproxy, &frontend(&format!(" redirect {rule} if {{ path /a }}\n")));
        assert_eq!(answer(&found, "GET", "h.example", "/a"), "501", "{rule}");
    }
}

#[test]
fn a_fixed_answer_keeps_its_type() {
    let rule =
        "http-request return status 200 content-type application/json string {} hdr X-A 1 if { path /a }";
    let found = import(haproxy, &frontend(&format!(" {rule}\n")));
    let respond = found.config.routes.iter().find_map(|route| route.respond.as_ref()).unwrap();
    assert_eq!((respond.content_type.as_str(), respond.body.as_str()), ("application/json", "{}"));
    assert!(notes(&found, 3, Kind::Untranslated).contains("hdr X-A 1"));
}

#[test]
fn a_forwarding_field_of_another_name_cannot_be_forged() {
    for place in [" option forwardfor header X-Client-IP except 10.0.0.0/8\n", ""] {
        let inner =
            if place.is_empty() { " option forwardfor header X-Client-IP except 10.0.0.0/8\n" } else { "" };
        let text = frontend(place) + inner;
        let found = import(haproxy, &text);
        let route = found.config.routes.iter().find(|route| route.service.is_some()).unwrap();
        assert_eq!(route.request_headers.remove, ["x-client-ip"]);
        let said = notes(&found, line_of(&text, "forwardfor"), Kind::Approximated);
        assert!(said.contains("X-Client-IP") && said.contains("10.0.0.0/8"), "{said}");
    }
}

#[test]
fn only_the_forwarding_fields_that_headgate_writes_are_not_needed() {
    let text = frontend(
        " http-request set-header X-Forwarded-Port 443\n http-request set-header X-Forwarded-Prefix %[path]
 http-request set-header X-Forwarded-Proto https if { ssl_fc }\n http-request set-header X-Forwarded-Host h\n",
    );
    let found = import(haproxy, &text);
    let edits = &found.config.routes[0].request_headers;
    assert_eq!(edits.set.get("x-forwarded-port").map(String::as_str), Some("443"));
    assert_eq!(edits.remove, ["x-forwarded-prefix"]);
    assert!(!edits.set.contains_key("x-forwarded-host"));
    assert!(notes(&found, 5, Kind::Unneeded).contains("X-Forwarded-Proto"));
    assert!(notes(&found, 6, Kind::Approximated).contains("X-Forwarded-Host"));
}

#[test]
fn what_defaults_say_to_both_halves_is_said_once() {
    let text = format!("defaults\n option forwardfor header X-Client-IP\n{}", frontend(""));
    let found = import(haproxy, &text);
    assert_eq!(found.config.routes[0].request_headers.remove, ["x-client-ip"]);
}

#[test]
fn every_event_of_retry_on_is_used_or_listed() {
    let of = |events: &str| {
        let text = backend(&format!(" retries 2\n retry-on {events}\n server s 10.0.0.1:80\n"));
        let found = import(haproxy, &text);
        let retry = found.config.services["b"].retry.clone();
        let listed: Vec<_> = found.notes.iter().filter(|note| note.line == 6).map(|note| note.kind).collect();
        (retry.attempts, retry.statuses, listed)
    };
    assert_eq!(of("all-retryable-errors"), (3, vec![500, 502, 503, 504], vec![Kind::Approximated]));
    assert_eq!(of("503 429"), (3, vec![429, 503], vec![]));
    assert_eq!(of("none"), (1, vec![], vec![]));
    assert_eq!(of("conn-failure 0rtt-rejected"), (3, vec![], vec![Kind::Unneeded, Kind::Untranslated]));
}

#[test]
fn servers_that_are_spoken_to_otherwise_stay_out_of_the_service() {
    let plain = " server m1 10.0.4.1:80\n server m2 10.0.4.2:80\n";
    for odd in ["ssl verify none", "ssl ca-file /ca.pem", "send-proxy", "send-proxy-v2", "proto h2"] {
        let text = backend(&format!(" server odd 10.0.4.9:80 {odd}\n{plain}"));
        let found = import(haproxy, &text);
        let service = &found.config.services["b"];
        let addresses: Vec<&str> = service.endpoints.iter().map(|endpoint| endpoint.address()).collect();
        assert_eq!(addresses, ["10.0.4.1:80", "10.0.4.2:80"], "{odd}");
        assert_eq!(
            (service.tls.clone(), service.proxy_protocol, service.protocol),
            Default::default(),
            "{odd}"
        );
        assert!(notes(&found, 5, Kind::Untranslated).contains("server odd: left out"), "{odd}");
    }
}

#[test]
fn verification_of_one_server_is_not_that_of_another() {
    let text = backend(
        " server a1 api1.internal:8443 ssl verify none
 server a2 api2.internal:8443 ssl verify required ca-file /etc/ssl/ca.pem sni str(api.internal)
 server a3 api3.internal:8443 ssl verify required ca-file /etc/ssl/ca.pem sni str(api.internal)
 server a4 api4.internal:8443 backup ssl verify none\n",
    );
    let found = import(haproxy, &text);
    let tls = found.config.services["b"].tls.clone().unwrap();
    assert_eq!(
        (tls.verify, tls.ca.as_deref(), tls.sni.as_deref()),
        (true, Some("/etc/ssl/ca.pem"), Some("api.internal"))
    );
    assert!(notes(&found, 5, Kind::Untranslated).contains("server a1: left out"));
    // A service of its own may be spoken to in its own way.
    assert!(!found.config.services["b-backup"].tls.as_ref().unwrap().verify);
}

#[test]
fn tls_options_without_ssl_are_no_tls() {
    let text = backend(
        " default-server verify none\n server a 10.0.0.1:80\n server b 10.0.0.2:80 sni str(x.example)\n",
    );
    let found = import(haproxy, &text);
    assert_eq!(found.config.services["b"].tls, None);
    assert!(notes(&found, 5, Kind::Unneeded).contains("verify"));
    assert!(notes(&found, 7, Kind::Unneeded).contains("sni"));
}

#[test]
fn servers_that_are_checked_otherwise_are_listed() {
    let text = backend(
        " server a 10.0.0.1:80 check inter 1s\n server b 10.0.0.2:80\n server c 10.0.0.3:80 check inter 9s fall 7\n",
    );
    let found = import(haproxy, &text);
    assert!(notes(&found, 6, Kind::Approximated).contains("without `check`"));
    let third = notes(&found, 7, Kind::Approximated);
    assert!(third.contains("inter"), "{third}");
    assert!(found.notes.iter().any(|note| note.text.contains("fall")), "{:?}", found.notes);
}

#[test]
fn a_default_holds_for_the_servers_after_it() {
    let text = backend(
        " server a 10.0.0.1:80 weight 5\n default-server weight 9\n server b 10.0.0.2:80\n default-server weight 3\n",
    );
    let found = import(haproxy, &text);
    let weights: Vec<u16> =
        found.config.services["b"].endpoints.iter().map(|endpoint| endpoint.weight()).collect();
    assert_eq!(weights, [5, 9]);
    assert!(notes(&found, 8, Kind::Unneeded).contains("no server comes after it"));
}

#[test]
fn acls_that_haproxy_brings_along_close_nothing() {
    for condition in ["HTTP_1.1", "HTTP_2.0", "HTTP_URL_ABS"] {
        let text =
            frontend(&format!(" use_backend c if {condition}\n")) + "backend c\n server s 10.0.0.2:80\n";
        let found = import(haproxy, &text);
        assert_eq!(answer(&found, "GET", "h.example", "/"), "service b", "{condition}");
        assert!(notes(&found, 3, Kind::Untranslated).contains(condition), "{:?}", found.notes);
    }
    let text = frontend(" http-request deny if METH_TRACE\n http-request deny if METH_CONNECT or FALSE\n");
    let found = import(haproxy, &text);
    assert_eq!(answer(&found, "TRACE", "h.example", "/"), "403");
    assert_eq!(answer(&found, "GET", "h.example", "/"), "service b");
}

#[test]
fn an_acl_that_nobody_defines_is_taken_for_a_guard() {
    let text = frontend(" use_backend c if LOCALHOST\n") + "backend c\n server s 10.0.0.2:80\n";
    let found = import(haproxy, &text);
    assert_eq!(answer(&found, "GET", "h.example", "/"), "403");
}

#[test]
fn a_folder_of_certificates_is_no_certificate() {
    let text = "frontend web\n bind :443 ssl crt /etc/certs/\n default_backend b\nbackend b\n server s 10.0.0.1:80\n";
    let found = import(haproxy, text);
    let tls = found.config.listeners["https"].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].cert, "/etc/certs/server.pem");
    assert!(notes(&found, 2, Kind::Untranslated).contains("folder"));
}

#[test]
fn a_field_that_is_set_to_itself_passes() {
    let found =
        import(haproxy, &frontend(" http-request set-header Authorization %[req.hdr(Authorization)]\n"));
    assert_eq!(found.config.routes[0].request_headers, Default::default());
    assert!(notes(&found, 3, Kind::Unneeded).contains("Authorization"));
}

#[test]
fn a_refusal_of_other_methods_lets_these_through() {
    let (get, put) = ("GET", "PUT");
    for rule in [
        "deny deny_status 405 if !METH_GET",
        "deny deny_status 405 unless METH_GET",
        "deny deny_status 405 if !{ method GET HEAD }",
        "deny deny_status 405 if !safe",
        "return status 405 if !safe",
    ] {
        let text = frontend(&format!(" acl safe method GET\n acl safe method HEAD\n http-request {rule}\n"));
        let found = import(haproxy, &text);
        for (method, expected) in
            [(get, "service b"), ("HEAD", "service b"), (put, "405"), ("PATCH", "405"), ("NEW", "405")]
        {
            assert_eq!(answer(&found, method, "h.example", "/a"), expected, "{rule}: {method}");
        }
        let closed: Vec<_> = found.notes.iter().filter(|note| note.kind == Kind::ClosesAccess).collect();
        assert!(closed.is_empty(), "{rule}: {closed:?}");
    }
}

#[test]
fn a_refusal_of_other_methods_holds_for_its_paths_and_no_others() {
    let found = import(
        haproxy,
        &frontend(
            " http-request deny if { path_beg /api/ } !METH_GET !METH_POST
 http-request deny if { path_beg /api/secret }
 use_backend b if { path_beg /api/v1/ }
 redirect location /new if { path /api/old }\n",
        ),
    );
    for (method, path, expected) in [
        ("DELETE", "/", "service b"),
        ("GET", "/api/x", "service b"),
        ("POST", "/api/v1/x", "service b"),
        ("DELETE", "/api/x", "403"),
        ("DELETE", "/api/v1/x", "403"),
        ("GET", "/api/secret", "403"),
        ("DELETE", "/api/secret", "403"),
        ("GET", "/api/old", "302 to /new"),
        ("DELETE", "/api/old", "403"),
    ] {
        assert_eq!(answer(&found, method, "h.example", path), expected, "{method} {path}");
    }
}

#[test]
fn a_negation_of_methods_elsewhere_is_listed() {
    let text = frontend(" use_backend b if !METH_GET\n");
    let found = import(haproxy, &text);
    assert!(notes(&found, 3, Kind::Untranslated).contains("negation of methods"), "{:?}", found.notes);
}

#[test]
fn a_refusal_keeps_its_text() {
    let rule = "deny deny_status 429 content-type application/json string {\"error\":1} if { path_beg /a }";
    let text = frontend(&format!(" http-request {}\n", rule.replace('"', "\\\"")));
    let found = import(haproxy, &text);
    let respond = found.config.routes.iter().find_map(|route| route.respond.as_ref()).unwrap();
    assert_eq!(
        (respond.status, respond.content_type.as_str(), respond.body.as_str()),
        (429, "application/json", "{\"error\":1}")
    );
    for (rule, status, lost) in [
        ("deny deny_status 418 file /etc/teapot.html", "418", "/etc/teapot.html"),
        ("deny deny_status 418 lf-string %[src]", "418", "variables"),
        ("deny deny_status 418 string no hdr X-A 1", "418", "hdr X-A 1"),
        ("deny deny_status many", "403", "many"),
        ("deny deny_status 200", "403", "200"),
    ] {
        let found = import(haproxy, &frontend(&format!(" http-request {rule} if {{ path /a }}\n")));
        assert_eq!(answer(&found, "GET", "h.example", "/a"), status, "{rule}");
        let said = notes(&found, 3, Kind::Untranslated) + &notes(&found, 3, Kind::Approximated);
        assert!(said.contains(lost), "{rule}: {said}");
    }
}

#[test]
fn a_backends_time_for_tunnels_is_that_of_the_listeners_that_lead_to_it() {
    let text =
        "defaults\n timeout tunnel 10m\nfrontend a\n bind :8080\n timeout tunnel 1s\n default_backend b
frontend c\n bind :8081\n use_backend ws if { path_beg /ws }\n default_backend b
backend b\n server s 10.0.0.1:80\nbackend ws\n timeout tunnel 2h\n server s 10.0.0.2:80\n";
    let found = import(haproxy, text);
    let minutes = |bind: &str| {
        let listener =
            found.config.listeners.values().find(|listener| listener.bind.ends_with(bind)).unwrap();
        listener.timeouts.tunnel.0.as_secs() / 60
    };
    assert_eq!((minutes(":8080"), minutes(":8081")), (10, 120));
    assert!(notes(&found, line_of(text, "tunnel 2h"), Kind::Approximated).contains("longest"));
    assert!(notes(&found, line_of(text, "tunnel 1s"), Kind::Unneeded).contains("no effect"));
}

#[test]
fn a_field_with_a_certificate_says_what_tells_of_it() {
    let text = frontend(
        " http-request set-header X-Client %[ssl_c_s_dn]\n http-request set-header Client-Cert :%[ssl_c_der,base64]:\n",
    );
    let found = import(haproxy, &text);
    assert!(notes(&found, 3, Kind::Untranslated).contains("client_cert = \"leaf\""), "{:?}", found.notes);
    assert!(notes(&found, 4, Kind::Approximated).contains("client_cert = \"leaf\""), "{:?}", found.notes);
}
