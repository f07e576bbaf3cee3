//! Plays calls at their times: sessions on connections, one call of a session after the other.

use headgate_lab::workload::api::Call;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Connections that share the sessions.
const CONNECTIONS: u64 = 64;

/// What came of all calls that a cache may answer.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub asked: u64,
    pub hits: u64,
    /// Of each, from the request's first byte to the answer's last.
    waits_us: Vec<f64>,
}

impl Played {
    pub(crate) fn mean_us(&self) -> f64 {
        self.waits_us.iter().sum::<f64>() / self.waits_us.len().max(1) as f64
    }

    /// Waits are in order.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let at = (self.waits_us.len() as f64 * share) as usize;
        self.waits_us.get(at.min(self.waits_us.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }
}

/// Plays them all. `sessions_from` keeps the sessions of one day apart from those of another.
pub(crate) fn play(
    calls: &[Call],
    gateway: SocketAddr,
    speed: u64,
    sessions_from: u64,
) -> Result<Played, String> {
    let begin = Instant::now();
    let parts: Vec<Result<Played, String>> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                scope.spawn(move || {
                    let mine = calls.iter().filter(|call| call.session % CONNECTIONS == number);
                    play_some(mine, gateway, speed, sessions_from, begin)
                        .map_err(|error| format!("a client: {error}"))
                })
            })
            .collect();
        players
            .into_iter()
            .map(|player| player.join().unwrap_or_else(|_| Err("a client panicked".to_owned())))
            .collect()
    });
    let mut all = Played::default();
    for part in parts {
        let part = part?;
        all.asked += part.asked;
        all.hits += part.hits;
        all.waits_us.extend(part.waits_us);
    }
    all.waits_us.sort_by(f64::total_cmp);
    Ok(all)
}

fn play_some<'c>(
    calls: impl Iterator<Item = &'c Call>,
    gateway: SocketAddr,
    speed: u64,
    sessions_from: u64,
    begin: Instant,
) -> std::io::Result<Played> {
    let mut reader = connect(gateway)?;
    let mut played = Played::default();
    let mut content = Vec::new();
    for call in calls {
        let due = begin + Duration::from_nanos(call.at_ns / speed);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let method = if call.is_safe { "GET" } else { "POST" };
        let length = if call.is_safe { "" } else { "content-length: 0\r\n" };
        let session = sessions_from + call.session;
        let request =
            format!("{method} {} HTTP/1.1\r\nhost: api.test\r\nx-user: {session}\r\n{length}\r\n", call.path);
        let sent = Instant::now();
        let is_hit = match ask(&mut reader, &request, &mut content) {
            Ok(is_hit) => is_hit,
            // It rested for too long.
            Err(_) => {
                reader = connect(gateway)?;
                ask(&mut reader, &request, &mut content)?
            }
        };
        if call.is_safe && call.is_stored {
            played.asked += 1;
            played.hits += u64::from(is_hit);
            played.waits_us.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(played)
}

fn connect(gateway: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let connection = TcpStream::connect(gateway)?;
    connection.set_nodelay(true)?;
    Ok(BufReader::new(connection))
}

/// Sends one request and reads its response; whether it was a hit.
fn ask(reader: &mut BufReader<TcpStream>, request: &str, content: &mut Vec<u8>) -> std::io::Result<bool> {
    reader.get_mut().write_all(request.as_bytes())?;
    let (mut is_hit, mut length) = (false, 0);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other("the gateway closed the connection"));
        }
        let text = line.trim_end().to_ascii_lowercase();
        if text.is_empty() {
            break;
        }
        if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse().map_err(std::io::Error::other)?;
        }
        is_hit |= text.starts_with("cache-status: headgate; hit");
    }
    content.resize(length, 0);
    reader.read_exact(content)?;
    Ok(is_hit)
}
