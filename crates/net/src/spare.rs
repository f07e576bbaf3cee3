//! Connections to one endpoint that one worker can spare and another may need. Not a pool to work from:
//! each worker has its own, and what has rested there for a while comes here; who would have to open a
//! connection looks here first. Sockets only: a TLS session stays with the worker that made it.

use crate::kept::{Connection, PoolLimits};
use crate::socket::Plain;
use crate::stream::Stream;
use headgate_model::units::Tick;
use rustix::net::{RecvFlags, recv};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What all workers can spare, oldest at the front.
#[derive(Default)]
pub struct Spares {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    parked: Vec<Parked>,
    closed: bool,
    swept: Tick,
}

struct Parked {
    socket: Socket,
    served: u32,
    since: Tick,
}

/// A socket in no worker's runtime.
enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Spares {
    /// Takes a connection in that has rested since `since`. Beyond the limits the oldest is closed. Gives it
    /// back when it is more than a socket.
    pub(crate) fn park(
        &self,
        connection: Connection,
        since: Tick,
        limits: &PoolLimits,
    ) -> Result<(), Connection> {
        if limits.idle == 0 {
            return Ok(());
        }
        let Connection { stream, served } = connection;
        let socket = match stream.into_socket() {
            Ok(Plain::Tcp(socket)) => socket.into_std().map(Socket::Tcp),
            Ok(Plain::Unix(socket)) => socket.into_std().map(Socket::Unix),
            Err(stream) => return Err(Connection { stream, served }),
        };
        // One that cannot leave its runtime is closed with it.
        let Ok(socket) = socket else { return Ok(()) };
        let mut shelf = self.lock();
        if !shelf.closed {
            if shelf.parked.len() >= limits.idle {
                shelf.parked.remove(0);
            }
            shelf.parked.push(Parked { socket, served, since });
        }
        Ok(())
    }

    /// The connection that came last and is still usable, in the runtime of the caller.
    pub fn take(&self) -> Option<Connection> {
        loop {
            let Parked { socket, served, .. } = self.lock().parked.pop()?;
            if socket.is_quiet()
                && let Ok(stream) = socket.into_stream()
            {
                return Some(Connection { stream, served });
            }
        }
    }

    /// Closes what rested too long or was closed by the other side. All workers may call it: whoever comes
    /// first does it for the others.
    pub fn sweep(&self, now: Tick, limits: &PoolLimits) {
        let mut shelf = self.lock();
        if now.since(shelf.swept) >= SWEEP_EVERY {
            shelf.swept = now;
            shelf
                .parked
                .retain(|parked| now.since(parked.since) < limits.idle_timeout && parked.socket.is_quiet());
        }
    }

    /// Closes all, and what comes later.
    pub fn close(&self) {
        *self.lock() = Shelf { closed: true, ..Shelf::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        // A panic cannot leave the shelf half changed.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket {
    /// Nothing has arrived and it is open.
    fn is_quiet(&self) -> bool {
        let fd = match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        };
        let peeked = recv(fd, &mut [0][..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn into_stream(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => TcpStream::from_std(socket).map(Stream::from),
            Self::Unix(socket) => UnixStream::from_std(socket).map(Stream::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;
    use std::io::Write;
    use std::task::{Context, Waker};

    const LIMITS: PoolLimits = PoolLimits { idle: 2, idle_timeout: Duration::from_secs(60), requests: 0 };

    fn at(millis: u64) -> Tick {
        Tick(millis * 1_000_000)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap()
    }

    /// A connection in the current runtime, and its other end.
    fn connection() -> (Connection, std::os::unix::net::UnixStream) {
        let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let stream = Stream::from(UnixStream::from_std(here).unwrap());
        (Connection { stream, served: 3 }, there)
    }

    /// As a worker does now and then.
    fn sweep(pool: &Pool, spares: &Spares, now: Tick) {
        pool.sweep(now, &LIMITS, Some(spares), &mut Context::from_waker(Waker::noop()));
    }

    #[test]
    fn what_one_worker_does_not_use_another_gets() {
        let spares = Spares::default();
        let (one, two) = (runtime(), runtime());
        let pool = Pool::default();
        let other_end = one.block_on(async {
            let (connection, there) = connection();
            pool.give(connection, at(0), &LIMITS);
            sweep(&pool, &spares, at(10));
            assert!(spares.take().is_none(), "it was used a moment ago");
            sweep(&pool, &spares, at(1_000));
            assert!(pool.is_empty());
            there
        });
        two.block_on(async {
            let taken = spares.take().unwrap();
            assert_eq!(taken.served, 4);
            (&other_end).write_all(b"hello").unwrap();
            let deadlines = crate::deadline::Deadlines::new();
            let mut room = [0; 8];
            let count = taken.stream.read(&mut room, &deadlines.deadline()).await.unwrap();
            assert_eq!(&room[..count], b"hello");
        });
    }

    #[test]
    fn what_the_other_side_closed_or_spoke_on_is_no_use() {
        let spares = Spares::default();
        runtime().block_on(async {
            for speaks in [false, true] {
                let (connection, mut there) = connection();
                assert!(spares.park(connection, at(0), &LIMITS).is_ok());
                if speaks {
                    there.write_all(b"408").unwrap();
                } else {
                    drop(there);
                }
                assert!(spares.take().is_none());
            }
        });
    }

    #[test]
    fn there_is_a_limit_and_an_end() {
        let spares = Spares::default();
        runtime().block_on(async {
            let parked: Vec<_> = (0..3)
                .map(|n| {
                    let (connection, there) = connection();
                    assert!(spares.park(connection, at(n * 1_000), &LIMITS).is_ok());
                    there
                })
                .collect();
            assert_eq!(spares.lock().parked.len(), 2, "the oldest has left");
            let (late, _there) = connection();
            let none = PoolLimits { idle: 0, ..LIMITS };
            assert!(spares.park(late, at(3_000), &none).is_ok());
            assert_eq!(spares.lock().parked.len(), 2, "a reload may have forbidden to keep any");
            spares.sweep(at(61_500), &LIMITS);
            assert_eq!(spares.lock().parked.len(), 1);
            spares.close();
            assert!(spares.take().is_none());
            let (connection, _there) = connection();
            assert!(spares.park(connection, at(0), &LIMITS).is_ok());
            assert!(spares.take().is_none());
            drop(parked);
        });
    }
}
