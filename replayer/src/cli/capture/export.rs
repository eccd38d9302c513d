//! `understudy capture export`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use understudy_captures::capture::Damage;
use understudy_captures::interchange::Format;
use understudy_captures::interchange::export::{ExportError, Exported, Exporter, Target};

use super::notes::{notes_json, print_notes};
use super::{Reading, damage_json, print_damage, print_json, printed, unreadable};
use crate::cli::Failure;

const EXAMPLES: &str = "Examples:
  understudy capture export captures --out requests.gor.gz
  understudy capture export captures --out session.har --limit 100
  understudy capture export captures --out load.js       then: k6 run -e TARGET=http://HOST:PORT load.js
  understudy capture export captures --out load.lua      then: wrk -s load.lua http://HOST:PORT
  understudy capture export captures --to vegeta --target http://HOST:PORT --out -

Credentials are never in a capture, and the recorded host is never made the target of a load test. What the format
cannot carry is counted in the summary. To export a part, slice it first.";

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    reading: Reading,
    /// New file, or `-` for standard output; .gz compresses gor and jsonl
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to write: gor, har, jsonl, k6, vegeta, wrk [default: by the name: .gor, .har, .jsonl, .js, .lua]
    #[arg(long, value_name = "FORMAT")]
    to: Option<Format>,
    /// Stop after this many exchanges
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
    /// Scheme, host and path prefix of the URLs in har and vegeta: http://HOST:PORT
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Print the summary as JSON for machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let to_stdout = args.out == Path::new("-");
    let format = args.to.or_else(|| Format::of_output(&args.out)).ok_or_else(|| {
        Failure::Usage(format!("{}: the name says no format; give one with --to", args.out.display()))
    })?;
    let target = args.target.as_deref().map(Target::parse).transpose().map_err(failure)?;
    let capture = args.reading.open()?;
    let mut exporter = match to_stdout {
        true => Exporter::to_stream(io::stdout(), format, target),
        false => Exporter::to_file(&args.out, format, target),
    }
    .map_err(failure)?;
    let mut exchanges = capture.exchanges();
    for exchange in exchanges.by_ref().take(args.limit) {
        exporter.write(&exchange.map_err(unreadable)?).map_err(failure)?;
    }
    let exported = exporter.finish().map_err(failure)?;
    let damage: Vec<&Damage> = capture.damage().iter().chain(exchanges.damage()).collect();
    let mut standard_error = io::stderr();
    let out: &mut dyn Write = if to_stdout { &mut standard_error } else { out };
    printed(match args.json {
        true => print_json(&to_json(&exported, format, &damage), out),
        false => print(&exported, format, &damage, out),
    })?;
    match (exported.read, exported.written) {
        (1.., 0) => Err(Failure::Data(
            "nothing was exported: every exchange was left out, as counted above".to_owned(),
        )),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn failure(error: ExportError) -> Failure {
    let text = error.to_string();
    match error {
        ExportError::Exists { .. } | ExportError::Io { .. } => Failure::Output(text),
        ExportError::BadTarget(_)
        | ExportError::NoTarget(_)
        | ExportError::NotExported(_)
        | ExportError::NeedsFile(_) => Failure::Usage(text),
    }
}

fn print(exported: &Exported, format: Format, damage: &[&Damage], out: &mut dyn Write) -> io::Result<()> {
    let files: Vec<_> = exported.files.iter().map(|file| file.display().to_string()).collect();
    let place = if files.is_empty() { "standard output".to_owned() } else { files.join(", ") };
    writeln!(out, "read {} exchanges, wrote {} as {format} to {place}", exported.read, exported.written)?;
    print_notes(&exported.notes, out)?;
    for damage in damage {
        print_damage(damage, out)?;
    }
    out.flush()
}

fn to_json(exported: &Exported, format: Format, damage: &[&Damage]) -> Value {
    json!({
        "to": format.name(),
        "files": exported.files.iter().map(|file| file.to_string_lossy()).collect::<Vec<_>>(),
        "read": exported.read,
        "written": exported.written,
        "notes": notes_json(&exported.notes),
        "damage": damage.iter().map(|damage| damage_json(damage)).collect::<Vec<_>>(),
    })
}
