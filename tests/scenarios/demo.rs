//! A new user's first command.

use std::path::Path;
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
    let verdict = |name: &str| {
        let mut candidates = run["judgement"]["candidates"].as_array().into_iter().flatten();
        candidates.find(|c| c["name"] == name).map(|c| c["verdict"].clone()).unwrap_or_default()
    };
    // The two that must be found out are far beyond their limits. A busy machine may leave the others open, not fail them.
    assert_eq!((verdict("cpu-small"), verdict("int8")), ("FAIL".into(), "FAIL".into()));
    for good in ["gpu", "twin"] {
        assert!(verdict(good) == "PASS" || verdict(good) == "INCONCLUSIVE", "{good}: {}", verdict(good));
    }
    let texts = run["texts"].as_object().context("the texts whose labels flipped")?;
    assert!(texts.values().any(|text| text.as_str().is_some_and(|t| t.len() > 10)), "{texts:?}");

    let dir = Path::new(find.stdout.trim()).parent().context("the run has a directory")?.to_owned();
    for file in ["report.html", "report.md", "latency.hlog", "outcomes.uout"] {
        assert!(std::fs::metadata(dir.join(file))?.len() > 100, "{file} is written");
    }
    let before = std::fs::read(dir.join("report.html"))?;
    let again = understudy(&["report", dir.to_str().context("utf-8")?])?;
    assert_eq!(again.code, 0, "{again:?}");
    assert!(before == std::fs::read(dir.join("report.html"))?, "run.json alone makes the same page again");
    Ok(())
}
