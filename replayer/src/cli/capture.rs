//! `understudy capture`: what is in a capture, is it whole, its exchanges in text, and the way to other tools' files.

mod cat;
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
use understudy_captures::capture::{CaptureError, Damage};

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
    Neutrality(neutrality::Args),
    /// Cut some exchanges out of a capture into a new one
    Slice(Box<derive::SliceArgs>),
    /// Put captures of several pods into one, in order of corrected arrival
    Merge(derive::MergeArgs),
}

/// Where a capture is and who reads the output.
#[derive(Debug, clap::Args)]
struct Source {
    /// Segments (*.ucap), or directories of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
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
    }
}

/// What a reading error means for the user.
fn unreadable(error: CaptureError) -> Failure {
    match error {
        CaptureError::Io { .. } | CaptureError::Nothing { .. } => Failure::Input(error.to_string()),
        CaptureError::Foreign { .. }
        | CaptureError::TooShort { .. }
        | CaptureError::Newer { .. }
        | CaptureError::Schema { .. }
        | CaptureError::Cipher { .. }
        | CaptureError::Locked(_) => Failure::Data(error.to_string()),
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
