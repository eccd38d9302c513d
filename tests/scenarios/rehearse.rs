//! A rehearsal sends what was recorded, once each, at its instants, and counts the waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use rustix::process::Signal;
use serde_json::Value;
use understudy::drive::{Progress, Stop, rehearse};
use understudy::outcome::Rehearsal;
use understudy::plan::{Plan, Settings};
use understudy_tests::peers::{curl, h2load};
use understudy_tests::process::Running;
use understudy_tests::programs::{Sentiment, Sidecar, understudy, understudy_json};

/// The replay's settings without the rest of the command line.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// Rehearses in this process, so that every outcome can be looked at.
fn rehearse_with(args: &[&str]) -> Result<Rehearsal> {
    let line = Line::try_parse_from([&["replay"], args].concat())?;
    Ok(rehearse(&Plan::resolve(line.settings)?, Progress::silent(), &Stop::new())?)
}

/// Sends `requests` equal requests through a sidecar before `target`, and closes it.
fn record_many(target: &str, captures: &Path, requests: u64) -> Result<()> {
    let sidecar = Sidecar::start(target, captures, &[])?;
    let body = captures.with_extension("json");
    std::fs::write(&body, r#"{"text":"what a wonderful little machine"}"#)?;
    h2load(&format!("http://{}/predict", sidecar.listen), requests, 8, Some(&body))?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    Ok(())
}

#[test]
fn each_exchange_reaches_each_candidate_once_an_iteration_with_the_bytes_recorded() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let captures = scratch.path().join("captures");
    let sentiment = Sentiment::start(&["--profile", "gpu"])?;
    let sidecar = Sidecar::start(&sentiment.listen, &captures, &[])?;
    let mut sent = BTreeSet::new();
    for n in 0..40 {
        // Nothing in them that sanitizing would touch.
        let body = format!("{{\"text\": \"the {n} best things, \\u00e9t\u{e9} and all\"}}");
        let url = format!("http://{}/predict", sidecar.listen);
        curl(&["-X", "POST", "-H", "content-type: application/json", "-d", &body, &url])?;
        sent.insert(body);
    }
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;

    let mut targets = Vec::new();
    for n in 0..2 {
        let log = scratch.path().join(format!("log-{n}"));
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/servers/logging_target.py")).arg(&log);
        let mut server = Running::start(command)?;
        let ready = server.await_line("listening on ")?;
        let address = ready.rsplit(' ').next().context("an address")?.to_owned();
        targets.push((server, address, log));
    }
    let run = understudy(&[
        "replay",
        captures.to_str().context("utf-8")?,
        "--speed",
        "4",
        "--iterations",
        "3",
        "--quiet",
        "--out",
        scratch.path().join("runs").to_str().context("utf-8")?,
        "--candidate",
        &format!("one=http://{}", targets[0].1),
        "--candidate",
        &format!("two=http://{}", targets[1].1),
    ])?;
    assert!(run.code < 3, "{run:?}");

    for (_, address, log) in &targets {
        let mut times = BTreeMap::new();
        for line in std::fs::read_to_string(log)?.lines() {
            let request: Value = serde_json::from_str(line)?;
            assert_eq!(
                (request["method"].as_str(), request["target"].as_str()),
                (Some("POST"), Some("/predict"))
            );
            assert_eq!(request["headers"]["host"].as_str(), Some(address.as_str()));
            assert_eq!(request["headers"]["content-type"].as_str(), Some("application/json"));
            let body = request["body"].as_str().context("a body")?.to_owned();
            *times.entry(body).or_insert(0) += 1;
        }
        assert_eq!(times.keys().cloned().collect::<BTreeSet<_>>(), sent, "the bodies are those recorded");
        assert!(times.values().all(|n| *n == 3), "each once an iteration: {times:?}");
    }
    Ok(())
}

