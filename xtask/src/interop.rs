//! The Python packages of the interoperability tests, in a folder of their own under the target directory. Where
//! they cannot be had, one line says so, and the tests that need them are left out.

use std::path::Path;
use std::process::{Command, Stdio};

const PACKAGES: &[&str] = &["grpcio>=1.60", "websockets>=13"];
const IMPORTS: &str = "import grpc, websockets";

/// Installs what is missing.
pub(crate) fn prepare() {
    let folder = crate::target().join("tmp/interop");
    let python = folder.join("bin/python");
    if runs(&python, &["-c", IMPORTS]) {
        return;
    }
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1"];
    let made = runs(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])
        && runs(&python, &[&install[..], PACKAGES].concat());
    if !made {
        eprintln!(
            "   without gRPC and WebSocket tests: `python3 -m venv` or `pip install {}` failed",
            PACKAGES.join(" ")
        );
    }
}

fn runs(program: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}
