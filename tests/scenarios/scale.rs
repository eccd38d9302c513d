//! Memory of the commands that read whole captures does not grow with the capture.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use understudy_tests::programs::program;
use understudy_tests::scale::{AHEAD, PODS, Watched, record, watched};

/// What a command may take more for ten times the exchanges: less than 16 bytes for each, the size of an id.
const GROWTH: u64 = 6 << 20;
const LIMIT: u64 = 128 << 20;
const FEW: u64 = 50_000;
const MANY: u64 = 10 * FEW;

/// Verifies, slices and merges a capture of so many exchanges; the peak of each command.
fn peaks(exchanges: u64) -> Result<Vec<(&'static str, u64)>> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (all, half, merged) = (path("all"), path("half"), path("merged"));
    record(Path::new(&all), exchanges)?;
    let run = |args: &[&str]| -> Result<(Value, u64)> {
        let Watched { finished, peak_bytes, .. } = watched(&program("understudy"), args)?;
        assert_eq!(finished.code, 0, "{args:?}: {finished:?}");
        Ok((serde_json::from_str(&finished.stdout).context("not JSON")?, peak_bytes))
    };

    let (whole, verify) = run(&["capture", "verify", "--json", &all])?;
    assert_eq!((&whole["whole"], &whole["exchanges"]), (&true.into(), &exchanges.into()));
    let window = format!("..+{}us", exchanges / PODS / 2 * 500);
    let (sliced, slice) = run(&["capture", "slice", &all, "--out", &half, "--window", &window, "--json"])?;
    let kept = sliced["written"].as_u64().context("written")?;
    assert!(kept.abs_diff(exchanges / 2) < exchanges / 100, "{sliced}");
    let (merged, merge) = run(&["capture", "merge", &all, &half, "--out", &merged, "--json"])?;
    assert_eq!((&merged["written"], &merged["duplicates"]), (&exchanges.into(), &kept.into()), "{merged}");
    let corrections = merged["corrections_ns"].as_object().context("corrections")?;
    let [(pod, correction)] = &corrections.iter().collect::<Vec<_>>()[..] else { panic!("{merged}") };
    let off = correction.as_i64().context("nanoseconds")? + AHEAD.as_nanos() as i64;
    assert!(*pod == "sentiment-2" && off.abs() < 1_000_000, "{merged}");
    Ok(vec![("verify", verify), ("slice", slice), ("merge", merge)])
}

#[test]
fn ten_times_the_exchanges_take_no_more_memory() -> Result<()> {
    for ((command, few), (_, many)) in peaks(FEW)?.into_iter().zip(peaks(MANY)?) {
        assert!(many < few + GROWTH && many < LIMIT, "{command}: {few} bytes, then {many}");
    }
    Ok(())
}
