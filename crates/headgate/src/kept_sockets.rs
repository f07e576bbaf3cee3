//! Which listener of a configuration goes on with which socket that is open already. Sockets are known by
//! their address: a listener may change its name and keep its connections. Binds and closes nothing.

use headgate_model::address::BindAddress;
use headgate_net::listener::ListenSocket;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Listening sockets by listener name.
pub(crate) type OpenSockets = BTreeMap<String, Vec<Arc<ListenSocket>>>;

/// Open sockets, told apart.
pub(crate) struct Matched {
    /// By the name of the listener that goes on with them.
    pub(crate) kept: OpenSockets,
    /// Nobody's.
    pub(crate) left: Vec<Arc<ListenSocket>>,
}

/// Finds what is `open`, under the names of before, for the `wanted` listeners: name and address of each.
pub(crate) fn match_up<'c>(
    wanted: impl Iterator<Item = (&'c String, &'c String)> + Clone,
    mut open: OpenSockets,
) -> Matched {
    let mut kept = OpenSockets::new();
    // Names first, because port 0 agrees with any port.
    for by_name in [true, false] {
        for (name, bind) in wanted.clone().filter(|(_, bind)| by_name || !bind.ends_with(":0")) {
            let Ok(address) = bind.parse::<BindAddress>() else { continue };
            let fits = |(known, sockets): &(&String, &Vec<Arc<ListenSocket>>)| {
                (!by_name || *known == name) && sockets.iter().all(|socket| socket.is_bound_to(&address))
            };
            let found = open.iter().find(fits).map(|(known, _)| known.clone());
            if let Some(sockets) = found.and_then(|known| open.remove(&known)) {
                kept.insert(name.clone(), sockets);
            }
        }
    }
    Matched { kept, left: open.into_values().flatten().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_net::listener::bind;
    use std::collections::BTreeMap;

    fn open(names: &[&str]) -> (OpenSockets, Vec<String>) {
        let sockets: Vec<_> =
            names.iter().map(|_| bind(&"127.0.0.1:0".parse().unwrap(), false, 8).unwrap()).collect();
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        let addresses = sockets.iter().map(|socket| match &**socket {
            ListenSocket::Tcp(socket) => socket.local_addr().unwrap().to_string(),
            ListenSocket::Unix(_) => unreachable!("only TCP was bound"),
        });
        let addresses = addresses.collect();
        (
            names.iter().map(ToString::to_string).zip(sockets.into_iter().map(|one| vec![one])).collect(),
            addresses,
        )
    }

    fn kept(wanted: &[(&str, &str)], open: OpenSockets) -> (BTreeMap<String, bool>, usize) {
        let wanted: BTreeMap<String, String> =
            wanted.iter().map(|(name, bind)| (name.to_string(), bind.to_string())).collect();
        let matched = match_up(wanted.iter(), open);
        let fits = |(name, sockets): (&String, &Vec<Arc<ListenSocket>>)| {
            (name.clone(), sockets[0].is_bound_to(&wanted[name].parse().unwrap()))
        };
        (matched.kept.iter().map(fits).collect(), matched.left.len())
    }

    #[test]
    fn sockets_follow_their_addresses() {
        let both = |a: &str, b: &str| BTreeMap::from([(a.to_owned(), true), (b.to_owned(), true)]);
        let (sockets, at) = open(&["a", "b"]);
        assert_eq!(kept(&[("a", &at[1]), ("b", &at[0])], sockets), (both("a", "b"), 0), "exchanged");
        let (sockets, at) = open(&["a", "b"]);
        assert_eq!(kept(&[("b", &at[1]), ("c", &at[0])], sockets), (both("b", "c"), 0), "renamed");
        let (sockets, _) = open(&["a", "b"]);
        assert_eq!(kept(&[("a", "127.0.0.1:0"), ("b", "127.0.0.1:0")], sockets), (both("a", "b"), 0));
        let (sockets, _) = open(&["a"]);
        assert_eq!(kept(&[("b", "127.0.0.1:0")], sockets), (BTreeMap::new(), 1), "any port is no address");
    }
}
