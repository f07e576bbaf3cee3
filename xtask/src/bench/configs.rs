//! The configuration text of every peer and of the origin. Each peer is set up as its own documentation
//! advises for speed, and all do the same work: one worker, kept-alive connections on both sides,
//! X-Forwarded-For on, access log off. These texts are the comparison's fine print.

use super::caches;
use super::peers::Setup;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// Seconds that a client may be idle, equal for all so that the idle row closes nobody.
const IDLE_SECONDS: u32 = 75;

const NGINX_HEAD: &str = "\
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
error_log stderr error;
events { worker_connections 32768; }
";

/// The origin `name`: one NGINX process with a 128-byte answer for any path, files of 64 KiB and 1 MiB,
/// and what caches may store.
pub(crate) fn origin(name: &str, listen: SocketAddr, folder: &Path) -> String {
    let cached = caches::origin(folder);
    let folder = folder.display();
    let small = "x".repeat(127);
    format!(
        "{NGINX_HEAD}master_process off;
pid {folder}/{name}.pid;
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_timeout 3600; keepalive_requests 1000000000; client_body_buffer_size 64k;
  open_file_cache max=16; open_file_cache_valid 3600;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen {listen} backlog=4096;
    default_type application/octet-stream;
    location / {{ return 200 \"{small}\\n\"; }}
    location = /forwarded {{ return 200 $http_x_forwarded_for; }}
    location = /app/forwarded {{ return 200 $http_x_forwarded_for; }}
    location = /path0/forwarded {{ return 200 $http_x_forwarded_for; }}
    location /files/ {{ root {folder}; }}
    {cached}
  }}
}}
"
    )
}

