//! A constant-rate HTTP/1 keep-alive generator. It is open-loop: requests are planned at fixed moments, and
//! each latency is measured from the planned moment, so that a stall of the proxy is not hidden by the
//! generator waiting for it (coordinated omission). Requests are planned in ticks of a millisecond, as the timers
//! of such generators do: one timer for each request costs the core that it shares with the origin more than
//! the requests. Not a general client: bodies come with Content-Length.

use crate::Outcome;
use rustix::event::{Timespec, epoll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long answers may still come after the last planned request.
const GRACE: Duration = Duration::from_secs(2);

/// What falls into one tick is planned for its end.
const TICK: Duration = Duration::from_millis(1);

/// What to send, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) path: String,
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) answered: u64,
    pub(crate) not_2xx: u64,
    /// Planned requests without an answer: the connection failed, or the time was up.
    pub(crate) unanswered: u64,
    /// Requests sent once more because their connection was closed before any byte of an answer.
    pub(crate) sent_again: u64,
    /// Microseconds from the planned moment to the last byte of the answer, sorted.
    pub(crate) latencies_us: Vec<u32>,
    /// Microseconds between the planned and the actual sending while a connection was free, sorted:
    /// the generator's own share of each latency.
    pub(crate) late_us: Vec<u32>,
}

struct Connection {
    stream: TcpStream,
    planned: Option<Instant>,
    repeated: bool,
    received: Vec<u8>,
}

/// Runs the plan to its end.
pub(crate) fn run(plan: &Plan) -> Outcome<Report> {
    run_io(plan).map_err(|error| format!("paced load on {}: {error}", plan.to))
}

/// The value at `quantile` (0 to 1) of a sorted list; zero when it is empty.
pub(crate) fn quantile(sorted: &[u32], quantile: f64) -> u32 {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn run_io(plan: &Plan) -> std::io::Result<Report> {
    // Without this the kernel may wake the generator 50 us late.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", plan.path, plan.to).into_bytes();
    let client = Client { poller: epoll::create(epoll::CreateFlags::CLOEXEC)?, to: plan.to, request };
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        connections.push(client.connect(index)?);
    }
    let mut report = Report::default();
    let mut free: VecDeque<usize> = (0..plan.connections).collect();
    let mut events = Vec::with_capacity(256);
    let total = (plan.rate * plan.seconds) as u64;
    let interval = Duration::from_secs_f64(1.0 / plan.rate);
    let start = Instant::now() + Duration::from_millis(10);
    let end = start + Duration::from_secs_f64(plan.seconds) + GRACE;
    let mut sent = 0u64;
    let mut next = start;
    let mut waited_for_connection = false;
    let mut in_flight = 0usize;
    loop {
        let now = Instant::now();
        while sent < total && next <= now {
            let Some(index) = free.pop_front() else {
                waited_for_connection = true;
                break;
            };
            if !waited_for_connection {
                report.late_us.push(micros(next, Instant::now()));
            }
            waited_for_connection = false;
            if client.send(index, &mut connections[index], next, &mut report) {
                in_flight += 1;
            } else {
                free.push_back(index);
            }
            sent += 1;
            next = start + tick_end(interval.mul_f64(sent as f64));
        }
        if now > end || (in_flight == 0 && sent == total) {
            break;
        }
        let wake = if sent < total && !free.is_empty() { next } else { end };
        let timeout = Timespec::try_from(wake.saturating_duration_since(Instant::now())).unwrap_or_default();
        events.clear();
        epoll::wait(&client.poller, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            let index = event.data.u64() as usize;
            if client.receive(index, &mut connections[index], &mut report) {
                in_flight -= 1;
                free.push_back(index);
            }
        }
    }
    report.unanswered = total - report.answered;
    report.latencies_us.sort_unstable();
    report.late_us.sort_unstable();
    Ok(report)
}

struct Client {
    poller: rustix::fd::OwnedFd,
    to: SocketAddr,
    request: Vec<u8>,
}

impl Client {
    fn connect(&self, index: usize) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(self.to)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.poller, &stream, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        Ok(Connection { stream, planned: None, repeated: false, received: Vec::with_capacity(16 * 1024) })
    }

    /// Sends the request that was planned for `planned`; false when it cannot be sent, which leaves it unanswered.
    fn send(&self, index: usize, connection: &mut Connection, planned: Instant, report: &mut Report) -> bool {
        connection.planned = Some(planned);
        connection.repeated = false;
        connection.write(&self.request) || self.send_again(index, connection, report)
    }

    /// Once more on a new connection: a server may close an idle one in the moment in which it is used.
    fn send_again(&self, index: usize, connection: &mut Connection, report: &mut Report) -> bool {
        let planned = connection.planned.take();
        if connection.repeated {
            return false;
        }
        let Ok(new) = self.connect(index) else { return false };
        *connection = Connection { planned, repeated: true, ..new };
        report.sent_again += 1;
        connection.write(&self.request)
    }

    /// Takes what has come; true when the connection's request is over, whether answered or lost.
    fn receive(&self, index: usize, connection: &mut Connection, report: &mut Report) -> bool {
        match connection.receive() {
            Ok(None) => false,
            Ok(Some(Answer { success, last })) => {
                let Some(planned) = connection.planned.take() else { return false };
                report.answered += 1;
                report.not_2xx += u64::from(!success);
                report.latencies_us.push(micros(planned, Instant::now()));
                if last {
                    self.replace(index, connection);
                }
                true
            }
            Err(_) if connection.planned.is_none() => {
                self.replace(index, connection);
                false
            }
            Err(_) if connection.received.is_empty() && self.send_again(index, connection, report) => false,
            Err(_) => {
                connection.planned = None;
                self.replace(index, connection);
                true
            }
        }
    }

    /// A new connection in place of a closed one; without one, the next request finds out.
    fn replace(&self, index: usize, connection: &mut Connection) {
        match self.connect(index) {
            Ok(new) => *connection = new,
            Err(_) => {
                let _ = epoll::delete(&self.poller, &connection.stream);
            }
        }
    }
}

struct Answer {
    success: bool,
    /// The server closes after it.
    last: bool,
}

impl Connection {
    fn write(&mut self, request: &[u8]) -> bool {
        matches!(self.stream.write(request), Ok(written) if written == request.len())
    }

    /// Reads what has come, and says when that completes an answer.
    fn receive(&mut self) -> std::io::Result<Option<Answer>> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.received.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(head) = self.received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&self.received[..head]);
        let field = |wanted: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        let length = field("content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
        if self.received.len() < head + 4 + length {
            return Ok(None);
        }
        let success = text.get(9..10) == Some("2");
        let last = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.received.clear();
        Ok(Some(Answer { success, last }))
    }
}

fn tick_end(after: Duration) -> Duration {
    TICK * after.as_nanos().div_ceil(TICK.as_nanos()) as u32
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}