#[test]
fn a_frozen_target_shows_in_response_time_and_not_in_the_service_time_of_the_unaffected() -> Result<()> {
    let target = Sentiment::start(&["--profile", "gpu"])?;
    let scratch = tempfile::tempdir()?;
    let captures = scratch.path().join("captures");
    record_many(&target.listen, &captures, 5_000)?;

    // 500 a second for 10 seconds; frozen from the second to the eighth.
    let process = target.process;
    let frozen = std::thread::spawn(move || -> Result<Running> {
        std::thread::park_timeout(Duration::from_secs(2));
        process.signal(Signal::STOP)?;
        std::thread::park_timeout(Duration::from_secs(6));
        process.signal(Signal::CONT)?;
        Ok(process)
    });
    let rehearsal = rehearse_with(&[
        captures.to_str().context("utf-8")?,
        "--rate=500",
        "--iterations=1",
        "--warmup=0s",
        "--block=20s",
        "--candidate",
        &format!("target=http://{}", target.listen),
        "--out",
        scratch.path().join("runs").to_str().context("utf-8")?,
    ])?;
    frozen.join().expect("the freezing thread ends well")?;

    let median = |mut times: Vec<u64>| -> Result<Duration> {
        times.sort_unstable();
        Ok(Duration::from_nanos(*times.get(times.len() / 2).context("there are outcomes")?))
    };
    let outcomes = &rehearsal.outcomes;
    assert_eq!(outcomes.len(), 5_000);
    let response = median(outcomes.iter().map(|o| o.response_time()).collect())?;
    assert!(
        response > Duration::from_secs(1),
        "response time counts from the intended instant: {response:?}"
    );
    assert!(response < Duration::from_secs(6), "{response:?}");

    // Unaffected: begun and due to be answered well outside the freeze.
    let first = outcomes.iter().map(|o| o.intended).min().context("there are outcomes")?;
    let second = |o: &&understudy::outcome::Outcome| (o.intended - first) as f64 / 1e9;
    let unaffected: Vec<u64> =
        outcomes.iter().filter(|o| second(o) < 1.5 || second(o) > 9.0).map(|o| o.service_time()).collect();
    assert!(unaffected.len() > 1_000);
    let service = median(unaffected)?;
    assert!(service < Duration::from_millis(100), "service time of the unaffected: {service:?}");

    let lag = rehearsal.certificates[0].lag_p99_ms;
    assert!(lag < 100.0, "a frozen target does not hold the generator up: lag p99 {lag} ms");
    Ok(())
}

#[test]
fn a_run_that_proves_nothing_is_invalid() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let captures = scratch.path().join("captures");
    let path = captures.to_str().context("utf-8")?.to_owned();
    let runs = scratch.path().join("runs");
    let runs = runs.to_str().context("utf-8")?.to_owned();
    let healthy = Sentiment::start(&["--profile", "gpu"])?;
    record_many(&healthy.listen, &captures, 1_000)?;
    let replay = |target: &str, more: &[&str]| -> Result<Value> {
        let candidate = format!("a=http://{target}");
        let args = [
            "replay",
            &path,
            "--json",
            "--quiet",
            "--iterations=1",
            "--out",
            &runs,
            "--candidate",
            &candidate,
        ];
        let finished = understudy(&[&args, more].concat())?;
        assert_eq!(finished.code, 3, "{finished:?}");
        Ok(serde_json::from_str(&finished.stdout)?)
    };

    let broken = Sentiment::start(&["--profile", "gpu", "--fault", "status=1:503"])?;
    let verdict = replay(&broken.listen, &["--rate=500"])?;
    assert_eq!(verdict["verdict"], "INVALID", "no success: {verdict}");

    // One connection to a target that takes longer than the schedule allows: the generator cannot keep it.
    let slow = Sentiment::start(&["--profile", "cpu-small"])?;
    let verdict = replay(&slow.listen, &["--rate=500", "--connections=1"])?;
    assert_eq!(verdict["verdict"], "INVALID", "a broken certificate: {verdict}");

    let verdict = replay(&healthy.listen, &["--rate=500", "--warmup=1h"])?;
    assert_eq!(verdict["verdict"], "INVALID", "nothing is left to judge: {verdict}");

    let empty = scratch.path().join("empty");
    let sidecar = Sidecar::start(&healthy.listen, &empty, &[])?;
    curl(&[&format!("http://{}/health", sidecar.listen)])?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    let empty = empty.to_str().context("utf-8")?;
    let stats = understudy_json(&["capture", "stats", "--json", empty])?;
    assert_eq!((stats["exchanges"].as_u64(), stats["excluded"].as_u64()), (Some(0), Some(1)));
    let candidate = format!("a=http://{}", healthy.listen);
    let nothing = understudy(&["replay", empty, "--quiet", "--out", &runs, "--candidate", &candidate])?;
    assert_eq!((nothing.code, nothing.stdout.trim()), (3, "verdict: INVALID"), "{}", nothing.stderr);
    Ok(())
}
