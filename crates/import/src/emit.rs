//! Writes a configuration as people would: block style, in the order of the reference, only what
//! differs from a default.

use headgate_model::spec::{
    AccessLog, Breaker, Bulkhead, Config, Fallback, ListenTls, Outlier, Respond, RouteCache, RouteSpec,
    UpstreamTls,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Longer tables get a block of their own.
const MAX_INLINE_CHARS: usize = 100;

pub(crate) fn toml(config: &Config, file_name: &str) -> String {
    let name: String = file_name.chars().filter(|c| !c.is_control()).collect();
    let mut out = format!("# Imported from {name}\n");
    let default = value(&Config::default());
    let Value::Object(mut top) = value(config) else { return out };
    for key in ["listen", "service", "route"] {
        top.remove(key);
    }
    let globals = pruned(&top, &default);
    if globals.values().any(|value| !value.is_object()) {
        out.push('\n');
    }
    if !globals.is_empty() {
        block(&mut out, "", "", &globals);
    }
    for (name, spec) in &config.listeners {
        section(
            &mut out,
            &format!("[listen.{}]", key_text(name)),
            &format!("listen.{}", key_text(name)),
            spec,
        );
    }
    for (name, spec) in &config.services {
        section(
            &mut out,
            &format!("[service.{}]", key_text(name)),
            &format!("service.{}", key_text(name)),
            spec,
        );
    }
    for route in &config.routes {
        section(&mut out, "[[route]]", "route", route);
    }
    out
}

/// Routes that a refusal has taken the place of, as comments, to be switched on by hand.
pub(crate) fn withheld(routes: &[RouteSpec]) -> String {
    let mut text = String::new();
    for route in routes {
        section(&mut text, "[[route]]", "route", route);
    }
    if text.is_empty() {
        return text;
    }
    let mut out = "\n# Routes that a refusal above has taken the place of. Where its rule could not be translated, decide on\n\
                   # that rule, then let the route take the place of the refusal:\n"
        .to_owned();
    for line in text.lines() {
        let _infallible = writeln!(out, "{}", format!("# {line}").trim_end());
    }
    out
}

fn section<T: Serialize + Default>(out: &mut String, header: &str, path: &str, spec: &T) {
    let Value::Object(table) = value(spec) else { return };
    let _infallible = write!(out, "\n{header}\n");
    block(out, header, path, &pruned(&table, &value(&T::default())));
}

/// The plain keys of a table, then its long tables under headers of their own.
fn block(out: &mut String, header: &str, path: &str, table: &Map<String, Value>) {
    let mut keys: Vec<&String> = table.keys().collect();
    keys.sort_by_key(|key| (rank(key), key.as_str()));
    let mut long = Vec::new();
    for key in keys {
        let line = format!("{} = {}", key_text(key), inline(&table[key], key));
        match &table[key] {
            // At the top level a table is a section: [admin].
            Value::Object(child) if header.is_empty() || line.chars().count() > MAX_INLINE_CHARS => {
                long.push((key, child))
            }
            Value::Array(items) if line.chars().count() > MAX_INLINE_CHARS => {
                let _infallible = writeln!(out, "{} = [", key_text(key));
                for item in items {
                    let _infallible = writeln!(out, "    {},", inline(item, key));
                }
                out.push_str("]\n");
            }
            _ => {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
    for (key, child) in long {
        let path = if path.is_empty() { key_text(key) } else { format!("{path}.{}", key_text(key)) };
        let _infallible = write!(out, "\n[{path}]\n");
        block(out, &path, &path, child);
    }
}

fn value<T: Serialize>(spec: &T) -> Value {
    // The spec's maps have text keys and its numbers are finite, so that nothing here can fail.
    serde_json::to_value(spec).unwrap_or(Value::Null)
}

/// What differs from the default. A table that is there only when wanted stays, even when empty.
fn pruned(table: &Map<String, Value>, default: &Value) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, child) in table {
        let default = default.get(key).unwrap_or(&Value::Null);
        match child {
            Value::Null => {}
            same if same == default => {}
            Value::Object(child) if default.is_null() => {
                kept.insert(key.clone(), Value::Object(pruned(child, &default_of(key, child))));
            }
            Value::Object(child) => {
                let child = pruned(child, default);
                if !child.is_empty() {
                    kept.insert(key.clone(), Value::Object(child));
                }
            }
            other => {
                kept.insert(key.clone(), other.clone());
            }
        }
    }
    kept
}

/// The defaults of the tables that are absent by default.
fn default_of(key: &str, table: &Map<String, Value>) -> Value {
    match key {
        "tls" if table.contains_key("certificates") => value(&ListenTls::default()),
        "tls" => value(&UpstreamTls::default()),
        "outlier" => value(&Outlier::default()),
        "breaker" => value(&Breaker::default()),
        "bulkhead" => value(&Bulkhead::default()),
        "fallback" => value(&Fallback::default()),
        "respond" => value(&Respond::default()),
        "log" => value(&AccessLog::default()),
        "redirect" => json!({ "status": 302 }),
        "cache" => value(&RouteCache::default()),
        "balance" => json!({ "bounded_load": 0.0 }),
        "sticky" => json!({ "cookie": "headgate_sticky", "ttl": "0s" }),
        "health" => {
            json!({ "kind": "http", "interval": "2s", "timeout": "1s", "healthy_after": 2, "unhealthy_after": 3 })
        }
        _ => Value::Null,
    }
}

fn inline(value: &Value, key: &str) -> String {
    match value {
        Value::String(text) => quoted(text, key == "secret"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| inline(item, key)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort_by_key(|key| (rank(key), key.as_str()));
            let pair = |key: &&String| format!("{} = {}", key_text(key), inline(&table[*key], key));
            format!("{{ {} }}", keys.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Number(bytes) if matches!(key, "body" | "head" | "uri") => {
            size(bytes.as_u64().unwrap_or_default())
        }
        other => other.to_string(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b > 0 && b % (1 << 20) == 0 => format!("\"{}MiB\"", b >> 20),
        b if b > 0 && b % (1 << 10) == 0 => format!("\"{}KiB\"", b >> 10),
        b => b.to_string(),
    }
}

/// A basic string of TOML. `${` is written so that it is not read as a variable, unless it is meant as one.
fn quoted(text: &str, variables: bool) -> String {
    let text = if variables { text.to_owned() } else { text.replace("${", "$${") };
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare { key.to_owned() } else { quoted(key, true) }
}

/// The order of the keys in the reference.
fn rank(key: &str) -> usize {
    const ORDER: [&str; 62] = [
        "profile",
        "workers",
        "drain",
        "drain_delay",
        "admin",
        "log",
        "trace",
        "name",
        "match",
        "listeners",
        "methods",
        "headers",
        "query",
        "service",
        "redirect",
        "respond",
        "endpoints",
        "discover",
        "bind",
        "http2",
        "proxy_protocol",
        "trusted_proxies",
        "protocol",
        "balance",
        "policy",
        "cert",
        "key",
        "address",
        "weight",
        "kind",
        "path",
        "host",
        "interval",
        "timeout",
        "healthy_after",
        "unhealthy_after",
        "sticky",
        "cookie",
        "secret",
        "ttl",
        "health",
        "outlier",
        "slow_start",
        "pool",
        "retry",
        "timeouts",
        "breaker",
        "bulkhead",
        "fallback",
        "to",
        "status",
        "body",
        "content_type",
        "strip",
        "rewrite",
        "request_headers",
        "response_headers",
        "tls",
        "limits",
        "remove",
        "set",
        "add",
    ];
    ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::spec::{EndpointSpec, ListenSpec, Redirect, RouteSpec, ServiceSpec};

    #[test]
    fn writes_what_differs_and_loads_again() {
        let mut config = Config::default();
        config
            .listeners
            .insert("web".to_owned(), ListenSpec { bind: ":80".to_owned(), ..ListenSpec::default() });
        let mut service = ServiceSpec { tls: Some(UpstreamTls::default()), ..ServiceSpec::default() };
        service.endpoints.push(EndpointSpec::Full { address: "a:1".to_owned(), weight: 3 });
        config.services.insert("a.b".to_owned(), service);
        let redirect = Redirect { to: "https://{host}/$${x}\"".to_owned(), status: 302 };
        let route =
            RouteSpec { pattern: "/*".to_owned(), service: Some("a.b".to_owned()), ..RouteSpec::default() };
        config.routes.push(route);
        let text = toml(&config, "x\n.conf");
        assert_eq!(
            text,
            "# Imported from x.conf\n\n[listen.web]\nbind = \":80\"\n\n[service.\"a.b\"]\nendpoints = [{ address = \"a:1\", \
             weight = 3 }]\ntls = {}\n\n[[route]]\nmatch = \"/*\"\nservice = \"a.b\"\n"
        );
        assert_eq!(headgate_model::load(&text, "x", &|_| None), Ok(config));
        assert_eq!(quoted(&redirect.to, false), "\"https://{host}/$$${x}\\\"\"");
    }
}
