//! What a policy does is shown before it is used, and what a capture leaks is found after.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::peers::h2load;
use understudy_tests::programs::{Sentiment, Sidecar, program, understudy};

const CARD: &str = "4242 4242 4242 4242";

/// Records requests with a card number under `policy`.
fn record(dir: &Path, policy: &str) -> Result<String> {
    let target = Sentiment::start(&["--profile", "gpu"])?;
    let file = dir.join("policy.yaml");
    std::fs::write(&file, policy)?;
    let captures = dir.join("captures");
    let policy = file.to_str().context("utf-8")?;
    let sidecar = Sidecar::start(&target.listen, &captures, &["--policy", policy])?;
    let body = dir.join("body.json");
    std::fs::write(&body, format!(r#"{{"text":"the lamp is fine, charge {CARD}","user":"Zanzibar"}}"#))?;
    h2load(&format!("http://{}/predict", sidecar.listen), 20, 2, Some(&body))?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    Ok(captures.to_str().context("utf-8")?.to_owned())
}

#[test]
fn a_capture_that_leaks_fails_the_scan_and_is_not_quoted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let captures = record(dir.path(), "version: 1\ndetectors: {off: [card]}\n")?;
    let scan = understudy(&["capture", "scan", &captures, "--canary", "Zanzibar"])?;
    assert_eq!(scan.code, 1, "{scan:?}");
    assert!(
        scan.stdout.contains("LEAKS: 20 findings") && scan.stdout.contains("card in request_body: /text"),
        "{}",
        scan.stdout
    );
    assert!(scan.stdout.contains("another policy"), "{}", scan.stdout);
    assert!(!scan.stdout.contains("4242") && !scan.stdout.contains("Zanzibar"));

    let canary = dir.path().join("canaries.txt");
    std::fs::write(&canary, "The LAMP is fine\n\nnowhere to be found\n")?;
    let canary = canary.to_str().context("utf-8")?;
    let scan = understudy(&["capture", "scan", &captures, "--canary", canary, "--json"])?;
    assert_eq!(scan.code, 1);
    let report: Value = serde_json::from_str(&scan.stdout)?;
    assert_eq!((&report["exchanges"], &report["findings"]), (&20.into(), &40.into()));
    let listed = report["listed"].as_array().context("findings are listed")?;
    assert!(listed.iter().any(|leak| leak["canary"] == 1 && leak["byte"] == 9), "{listed:?}");
    assert!(!scan.stdout.contains("LAMP") && !scan.stdout.contains("lamp"));

    let short = understudy(&["capture", "scan", &captures, "--canary", "abc"])?;
    assert!(short.code == 64 && !short.stderr.contains("abc"), "{short:?}");
    Ok(())
}

#[test]
fn a_capture_of_the_built_in_policy_scans_clean() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let captures = record(dir.path(), "version: 1\n")?;
    let scan = understudy(&["capture", "scan", &captures, "--canary", "Zanzibar", "--canary", CARD])?;
    assert_eq!(scan.code, 0, "{scan:?}");
    assert!(scan.stdout.contains("clean: nothing unexplained in 20 exchanges"), "{}", scan.stdout);
    assert!(
        scan.stdout.contains("residual") || scan.stdout.contains("undetected"),
        "says what it cannot know"
    );
    Ok(())
}

#[test]
fn a_policy_is_checked_and_explained() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("policy.yaml");
    let path = file.to_str().context("utf-8")?;
    std::fs::write(&file, "version: 1\njson:\n  keepp: [/a]\n")?;
    let wrong = understudy(&["capture", "policy", "check", path])?;
    assert_eq!(wrong.code, 64);
    assert!(wrong.stderr.contains("policy.yaml:3:") && wrong.stderr.contains("keepp"), "{}", wrong.stderr);

    std::fs::write(&file, "version: 1\nheaders: {request: [x-session]}\njson: {free_text: [/note]}\n")?;
    let check = understudy(&["capture", "policy", "check", path])?;
    assert!(check.code == 0 && check.stdout.contains("warning: header `x-session`"), "{check:?}");

    let mut explain = Command::new(program("understudy"));
    explain.args(["capture", "policy", "explain", path, "--request", "-"]);
    explain.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = explain.spawn()?;
    let request = format!(
        "POST /predict HTTP/1.1\nContent-Type: application/json\nX-Own: a\n\n{{\"note\":\"card {CARD}\",\"user\":\"Ada\"}}"
    );
    child.stdin.take().context("piped")?.write_all(request.as_bytes())?;
    let output = String::from_utf8(child.wait_with_output()?.stdout)?;
    let row =
        |name: &str| output.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    assert!(row("/note").ends_with("card") && row("/user").ends_with("replaced whole"), "{output}");
    assert!(row("X-Own").ends_with("dropped"), "{output}");
    assert!(output.lines().all(|line| line.chars().count() <= 100) && !output.contains('\u{1b}'), "{output}");
    Ok(())
}
