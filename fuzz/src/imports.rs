//! The configuration languages of other servers. Promise: no panic and no endless work, whatever is in them.

use headgate_import::{caddy, haproxy, nginx};

pub const SEEDS: &[&[u8]] = &[
    b"upstream a { server 10.0.0.1:80 weight=2; }\nserver { listen 80; server_name a.test; location /x { proxy_pass http://a; } }\n",
    b"frontend f\n  bind :80\n  acl x path_beg /x\n  use_backend b if x\nbackend b\n  balance roundrobin\n  server s 10.0.0.1:80 check\n",
    b"a.test {\n\thandle_path /x/* {\n\t\treverse_proxy 10.0.0.1:80 10.0.0.2:80\n\t}\n\tredir /y https://b.test{uri}\n}\n",
];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = nginx(text, "nginx.conf");
    let _ = haproxy(text, "haproxy.cfg");
    let _ = caddy(text, "Caddyfile");
}
