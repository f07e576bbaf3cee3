//! The access log's format string. Promise: no panic; a refusal says what is wrong.

use headgate_model::spec::LogFormat;
use headgate_observe::access_log::Format;

pub const SEEDS: &[&[u8]] =
    &[b"{client} {method} {target} {status}", b"{{}} {status} {nothing}", b"{status", b"no field"];

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Format::parse(&LogFormat::Custom(text.to_owned())) {
        assert!(!error.to_string().is_empty());
    }
}
