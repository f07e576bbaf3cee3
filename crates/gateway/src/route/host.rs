//! The host of a request in the form that patterns have, and which sites it belongs to. It reads a host;
//! the codecs have already refused what is none (RFC 9110 section 7.2).

use super::words::Words;
use headgate_model::pattern::HostPattern;
use std::fmt::{self, Write};
use std::net::Ipv6Addr;

/// No DNS name is longer than 253 bytes (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;

/// A host in lower case, without port and final dot, IPv6 in its canonical form (RFC 5952); empty when the
/// client sent none, or one that is longer than any name. On the stack.
pub(super) struct HostName {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Default for HostName {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], len: 0 }
    }
}

impl HostName {
    pub(super) fn new(host: &[u8]) -> Self {
        let mut name = Self::default();
        let host = without_port(host);
        if let Some(ip) = ipv6(host) {
            // The longest form, `[` + 45 bytes + `]`, fits.
            let _ = write!(name, "[{ip}]");
        } else if let Some(bytes) = name.bytes.get_mut(..host.len()) {
            bytes.copy_from_slice(host);
            bytes.make_ascii_lowercase();
            name.len = host.len();
        }
        name
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for HostName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// The host without its port, and without the dot that may end a full DNS name.
pub(super) fn without_port(host: &[u8]) -> &[u8] {
    let end_of_name = if host.first() == Some(&b'[') {
        host.iter().position(|&byte| byte == b']').map(|close| close + 1)
    } else {
        host.iter().position(|&byte| byte == b':')
    };
    let name = &host[..end_of_name.unwrap_or(host.len())];
    name.strip_suffix(b".").unwrap_or(name)
}

fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let inside = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inside).ok()?.parse().ok()
}

/// Sites by their host patterns. A site is the number of a host pattern.
#[derive(Default)]
pub(super) struct Hosts {
    exact: Words<u32>,
    /// By suffix, which begins with a dot.
    wildcard: Words<u32>,
    any: Option<u32>,
}

impl Hosts {
    /// The site of a pattern, which becomes `new` when the pattern is not known yet.
    pub(super) fn site(&mut self, pattern: &HostPattern, new: u32) -> u32 {
        match pattern {
            HostPattern::Exact(name) => *self.exact.slot(0, name.as_bytes(), new),
            HostPattern::Wildcard(suffix) => *self.wildcard.slot(0, suffix.as_bytes(), new),
            HostPattern::Any => *self.any.get_or_insert(new),
        }
    }

    /// Whether any pattern names a host.
    pub(super) fn have_names(&self) -> bool {
        !(self.exact.is_empty() && self.wildcard.is_empty())
    }

    /// The sites that a host belongs to, the most specific first.
    pub(super) fn matching<'h>(&'h self, host: &'h [u8]) -> impl Iterator<Item = u32> + 'h {
        // A wildcard stands for at least one byte: a dot at the very beginning starts no suffix.
        let suffixes = (1..host.len()).filter(|&at| host[at] == b'.').map(|at| &host[at..]);
        let wildcard = suffixes.filter_map(|suffix| self.wildcard.get(0, suffix));
        self.exact.get(0, host).into_iter().chain(wildcard).chain(self.any)
    }

    pub(super) fn shrink(&mut self) {
        self.exact.shrink();
        self.wildcard.shrink();
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.exact.heap_bytes() + self.wildcard.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_the_form_of_patterns() {
        for (sent, name) in [
            ("Shop.Example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("shop.example:", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example.:443", "shop.example"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0:0:0:0:0:1]:8080", "[::1]"),
            ("[2001:DB8::00a]", "[2001:db8::a]"),
            ("[::FFFF:10.0.0.1]", "[::ffff:10.0.0.1]"),
            ("[::1", "[::1"),
            ("", ""),
            (":80", ""),
        ] {
            let got = HostName::new(sent.as_bytes());
            assert_eq!(std::str::from_utf8(got.as_bytes()), Ok(name), "{sent}");
        }
    }

    #[test]
    fn a_host_longer_than_a_name_is_like_none() {
        assert_eq!(HostName::new(&[b'a'; 255]).as_bytes().len(), 255);
        assert_eq!(HostName::new(&[b'a'; 256]).as_bytes(), b"");
        let longest = b"[1111:2222:3333:4444:5555:6666:7777:8888]";
        assert_eq!(HostName::new(longest).as_bytes(), longest);
    }

    #[test]
    fn sites_come_most_specific_first() {
        let mut hosts = Hosts::default();
        let patterns = [
            HostPattern::Any,
            HostPattern::Wildcard(".example".to_owned()),
            HostPattern::Wildcard(".shop.example".to_owned()),
            HostPattern::Exact("www.shop.example".to_owned()),
        ];
        for (site, pattern) in patterns.iter().enumerate() {
            assert_eq!(hosts.site(pattern, site as u32), site as u32);
            assert_eq!(hosts.site(pattern, 99), site as u32, "known by now");
        }
        for (host, sites) in [
            ("www.shop.example", &[3, 2, 1, 0][..]),
            ("a.b.shop.example", &[2, 1, 0]),
            ("shop.example", &[1, 0]),
            (".shop.example", &[1, 0]),
            ("example", &[0]),
            (".example", &[0]),
            ("", &[0]),
        ] {
            assert_eq!(hosts.matching(host.as_bytes()).collect::<Vec<_>>(), sites, "{host}");
        }
    }
}
