//! New captures made of old ones: what is asked for is in them, and what is not is counted.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use understudy_tests::programs::{understudy, understudy_json};
use understudy_tests::scale::{AHEAD, record};

/// One second apart; of every property there are some that have it and some that have not.
const EXCHANGES: u64 = 60;

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_string_lossy().into_owned()
}

fn trace(n: u64) -> String {
    format!("{:032x}", 0xabc_0000 + n)
}

/// Makes the capture by importing it; the exchange `n` is that of index `n`.
fn import(dir: &Path) -> Result<String> {
    let lines = (0..EXCHANGES).map(|n| {
        let answer = json!({ "label": if n % 3 == 0 { "NEGATIVE" } else { "POSITIVE" }, "score": 0.9 });
        let json = json!([{ "name": "content-type", "value": "application/json" }]);
        json!({
            "connection": 1,
            "arrival": format!("2026-11-22T10:00:{n:02}Z"),
            "request": {
                "method": "POST",
                "target": if n % 2 == 0 { "/predict" } else { "/v2/models/sst/infer" },
                "headers": json,
                "body": json!({ "text": "a fine lamp", "explain": n % 5 == 0 }).to_string(),
            },
            "response": { "status": if n % 10 == 9 { 503 } else { 200 }, "headers": json, "body": answer.to_string() },
            "timing_ns": { "request_end": 0, "response_start": 1000, "end": (n + 1) * 1_000_000 },
            "trace_id": trace(n),
        })
        .to_string()
    });
    std::fs::write(path(dir, "all.jsonl"), lines.collect::<Vec<_>>().join("\n"))?;
    let all = path(dir, "all");
    let imported = understudy_json(&["capture", "import", &path(dir, "all.jsonl"), "--out", &all, "--json"])?;
    assert_eq!(imported["written"], EXCHANGES, "{imported}");
    Ok(all)
}

/// Which exchanges of [`import`] are in a capture, by their latencies.
fn numbers(capture: &str) -> Result<BTreeSet<u64>> {
    let printed = understudy(&["capture", "cat", "--json", capture])?.stdout;
    let number = |line: &str| -> Result<u64> {
        let line: Value = serde_json::from_str(line)?;
        Ok(line["timing_ns"]["end"].as_u64().context("an end")? / 1_000_000 - 1)
    };
    printed.lines().map(number).collect()
}

type Property = fn(u64) -> bool;

#[test]
fn a_slice_holds_what_was_asked_for_and_counts_the_rest() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let all = import(dir.path())?;
    let some_trace = trace(17);
    let cases: [(&[&str], Property); 10] = [
        (&["--window", "+10s..+20s"], |n| (10..=20).contains(&n)),
        (&["--window", "2026-11-22T10:00:30Z.."], |n| n >= 30),
        (&["--path", "/v2/**"], |n| n % 2 == 1),
        (&["--status", "5xx"], |n| n % 10 == 9),
        (&["--latency", ">10ms", "--latency", "<21ms"], |n| (10..20).contains(&n)),
        (&["--trace-id", &some_trace], |n| n == 17),
        (&["--label", "NEGATIVE"], |n| n % 3 == 0),
        (&["--where", "request:/explain=true"], |n| n % 5 == 0),
        (&["--label", "POSITIVE", "--path", "/predict", "--status", "200"], |n| n % 3 > 0 && n % 2 == 0),
        (&["--limit", "7"], |n| n < 7),
    ];
    let from = understudy_json(&["capture", "stats", "--json", &all])?;
    for (n, (filters, holds)) in cases.into_iter().enumerate() {
        let out = path(dir.path(), &format!("slice-{n}"));
        let told =
            understudy_json(&[&["capture", "slice", &all, "--out", &out, "--json"], filters].concat())?;
        let expected: BTreeSet<u64> = (0..EXCHANGES).filter(|n| holds(*n)).collect();
        assert_eq!(numbers(&out)?, expected, "{filters:?}");
        let kept = expected.len() as u64;
        assert_eq!((&told["written"], &told["excluded"]), (&json!(kept), &json!(EXCHANGES - kept)), "{told}");
        let verified = understudy_json(&["capture", "verify", "--json", &out])?;
        assert_eq!((&verified["whole"], &verified["recorded"]), (&json!(true), &json!(kept)));
        let stats = understudy_json(&["capture", "stats", "--json", &out])?;
        assert_eq!((&stats["seen"], &stats["law_holds"]), (&json!(EXCHANGES), &json!(true)), "{stats}");
        assert_eq!(told["dataset_id"], stats["dataset_id"]);
        assert_ne!(told["dataset_id"], from["dataset_id"]);
    }
    Ok(())
}

