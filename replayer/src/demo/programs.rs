//! The other programs of the demo: found beside this one, started on free ports, ended whatever happens.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(10);

/// The programs that the demo needs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    /// Where all of them are.
    folder: PathBuf,
    /// Where what they say on standard error goes.
    logs: PathBuf,
}

/// A program that runs until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Running {
    name: &'static str,
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    log: PathBuf,
}

/// Why a program does not run as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It was not built.
    #[error(
        "{} is not there; build it beside this program with \
         `cargo build --release -p understudy -p understudy-proxy -p understudy-sentiment`",
        .0.display()
    )]
    Missing(PathBuf),
    /// The system refused to start it.
    #[error("cannot start {}: {source}", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended, or was silent, before it listened.
    #[error("{name} did not say where it listens; see {}", log.display())]
    NotReady {
        /// The program.
        name: &'static str,
        /// What it said on standard error.
        log: PathBuf,
    },
    /// It did not end in order.
    #[error("{name} did not end in order ({how}); see {}", log.display())]
    BadEnd {
        /// The program.
        name: &'static str,
        /// Its exit status, or that there was none in time.
        how: String,
        /// What it said on standard error.
        log: PathBuf,
    },
}

const SIDECAR: &str = "understudy-proxy";
const SENTIMENT: &str = "understudy-sentiment";

// === impl Programs ===

impl Programs {
    /// Finds the programs beside this one, before anything is started.
    pub(super) fn find(logs: &Path) -> Result<Programs, ProgramError> {
        let own =
            std::env::current_exe().map_err(|source| ProgramError::Start { path: SIDECAR.into(), source })?;
        let folder = own.parent().unwrap_or(Path::new(".")).to_owned();
        for name in [SIDECAR, SENTIMENT] {
            let path = folder.join(name);
            if !path.is_file() {
                return Err(ProgramError::Missing(path));
            }
        }
        Ok(Programs { folder, logs: logs.to_owned() })
    }

    /// Starts a stand-in for a sentiment service; `label` names its log.
    pub(super) fn sentiment(&self, label: &str, args: &str) -> Result<Running, ProgramError> {
        let mut command = Command::new(self.folder.join(SENTIMENT));
        command.args(["--listen", "127.0.0.1:0", "--until-stdin-closes"]).args(args.split(' '));
        self.start(SENTIMENT, label, command)
    }

    /// Starts the sidecar in front of `upstream`.
    pub(super) fn sidecar(&self, upstream: SocketAddr, captures: &Path) -> Result<Running, ProgramError> {
        let mut command = Command::new(self.folder.join(SIDECAR));
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.args(["--upstream", &upstream.to_string()]).arg("--captures").arg(captures);
        self.start(SIDECAR, "sidecar", command)
    }

    fn start(&self, name: &'static str, label: &str, mut command: Command) -> Result<Running, ProgramError> {
        let path = self.folder.join(name);
        let log = self.logs.join(format!("{label}.log"));
        let refused = |source| ProgramError::Start { path: path.clone(), source };
        let mut child = command
            // Its own group, so that Ctrl-C reaches this program alone, which then ends the others in order.
            .process_group(0)
            // What it logs goes into a file.
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(refused)?)
            .spawn()
            .map_err(refused)?;
        let ready = child.stdout.take().and_then(ready_address);
        let Some(address) = ready else {
            end(&mut child);
            return Err(ProgramError::NotReady { name, log });
        };
        Ok(Running { name, child, address, log })
    }
}

// === impl Running ===

impl Running {
    /// Asks the program to end (SIGTERM) and waits until it has, in order.
    pub(super) fn stop(mut self, patience: Duration) -> Result<(), ProgramError> {
        let asked = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let status = asked.ok().and_then(|()| self.wait(patience));
        if status.is_some_and(|status| status.success()) {
            return Ok(());
        }
        let how = status.map_or_else(|| format!("still running after {patience:?}"), |s| s.to_string());
        Err(ProgramError::BadEnd { name: self.name, how, log: self.log.clone() })
    }

    fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a child at once and collects it; one that has ended already is not there to be killed.
fn end(child: &mut Child) {
    child.kill().ok();
    child.wait().ok();
}

/// The address in the first line that says `listening on`. Later output is read and forgotten, so that no program ever
/// blocks on a full pipe.
fn ready_address(stdout: impl Read + Send + 'static) -> Option<SocketAddr> {
    let (ready, address) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = listening_on(&line) {
                // Nobody waits for a second one.
                ready.send(address).ok();
            }
        }
    });
    address.recv_timeout(START).ok()
}

fn listening_on(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split([',', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_ready_line_of_either_program() {
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        for line in [
            "understudy-sentiment: listening on 127.0.0.1:4711",
            "understudy-proxy: listening on 127.0.0.1:4711, forwarding to 127.0.0.1:1, admin on 127.0.0.1:2",
        ] {
            assert_eq!(listening_on(line), Some(address));
        }
        assert_eq!(listening_on("understudy-sentiment: starting"), None);
        let chatter = "first words\nnow listening on 127.0.0.1:4711\nmore\n";
        assert_eq!(ready_address(chatter.as_bytes()), Some(address));
        assert_eq!(ready_address("ended without a word\n".as_bytes()), None);
    }
}
