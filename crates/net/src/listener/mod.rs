//! Listening sockets: bound from an address of the configuration, or inherited from the process that is
//! being replaced. Accepting is not done here.

mod inherit;

pub use inherit::{InheritError, LISTENERS_VARIABLE, inherit, pass_on};

use headgate_model::address::BindAddress;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::borrow::Borrow;
use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Connecting needs write permission: the gateway's user and group may, others may not.
const UNIX_SOCKET_MODE: u32 = 0o660;

/// The index of no network device: Linux counts them up from 1.
const NO_DEVICE: NonZeroU32 = NonZeroU32::new(i32::MAX as u32).expect("it is not zero");

/// A listening socket, non-blocking and closed on exec.
#[derive(Debug)]
pub enum ListenSocket {
    /// Accepted connections inherit TCP_NODELAY from it.
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ListenSocket {
    /// Whether this is what [`bind`] would give for the address. Port zero agrees with any port.
    #[must_use]
    pub fn is_bound_to(&self, address: &BindAddress) -> bool {
        let same = |local: SocketAddr, wanted: SocketAddr| {
            local.ip() == wanted.ip() && (wanted.port() == 0 || local.port() == wanted.port())
        };
        match (self, address) {
            (Self::Tcp(socket), BindAddress::Ip(wanted)) => {
                socket.local_addr().is_ok_and(|local| same(local, *wanted)) && !self.takes_ipv4_by_ipv6()
            }
            (Self::Tcp(socket), BindAddress::Every { port }) => {
                let wanted = every(*port);
                let both = wanted.is_ipv6();
                socket.local_addr().is_ok_and(|local| same(local, wanted))
                    && self.takes_ipv4_by_ipv6() == both
            }
            (Self::Unix(socket), BindAddress::Unix(path)) => {
                socket.local_addr().is_ok_and(|local| local.as_pathname() == Some(Path::new(path)))
            }
            _ => false,
        }
    }

    /// Removes the file of a Unix socket that is still open; nothing where its path leads to no socket.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove_file(&self) -> io::Result<()> {
        let Self::Unix(socket) = self else { return Ok(()) };
        let address = socket.local_addr()?;
        let Some(path) = address.as_pathname() else { return Ok(()) };
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
            _ => Ok(()),
        }
    }

    /// Another handle on the same socket.
    ///
    /// # Errors
    /// The operating system's, when it has no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }

    /// Lets no new handshake begin: one that another socket could take goes there, as if this one were closed.
    /// Those under way still come to their end here, where closing would reset them; so a socket that leaves
    /// is silenced, accepted from for a round trip or two, and then closed. All handles on it are silenced, and
    /// for good. A Unix socket knows no handshakes, and is left as it is.
    ///
    /// # Errors
    /// The operating system's: before Linux 5.7, and where somebody bound the socket to a device, only root may. It
    /// is left as it is then.
    pub fn silence(&self) -> io::Result<()> {
        match self {
            // Of the sockets of a port only those are asked whose device the packet came in by. On Linux the call
            // sets the same option for both families.
            Self::Tcp(socket) => SockRef::from(socket).bind_device_by_index_v4(Some(NO_DEVICE)),
            Self::Unix(_) => Ok(()),
        }
    }

    fn has_port_of(&self, address: &BindAddress) -> bool {
        let wanted = match address {
            BindAddress::Ip(ip) => ip.port(),
            BindAddress::Every { port } => *port,
            BindAddress::Unix(_) => return false,
        };
        matches!(self, Self::Tcp(socket) if socket.local_addr().is_ok_and(|local| local.port() == wanted))
    }

    fn takes_ipv4_by_ipv6(&self) -> bool {
        // Only IPv6 sockets have the option; asking another fails.
        SockRef::from(self).only_v6().is_ok_and(|only_v6| !only_v6)
    }
}

impl AsFd for ListenSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Whether [`ListenSocket::silence`] was called on the socket, by whatever handle.
#[must_use]
pub fn is_silenced(socket: &impl AsFd) -> bool {
    SockRef::from(socket).device_index_v4().is_ok_and(|device| device == Some(NO_DEVICE))
}

