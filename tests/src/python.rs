//! Python programs of `tests/servers` and `tests/clients`, with the packages that `tests/run` installs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{Running, succeed};

/// A command of one of them, such as `servers/grpc_service.py`.
pub fn script(path: &str) -> Command {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON");
    let mut command = Command::new(python.map_or(tests.join("../target/python/bin/python"), PathBuf::from));
    command.arg(tests.join(path));
    command
}

/// What one of them prints.
pub fn printed(path: &str, args: &[&str]) -> Result<String> {
    Ok(succeed(script(path).args(args))?.stdout)
}

/// A running server.
#[derive(Debug)]
pub struct PythonServer {
    /// Where it listens.
    pub listen: String,
    _process: Running,
}

impl PythonServer {
    /// Starts one and waits until it listens.
    pub fn start(path: &str) -> Result<PythonServer> {
        let mut process = Running::start(script(path))?;
        let line = process.await_line("listening on ")?;
        let (_, listen) = line.split_once("listening on ").context("the line names the address")?;
        Ok(PythonServer { listen: listen.trim().to_owned(), _process: process })
    }
}
