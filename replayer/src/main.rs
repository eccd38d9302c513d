//! The `understudy` command.

use std::process::ExitCode;

use clap::Parser;
use understudy::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run(&mut std::io::stdout())
}
