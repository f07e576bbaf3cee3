//! Listening sockets across a binary upgrade: the old process starts the new one with its sockets open and
//! says in an environment variable which descriptor belongs to which listener. The socket, and with it the
//! queue of connections, is one and the same in both, so none is refused or lost in between.
//!
//! The format is `HEADGATE_LISTENERS=web=3,4;tls=5`: listeners apart by `;`, a name, `=`, and descriptor
//! numbers apart by `,` (one per worker, or one). An empty value means none.

use super::ListenSocket;
use socket2::SockRef;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// The environment variable that names the inherited sockets.
pub const LISTENERS_VARIABLE: &str = "HEADGATE_LISTENERS";

/// Why the sockets named in [`LISTENERS_VARIABLE`] cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    #[error("{LISTENERS_VARIABLE}: `{0}` is not `name=3,4`, descriptors from 3 on apart by commas")]
    Format(String),
    #[error("{LISTENERS_VARIABLE}: listener `{0}` stands twice")]
    NameTwice(String),
    #[error("{LISTENERS_VARIABLE}: descriptor {0} stands twice")]
    DescriptorTwice(RawFd),
    #[error("{LISTENERS_VARIABLE}: descriptor {0} is not an open socket; unset the variable to start afresh")]
    NotOpen(RawFd),
    #[error("{LISTENERS_VARIABLE}: descriptor {descriptor} cannot be used: {source}")]
    Unusable { descriptor: RawFd, source: io::Error },
    #[error("{LISTENERS_VARIABLE} was already read by this process")]
    Again,
}

/// Takes over the sockets that the value of [`LISTENERS_VARIABLE`] names. To be called first thing in a
/// process, and only for a value that its parent set: the descriptors named must belong to nothing else.
/// Sockets of listeners that are no longer wanted are closed by dropping them.
///
/// # Errors
/// [`InheritError`] for a value that is not exactly of the format, for a descriptor that is not a listening
/// stream socket, and for a second call.
pub fn inherit(env_value: &str) -> Result<BTreeMap<String, Vec<ListenSocket>>, InheritError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let named = parse(env_value)?;
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Err(InheritError::Again);
    }
    let take_all = |numbers: Vec<RawFd>| numbers.into_iter().map(take).collect::<Result<_, _>>();
    named.into_iter().map(|(name, numbers)| Ok((name, take_all(numbers)?))).collect()
}

