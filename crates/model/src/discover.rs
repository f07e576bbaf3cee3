//! Where a service's endpoints come from when they are not listed: `discover = "dns:..."` as a value.
//! The resolving is elsewhere.

use crate::grammar::is_host_name;
use std::fmt;
use std::str::FromStr;

/// A source of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Discover {
    /// `"dns:host:port"`: every A and AAAA record, at one port.
    Dns { host: String, port: u16 },
    /// `"srv:_http._tcp.example"`: every SRV record (RFC 2782), with its port, priority and weight.
    Srv { name: String },
    /// `"file:endpoints.txt"`: one endpoint per line, read again when the file changes.
    File { path: String },
}

/// Why a text is not a source of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoverError {
    #[error("write \"dns:host:port\", \"srv:_http._tcp.example\" or \"file:endpoints.txt\"")]
    Kind,
    #[error("after `dns:` stand a host name and a port, like \"dns:catalog.internal:8080\"")]
    Dns,
    #[error("after `srv:` stands a DNS name, like \"srv:_http._tcp.example\"")]
    Srv,
    #[error("after `file:` stands a path")]
    File,
}

impl FromStr for Discover {
    type Err = DiscoverError;

    fn from_str(text: &str) -> Result<Self, DiscoverError> {
        match text.split_once(':').ok_or(DiscoverError::Kind)? {
            ("dns", rest) => {
                let (host, port) = rest.rsplit_once(':').ok_or(DiscoverError::Dns)?;
                let digits = port.bytes().all(|b| b.is_ascii_digit());
                let port =
                    port.parse().ok().filter(|&port: &u16| digits && port != 0).ok_or(DiscoverError::Dns)?;
                let host = Some(host.to_ascii_lowercase()).filter(|host| is_host_name(host));
                Ok(Self::Dns { host: host.ok_or(DiscoverError::Dns)?, port })
            }
            ("srv", name) if is_host_name(name) => Ok(Self::Srv { name: name.to_ascii_lowercase() }),
            ("srv", _) => Err(DiscoverError::Srv),
            ("file", "") => Err(DiscoverError::File),
            ("file", path) if path.contains('\0') => Err(DiscoverError::File),
            ("file", path) => Ok(Self::File { path: path.to_owned() }),
            _ => Err(DiscoverError::Kind),
        }
    }
}

impl fmt::Display for Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns { host, port } => write!(f, "dns:{host}:{port}"),
            Self::Srv { name } => write!(f, "srv:{name}"),
            Self::File { path } => write!(f, "file:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        for text in
            ["dns:catalog.internal:8080", "srv:_http._tcp.example", "file:/etc/headgate/endpoints.txt"]
        {
            assert_eq!(text.parse::<Discover>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "dns",
            "dns:",
            "dns:host",
            "dns:host:0",
            "dns:host:+1",
            "dns:10.0.0.1:80",
            "srv:",
            "file:",
            "etcd:x",
        ] {
            assert!(text.parse::<Discover>().is_err(), "{text}");
        }
    }
}
