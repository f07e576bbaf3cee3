//! NGINX.

use super::{answer, import};
use headgate_import::nginx;

const TWO_SERVERS: &str = "server {
    listen 8080;
    server_name shop.example;
    if ($request_method = POST) { return 405; }
    location / { proxy_pass http://10.0.0.1:80; }
}
server {
    listen 8080;
    server_name api.example;
    location /v1/ { proxy_pass http://10.0.0.2:80; }
}
";

#[test]
fn what_one_server_refuses_another_may_allow() {
    let found = import(nginx, TWO_SERVERS);
    assert_eq!(answer(&found, "POST", "api.example", "/v1/x"), "service 10.0.0.2-80");
    assert_eq!(answer(&found, "POST", "shop.example", "/v1/x"), "405");
    assert_eq!(answer(&found, "POST", "elsewhere.example", "/"), "405");
    assert_eq!(answer(&found, "GET", "elsewhere.example", "/"), "service 10.0.0.1-80");
}
