//! Values of flags, read as strictly as the same settings in a configuration file.

use headgate_lab::rig::ReplicaSpec;
use headgate_lab::workload::Distribution;
use headgate_model::address::{BindAddress, EndpointAddress};
use headgate_model::pattern::Pattern;
use headgate_model::spec::{BalancePolicy, Span};
use std::net::SocketAddr;

/// `:3000`, `10.0.0.1:80`, `https://app.internal`, `unix:/run/app.sock`.
pub(crate) fn endpoint(text: &str) -> Result<String, String> {
    match text.parse::<EndpointAddress>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) if is_port(text) => {
            Err(format!("a port alone; write \":{text}\" for this machine, or \"host:{text}\""))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// `127.0.0.1:8080`, `:8080`, `unix:/run/headgate.sock`.
pub(crate) fn bind(text: &str) -> Result<String, String> {
    match text.parse::<BindAddress>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) if is_port(text) => {
            Err(format!("a port alone; write \":{text}\" for every address, or \"127.0.0.1:{text}\""))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A TCP address with both of its parts.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "not an IP address with a port, like \"127.0.0.1:{}\"",
            if is_port(text) { text } else { "3000" }
        )
    })
}

/// `shop.example`, `*.shop.example`.
pub(crate) fn host(text: &str) -> Result<String, String> {
    if text.contains('/') {
        return Err("a host alone, without a path".to_owned());
    }
    format!("{text}/*").parse::<Pattern>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A policy by its name in a configuration file.
pub(crate) fn policy(name: &str) -> Result<BalancePolicy, String> {
    let name_of = |policy: BalancePolicy| serde_json::to_value(policy).ok()?.as_str().map(str::to_owned);
    let found = BalancePolicy::ALL.into_iter().find(|policy| name_of(*policy).as_deref() == Some(name));
    found.ok_or_else(|| {
        let known: Vec<String> = BalancePolicy::ALL.into_iter().filter_map(name_of).collect();
        format!("there is no such policy; the policies are {}", known.join(", "))
    })
}

/// A distribution of times as in a study, without the outer braces: `exponential = { mean = "5ms" }`.
pub(crate) fn distribution(text: &str) -> Result<Distribution<Span<0>>, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

/// The file of a replica, as the rig writes it.
pub(crate) fn replica(file: &str) -> Result<ReplicaSpec, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}"))?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_answered_with_what_to_write() {
        assert!(endpoint("3000").unwrap_err().contains("\":3000\""));
        assert!(bind("8080").unwrap_err().contains("\"127.0.0.1:8080\""));
        assert!(socket("3000").unwrap_err().contains("127.0.0.1:3000"));
        assert!(endpoint(":3000").is_ok() && bind(":8080").is_ok() && host("*.a.test").is_ok());
        assert!(host("a.test/x").is_err() && host("not a host").is_err() && endpoint("").is_err());
    }
}
