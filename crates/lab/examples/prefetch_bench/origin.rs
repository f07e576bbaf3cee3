//! The service: answers each path with as many bytes of JSON after as much time as the calls say. A thread for each
//! connection, until the bench ends.

use headgate_lab::workload::api::{Call, Shows};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A service that runs.
pub(crate) struct Origin {
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
}

#[derive(Clone, Default)]
struct Answer {
    bytes: u64,
    shows: Shows,
    takes: Duration,
    is_stored: bool,
}

impl Origin {
    pub(crate) fn start<'c>(calls: impl Iterator<Item = &'c Call>, speed: u64) -> Result<Self, String> {
        let answer = |call: &Call| Answer {
            bytes: call.bytes,
            shows: call.shows.clone(),
            takes: Duration::from_nanos((call.latency_us * 1e3) as u64 / speed),
            is_stored: call.is_stored,
        };
        let answers: BTreeMap<String, Answer> = calls.map(|call| (call.path.clone(), answer(call))).collect();
        let socket = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("origin: {error}"))?;
        let address = socket.local_addr().map_err(|error| format!("origin: {error}"))?;
        let (answers, requests) = (Arc::new(answers), Arc::<AtomicU64>::default());
        let counting = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in socket.incoming().map_while(Result::ok) {
                let (answers, requests) = (Arc::clone(&answers), Arc::clone(&counting));
                std::thread::spawn(move || serve(&connection, &answers, &requests));
            }
        });
        Ok(Self { address, requests })
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Until the gateway closes the connection.
fn serve(connection: &TcpStream, answers: &BTreeMap<String, Answer>, requests: &AtomicU64) {
    let _ = connection.set_nodelay(true);
    let (mut reader, mut writer) = (BufReader::new(connection), connection);
    let unknown = Answer::default();
    let mut first = String::new();
    let mut line = String::new();
    loop {
        first.clear();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        // Calls have no bodies.
        loop {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => {}
            }
        }
        requests.fetch_add(1, Ordering::Relaxed);
        let target = first.split(' ').nth(1).unwrap_or_default();
        let (status, answer) =
            answers.get(target).map_or(("404 Not Found", &unknown), |answer| ("200 OK", answer));
        std::thread::sleep(answer.takes);
        let control =
            if answer.is_stored && first.starts_with("GET ") { "public, max-age=86400" } else { "no-store" };
        let json = answer.shows.json(answer.bytes);
        let response = format!(
            "HTTP/1.1 {status}\r\ncache-control: {control}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{json}",
            json.len()
        );
        if writer.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}
