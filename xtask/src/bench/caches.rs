//! What turns each proxy's configuration into that of a cache, as its own documentation advises for speed:
//! content in memory, no log, no lock between requests where that is its default.

use std::path::Path;

/// Bytes of a small object.
pub(crate) const SMALL: usize = 1024;
/// Seconds that responses are fresh: longer than any bench runs.
const FRESH_SECONDS: u32 = 3600;

/// A path of the origin whose answer is `SMALL` bytes: itself, then filling.
pub(crate) fn small_path(number: usize) -> String {
    format!("/objects/{number:06}")
}

/// The content at `path`.
pub(crate) fn small_body(path: &str) -> String {
    format!("{path}{}", "x".repeat(SMALL - path.len()))
}

/// Of the origin: small objects, files that may be stored, and how many requests it has had.
pub(crate) fn origin(folder: &Path) -> String {
    let path = small_path(0);
    let filling = &small_body(&path)[path.len()..];
    let fresh = format!("add_header Cache-Control max-age={FRESH_SECONDS};");
    format!(
        "location /objects/ {{ {fresh} return 200 \"${{uri}}{filling}\"; }}
    location /stored/ {{ {fresh} alias {}/files/; }}
    location = /count {{ stub_status; }}",
        folder.display()
    )
}

/// Of NGINX's `http` block. Its cache manager keeps `mib` only with a master process.
pub(crate) fn nginx(folder: &Path, mib: u32) -> String {
    format!(
        "proxy_cache_path {}/stored levels=1:2 keys_zone=stored:32m max_size={mib}m inactive=600m use_temp_path=off;
  proxy_cache stored; sendfile on; tcp_nopush off;
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s;",
        folder.display()
    )
}

/// HAProxy's section of the cache, and the rules of its frontend.
pub(crate) fn haproxy(mib: u32) -> (String, &'static str) {
    let section = format!(
        "cache stored
  total-max-size {mib}
  max-object-size 4194304
  max-age {FRESH_SECONDS}
"
    );
    (section, "http-request cache-use stored\n  http-response cache-store stored")
}

/// Varnish has no access log to turn off: it writes each request to shared memory, which the mask keeps it from.
pub(crate) fn varnish(mib: u32) -> Vec<String> {
    let silent = [
        "Begin,-End,-Link,-SessOpen,-SessClose,-ReqStart,-ReqMethod,-ReqURL,-ReqProtocol,-ReqHeader,-ReqUnset",
        "RespProtocol,-RespStatus,-RespReason,-RespHeader,-RespUnset,-Timestamp,-VCL_call,-VCL_return,-Hit",
        "ReqAcct,-PipeAcct,-BereqAcct,-Length",
    ];
    let parameters = ["thread_pools=1", "thread_pool_min=10", "thread_pool_max=1000"]
        .map(str::to_owned)
        .into_iter()
        .chain(silent.map(|tags| format!("vsl_mask=-{tags}")));
    let storage = ["-s".to_owned(), format!("malloc,{mib}m")];
    storage.into_iter().chain(parameters.flat_map(|parameter| ["-p".to_owned(), parameter])).collect()
}

/// Headgate's table of the cache.
pub(crate) fn headgate(mib: u32) -> String {
    format!("\n[cache]\nmemory = \"{mib}MiB\"\n")
}
