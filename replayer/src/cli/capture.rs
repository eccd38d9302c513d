//! `understudy capture`: what is in a capture, is it whole, its exchanges in text, and the way to other tools' files.

mod cat;
mod copy;
mod derive;
mod export;
mod import;
mod neutrality;
mod notes;
mod policy;
mod scan;
mod select;
mod stats;
mod text;
mod verify;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use understudy_captures::capture::{CaptureError, Damage, Locked};
use understudy_captures::{Capture, CaptureKeys};

use super::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what a capture holds: counters, arrivals, methods, paths, redactions (reads all of it)
    Stats(Source),
    /// Read everything and say exactly what is damaged or missing; exits with 1 if anything is
    Verify(Source),
    /// Print exchanges in order of arrival
    Cat(cat::Args),
    /// Search written captures for personal data, secrets and canaries; exits with 1 if anything is found
    Scan(scan::Args),
    /// Check a sanitizing policy, and see what it does to a request
    Policy(policy::Args),
    /// Make a capture of other tools' files: GoReplay, HAR, JSON Lines, arrival traces, nginx logs
    Import(import::Args),
    /// Write a capture for other tools: GoReplay, HAR, JSON Lines, k6, vegeta, wrk
    Export(export::Args),
    /// Say what sanitizing does to texts, and to a model's answers and latency
    Neutrality(Box<neutrality::Args>),
    /// Cut some exchanges out of a capture into a new one
    Slice(Box<derive::SliceArgs>),
    /// Put captures of several pods into one, in order of corrected arrival
    Merge(derive::MergeArgs),
    /// Copy segments byte for byte, from or to a directory or an object store; overwrites nothing
    Copy(copy::Args),
}

/// Where a capture is and who reads the output.
#[derive(Debug, clap::Args)]
struct Source {
    #[command(flatten)]
    reading: Reading,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

/// Where a capture is, and what opens it.
#[derive(Debug, clap::Args)]
struct Reading {
    /// Segments (*.ucap), directories of them, or URLs: s3://, gs://, az://BUCKET/PREFIX/
    #[arg(required = true, value_name = "PATH|URL")]
    paths: Vec<PathBuf>,
    /// Key of an encrypted capture, instead of UNDERSTUDY_CAPTURE_KEY (repeat for several)
    #[arg(long, value_name = "FILE")]
    capture_key_file: Vec<PathBuf>,
}

// === impl Reading ===

impl Reading {
    fn open(&self) -> Result<Capture, Failure> {
        self.open_raw()?.map_err(unreadable)
    }

    /// The outer error is that of a key.
    fn open_raw(&self) -> Result<Result<Capture, CaptureError>, Failure> {
        Ok(understudy_store::open(&self.paths, &self.keys()?))
    }

    fn keys(&self) -> Result<CaptureKeys, Failure> {
        for path in &self.capture_key_file {
            std::fs::File::open(path).map_err(|error| {
                Failure::Input(format!("cannot read key file {}: {error}", path.display()))
            })?;
        }
        CaptureKeys::find(&self.capture_key_file).map_err(|error| Failure::Data(error.to_string()))
    }
}

// === impl Source ===

impl Source {
    /// Opens the capture; of an encrypted one without its key, prints what its header says.
    fn open(&self, out: &mut dyn Write) -> Result<Capture, Failure> {
        self.reading.open_raw()?.map_err(|error| {
            if let CaptureError::Locked(locked) = &error {
                let told = match self.json {
                    true => print_json(&locked_json(locked), out),
                    false => print_locked(locked, out),
                };
                // The refusal below is what matters.
                told.ok();
            }
            unreadable(error)
        })
    }
}

fn print_locked(locked: &Locked, out: &mut dyn Write) -> io::Result<()> {
    let Locked { path, bytes, origin, seq, began, key_id, .. } = locked;
    writeln!(out, "segment   {}", path.display())?;
    writeln!(out, "size      {bytes} bytes")?;
    writeln!(out, "producer  {}", origin.producer)?;
    let named = [("pod", &origin.pod), ("node", &origin.node)];
    for (name, value) in named.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        writeln!(out, "{name:<10}{value}")?;
    }
    writeln!(out, "boot      {:016x}, segment {seq}, begun {began}", origin.boot)?;
    writeln!(out, "sample    {}", origin.sample)?;
    writeln!(out, "encrypted under key {key_id}")?;
    out.flush()
}

fn locked_json(locked: &Locked) -> Value {
    let Locked { path, bytes, origin, seq, began, key_id, .. } = locked;
    json!({
        "path": path.to_string_lossy(),
        "bytes": bytes,
        "producer": origin.producer,
        "pod": origin.pod,
        "node": origin.node,
        "boot": format!("{:016x}", origin.boot),
        "seq": seq,
        "began": began.to_string(),
        "sample": origin.sample,
        "policy": origin.policy,
        "encrypted_under": key_id,
    })
}

/// Runs the command.
pub fn run(args: Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Stats(source) => stats::run(&source, out),
        Command::Verify(source) => verify::run(&source, out),
        Command::Cat(args) => cat::run(&args, out),
        Command::Scan(args) => scan::run(&args, out),
        Command::Policy(args) => policy::run(&args, out),
        Command::Import(args) => import::run(&args, out),
        Command::Export(args) => export::run(&args, out),
        Command::Neutrality(args) => neutrality::run(&args, out),
        Command::Slice(args) => derive::slice(&args, out),
        Command::Merge(args) => derive::merge(&args, out),
        Command::Copy(args) => copy::run(&args, out),
    }
}

/// What a reading error means for the user.
pub(super) fn unreadable(error: CaptureError) -> Failure {
    match error {
        CaptureError::Io { ref source, .. } => told(source.kind(), error.to_string()),
        CaptureError::Nothing { .. } => Failure::Input(error.to_string()),
        CaptureError::Foreign { .. }
        | CaptureError::TooShort { .. }
        | CaptureError::Newer { .. }
        | CaptureError::Schema { .. }
        | CaptureError::Cipher { .. }
        | CaptureError::Locked(_) => Failure::Data(error.to_string()),
    }
}

/// A failed reading by its kind: what does not answer is told from what is not there.
fn told(kind: io::ErrorKind, what: String) -> Failure {
    use io::ErrorKind as Kind;
    match kind {
        Kind::InvalidInput => Failure::Usage(what),
        Kind::InvalidData | Kind::UnexpectedEof => Failure::Data(what),
        Kind::ConnectionRefused | Kind::ConnectionAborted | Kind::ConnectionReset | Kind::TimedOut => {
            Failure::Unavailable(what)
        }
        _ => Failure::Input(what),
    }
}

/// Ends printing: a reader that has seen enough (`head`) is no failure.
fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Output(format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

fn print_json(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    out.flush()
}

fn damage_json(damage: &Damage) -> Value {
    json!({
        "path": damage.path.to_string_lossy(),
        "offset": damage.offset,
        "lost": damage.lost,
        "what": damage.what,
    })
}

fn print_damage(damage: &Damage, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: byte {}: {}", damage.path.display(), damage.offset, damage.what)
}
