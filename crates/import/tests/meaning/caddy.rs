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
