use std::path::Path;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use super::*;
use crate::schedule::fixture::{predict, write};

/// The command line as `understudy replay` has it.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    settings: Settings,
}

/// Ten seconds of capture, in a directory of their own.
fn capture() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), (0..11).map(|i| predict(Duration::from_secs(i), "good")));
    dir
}

/// The plan of these flags, or the reason why there is none.
fn resolve(flags: &[&str]) -> Result<Plan, String> {
    let line = std::iter::once("replay").chain(flags.iter().copied());
    let settings = Line::try_parse_from(line).map_err(|error| error.to_string())?.settings;
    Plan::resolve(settings).map_err(|error| error.to_string())
}

fn with(capture: &Path, flags: &[&str]) -> Result<Plan, String> {
    let mut all =
        vec![capture.to_str().unwrap(), "--candidate", "a=http://h:1", "--candidate", "b=http://h:2/x/"];
    all.extend(flags);
    resolve(&all)
}

fn file(capture: &Path, text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.yaml");
    let text = text.replace("CAPTURE", capture.to_str().unwrap());
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn defaults_fill_what_is_not_said() {
    let capture = capture();
    let plan = with(capture.path(), &[]).unwrap();
    assert_eq!((plan.baseline, plan.twin, plan.iterations, plan.seed), (0, None, 2, 1));
    assert_eq!(plan.pace, Pace::Speed(1.0));
    assert_eq!((plan.timeout, plan.block), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!(plan.warmup, Duration::from_secs(1));
    assert_eq!((plan.max_connections, &plan.gates), (4096, &Gates::default()));
    assert_eq!((plan.preset.name(), plan.out.to_str()), ("kubesentiment", Some("runs")));
    assert_eq!(plan.candidates[1].target.to_string(), "http://h:2/x");
    // Ten times as fast, a second would be all there is.
    assert_eq!(with(capture.path(), &["--speed", "10"]).unwrap().warmup, Duration::from_millis(100));
}

#[test]
fn a_flag_overrides_the_file_and_the_rest_of_the_file_holds() {
    let capture = capture();
    let (_dir, path) = file(
        capture.path(),
        "captures: [CAPTURE]\ncandidates:\n  small: http://s:8000\n  big: http://b\nbaseline: big\nspeed: 2\n\
         warmup: 500ms\niterations: 5\nslo-p95: 250ms\nmax-error-rate: 0.5%\nmin-agreement: none\nallow: ['post:/rank']\n\
         max-score-drift: 0.2\nwindow: 1s..8s\nout: results\nfidelity: {lag_p99_ms: 20}\n",
    );
    let plan = resolve(&[&path, "--rate", "50", "--iterations", "3", "--slo-p99", "1s"]).unwrap();
    assert_eq!(
        plan.pace,
        Pace::Rate(50.0),
        "a pace on the command line replaces that of the file, whichever it is"
    );
    assert_eq!((plan.iterations, plan.baseline, plan.warmup), (3, 1, Duration::from_millis(500)));
    assert_eq!(plan.candidates[1].target, Target { host: "b".into(), port: 80, prefix: String::new() });
    assert_eq!((plan.gates.p95_ms, plan.gates.p99_ms), (Some(250.0), Some(1000.0)));
    assert_eq!((plan.gates.error_rate, plan.gates.label_agreement), (Some(0.005), None));
    assert_eq!(plan.gates.score_drift, Some(0.2));
    assert_eq!(plan.safety.allowed, [("POST".to_owned(), "/rank".to_owned())]);
    assert_eq!(plan.window, Some((Duration::from_secs(1), Duration::from_secs(8))));
    assert_eq!((plan.fidelity.lag_p99_ms, plan.fidelity.lag_p50_ms), (20.0, 1.0));
    assert_eq!(plan.out, Path::new(&path).with_file_name("results"), "paths in a file are relative to it");
}

#[test]
fn every_wrong_setting_is_named_with_the_way_out() {
    let capture = capture();
    let cases: [(&[&str], &str); 31] = [
        (&["--baseline", "big"], "--baseline big: no such candidate; there are: a, b"),
        (&["--twin", "c"], "--twin c: no such candidate; there are: a, b"),
        (&["--twin", "a"], "--twin names the baseline"),
        (&["--candidate", "a=http://h:3"], "--candidate a: two candidates have this name"),
        (&["--candidate", "http://h:3"], "write NAME=URL"),
        (&["--candidate", "c d=http://h:3"], "`c d` cannot name a candidate"),
        (&["--candidate", "c=https://h"], "https is not spoken"),
        (&["--candidate", "c=h:3"], "write http://HOST:PORT"),
        (&["--candidate", "c=http://"], "not a URL"),
        (&["--candidate", "c=http://h:0"], "port 0"),
        (&["--candidate", "c=http://h:99999"], "not a"),
        (&["--candidate", "c=http://h/x?y=1"], "has no query"),
        (&["--candidate", "c=http://me:hidden@h"], "carries no credentials"),
        (&["--speed", "0"], "`0` is not a number above 0"),
        (&["--speed", "inf"], "`inf` is not a number above 0"),
        (&["--rate", "-3"], ""),
        (&["--speed", "2", "--rate", "3"], "--speed, --rate and --max exclude each other"),
        (&["--max", "0"], "--max 0: must be at least 1"),
        (&["--window", "30s"], "write START..END"),
        (&["--window", "30s..10s"], "is empty"),
        (&["--warmup", "5"], "`5` is not a duration"),
        (&["--iterations", "0"], "--iterations 0: must be at least 1"),
        (
            &["--threads", "8", "--connections", "4"],
            "--connections 4: each of the 8 threads needs at least one",
        ),
        (&["--timeout", "0s"], "--timeout: must be at least 1ms"),
        (&["--preset", "nope"], "no preset is called `nope`"),
        (&["--preset", "tei", "--label", "/label"], "--preset and --label exclude each other"),
        (&["--score", "/score"], "--score needs --label"),
        (&["--label", "label"], "not a JSON pointer"),
        (&["--allow", "/rank"], "--allow /rank: write METHOD:PATH"),
        (&["--max-error-rate", "150%"], "`150%` is not a share"),
        (
            &["--header-env", "X-Key=UNDERSTUDY_SURELY_UNSET"],
            "the environment variable UNDERSTUDY_SURELY_UNSET is not set",
        ),
    ];
    for (flags, expected) in cases {
        let refusal = with(capture.path(), flags).expect_err(&format!("{flags:?} was accepted"));
        assert!(refusal.contains(expected), "{flags:?}: {refusal}");
    }
}

#[test]
fn secrets_in_settings_are_never_repeated() {
    let capture = capture();
    let refusal = with(capture.path(), &["--header", "X-Key hunter2"]).unwrap_err();
    assert!(!refusal.contains("hunter2"), "{refusal}");
    let refusal = with(capture.path(), &["--header", "X-Key: hunter2\u{7f}"]).unwrap_err();
    assert!(!refusal.contains("hunter2"), "{refusal}");
    let refusal = with(capture.path(), &["--candidate", "c=http://me:hunter2@h"]).unwrap_err();
    // clap names the value that it was given; what we say of it must not.
    assert!(!refusal.split("--candidate").last().unwrap_or_default().contains("hunter2@h`"), "{refusal}");
    let plan = with(capture.path(), &["--header", "X-Key: hunter2"]).unwrap();
    assert_eq!(plan.headers[0].1, "hunter2");
    assert!(!format!("{plan:?}").contains("hunter2"));
}

#[test]
fn a_wrong_file_is_refused_in_one_line_with_its_place() {
    let capture = capture();
    let head = "captures: [CAPTURE]\ncandidates:\n  a: http://h:1\n";
    let cases = [
        ("warmup: 1s\n  nonsense", "plan.yaml:"),
        ("speeed: 2", "plan.yaml:4:1: unknown field `speeed`"),
        ("speed: fast", "plan.yaml:4:8: `fast` is not a number above 0"),
        ("warmup: 5", "plan.yaml:4:9: `5` is not a duration"),
        ("iterations: many", "plan.yaml:4:13:"),
        ("fidelity: {lag: 3}", "unknown field `lag`"),
    ];
    for (line, expected) in cases {
        let (_dir, path) = file(capture.path(), &format!("{head}{line}\n"));
        let refusal = resolve(&[&path]).expect_err(&format!("{line} was accepted"));
        assert!(refusal.contains(expected), "{line}: {refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
    let (_dir, path) = file(capture.path(), "captures: [CAPTURE]\ncandidates:\n  a: https://h:1\n");
    let refusal = resolve(&[&path]).unwrap_err();
    assert!(refusal.contains("plan.yaml:3:") && refusal.contains("https is not spoken"), "{refusal}");
    let (_dir, path) = file(capture.path(), "# nothing\n");
    assert!(resolve(&[&path]).unwrap_err().contains("no capture"));
}

#[test]
fn missing_files_and_foreign_captures_are_told_apart_from_wrong_settings() {
    let settings = |path: &str| Settings {
        captures: vec![path.into()],
        candidates: vec!["a=http://h:1".parse().unwrap()],
        ..Settings::default()
    };
    assert!(matches!(Plan::resolve(settings("/nowhere/plan.yaml")), Err(PlanError::Unreadable { .. })));
    assert!(matches!(Plan::resolve(settings("/nowhere/captures")), Err(PlanError::Capture(_))));
}
