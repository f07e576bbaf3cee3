//! `set_real_ip_from` and `real_ip_header`: whose word on the client's address is believed. Headgate believes
//! the `X-Forwarded-For` of a listener's trusted proxies.

use super::parse::Directive;
use crate::draft::Draft;

/// What holds in a block.
#[derive(Clone, Default)]
pub(super) struct RealIp {
    /// The lists of the innermost level that has any.
    from: Vec<Directive>,
    header: Option<Directive>,
    recursive: bool,
    fresh: bool,
}

impl RealIp {
    /// The same, for a block inside.
    pub(super) fn inner(&self) -> Self {
        Self { fresh: false, ..self.clone() }
    }

    /// Takes a directive in; false when it is none of these.
    pub(super) fn take(&mut self, directive: &Directive) -> bool {
        match directive.name.as_str() {
            "set_real_ip_from" => {
                if !std::mem::replace(&mut self.fresh, true) {
                    self.from.clear();
                }
                self.from.push(directive.clone());
            }
            "real_ip_header" => self.header = Some(directive.clone()),
            "real_ip_recursive" => self.recursive = directive.arg(0) == "on",
            _ => return false,
        }
        true
    }

    /// Tells a listener whom to trust.
    pub(super) fn apply(&self, listener: &str, draft: &mut Draft) {
        if self.from.is_empty() {
            if let Some(header) = &self.header {
                draft.unneeded(header.line, format!("{}: nobody's word is believed", header.shown()));
            }
            return;
        }
        let header = self.header.as_ref().map_or("X-Real-IP", |header| header.arg(0));
        if !header.eq_ignore_ascii_case("x-forwarded-for") {
            for directive in self.from.iter().chain(&self.header) {
                let text = format!(
                    "{}: the client is found in X-Forwarded-For or a PROXY header, not in {header}",
                    directive.shown()
                );
                draft.untranslated(directive.line, text);
            }
            return;
        }
        for directive in &self.from {
            draft.trust(directive.line, listener, directive.arg(0));
        }
        if let Some(header) = self.header.as_ref().filter(|_| !self.recursive) {
            let text = "the nearest address that is not trusted, as with `real_ip_recursive on`";
            draft.approximated(header.line, format!("{}: {text}", header.shown()));
        }
    }
}
