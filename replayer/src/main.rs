//! The `understudy` command.

use std::process::ExitCode;

use clap::Parser;
use understudy::cli::Cli;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.run(&mut std::io::stdout()),
        Err(refusal) => {
            // clap would exit with 2, which is the verdict INCONCLUSIVE here.
            let code = if refusal.use_stderr() { 64 } else { 0 };
            refusal.print().ok();
            ExitCode::from(code)
        }
    }
}
