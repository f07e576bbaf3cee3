//! A new connection to an endpoint, by whichever of its addresses accepts first. It asks no DNS of its own
//! while somebody else keeps the addresses, and it knows no deadline: whoever waits drops it.

use crate::socket::Plain;
use headgate_model::address::Target;
use headgate_model::state::EndpointState;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an attempt has to itself before the next address is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried for one connection.
const ATTEMPTS_MAX: usize = 8;

/// Connects to `endpoint`. A name is reached by the addresses that were resolved for it; before the first
/// answer, by what the system's resolver says. `turn` picks which of several addresses of the first family
/// is the first to be tried: with random turns connections spread over them.
///
/// # Errors
/// That of the attempt that failed last, when all failed.
pub async fn connect(endpoint: &EndpointState, turn: u64) -> io::Result<Plain> {
    let stream = match &endpoint.address.target {
        Target::Ip(address) => TcpStream::connect(address).await?,
        // Boxed: it is rare, and every request would carry its state.
        Target::Name { host, port } => Box::pin(by_name(endpoint, host, *port, turn)).await?,
        Target::Unix(path) => return UnixStream::connect(path).await.map(Plain::Unix),
    };
    stream.set_nodelay(true)?;
    Ok(Plain::Tcp(stream))
}

/// Whether a failure says nothing of the endpoint: this machine or process has no file, port or memory left for a
/// connection.
#[must_use]
pub fn is_own_lack(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let lacks = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| lacks.contains(&errno))
}

async fn by_name(endpoint: &EndpointState, host: &str, port: u16, turn: u64) -> io::Result<TcpStream> {
    match endpoint.resolved() {
        Some(addresses) => first_of(in_turn(&addresses, turn), port).await,
        None => TcpStream::connect((host, port)).await,
    }
}

/// The addresses with those of the first one's family rotated; the other family keeps its place behind.
fn in_turn(addresses: &[IpAddr], turn: u64) -> impl Iterator<Item = IpAddr> {
    let alike = |address: &&IpAddr| addresses.first().map(IpAddr::is_ipv4) == Some(address.is_ipv4());
    let (family, others) = addresses.split_at(addresses.iter().take_while(alike).count());
    let (later, sooner) = family.split_at(turn.checked_rem(family.len() as u64).unwrap_or(0) as usize);
    sooner.iter().chain(later).chain(others).copied()
}

/// Tries the next address when one fails, or beside it when it takes long.
async fn first_of(addresses: impl Iterator<Item = IpAddr>, port: u16) -> io::Result<TcpStream> {
    let mut waiting = addresses.map(|address| SocketAddr::new(address, port)).take(ATTEMPTS_MAX).peekable();
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(address) = waiting.next() {
        if attempts.is_empty() && waiting.peek().is_none() {
            return TcpStream::connect(address).await;
        }
        attempts.spawn(TcpStream::connect(address));
        // A panic of an attempt, which has none, would be a failure.
        if let Ok(Some(Ok(ended))) = timeout(ATTEMPT_DELAY, attempts.join_next()).await {
            match ended {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
    }
    while let Some(ended) = attempts.join_next().await {
        match ended {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = error,
            Err(_) => {}
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::net::TcpListener;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn endpoint(address: &str, resolved: &[&str]) -> EndpointState {
        let endpoint = EndpointState::new(address.parse().unwrap(), 1);
        endpoint.set_resolved(Arc::new(ips(resolved)));
        endpoint
    }

    fn peer(stream: Plain) -> SocketAddr {
        let Plain::Tcp(stream) = stream else { panic!() };
        stream.peer_addr().unwrap()
    }

    #[test]
    fn the_first_family_takes_turns() {
        let order = |addresses: &[&str], turn| in_turn(&ips(addresses), turn).collect::<Vec<_>>();
        let both = ["10.0.0.1", "10.0.0.2", "::1", "::2"];
        assert_eq!(order(&both, 0), ips(&both));
        assert_eq!(order(&both, 7), ips(&["10.0.0.2", "10.0.0.1", "::1", "::2"]));
        assert_eq!(order(&["::1", "::2"], 1), ips(&["::2", "::1"]));
        assert!(order(&[], 3).is_empty());
    }

    /// The name does not exist: nothing but the resolved addresses can lead anywhere.
    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let name = format!("app.invalid:{}", at.port());
        for resolved in
            [&["127.0.0.2"][..], &["127.0.0.1", "127.0.0.2"], &["127.0.0.3", "127.0.0.1", "127.0.0.2"]]
        {
            for turn in 0..3 {
                let stream = connect(&endpoint(&name, resolved), turn).await.unwrap();
                assert_eq!(peer(stream), at, "{resolved:?}");
            }
        }
        drop(listener);
        for resolved in [&[][..], &["127.0.0.2"], &["127.0.0.1", "127.0.0.2"]] {
            assert!(connect(&endpoint(&name, resolved), 0).await.is_err(), "{resolved:?}");
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_holds_up_no_other() {
        // The kernel answers nothing more once the queue of a socket that nobody accepts from is full.
        let silent = TcpListener::bind("127.0.0.4:0").await.unwrap();
        let at = silent.local_addr().unwrap();
        let full = socket2::SockRef::from(&silent);
        full.listen(0).unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_secs(1), TcpStream::connect(at)).await {
            filling.push(stream);
        }
        let well = TcpListener::bind(("127.0.0.5", at.port())).await.unwrap();
        let name = format!("app.invalid:{}", at.port());
        let stream = connect(&endpoint(&name, &["127.0.0.4", "127.0.0.5"]), 0).await.unwrap();
        assert_eq!(peer(stream), well.local_addr().unwrap());
    }

    #[tokio::test]
    async fn before_the_first_answer_the_system_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let endpoint = EndpointState::new(format!("localhost:{}", at.port()).parse().unwrap(), 1);
        assert_eq!(peer(connect(&endpoint, 0).await.unwrap()), at);
    }
}