#[test]
fn pods_are_merged_by_corrected_clocks_and_duplicates_dropped() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name| path(dir.path(), name);
    record(Path::new(&at("pods")), 9_000)?;
    understudy_json(&["capture", "slice", &at("pods"), "--out", &at("part"), "--limit", "1000", "--json"])?;

    let merge = &["capture", "merge", &at("pods"), &at("part"), "--json", "--out"];
    let told = understudy_json(&[&merge[..], &[&at("merged")]].concat())?;
    assert_eq!((&told["written"], &told["duplicates"]), (&json!(9_000), &json!(1_000)), "{told}");
    let clocks = told["clocks"].as_array().context("clocks")?;
    let last = clocks.iter().find(|clock| clock["pod"] == "sentiment-2").context("the last pod")?;
    assert_eq!(
        (&last["against"], &last["pairs"], &last["agreeing"]),
        (&json!("sentiment-0"), &json!(6), &json!(6))
    );
    let ahead = AHEAD.as_nanos() as i64;
    assert!(
        last["ahead_ns"][0].as_i64() < Some(ahead) && last["ahead_ns"][1].as_i64() > Some(ahead),
        "{last}"
    );
    let correction = told["corrections_ns"]["sentiment-2"].as_i64().context("a correction")?;
    assert!((correction + ahead).abs() < 1_000_000, "{correction}");
    assert_eq!(
        told["corrections_ns"].as_object().map(|pods| pods.len()),
        Some(1),
        "clocks that may be right stay"
    );
    let arrivals: Vec<String> = understudy(&["capture", "cat", "--json", &at("merged")])?
        .stdout
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["arrival"].to_string()))
        .collect::<Result<_>>()?;
    assert!(arrivals.is_sorted() && arrivals.len() == 9_000);
    assert_eq!(understudy(&["capture", "verify", &at("merged")])?.code, 0);

    let trusted = understudy_json(&[&merge[..], &[&at("trusted"), "--trust-clocks"]].concat())?;
    assert_eq!((&trusted["corrections_ns"], &trusted["written"]), (&json!({}), &json!(9_000)), "{trusted}");
    let told = understudy_json(&[&merge[..], &[&at("offset"), "--offset", "sentiment-1=+5ms"]].concat())?;
    assert_eq!(told["corrections_ns"]["sentiment-1"], 5_000_000, "{told}");
    let people = understudy(&["capture", "merge", &at("pods"), &at("part"), "--out", &at("people")])?;
    for words in ["1000 duplicates dropped", "clock of sentiment-2", "corrected: sentiment-2 by -"] {
        assert!(people.stdout.contains(words), "{words}: {}", people.stdout);
    }
    Ok(())
}

#[test]
fn what_cannot_be_made_is_refused_with_the_way_out() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let all = import(dir.path())?;
    let out = path(dir.path(), "out");
    let cases: [(&[&str], i32, &str); 8] = [
        (&["slice", &all, "--out", &out, "--status", "6xxx"], 64, "write 404, 5xx, 200-299 or none"),
        (&["slice", &all, "--out", &out, "--latency", "250ms"], 64, "in quotes for the shell"),
        (&["slice", &all, "--out", &out, "--window", "noon.."], 64, "write +5m..+10m"),
        (&["slice", &all, "--out", &out, "--answers", "own"], 64, "kubesentiment"),
        (&["slice", &all, "--out", &all], 73, "name a new directory"),
        (&["slice", &out, "--out", &out], 66, "cannot read"),
        (
            &["merge", &all, "--out", &out, "--offset", "web-1=+1ms"],
            64,
            "no pod is called `web-1`; there are: ",
        ),
        (&["merge", &all, "--out", &out, "--offset", "+1ms"], 64, "as in web-1=+12ms"),
    ];
    for (args, code, way_out) in cases {
        let refused = understudy(&[&["capture"], args].concat())?;
        assert_eq!(refused.code, code, "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(way_out), "{args:?}: {}", refused.stderr);
        assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{}", refused.stderr);
        assert!(!Path::new(&out).exists(), "a refusal leaves nothing behind");
    }
    Ok(())
}