/// Binds and listens. `backlog` is in connections; the kernel caps it (`net.core.somaxconn`).
///
/// `reuse_port` lets each worker have its own socket of one TCP address, between which the kernel spreads
/// connections; all must ask for it, and port zero gives each another port. It also lets another process of
/// the same user share the port unnoticed. `":8080"` takes IPv6 and IPv4, or IPv4 alone where the kernel has
/// no IPv6; `"[::]:8080"` takes IPv6 alone. A Unix socket gets mode 0660. Its file stays when the socket is
/// closed, since a successor may be serving it (but see [`ListenSocket::remove_file`]); one that nobody serves
/// is replaced here.
///
/// # Errors
/// The operating system's, among them `AddrInUse`, also for a Unix socket that somebody serves; and
/// `AlreadyExists` when the path is a file of another kind.
pub fn bind(address: &BindAddress, reuse_port: bool, backlog: u32) -> io::Result<ListenSocket> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    match address {
        BindAddress::Ip(ip) => bind_tcp(*ip, true, reuse_port, backlog),
        BindAddress::Every { port } => bind_tcp(every(*port), false, reuse_port, backlog),
        BindAddress::Unix(path) => bind_unix(Path::new(path), backlog),
    }
}

/// [`bind`] to an address that nobody else has, not even one who shares it: that would be allowed between two
/// processes of one user, by accident too. `leaving` are sockets of ours that are about to be closed, and may
/// stand in the way: one of `127.0.0.1:80` in that of `:80`. Both listen until then, so that no connection is
/// refused.
///
/// # Errors
/// As [`bind`].
pub fn bind_beside<Socket: Borrow<ListenSocket>>(
    address: &BindAddress,
    leaving: &[Socket],
    reuse_port: bool,
    backlog: u32,
) -> io::Result<ListenSocket> {
    let leaving = leaving.iter().map(Borrow::borrow);
    let in_the_way: Vec<SockRef<'_>> =
        leaving.filter(|socket| socket.has_port_of(address)).map(SockRef::from).collect();
    if in_the_way.is_empty() {
        check_free(address)?;
        return bind(address, reuse_port, backlog);
    }
    // All who share a port have to allow it. Afterwards they do as before.
    let mut shared = Vec::new();
    for socket in &in_the_way {
        if !socket.reuse_port()? {
            socket.set_reuse_port(true)?;
            shared.push(socket);
        }
    }
    let bound = bind(address, true, backlog);
    for socket in shared {
        socket.set_reuse_port(false)?;
    }
    let bound = bound?;
    SockRef::from(&bound).set_reuse_port(reuse_port)?;
    Ok(bound)
}

/// Whether [`bind`] without `reuse_port` would succeed. Does not listen meanwhile: a connection that came
/// just then would be reset. A Unix socket's path is not looked at, since [`bind`] always finds out.
fn check_free(address: &BindAddress) -> io::Result<()> {
    match address {
        BindAddress::Ip(ip) => bound_tcp(*ip, true, false).map(drop),
        BindAddress::Every { port } => bound_tcp(every(*port), false, false).map(drop),
        BindAddress::Unix(_) => Ok(()),
    }
}

