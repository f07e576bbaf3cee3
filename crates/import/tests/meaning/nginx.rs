//! NGINX.

use super::{answer, import, line_of, notes};
use headgate_import::{Kind, nginx};
use headgate_model::spec::{RouteCache, Span};
use std::time::Duration;

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

/// A server with these lines, the first of which is line 3.
fn server(lines: &str) -> String {
    format!("server {{\n listen 8080;\n{lines}}}\n")
}

#[test]
fn what_a_server_refuses_no_location_lets_through() {
    let text = server(
        " if ($request_method = TRACE) { return 405; }
 location = /exact { proxy_pass http://10.0.0.1:80; }\n location ^~ /past { proxy_pass http://10.0.0.1:80; }
 location / { proxy_pass http://10.0.0.1:80; }\n",
    );
    let found = import(nginx, &text);
    for path in ["/exact", "/past/x", "/"] {
        assert_eq!(answer(&found, "TRACE", "h.example", path), "405", "{path}");
        assert_eq!(answer(&found, "GET", "h.example", path), "service 10.0.0.1-80", "{path}");
    }
}

#[test]
fn a_preflight_that_is_answered_closes_nothing() {
    let answers = "if ($request_method = 'OPTIONS') {
  add_header Access-Control-Allow-Origin '*';
  return 204;
 }\n";
    let proxy = "proxy_pass http://10.0.0.1:80;";
    for text in [
        server(&format!(" {answers} location /api/ {{ {proxy} }}\n location = /x {{ {proxy} }}\n")),
        server(&format!(
            " location /api/ {{\n {answers} {proxy} }}\n location = /x {{ {answers} {proxy} }}\n"
        )),
    ] {
        let found = import(nginx, &text);
        for path in ["/api/x", "/x"] {
            assert_eq!(answer(&found, "OPTIONS", "h.example", path), "204", "{path}\n{}", found.toml);
            assert_eq!(answer(&found, "GET", "h.example", path), "service 10.0.0.1-80", "{path}");
        }
        let answered = found.config.routes.iter().find(|route| route.respond.is_some()).unwrap();
        assert!(answered.response_headers.add.contains_key("access-control-allow-origin"));
        assert!(found.notes.iter().all(|note| note.kind != Kind::ClosesAccess), "{:?}", found.notes);
    }
}

#[test]
fn what_a_server_does_not_serve_goes_to_no_other() {
    let found = import(nginx, TWO_SERVERS);
    assert_eq!(answer(&found, "GET", "api.example", "/elsewhere"), "404", "{}", found.toml);
}

#[test]
fn a_field_that_is_set_to_itself_passes() {
    let text = server(
        " location / { proxy_pass http://10.0.0.1:80;\n proxy_set_header Authorization $http_authorization;
 proxy_set_header X-User $http_x_other; }\n",
    );
    let found = import(nginx, &text);
    let edits = &found.config.routes[0].request_headers;
    assert_eq!(edits.remove, ["x-user"]);
    assert!(notes(&found, 4, Kind::Unneeded).contains("Authorization"));
}

