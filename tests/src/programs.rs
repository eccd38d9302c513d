//! Our own binaries, built from this tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{Finished, Running, finish, succeed};

/// Path of one of our binaries, in the profile that the caller itself was built with; or in the folder that
/// `UNDERSTUDY_PROGRAMS` names, as they lie there.
pub fn program(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| std::env::var_os("UNDERSTUDY_PROGRAMS").map_or_else(build, PathBuf::from)).join(name)
}

/// Builds what the caller may start, and returns where it is.
fn build() -> PathBuf {
    let me = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/bench or target/PROFILE/deps/scenario-HASH
    let dir = me.ancestors().skip(1).find(|d| !d.ends_with("deps")).expect("below target/");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--manifest-path"]);
    build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    // Selected as the caller is: another selection would unify other features and compile dependencies again.
    if dir.ends_with("release") {
        build.args(["--workspace", "--release"]);
        build.args([
            "--bin=bench",
            "--bin=understudy",
            "--bin=understudy-proxy",
            "--bin=understudy-sentiment",
        ]);
    } else {
        build.args(["--workspace", "--bins", "--tests"]);
    }
    succeed(&mut build).expect("our own programs build");
    dir.to_path_buf()
}

/// A running sidecar.
#[derive(Debug)]
pub struct Sidecar {
    /// The process.
    pub process: Running,
    /// Address for clients.
    pub listen: String,
    /// Address of the admin port.
    pub admin: String,
}

impl Sidecar {
    /// Starts a sidecar on free ports in front of `upstream`, recording to `captures`.
    pub fn start(upstream: &str, captures: &Path, more: &[&str]) -> Result<Sidecar> {
        let mut command = Command::new(program("understudy-proxy"));
        command.args(Self::args(upstream, captures)).args(more);
        Self::start_command(command)
    }

    /// Arguments of a sidecar on free ports.
    pub fn args(upstream: &str, captures: &Path) -> Vec<String> {
        let captures = captures.to_string_lossy().into_owned();
        ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", upstream, "--captures", &captures]
            .map(String::from)
            .to_vec()
    }

    /// Starts a command that becomes a sidecar.
    pub fn start_command(command: Command) -> Result<Sidecar> {
        let mut process = Running::start(command)?;
        let ready = process.await_line("listening on ")?;
        let after = |mark: &str| -> Result<String> {
            let (_, rest) = ready.split_once(mark).with_context(|| format!("no {mark:?} in {ready:?}"))?;
            Ok(rest.split([',', ' ']).next().unwrap_or_default().to_owned())
        };
        Ok(Sidecar { listen: after("listening on ")?, admin: after("admin on ")?, process })
    }
}

/// A running sentiment server.
#[derive(Debug)]
pub struct Sentiment {
    /// The process.
    pub process: Running,
    /// Where it listens.
    pub listen: String,
}

impl Sentiment {
    /// Starts a sentiment server on a free port.
    pub fn start(args: &[&str]) -> Result<Sentiment> {
        let mut command = Command::new(program("understudy-sentiment"));
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        let mut process = Running::start(command)?;
        let ready = process.await_line("listening on ")?;
        let (_, listen) = ready.split_once("listening on ").context("the ready line names the address")?;
        Ok(Sentiment { listen: listen.split([',', ' ']).next().unwrap_or_default().to_owned(), process })
    }
}

/// Values of a page of metrics, by name with labels.
pub fn metrics(admin: &str) -> Result<BTreeMap<String, f64>> {
    let page = crate::peers::fetch(&format!("http://{admin}/metrics"))?;
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    Ok(samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect())
}

/// Runs `understudy` to its end.
pub fn understudy(args: &[&str]) -> Result<Finished> {
    finish(Command::new(program("understudy")).args(args))
}

/// Runs `understudy`, expects success and JSON.
pub fn understudy_json(args: &[&str]) -> Result<Value> {
    let finished = succeed(Command::new(program("understudy")).args(args))?;
    serde_json::from_str(&finished.stdout).with_context(|| format!("not JSON: {}", finished.stdout))
}
