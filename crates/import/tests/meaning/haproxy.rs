//! HAProxy.

use super::{import, line_of, notes};
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
