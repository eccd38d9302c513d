//! What has to hold before the first request: a directory to write in, a port for metrics, candidates that answer.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::DriveError;
use super::lane::Route;
use crate::plan::Candidate;

/// Longest that a candidate may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Names a run: the instant in UTC, so that names sort by time, and chance, so that two runs of one second differ.
pub(super) fn run_id() -> String {
    let now = jiff::Timestamp::now();
    format!("{}-{:04x}", now.strftime("%Y%m%dT%H%M%SZ"), rand::random::<u16>())
}

/// Makes the directory of a run.
pub(super) fn run_dir(out: &Path, run_id: &str) -> Result<PathBuf, DriveError> {
    let dir = out.join(run_id);
    let unwritable = |source| DriveError::Unwritable { path: dir.clone(), source };
    fs::create_dir_all(out).map_err(unwritable)?;
    fs::create_dir(&dir).map_err(unwritable)?;
    Ok(dir)
}

/// Takes the port that metrics are served on.
pub(super) fn metrics_port(address: SocketAddr) -> Result<TcpListener, DriveError> {
    TcpListener::bind(address)
        .map_err(|error| DriveError::Unavailable(format!("--metrics {address}: {}", plainly(&error))))
}

/// Connects to a candidate once, and notes where it accepted.
pub(super) fn probe(candidate: &Candidate) -> Result<Route, DriveError> {
    let target = &candidate.target;
    let unavailable = |reason: String| {
        DriveError::Unavailable(format!("candidate {} ({target}): {reason}", candidate.name))
    };
    let addresses = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|error| unavailable(format!("the host name has no address: {}", plainly(&error))))?;
    let mut reason = "the host name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => {
                return Ok(Route { address, host: target.authority(), prefix: target.prefix.clone() });
            }
            Err(error) => reason = plainly(&error),
        }
    }
    Err(unavailable(reason))
}

/// Lets the process open as many files as it may: every connection is one.
pub(super) fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        // Connections beyond the limit will be `connect_error`, and say so.
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// An error in words, without the number that the system gives it.
fn plainly(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    words.to_lowercase()
}
