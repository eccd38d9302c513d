//! What it takes to verify, slice and merge a large capture: memory above all, which must not grow with it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use understudy_tests::programs::program;
use understudy_tests::scale::{PODS, record, watched};

use crate::table;

/// Memory that every command has to make do with.
const LIMIT: u64 = 128 << 20;

/// Records `EXCHANGES` (20 million) of three pods, then verifies them, cuts half of them out, and merges them with that
/// half; `UNDERSTUDY` is the program, when it is built already. Needs room on the disk for two and a half times the capture.
pub(crate) fn run(args: &[String], out: &mut dyn Write) -> Result<()> {
    let exchanges = args.first().map_or(Ok(20_000_000), |count| count.parse::<u64>())?;
    let understudy = args.get(1).map_or_else(|| program("understudy"), PathBuf::from);
    let scratch = tempfile::tempdir()?;
    let path = |name: &str| scratch.path().join(name).to_string_lossy().into_owned();
    let (all, half, merged) = (path("all"), path("half"), path("merged"));
    record(all.as_ref(), exchanges)?;
    let window = format!("..+{}us", exchanges / PODS / 2 * 500);
    let commands: [(&str, &[&str]); 4] = [
        ("verify", &["capture", "verify", &all]),
        ("slice of half", &["capture", "slice", &all, "--out", &half, "--window", &window]),
        ("merge with that half", &["capture", "merge", &all, &half, "--out", &merged]),
        ("verify the merge", &["capture", "verify", &merged]),
    ];
    let mut rows = Vec::new();
    for (name, args) in commands {
        let watched = watched(&understudy, args)?;
        ensure!(watched.finished.code == 0, "{name}: {:?}", watched.finished);
        writeln!(out, "{name}:\n{}", watched.finished.stdout)?;
        let peak = format!("{:.1} MiB", watched.peak_bytes as f64 / f64::from(1 << 20));
        rows.push(vec![name.to_owned(), peak, format!("{:.0}", watched.took.as_secs_f64())]);
        ensure!(watched.peak_bytes < LIMIT, "{name} took {} bytes", watched.peak_bytes);
    }
    let stored: u64 = std::fs::read_dir(&all)?.map(|f| Ok(f?.metadata()?.len())).sum::<Result<u64>>()?;
    table::write(out, &[&format!("{exchanges} exchanges"), "peak memory", "seconds"], &rows)?;
    writeln!(out, "{:.0} bytes an exchange", stored as f64 / exchanges as f64)?;
    Ok(())
}
