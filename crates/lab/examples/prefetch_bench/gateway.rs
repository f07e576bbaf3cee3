//! One gateway as a process, with its configuration in a folder of its own.

use super::Mode;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A gateway that runs; it ends with this.
pub(crate) struct Gateway {
    pub address: SocketAddr,
    admin: SocketAddr,
    child: Child,
    /// A gateway whose words nobody takes ends.
    _output: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Gateway {
    pub(crate) fn start(
        binary: &Path,
        origin: SocketAddr,
        mode: &Mode,
        memory: u64,
        speed: u64,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", binary.display());
        let admin =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(failed)?;
        let folder =
            std::env::temp_dir().join(format!("headgate-prefetch-{}-{}", std::process::id(), admin.port()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let file = folder.join("headgate.toml");
        let config = format!(
            "workers = 1\nadmin.bind = \"{admin}\"\n[listen.web]\nbind = \"127.0.0.1:0\"\n[cache]\nmemory = {memory}\n\
             [cache.prefetch]\n{}horizon = \"{}ms\"\nwindow = \"{}ms\"\n\
             [service.api]\nendpoints = [\"{origin}\"]\n[[route]]\nmatch = \"/*\"\nservice = \"api\"\ncache = true\n",
            mode.settings,
            30_000 / speed,
            // A tenth of the default: a day is short.
            1_000 / speed,
        );
        std::fs::write(&file, config).map_err(failed)?;
        let mut child = Command::new(binary)
            .arg("run")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output of the gateway")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut line).map_err(failed)?;
        let address =
            line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            return Err(format!("{} does not say where it listens: {line}", binary.display()));
        };
        Ok(Self { address, admin, child, _output: output, folder })
    }

    /// Where the guard of fetching ahead stands; `off` without one.
    pub(crate) fn stage(&self) -> Result<String, String> {
        let failed = |error: std::io::Error| format!("metrics: {error}");
        let mut wire = TcpStream::connect(self.admin).map_err(failed)?;
        wire.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .map_err(failed)?;
        let mut text = String::new();
        wire.read_to_string(&mut text).map_err(failed)?;
        let stage = text.lines().find_map(|line| {
            let rest = line.strip_prefix("headgate_guard_stage{policy=\"prefetch\",stage=\"")?;
            rest.strip_suffix("\"} 1")
        });
        Ok(stage.unwrap_or("off").to_owned())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
