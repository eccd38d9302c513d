//! The `understudy` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use understudy::cli::{Cli, refusal_line};

fn main() -> ExitCode {
    let refusal = match Cli::try_parse() {
        Ok(cli) => return cli.run(&mut std::io::stdout()),
        Err(refusal) => refusal,
    };
    match refusal_line(&refusal) {
        Some(line) => writeln!(std::io::stderr(), "{line}").ok(),
        None => refusal.print().ok(),
    };
    // clap would exit with 2, which is the verdict INCONCLUSIVE here.
    if refusal.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
}
