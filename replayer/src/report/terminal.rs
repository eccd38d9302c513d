//! The result as a table that fits a terminal.

use std::io::{self, Write};

use crate::judge::{CandidateJudgement, Judgement, Role, Verdict, words};

/// Prints who was rehearsed, what came out and why. The verdict of the run is left to the caller's last line.
pub fn print(out: &mut dyn Write, judgement: &Judgement, colour: bool) -> io::Result<()> {
    let header =
        ["candidate", "verdict", "p50", "p95", "p99", "failed", "labels", "drift"].map(str::to_owned);
    let rows: Vec<[String; 8]> = judgement.candidates.iter().map(row).collect();
    let mut widths = header.each_ref().map(String::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |out: &mut dyn Write, cells: &[String; 8], verdict: Option<Verdict>| {
        for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let gap = if at == 0 { "" } else { "  " };
            match (at, verdict) {
                (0, _) => write!(out, "{cell}{padding}")?,
                (1, Some(verdict)) if colour => {
                    write!(out, "{gap}\x1b[1;{}m{cell}\x1b[0m{padding}", ansi(verdict))?;
                }
                (1, _) => write!(out, "{gap}{cell}{padding}")?,
                _ => write!(out, "{gap}{padding}{cell}")?,
            }
        }
        writeln!(out)
    };
    line(out, &header, None)?;
    for (row, candidate) in rows.iter().zip(&judgement.candidates) {
        line(out, row, Some(candidate.verdict))?;
    }
    writeln!(out)?;
    for reason in &judgement.reasons {
        writeln!(out, "{reason}")?;
    }
    Ok(())
}

fn row(candidate: &CandidateJudgement) -> [String; 8] {
    let name = match candidate.role {
        Role::Candidate => candidate.name.clone(),
        role => format!("{} ({})", candidate.name, role.name()),
    };
    let figure = |q: f64| {
        let estimate = candidate.response.iter().find(|e| e.q == q);
        estimate.map_or_else(|| "-".to_owned(), |e| words::figure(e.figure))
    };
    let answers = candidate.answers.as_ref();
    let labels = answers.map(|a| words::percent(1.0 - a.disagreement.share));
    let drift = answers.and_then(|a| a.scores).map(|s| words::score(s.mean_abs));
    let absent = || "-".to_owned();
    [
        name,
        candidate.verdict.to_string(),
        figure(0.5),
        figure(0.95),
        figure(0.99),
        words::percent(candidate.errors.share),
        labels.unwrap_or_else(absent),
        drift.unwrap_or_else(absent),
    ]
}

/// Colour of a verdict on a terminal.
fn ansi(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 32,
        Verdict::Fail => 31,
        Verdict::Inconclusive => 33,
        Verdict::Invalid => 35,
    }
}
