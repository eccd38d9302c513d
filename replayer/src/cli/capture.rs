//! `understudy capture`.

use std::io::Write;
use std::process::ExitCode;

use super::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args, _out: &mut dyn Write) -> Result<ExitCode, Failure> {
    Err(Failure::Bug("not wired".into()))
}
