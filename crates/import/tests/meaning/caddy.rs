//! Caddy.

use super::{answer, import};
use headgate_import::caddy;

#[test]
fn what_one_site_refuses_another_may_allow() {
    let text = ":8080 {\n\t@post method POST\n\trespond @post 405\n\treverse_proxy 10.0.0.1:80\n}
http://api.example:8080 {\n\treverse_proxy 10.0.0.2:80\n}\n";
    let found = import(caddy, text);
    assert_eq!(answer(&found, "POST", "api.example", "/"), "service 10.0.0.2-80");
    assert_eq!(answer(&found, "POST", "shop.example", "/"), "405");
}
