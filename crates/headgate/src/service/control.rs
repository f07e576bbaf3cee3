//! The word of whoever started the process: commands on standard input, each answered by a line on standard
//! output. When the input ends, its other end is gone, and so is the service.

use super::server::Service;
use headgate_lab::rig::Command;
use std::io::{BufRead as _, Read as _, Write as _};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A longer line is cut, and then means nothing.
const LINE_MAX: u64 = 4_096;

/// Lines of standard input; the second end resolves when there are no more.
pub(super) fn listen() -> std::io::Result<(mpsc::Receiver<String>, oneshot::Receiver<()>)> {
    let (lines, received) = mpsc::channel(16);
    let (here, gone) = oneshot::channel::<()>();
    std::thread::Builder::new().name("parent".to_owned()).spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = String::new();
            // An error is an end as well.
            if input.by_ref().take(LINE_MAX).read_line(&mut line).unwrap_or(0) == 0 {
                break;
            }
            // Nobody listens any more: only the end of the input still matters.
            let _ = lines.blocking_send(line);
        }
        drop(here);
    })?;
    Ok((received, gone))
}

/// Does what the lines say, until there are no more.
pub(super) async fn obey(service: Arc<Service>, mut lines: mpsc::Receiver<String>) {
    while let Some(line) = lines.recv().await {
        let done = line.trim_end().parse::<Command>().and_then(|command| service.obey(command));
        let mut out = std::io::stdout().lock();
        // Whoever asked is gone when this fails; the end of the input will tell.
        let _ = match done {
            Ok(answer) if answer.is_empty() => writeln!(out, "ok"),
            Ok(answer) => writeln!(out, "ok {answer}"),
            Err(why) => writeln!(out, "error {why}"),
        };
        let _ = out.flush();
    }
}
