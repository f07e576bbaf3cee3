//! Settings of proxying in a block that proxies nothing: they come to nothing, and are listed. What else says so by
//! itself is not looked at.

use super::parse::Directive;
use crate::draft::Draft;

const SILENT: [&str; 6] = [
    "proxy_set_header",
    "proxy_hide_header",
    "proxy_connect_timeout",
    "grpc_connect_timeout",
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
];

/// Lists those of a server or location.
pub(super) fn note(block: &Directive, draft: &mut Draft) {
    if proxies(block) {
        return;
    }
    for directive in block.block.iter().flatten().filter(|one| SILENT.contains(&one.name.as_str())) {
        draft.unneeded(directive.line, format!("{}: nothing is proxied here", directive.shown()));
    }
}

/// Whether something in a block may send requests on; what is included and not here may.
fn proxies(block: &Directive) -> bool {
    let sends = |directive: &Directive| {
        matches!(directive.name.as_str(), "proxy_pass" | "grpc_pass" | "include") || proxies(directive)
    };
    block.block.iter().flatten().any(sends)
}
