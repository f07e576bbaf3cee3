//! Where requests go: the URL taken apart, its name resolved, and the first of its addresses that answers.

use super::error::LoadError;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    /// As in the `Host` field.
    pub authority: String,
    /// The name or address without port and brackets.
    pub host: String,
    pub port: u16,
    /// Path and query, with its placeholders.
    pub path: String,
}

impl Target {
    /// Reads `http://host:port/path?query`, `https://...`, and without a scheme `host:port/path` or `:port`.
    ///
    /// # Errors
    /// [`LoadError::Url`] for everything else.
    pub fn parse(url: &str) -> Result<Self, LoadError> {
        let wrong = |why: &str| LoadError::Url { url: url.to_owned(), why: why.to_owned() };
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => return Err(wrong(&format!("the scheme {scheme} is unknown"))),
            None => (false, url),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) if rest.as_bytes()[at] == b'?' => {
                return Err(wrong("a path is missing before the query"));
            }
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return Err(wrong("it carries a user name; send it as --header \"authorization: Basic ...\""));
        }
        if path.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return Err(wrong("the path has a blank, a control character or a fragment"));
        }
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => {
                let port = authority[at + 1..].parse().map_err(|_| wrong("the port is not one"))?;
                (&authority[..at], port)
            }
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (host, authority) = match host {
            "" if authority.is_empty() => return Err(wrong("the host is missing")),
            "" => ("127.0.0.1", format!("127.0.0.1{authority}")),
            _ => (host, authority.to_owned()),
        };
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err(wrong("the host is not a name or an address"));
        }
        Ok(Self { tls, authority, host: host.to_owned(), port, path: path.to_owned() })
    }

    /// The first address of the name that accepts a connection.
    ///
    /// # Errors
    /// [`LoadError::Resolve`] or [`LoadError::Unreachable`].
    pub(super) fn reach(&self, patience: Duration) -> Result<SocketAddr, LoadError> {
        let addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|source| LoadError::Resolve { host: self.host.clone(), source })?;
        let mut failed = None;
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(_) => return Ok(address),
                Err(source) => failed = Some(LoadError::Unreachable { address, source }),
            }
        }
        let nothing = || LoadError::Resolve {
            host: self.host.clone(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"),
        };
        Err(failed.unwrap_or_else(nothing))
    }

    /// As it would be typed, without the path.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, tls, authority, host, port, path) in [
            ("http://a.test", false, "a.test", "a.test", 80, "/"),
            ("https://a.test:8443/x/{key}?y=1", true, "a.test:8443", "a.test", 8443, "/x/{key}?y=1"),
            ("127.0.0.1:3000/", false, "127.0.0.1:3000", "127.0.0.1", 3000, "/"),
            (":3000", false, "127.0.0.1:3000", "127.0.0.1", 3000, "/"),
            ("http://[::1]:80/a:b", false, "[::1]:80", "::1", 80, "/a:b"),
            ("https://[::1]", true, "[::1]", "::1", 443, "/"),
        ] {
            let target = Target::parse(url).unwrap();
            let got = (target.tls, &*target.authority, &*target.host, target.port, &*target.path);
            assert_eq!(got, (tls, authority, host, port, path), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (url, why) in [
            ("", "host is missing"),
            ("ftp://a.test/", "scheme ftp"),
            ("http://a.test:port/", "port is not one"),
            ("http://a.test:70000/", "port is not one"),
            ("http://u:p@a.test/", "user name"),
            ("http://a.test?x", "path is missing"),
            ("http://a.test/a b", "blank"),
            ("http://a.test/#x", "fragment"),
            ("http://a b/", "not a name"),
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