/// Makes `command` start its process with copies of these sockets, and sets [`LISTENERS_VARIABLE`] for it.
/// No other process that is started meanwhile gets them: they stay closed-on-exec here, and the mark is
/// taken off only in the new process, between fork and exec. `command` holds the copies, so drop it once the
/// process runs: a socket that the new process does not want is closed only when all copies are.
///
/// # Errors
/// `InvalidInput` for a name that the format cannot carry, and the operating system's when it has no more
/// descriptors.
pub fn pass_on<Socket: AsFd>(listeners: &[(&str, &[Socket])], command: &mut Command) -> io::Result<()> {
    let mut value = String::new();
    let mut copies: Vec<OwnedFd> = Vec::new();
    for &(name, sockets) in listeners {
        if name.is_empty() || name.contains(['=', ',', ';', '\0']) || sockets.is_empty() {
            let problem = format!(
                "listener `{name}` cannot be passed on: it needs a name without `=`, `,` and `;`, and a socket"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let mut separator = '=';
        value.push_str(if value.is_empty() { "" } else { ";" });
        value.push_str(name);
        for socket in sockets {
            // The copy's number, which is never a standard stream's, is kept free for it until the start.
            let copy = socket.as_fd().try_clone_to_owned()?;
            value.push(separator);
            value.push_str(&copy.as_raw_fd().to_string());
            copies.push(copy);
            separator = ',';
        }
    }
    command.env(LISTENERS_VARIABLE, value);
    let inherit_copies = move || copies.iter().try_for_each(|copy| SockRef::from(copy).set_cloexec(false));
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two fcntl
    // calls per descriptor, which are; it neither allocates nor locks, and an error is a bare number.
    #[expect(unsafe_code, reason = "the only way to act between fork and exec")]
    unsafe {
        command.pre_exec(inherit_copies);
    }
    Ok(())
}

fn parse(value: &str) -> Result<BTreeMap<String, Vec<RawFd>>, InheritError> {
    let mut named = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let entries = if value.is_empty() { None } else { Some(value.split(';')) };
    for entry in entries.into_iter().flatten() {
        let wrong = || InheritError::Format(entry.to_owned());
        let (name, numbers) = entry.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let numbers: Option<Vec<RawFd>> = numbers.split(',').map(descriptor).collect();
        let numbers = numbers.ok_or_else(wrong)?;
        if let Some(twice) = numbers.iter().find(|&&number| !seen.insert(number)) {
            return Err(InheritError::DescriptorTwice(*twice));
        }
        if named.insert(name.to_owned(), numbers).is_some() {
            return Err(InheritError::NameTwice(name.to_owned()));
        }
    }
    Ok(named)
}

/// A plain decimal number beyond the standard streams.
fn descriptor(text: &str) -> Option<RawFd> {
    let number: RawFd = text.parse().ok()?;
    (number > 2 && number.to_string() == text).then_some(number)
}

fn take(descriptor: RawFd) -> Result<ListenSocket, InheritError> {
    let found = fs::metadata(format!("/dev/fd/{descriptor}"));
    if !found.is_ok_and(|found| found.file_type().is_socket()) {
        return Err(InheritError::NotOpen(descriptor));
    }
    // SAFETY: the descriptor is open, as was just seen, and is not a standard stream. Nobody else owns it: by
    // the contract of `inherit` the parent left it for us and nothing else here has taken it, and `inherit`
    // takes each number once in the life of the process.
    #[expect(unsafe_code, reason = "a number from the environment can become a socket in no other way")]
    let fd = unsafe { OwnedFd::from_raw_fd(descriptor) };
    ListenSocket::try_from(fd).map_err(|source| InheritError::Unusable { descriptor, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::bind;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Present only in the process that `a_new_process_takes_over` starts.
    const CHILD: &str = "HEADGATE_TEST_INHERITS";

    #[test]
    fn the_format_is_read_strictly() {
        let read = |value: &str| parse(value).map_err(|error| error.to_string());
        let expected = BTreeMap::from([("web".to_owned(), vec![3, 4]), ("t-1".to_owned(), vec![5])]);
        assert_eq!(read("web=3,4;t-1=5"), Ok(expected));
        assert_eq!(read(""), Ok(BTreeMap::new()));
        for bad in [
            "web",
            "web=",
            "=3",
            "web=3,",
            "web=,3",
            "web=3;",
            ";web=3",
            "web=03",
            "web=+3",
            "web= 3",
            "web=-3",
            "web=2",
            "web=0",
            "web=x",
            "web=3=4",
            "web=99999999999",
            "web=3;web=4",
            "a=3;b=3",
            "a=3,3",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_the_format_cannot_carry_are_refused() {
        let socket = [TcpListener::bind("127.0.0.1:0").unwrap()];
        for name in ["", "a=b", "a,b", "a;b"] {
            let refused = pass_on(&[(name, &socket)], &mut Command::new("true")).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        assert!(pass_on::<TcpListener>(&[("web", &[])], &mut Command::new("true")).is_err());
    }

    /// Starts this test program again; its `serves_in_the_new_process` accepts on the sockets it inherits.
    #[test]
    fn a_new_process_takes_over() {
        let bound = |count| {
            let sockets = (0..count).map(|_| bind(&"127.0.0.1:0".parse().unwrap(), true, 16).unwrap());
            sockets.collect::<Vec<_>>()
        };
        let (web, tls) = (bound(2), bound(1));
        let local = |socket: &ListenSocket| match socket {
            ListenSocket::Tcp(socket) => socket.local_addr().unwrap(),
            ListenSocket::Unix(_) => unreachable!("only TCP was bound"),
        };
        // The first client comes before there is a new process, and must not notice.
        let mut clients = vec![TcpStream::connect(local(&web[0])).unwrap()];

        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", &child_test_name()]).env(CHILD, "1");
        pass_on(&[("web", &web), ("tls", &tls)], &mut command).unwrap();
        let mut child = command.spawn().unwrap();
        clients.push(TcpStream::connect(local(&web[1])).unwrap());
        clients.push(TcpStream::connect(local(&tls[0])).unwrap());
        drop((web, tls, command));

        let answers = clients.iter_mut().map(|client| {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(answers.collect::<Vec<_>>(), ["web 0", "web 1", "tls 0"]);
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn serves_in_the_new_process() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let value = std::env::var(LISTENERS_VARIABLE).unwrap();
        let inherited = inherit(&value).unwrap();
        assert_eq!(inherited.keys().collect::<Vec<_>>(), ["tls", "web"]);
        for (name, sockets) in &inherited {
            for (index, socket) in sockets.iter().enumerate() {
                let ListenSocket::Tcp(socket) = socket else { panic!("{socket:?}") };
                assert!(SockRef::from(socket).nonblocking().unwrap());
                let number = socket.as_raw_fd();
                let leaks = Command::new("sh").args(["-c", &format!("test -e /dev/fd/{number}")]).status();
                assert!(!leaks.unwrap().success(), "a process started by this one must not get {number}");
                socket.set_nonblocking(false).unwrap();
                write!(socket.accept().unwrap().0, "{name} {index}").unwrap();
            }
        }
        assert!(matches!(inherit(&value), Err(InheritError::Again)));
        assert!(matches!(take(9_999), Err(InheritError::NotOpen(9_999))));
    }

    fn child_test_name() -> String {
        let module = module_path!().split_once("::").unwrap().1;
        format!("{module}::serves_in_the_new_process")
    }
}
