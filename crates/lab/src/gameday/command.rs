//! A command of the user's own, run to its end or killed when its time is over. Its output goes nowhere.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The exit code of `run`, a program and its arguments.
///
/// # Errors
/// When it cannot be started, was ended by a signal, or took longer than `timeout` and was killed.
pub(super) fn run(run: &[String], timeout: Duration) -> Result<i32, String> {
    let Some((program, arguments)) = run.split_first() else { return Err("no program".to_owned()) };
    let mut command = Command::new(program);
    // In a group of its own: a Ctrl-C that ends the game day shall not end what takes a fault back.
    command.process_group(0);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    let until = Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.code().ok_or_else(|| format!("{program}: {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) => {
                end(&mut child);
                return Err(format!("{program} took longer than {} s", timeout.as_secs_f64()));
            }
            Err(error) => {
                end(&mut child);
                return Err(format!("cannot wait for {program}: {error}"));
            }
        }
    }
}

fn end(child: &mut Child) {
    // Fails only for one that has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_told_and_what_hangs_is_killed() {
        let shell = |script: &str| ["sh", "-c", script].map(str::to_owned);
        assert_eq!(run(&shell("exit 3"), Duration::from_secs(20)), Ok(3));
        assert!(run(&shell("kill -9 $$"), Duration::from_secs(20)).is_err());
        assert!(run(&shell("sleep 1000"), Duration::from_millis(1)).unwrap_err().contains("longer"));
        assert!(run(&["/no/such/program".to_owned()], Duration::ZERO).unwrap_err().contains("cannot run"));
    }
}
