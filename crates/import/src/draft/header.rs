//! Header edits of a draft: the fields that a route may change.

use super::Draft;
use headgate_model::grammar::{is_field_value, is_framing_field, is_token};
use headgate_model::spec::HeaderEdits;

impl Draft {
    /// A header for `set` or `add`, or a note.
    pub(crate) fn header(
        &mut self,
        line: usize,
        edits: &mut HeaderEdits,
        add: bool,
        name: &str,
        value: &str,
    ) {
        if !self.field_name(line, name) {
            return;
        }
        if !is_field_value(value) {
            self.untranslated(
                line,
                format!("the value of the header {name} has bytes that no header may have"),
            );
            return;
        }
        let fields = if add { &mut edits.add } else { &mut edits.set };
        if add && fields.contains_key(&name.to_ascii_lowercase()) {
            self.untranslated(line, format!("a second value for the header {name}"));
            return;
        }
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }

    /// A header to remove, or a note.
    pub(crate) fn remove_header(&mut self, line: usize, edits: &mut HeaderEdits, name: &str) {
        let lower = name.to_ascii_lowercase();
        if self.field_name(line, name) && !edits.remove.contains(&lower) {
            edits.remove.push(lower);
        }
    }

    fn field_name(&mut self, line: usize, name: &str) -> bool {
        if !is_token(name) {
            self.untranslated(line, format!("{name} is not the name of a header"));
            return false;
        }
        if is_forwarding(name) {
            let text =
                format!("{name}: Headgate writes it by itself, from what it sees and trusted_proxies say");
            self.approximated(line, text);
            return false;
        }
        if ["client-cert", "client-cert-chain"].contains(&name.to_ascii_lowercase().as_str()) {
            let text = format!("{name}: Headgate drops what clients send there{OF_CERTIFICATES}");
            self.approximated(line, text);
            return false;
        }
        if is_framing_field(name) || name.eq_ignore_ascii_case("host") {
            self.untranslated(line, format!("Headgate itself writes the header {name}"));
            return false;
        }
        true
    }
}

/// How services are told of certificates.
const OF_CERTIFICATES: &str =
    "; a listener's client_cert = \"leaf\" tells services the client's certificate in Client-Cert (RFC 9440)";

/// What a note adds on a field whose value comes from the client's certificate, in any of the three languages.
pub(crate) fn of_certificates(value: &str) -> &'static str {
    let starts = ["$ssl_client_", "ssl_c_", "tls.client", "tls_client"];
    if starts.iter().any(|start| value.contains(start)) { OF_CERTIFICATES } else { "" }
}

/// Whether Headgate writes this field of requests by itself, from what it sees.
pub(crate) fn is_forwarding(name: &str) -> bool {
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].contains(&name.to_ascii_lowercase().as_str())
}
