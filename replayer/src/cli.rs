//! Arguments of every command; turns them into plans and exit codes.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod capture;
pub mod demo;
pub mod replay;
pub mod report;

/// Rehearses recorded inference traffic on candidate hardware and says who may take the part.
#[derive(Debug, Parser)]
#[command(name = "understudy", version, about, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look into captures: what is in them, are they whole, print their exchanges
    Capture(Box<capture::Args>),
    /// Replay a capture against candidates, compare them and print a verdict
    Replay(replay::Args),
    /// Write the report of a finished run again from its run.json
    Report(report::Args),
    /// Watch the whole story on this machine in under a minute: record, sanitize, rehearse, judge
    Demo(demo::Args),
}

const EXIT_CODES: &str = "Exit codes:
  0 PASS  1 FAIL  2 INCONCLUSIVE  3 INVALID (the verdict of replay and demo; 1 also: capture verify found damage)
  64 usage: arguments or plan are wrong      65 a file is not what it should be
  66 a file or directory cannot be read      69 a target is unavailable, a port is taken
  70 a bug of ours                           73 a file or directory cannot be written";

/// Why a command ended without doing its work: one line for the user, and an exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Arguments or plan are wrong (64).
    #[error("{0}")]
    Usage(String),
    /// A file is not what it should be: foreign, damaged, of a newer format (65).
    #[error("{0}")]
    Data(String),
    /// A file or directory cannot be read (66).
    #[error("{0}")]
    Input(String),
    /// A target does not answer, a port is taken (69).
    #[error("{0}")]
    Unavailable(String),
    /// A bug of ours (70).
    #[error("{0}; this is a bug in understudy, please report it")]
    Bug(String),
    /// A file or directory cannot be written (73).
    #[error("{0}")]
    Output(String),
}

// === impl Failure ===

impl Failure {
    /// The exit code, as in sysexits.h.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 64,
            Failure::Data(_) => 65,
            Failure::Input(_) => 66,
            Failure::Unavailable(_) => 69,
            Failure::Bug(_) => 70,
            Failure::Output(_) => 73,
        }
    }
}

/// A refusal of the command line as one line: what is wrong, and where the usage is told. `None` is help or a version
/// that was asked for, or that a bare command gets, and is printed as it is.
pub fn refusal_line(refusal: &clap::Error) -> Option<String> {
    use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !refusal.use_stderr() || refusal.kind() == DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    let text = refusal.to_string();
    let told =
        text.split("\n\n").take_while(|part| !part.starts_with("Usage") && !part.starts_with("For more"));
    let parts: Vec<String> = told.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let line = parts.join("; ");
    Some(format!("understudy: {} (--help tells more)", line.trim_start_matches("error: ")))
}

// === impl Cli ===

impl Cli {
    /// Runs the command; output for people or machines goes to `out`, progress and errors to standard error.
    pub fn run(self, out: &mut dyn Write) -> ExitCode {
        let result = match self.command {
            Command::Capture(args) => capture::run(*args, out),
            Command::Replay(args) => replay::run(args, out),
            Command::Report(args) => report::run(args, out),
            Command::Demo(args) => demo::run(args, out),
        };
        match result {
            Ok(code) => code,
            Err(failure) => {
                // Nothing is left to do when standard error is gone too.
                writeln!(std::io::stderr(), "understudy: {failure}").ok();
                ExitCode::from(failure.code())
            }
        }
    }
}
