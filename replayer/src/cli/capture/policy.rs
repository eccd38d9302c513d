//! `understudy capture policy`: is a policy right, and what does it do.

mod explain;
mod message;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;
use understudy_captures::Policy;
use understudy_captures::sanitize::Review;

use super::{print_json, printed};
use crate::cli::Failure;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a policy and say what it amounts to; errors name line and column and exit with 64
    Check(Check),
    /// Show what a policy does to a request, before and after, and why; writes nothing
    Explain(explain::Args),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every key of a policy is described in docs/policy.md. The digest stands in the header of each segment \
    that is recorded under the policy; files that mean the same have the same."
)]
struct Check {
    /// The policy; `builtin` is the one that holds without a file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Check(args) => check(args, out),
        Command::Explain(args) => explain::run(args, out),
    }
}

/// The policy in `file`; without a file, or for the name `builtin`, the built-in one.
pub(super) fn read(file: Option<&Path>) -> Result<Policy, Failure> {
    let Some(file) = file.filter(|file| *file != Path::new("builtin") || file.exists()) else {
        return Ok(Policy::builtin());
    };
    // Apart from what is wrong in it: it may not be there at all.
    std::fs::File::open(file)
        .map_err(|error| Failure::Input(format!("cannot read policy {}: {error}", file.display())))?;
    Policy::from_file(file).map_err(|error| Failure::Usage(error.to_string()))
}

fn check(args: &Check, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let policy = read(Some(&args.file))?;
    let (digest, review) = (policy.digest(), policy.review());
    printed(match args.json {
        true => print_json(&to_json(&digest, &review), out),
        false => print(&digest, &review, out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(digest: &str, review: &Review, out: &mut dyn Write) -> io::Result<()> {
    let (request, response) = review.headers;
    writeln!(out, "digest     {digest}")?;
    writeln!(
        out,
        "headers    {request} of requests and {response} of responses stay, {} become tokens, all others are dropped",
        review.tokenized
    )?;
    writeln!(
        out,
        "target     values of {} parameters stay, {} path patterns are identifiers",
        review.query, review.identifiers
    )?;
    writeln!(
        out,
        "json       {} paths are free text, {} stay, all other strings are replaced",
        review.free_text, review.keep
    )?;
    let unknown = if review.drops_unknown {
        "bodies of other types are dropped"
    } else {
        "exchanges of other types are refused"
    };
    writeln!(out, "bodies     {} rules for media types; {unknown}", review.content_types)?;
    if review.grpc_methods > 0 {
        writeln!(out, "grpc       messages of {} methods are described", review.grpc_methods)?;
    }
    let on = review.detectors_on.join(", ");
    for (n, line) in wrapped(&on, 85).into_iter().enumerate() {
        writeln!(out, "{:10} {line}", if n == 0 { "detectors" } else { "" })?;
    }
    if !review.detectors_off.is_empty() {
        writeln!(out, "off        {}", review.detectors_off.join(", "))?;
    }
    for warning in &review.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    match review.warnings.len() {
        0 => writeln!(out, "valid"),
        1 => writeln!(out, "valid, with 1 warning"),
        n => writeln!(out, "valid, with {n} warnings"),
    }
}

/// Words of `text` on lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| line.len() + 1 + word.len() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn to_json(digest: &str, review: &Review) -> serde_json::Value {
    json!({
        "valid": true,
        "digest": digest,
        "headers": { "request": review.headers.0, "response": review.headers.1, "tokenized": review.tokenized },
        "target": { "query": review.query, "identifiers": review.identifiers },
        "json": { "free_text": review.free_text, "keep": review.keep },
        "content_types": review.content_types,
        "unknown_content": if review.drops_unknown { "drop" } else { "refuse" },
        "grpc_methods": review.grpc_methods,
        "detectors": { "on": review.detectors_on, "off": review.detectors_off },
        "warnings": review.warnings,
    })
}