/// Every address of both families, or of IPv4 alone where the kernel has no IPv6.
fn every(port: u16) -> SocketAddr {
    match Socket::new(Domain::IPV6, Type::STREAM, None) {
        Ok(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
        Err(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
    }
}

fn bind_tcp(address: SocketAddr, only_v6: bool, reuse_port: bool, backlog: i32) -> io::Result<ListenSocket> {
    let socket = bound_tcp(address, only_v6, reuse_port)?;
    socket.listen(backlog)?;
    Ok(ListenSocket::Tcp(socket.into()))
}

fn bound_tcp(address: SocketAddr, only_v6: bool, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of a former process that are still closing must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path, backlog: i32) -> io::Result<ListenSocket> {
    remove_if_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Until it listens every connection is refused, so nobody comes in under the wider first mode.
    fs::set_permissions(path, Permissions::from_mode(UNIX_SOCKET_MODE))?;
    socket.listen(backlog)?;
    Ok(ListenSocket::Unix(socket.into()))
}

/// Removes the file of a socket that nobody listens on: only a refused connection proves that.
fn remove_if_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let help = "a file that is not a socket stands in the listener's path; move it away";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, help));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where the queue of connections is full, waiting for a place in it could take for ever.
    probe.set_nonblocking(true)?;
    let outcome = probe.connect(&SockAddr::unix(path)?);
    match outcome.map_err(|error| error.kind()) {
        Err(io::ErrorKind::ConnectionRefused) => fs::remove_file(path),
        Err(io::ErrorKind::NotFound) => Ok(()),
        Ok(()) | Err(io::ErrorKind::WouldBlock) => Err(io::ErrorKind::AddrInUse.into()),
        Err(other) => Err(other.into()),
    }
}

impl TryFrom<OwnedFd> for ListenSocket {
    type Error = io::Error;