#[test]
fn whose_word_on_the_client_is_believed_comes_over() {
    let trusting = |header: &str| {
        let text = server(&format!(
            " set_real_ip_from 10.0.0.0/8;\n set_real_ip_from 192.0.2.7;\n set_real_ip_from lb.example;\n {header}
 location / {{ proxy_pass http://10.0.0.1:80; }}\n"
        ));
        import(nginx, &text)
    };
    let found = trusting("real_ip_header X-Forwarded-For;");
    assert_eq!(found.config.listeners["port-8080"].trusted_proxies, ["10.0.0.0/8", "192.0.2.7"]);
    assert!(notes(&found, 5, Kind::Untranslated).contains("lb.example"));
    assert!(notes(&found, 6, Kind::Approximated).contains("real_ip_recursive"));
    // NGINX takes X-Real-IP where nothing is said.
    for other in ["", "real_ip_header CF-Connecting-IP;"] {
        let found = trusting(other);
        assert!(found.config.listeners["port-8080"].trusted_proxies.is_empty(), "{other}");
        assert!(notes(&found, 3, Kind::Untranslated).contains("X-Forwarded-For"), "{other}");
    }
}

/// The cache of a location with these lines; None where nothing is cached.
fn cache(lines: &str) -> Option<RouteCache> {
    let text =
        server(&format!(" proxy_cache pages;\n location / {{ proxy_pass http://10.0.0.1:80;\n{lines} }}\n"));
    let found = import(nginx, &text);
    found.config.routes[0].cache.as_ref().and_then(|cache| cache.settings())
}

#[test]
fn a_cache_comes_over_and_stores_no_more_than_before() {
    let minutes = |minutes: u64| Some(Span(Duration::from_secs(60 * minutes)));
    let found = cache("proxy_cache_valid 200 302 10m; proxy_cache_valid 404 1m;").unwrap();
    assert_eq!((found.ttl, found.obey_requests, found.store_cookies), (minutes(10), false, false));
    // NGINX guesses no lifetime.
    assert_eq!(cache("").unwrap().ttl, minutes(0));
    assert_eq!(cache("proxy_cache_key $scheme$proxy_host${request_uri};").unwrap().ttl, minutes(0));
    assert_eq!(cache("proxy_cache_bypass $http_upgrade;").unwrap().ttl, minutes(0));
    for private in [
        "proxy_cache off;",
        "proxy_cache_key $request_uri$cookie_user;",
        "proxy_no_cache $cookie_session;",
        "proxy_cache_bypass $http_authorization;",
    ] {
        assert_eq!(cache(private), None, "{private}");
    }
}

#[test]
fn hidden_files_are_refused_and_nothing_else_is() {
    for expression in [r"/\.ht", r"/\.(ht|git)", r"/\.(?!well-known)"] {
        let text = server(&format!(
            " location / {{ proxy_pass http://10.0.0.1:80; }}\n location /api/ {{ proxy_pass http://10.0.0.2:80; }}
 location /img {{ proxy_pass http://10.0.0.3:80; }}\n location ~ {expression} {{ deny all; access_log off; }}\n"
        ));
        let found = import(nginx, &text);
        let of = |path| answer(&found, "GET", "h.example", path);
        for path in [
            "/.htaccess",
            "/a/.htaccess",
            "/api/.ht",
            "/api/v1/x/.htpasswd",
            "/a/b/c/d/e/f/g/h/i/.ht",
            "/img/.ht",
        ] {
            assert_eq!(of(path), "403", "{expression} {path}");
        }
        for (path, service) in [
            ("/", "1"),
            ("/a/b.ht", "1"),
            ("/api/v1/x", "2"),
            ("/api/a.b/c/d/e", "2"),
            ("/a/b/c/d/e/f/g/h", "1"),
        ] {
            assert_eq!(of(path), format!("service 10.0.0.{service}-80"), "{expression} {path}");
        }
        // A refusal in the middle of `/img*` cannot be said.
        assert_eq!(of("/img/a.png"), "403");
        assert!(notes(&found, 6, Kind::ClosesAccess).contains("first 8 segments"));
    }
}

#[test]
fn an_expression_for_an_ending_is_listed_and_refuses_only_where_it_refused() {
    let text = "server {\n listen 8080;\n location / { proxy_pass http://10.0.0.1:80; }
 location ~ \\.php$ { proxy_pass http://10.0.0.2:80; }\n}\n";
    let found = import(nginx, text);
    assert_eq!(answer(&found, "GET", "h.example", "/a.php"), "service 10.0.0.1-80");
    let lost = notes(&found, line_of(text, "php"), Kind::Untranslated);
    assert!(lost.contains("its requests go where the longest prefix sends them"), "{lost}");
    // No pattern says how a path ends: what might be meant is refused, and that is everything.
    let text = text.replace("{ proxy_pass http://10.0.0.2:80; }", "{ deny all; }");
    let found = import(nginx, &text);
    assert_eq!(answer(&found, "GET", "h.example", "/a"), "403");
    let closed = notes(&found, line_of(&text, "php"), Kind::ClosesAccess);
    assert!(closed.contains("all of /* is refused until you decide"), "{closed}");
    assert!(!notes(&found, line_of(&text, "php"), Kind::Untranslated).contains("longest prefix"));
}

#[test]
fn a_field_with_a_certificate_says_what_tells_of_it() {
    let text = server(
        " proxy_set_header X-Cert $ssl_client_escaped_cert;\n location / { proxy_pass http://10.0.0.1:80; }\n",
    );
    let found = import(nginx, &text);
    let lost = notes(&found, line_of(&text, "X-Cert"), Kind::Untranslated);
    assert!(lost.contains("client_cert = \"leaf\""), "{:?}", found.notes);
}

#[test]
fn settings_of_proxying_where_nothing_is_proxied_are_listed() {
    let text = "server {\n listen 8080;\n server_name a.example;\n proxy_set_header X-A 1;\n return 301 https://b.example;
}\nserver {\n listen 8080;\n server_name c.example;\n proxy_set_header X-B 1;\n location / { proxy_pass http://10.0.0.1:80; }
 location /fixed { proxy_connect_timeout 1s; return 200; }\n}\n";
    let found = import(nginx, text);
    let idle = |part| notes(&found, line_of(text, part), Kind::Unneeded).contains("nothing is proxied here");
    assert!(idle("X-A") && idle("/fixed") && !idle("X-B"), "{:?}", found.notes);
}
