//! Samples of several rounds, and a Markdown table of their medians.

use std::io::Write;

use anyhow::Result;

/// The middle of `samples`; of an even number, the mean of the two in the middle.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Smallest and largest.
pub(crate) fn span(samples: &[f64]) -> (f64, f64) {
    let smallest = samples.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (smallest, largest)
}

/// Writes a Markdown table.
pub(crate) fn write(out: &mut dyn Write, head: &[&str], rows: &[Vec<String>]) -> Result<()> {
    writeln!(out, "| {} |", head.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(head.len()))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(())
}