    /// Takes a socket that another process bound, and gives it the settings of [`bind`].
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(fd);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a listening stream socket"));
        }
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        let local = socket.local_addr()?;
        if local.is_unix() {
            return Ok(Self::Unix(socket.into()));
        }
        if local.as_socket().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a TCP nor a Unix socket"));
        }
        socket.set_tcp_nodelay(true)?;
        Ok(Self::Tcp(socket.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn tcp(address: &str, reuse_port: bool) -> io::Result<(TcpListener, SocketAddr)> {
        let address: BindAddress = address.parse().unwrap();
        let socket = bind(&address, reuse_port, 16)?;
        assert!(socket.is_bound_to(&address));
        let ListenSocket::Tcp(socket) = socket else { panic!("{socket:?}") };
        let local = socket.local_addr()?;
        Ok((socket, local))
    }

    /// Waits in the kernel, not by time.
    fn accept(socket: &TcpListener) -> TcpStream {
        socket.set_nonblocking(false).unwrap();
        socket.accept().unwrap().0
    }

    #[test]
    fn a_socket_is_non_blocking_and_its_connections_send_at_once() {
        let (socket, local) = tcp("127.0.0.1:0", false).unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _client = TcpStream::connect(local).unwrap();
        assert!(accept(&socket).nodelay().unwrap());
    }

    #[test]
    fn a_taken_port_is_an_error_unless_all_share_it() {
        let (_alone, local) = tcp("127.0.0.1:0", false).unwrap();
        assert_eq!(tcp(&local.to_string(), true).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (_first, local) = tcp("127.0.0.1:0", true).unwrap();
        assert!(tcp(&local.to_string(), true).is_ok());
    }

    #[test]
    fn a_leaving_socket_of_ours_is_no_obstacle_to_a_wider_one() {
        for (reuse_port, wide) in [(false, "0.0.0.0"), (true, "0.0.0.0"), (false, ""), (true, "")] {
            let (narrow, local) = tcp("127.0.0.1:0", reuse_port).unwrap();
            let narrow = [ListenSocket::Tcp(narrow)];
            let address: BindAddress = format!("{wide}:{}", local.port()).parse().unwrap();
            let refused = bind_beside::<ListenSocket>(&address, &[], reuse_port, 16).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "somebody else's");
            let bound = bind_beside(&address, &narrow, reuse_port, 16).unwrap();
            assert!(bound.is_bound_to(&address));
            for socket in [&bound, &narrow[0]] {
                assert_eq!(SockRef::from(socket).reuse_port().unwrap(), reuse_port);
            }
            // Who comes meanwhile is served by the old one, afterwards by the new one.
            let ([ListenSocket::Tcp(old)], ListenSocket::Tcp(new)) = (&narrow, &bound) else {
                unreachable!()
            };
            let _client = TcpStream::connect(local).unwrap();
            accept(old);
            drop(narrow);
            let _client = TcpStream::connect(local).unwrap();
            accept(new);
        }
    }

    #[test]
    fn a_silenced_socket_keeps_its_queue_and_gets_nothing_new() {
        for reuse_port in [false, true] {
            let (narrow, local) = tcp("127.0.0.1:0", reuse_port).unwrap();
            let narrow = [ListenSocket::Tcp(narrow)];
            let wide: BindAddress = format!("0.0.0.0:{}", local.port()).parse().unwrap();
            let wide = bind_beside(&wide, &narrow, reuse_port, 16).unwrap();
            let before = TcpStream::connect(local).unwrap();
            assert!(!is_silenced(&narrow[0]));
            narrow[0].silence().unwrap();
            assert!(is_silenced(&narrow[0]) && !is_silenced(&wide));
            let after = TcpStream::connect(local).unwrap();
            let ([ListenSocket::Tcp(old)], ListenSocket::Tcp(new)) = (&narrow, &wide) else { unreachable!() };
            for (socket, client) in [(old, before), (new, after)] {
                assert_eq!(accept(socket).peer_addr().unwrap(), client.local_addr().unwrap());
            }
            // And nobody is in the way of a third, which hears what the first one did.
            let again = BindAddress::Ip(local);
            let again =
                bind_beside(&again, &[&narrow[0], &wide].map(|one| one.try_clone().unwrap()), reuse_port, 16);
            let ListenSocket::Tcp(again) = again.unwrap() else { unreachable!() };
            let client = TcpStream::connect(local).unwrap();
            assert_eq!(accept(&again).peer_addr().unwrap(), client.local_addr().unwrap());
        }
    }

    #[test]
    fn a_silenced_socket_that_was_alone_refuses() {
        let (socket, local) = tcp("127.0.0.1:0", false).unwrap();
        ListenSocket::Tcp(socket.try_clone().unwrap()).silence().unwrap();
        assert_eq!(TcpStream::connect(local).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn every_address_means_both_families_and_an_ipv6_address_means_ipv6() {
        let (socket, local) = tcp(":0", false).unwrap();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, local.port())).unwrap();
        assert_eq!(accept(&socket).peer_addr().unwrap().ip().to_canonical(), Ipv4Addr::LOCALHOST);
        if every(0).is_ipv6() {
            let (_only_v6, local) = tcp("[::]:0", false).unwrap();
            assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, local.port())).is_err());
        }
    }

    #[test]
    fn a_socket_is_told_from_those_of_other_addresses() {
        let (every, local) = tcp(":0", false).unwrap();
        let socket = ListenSocket::try_from(OwnedFd::from(every)).unwrap();
        for (address, same) in [
            (format!(":{}", local.port()), true),
            (":0".to_owned(), true),
            (format!("[::]:{}", local.port()), false),
            (format!("0.0.0.0:{}", local.port()), false),
            (format!(":{}", local.port() ^ 1), false),
        ] {
            assert_eq!(socket.is_bound_to(&address.parse().unwrap()), same, "{address}");
        }
    }

    #[test]
    fn only_listening_sockets_are_taken_over() {
        let (socket, local) = tcp("127.0.0.1:0", false).unwrap();
        let client = TcpStream::connect(local).unwrap();
        assert!(ListenSocket::try_from(OwnedFd::from(client)).is_err());
        assert!(ListenSocket::try_from(OwnedFd::from(socket)).is_ok());
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_a_served_one_and_a_file_are_not() {
        let path = std::env::temp_dir().join(format!("headgate-listener-{}.sock", std::process::id()));
        let address: BindAddress = format!("unix:{}", path.display()).parse().unwrap();
        let served = bind(&address, false, 0).unwrap();
        assert!(served.is_bound_to(&address) && !served.is_bound_to(&":80".parse().unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, UNIX_SOCKET_MODE);
        // Twice: the second finds the queue of connections full.
        for _ in 0..2 {
            assert_eq!(bind(&address, false, 16).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }

        drop(served);
        assert!(path.exists());
        drop(bind(&address, false, 16).unwrap());

        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert_eq!(bind(&address, false, 16).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
    }
}
