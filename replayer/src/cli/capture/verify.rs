//! `understudy capture verify`.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use understudy_captures::capture::Verification;

use super::{Source, damage_json, print_damage, print_json, printed, unreadable};
use crate::cli::Failure;

/// Something is damaged or missing.
const DAMAGED: u8 = 1;

pub(super) fn run(source: &Source, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let verification = source.open(out)?.verified().map_err(unreadable)?;
    printed(match source.json {
        true => print_json(&to_json(&verification), out),
        false => print(&verification, out),
    })?;
    // The code stands even when nobody read the output to its end.
    Ok(if verification.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}

fn print(verification: &Verification, out: &mut dyn Write) -> io::Result<()> {
    for finding in &verification.findings {
        print_damage(finding, out)?;
    }
    for note in &verification.notes {
        writeln!(out, "note: {note}")?;
    }
    let stats = &verification.stats;
    let read = verification.read;
    match verification.findings.len() {
        0 => writeln!(
            out,
            "whole: {} segments, {read} exchanges read, checksums, counters and digests agree\ndataset {}",
            stats.segments, stats.dataset_id
        )?,
        findings => writeln!(
            out,
            "DAMAGED: {findings} findings; {read} exchanges of {} recorded can be read",
            stats.conservation.recorded
        )?,
    }
    out.flush()
}

fn to_json(verification: &Verification) -> Value {
    json!({
        "whole": verification.is_whole(),
        "segments": verification.stats.segments,
        "exchanges": verification.read,
        "recorded": verification.stats.conservation.recorded,
        "dataset_id": verification.stats.dataset_id,
        "findings": verification.findings.iter().map(damage_json).collect::<Vec<_>>(),
        "notes": verification.notes,
    })
}
