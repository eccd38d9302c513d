//! A new user's first command.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use understudy_tests::process::succeed;
use understudy_tests::programs::{program, understudy};

#[test]
fn the_demo_tells_the_whole_story_in_under_a_minute() -> Result<()> {
    let out = tempfile::tempdir()?;
    // Building is not the demo's time.
    program("understudy");
    let began = Instant::now();
    let demo = understudy(&["demo", "--out", out.path().to_str().context("utf-8")?])?;
    let took = began.elapsed();
    assert_eq!(demo.code, 0, "{}{}", demo.stdout, demo.stderr);
    assert!(took < Duration::from_secs(60), "took {took:?}");
    for word in ["PASS", "FAIL", "report.html"] {
        assert!(demo.stdout.contains(word), "{word} is not in {}", demo.stdout);
    }

    let find = succeed(std::process::Command::new("find").arg(out.path()).args(["-name", "run.json"]))?;
    let run: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(find.stdout.trim())?)?;
    assert_eq!(run["schema"], 1);
    Ok(())
}