/// NGINX as a reverse proxy. The master process runs only where a reload or a cache is measured.
pub(crate) fn nginx(setup: Setup, extra_route: Option<&str>, net: &Net<'_>) -> String {
    let Net { listen, origin, folder } = net;
    let cache = setup.cache_mib().map_or(String::new(), |mib| caches::nginx(folder, mib));
    let folder = folder.display();
    let master = match setup {
        Setup::Plain | Setup::Several(_) | Setup::Tls => "off",
        Setup::Routes(_) | Setup::Tunnel(_) | Setup::Cache { .. } => "on",
    };
    let (listen, tls) = if setup.tls() {
        let tls = format!(
            "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;"
        );
        (format!("listen {listen} ssl http2 backlog=4096;"), tls)
    } else {
        (format!("listen {listen} backlog=4096;"), String::new())
    };
    let servers: String =
        endpoints(setup, *origin).iter().map(|endpoint| format!("server {endpoint}; ")).collect();
    let mut text = format!(
        "{NGINX_HEAD}master_process {master};
pid {folder}/nginx.pid;
http {{
  access_log off; tcp_nodelay on;
  keepalive_timeout {IDLE_SECONDS}; keepalive_requests 100000000;
  client_body_buffer_size 64k; client_max_body_size 0;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  {tls}
  {cache}
  upstream origin {{
    {servers}
    keepalive 512; keepalive_requests 100000000; keepalive_timeout {IDLE_SECONDS};
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_buffers 16 16k; proxy_max_temp_file_size 0;
  server_names_hash_max_size 65536; server_names_hash_bucket_size 64;
"
    );
    match setup {
        Setup::Plain | Setup::Tls | Setup::Several(_) | Setup::Cache { .. } => {
            let _ = writeln!(text, "  server {{ {listen} location / {{ proxy_pass http://origin; }} }}");
        }
        Setup::Tunnel(echo) => {
            let paths = ["/app/"].into_iter().chain(extra_route);
            let locations: String =
                paths.map(|path| format!("location {path} {{ proxy_pass http://origin; }} ")).collect();
            let tunnel = format!(
                "location /ws {{ proxy_pass http://{echo}; proxy_set_header Upgrade $http_upgrade; \
                 proxy_set_header Connection upgrade; }}"
            );
            let _ =
                writeln!(text, "  server {{ {listen} {locations}{tunnel} location / {{ return 404; }} }}");
        }
        Setup::Routes(count) => {
            let _ = writeln!(text, "  server {{ {listen} server_name _; return 404; }}");
            for host in routes(count, extra_route).chunk_by(|one, other| one.host == other.host) {
                let _ = write!(text, "  server {{ {listen} server_name {};", host[0].host);
                for route in host {
                    let _ = write!(text, " location {} {{ proxy_pass http://origin; }}", route.prefix);
                }
                text.push_str(" }\n");
            }
        }
    }
    text.push_str("}\n");
    // Only the first socket of an address may set its backlog.
    if let Setup::Routes(_) = setup {
        let first = text.find(" backlog=4096").map_or(text.len(), |at| at + " backlog=4096".len());
        let rest = text[first..].replace(" backlog=4096", "");
        text.replace_range(first.., &rest);
    }
    text
}

/// HAProxy as a reverse proxy.
pub(crate) fn haproxy(setup: Setup, net: &Net<'_>) -> String {
    let Net { listen, origin, folder } = net;
    let folder = folder.display();
    let bind = if setup.tls() {
        format!("bind {listen} backlog 4096 ssl crt {folder}/both.pem alpn h2,http/1.1")
    } else {
        format!("bind {listen} backlog 4096")
    };
    let (cache, rules) = setup.cache_mib().map_or((String::new(), ""), caches::haproxy);
    let choose = match setup {
        // One prefix tree of host and path: the way its documentation advises for many routes.
        Setup::Routes(_) => format!("use_backend %[base,map_beg({folder}/routes.map)]"),
        _ => "default_backend origin".to_owned(),
    };
    let servers: String = endpoints(setup, *origin)
        .iter()
        .enumerate()
        .map(|(number, endpoint)| {
            format!("  server origin{number} {endpoint} pool-purge-delay {IDLE_SECONDS}s\n")
        })
        .collect();
    format!(
        "global
  nbthread 1
  maxconn 30000
  no strict-limits
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client {IDLE_SECONDS}s
  timeout http-request 10s
  timeout http-keep-alive {IDLE_SECONDS}s
  timeout server 60s
{cache}frontend bench
  {bind}
  maxconn 30000
  {rules}
  {choose}
backend origin
{servers}"
    )
}

/// The map of HAProxy's routes: host and path prefix, then the backend.
pub(crate) fn haproxy_map(count: usize, extra_route: Option<&str>) -> String {
    routes(count, extra_route)
        .iter()
        .map(|route| format!("{}{} origin\n", route.host, route.prefix))
        .collect()
}

/// Headgate's file, for what its command line cannot say.
pub(crate) fn headgate(setup: Setup, extra_route: Option<&str>, net: &Net<'_>, admin: SocketAddr) -> String {
    let Net { listen, origin, folder } = net;
    let folder = folder.display();
    let mut text = format!(
        "workers = 1

[admin]
bind = \"{admin}\"

[listen.bench]
bind = \"{listen}\"
"
    );
    if setup.tls() {
        let _ = write!(
            text,
            "http2 = true
tls = {{ certificates = [{{ cert = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}] }}
"
        );
    }
    text.extend(setup.cache_mib().map(caches::headgate));
    let quoted: Vec<String> =
        endpoints(setup, *origin).iter().map(|endpoint| format!("\"{endpoint}\"")).collect();
    let _ = write!(text, "\n[service.origin]\nendpoints = [{}]\n", quoted.join(", "));
    match setup {
        Setup::Plain | Setup::Tls | Setup::Several(_) | Setup::Cache { .. } => {
            text.push_str("\n[[route]]\nmatch = \"/*\"\nservice = \"origin\"\n");
            if setup.cache_mib().is_some() {
                text.push_str("cache = true\n");
            }
        }
        Setup::Tunnel(echo) => {
            let _ = write!(
                text,
                "\n[service.echo]\nendpoints = [\"{echo}\"]\n\n[[route]]\nmatch = \"/ws\"\nservice = \"echo\"\n"
            );
            for path in ["/app/"].into_iter().chain(extra_route) {
                let _ = write!(text, "\n[[route]]\nmatch = \"{path}*\"\nservice = \"origin\"\n");
            }
        }
        Setup::Routes(count) => {
            for Route { host, prefix } in routes(count, extra_route) {
                let _ = write!(text, "\n[[route]]\nmatch = \"{host}{prefix}*\"\nservice = \"origin\"\n");
            }
        }
    }
    text
}

fn endpoints(setup: Setup, origin: SocketAddr) -> Vec<SocketAddr> {
    match setup {
        Setup::Several(addresses) => addresses.to_vec(),
        _ => vec![origin],
    }
}

/// Where a proxy listens, what it proxies to, and where its files are.
#[derive(Debug)]
pub(crate) struct Net<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) origin: SocketAddr,
    pub(crate) folder: &'a Path,
}

/// One route of the routes row.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) host: String,
    pub(crate) prefix: String,
}

/// `count` routes, ten path prefixes to a host; `extra` is one more prefix of the first host.
pub(crate) fn routes(count: usize, extra: Option<&str>) -> Vec<Route> {
    let host = |index: usize| format!("host{}.example", index / 10);
    let mut all: Vec<Route> = (0..count)
        .map(|index| Route { host: host(index), prefix: format!("/path{}/", index % 10) })
        .collect();
    if let Some(prefix) = extra {
        all.insert(0, Route { host: host(0), prefix: prefix.to_owned() });
    }
    all
}
