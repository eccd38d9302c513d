//! Recording accounts for every request and changes none, watched by independent clients and servers.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::peers::{Load, Nginx, curl, fetch, h2load, wrk};
use understudy_tests::programs::{Sentiment, Sidecar, understudy_json};

/// Ends a sidecar as Kubernetes does and returns what its capture says.
fn close(sidecar: Sidecar, captures: &Path) -> Result<Value> {
    sidecar.process.signal(Signal::TERM)?;
    let (status, printed) = sidecar.process.wait()?;
    assert!(status.success(), "the sidecar ended with {status}: {printed:?}");
    understudy_json(&["capture", "stats", "--json", &captures.to_string_lossy()])
}

fn count(stats: &Value, key: &str) -> Result<u64> {
    stats[key].as_u64().with_context(|| format!("no {key} in {stats}"))
}

/// `seen` equals the sum of all fates, nothing is under way.
fn assert_law(stats: &Value) -> Result<()> {
    let fates = [
        "recorded",
        "sampled_out",
        "excluded",
        "over_limit",
        "unparseable",
        "unsanitizable",
        "queue_full",
        "io_error",
    ];
    let sum: u64 = fates.iter().map(|f| count(stats, f)).sum::<Result<u64>>()?;
    assert_eq!(count(stats, "seen")?, sum, "the conservation law: {stats}");
    assert_eq!((count(stats, "carried_in")?, count(stats, "carried_out")?), (0, 0), "{stats}");
    Ok(())
}

#[test]
fn every_request_of_h2load_is_accounted_for() -> Result<()> {
    let nginx = Nginx::answering()?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&nginx.listen, captures.path(), &[])?;
    let body = captures.path().join("body.json");
    std::fs::write(&body, r#"{"text":"an honest camera, and a battery that lasts"}"#)?;

    let load = h2load(&format!("http://{}/predict", sidecar.listen), 30_000, 16, Some(&body))?;
    assert_eq!((load.done, load.ok, load.failed), (30_000, 30_000, 0));

    let stats = close(sidecar, captures.path())?;
    assert_eq!(count(&stats, "seen")?, 30_000);
    assert_law(&stats)?;
    assert_eq!(count(&stats, "exchanges")?, count(&stats, "recorded")?);
    // At this load a debug build may fall behind, which is allowed and counted; not recording at all is not.
    assert!(count(&stats, "recorded")? > 3_000, "{stats}");
    Ok(())
}

#[test]
fn what_wrk_sent_and_nginx_served_is_what_the_capture_accounts_for() -> Result<()> {
    let nginx = Nginx::answering()?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&nginx.listen, captures.path(), &["--queue", "65536"])?;

    let Load { done, failed, .. } = wrk(&format!("http://{}/a", sidecar.listen), 2, 8, None)?;
    assert_eq!(failed, 0);

    let stats = close(sidecar, captures.path())?;
    // wrk walks away from requests under way; nginx logs each that it read, whoever still listened.
    let served = nginx.log()?.len() as u64;
    assert!(served >= done, "nginx served {served}, wrk received {done}");
    assert_eq!(count(&stats, "seen")?, served);
    assert_law(&stats)
}

#[test]
fn curl_sees_the_same_bytes_with_and_without_the_sidecar() -> Result<()> {
    let files = tempfile::tempdir()?;
    let large: String = (0..200_000).map(|n| format!("{n:08}")).collect();
    std::fs::write(files.path().join("large.txt"), &large)?;
    let nginx = Nginx::files(files.path())?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&nginx.listen, captures.path(), &[])?;

    let cases: [&[&str]; 6] = [
        &["/large.txt"],
        &["--head", "/large.txt"],
        &["-H", "Range: bytes=5-99", "/large.txt"],
        &["/none"],
        &["-X", "POST", "-d", "a=b", "/large.txt"],
        &["--http1.0", "/large.txt"],
    ];
    for case in cases {
        let (path, options) = case.split_last().context("a case has a path")?;
        let ask = |origin: &str| curl(&[options, &[&format!("http://{origin}{path}")]].concat());
        let (direct, through) = (ask(&nginx.listen)?, ask(&sidecar.listen)?);
        assert!(!direct.is_empty());
        assert_eq!(direct, through, "curl {case:?}");
    }
    let stats = close(sidecar, captures.path())?;
    assert_eq!(count(&stats, "seen")?, cases.len() as u64);
    assert_law(&stats)?;
    assert!(count(&stats, "over_limit")? >= 1, "a body of 1.6 MB is over the recording limit: {stats}");
    Ok(())
}

#[test]
fn secrets_of_a_request_never_reach_disk_metrics_or_logs() -> Result<()> {
    let sentiment = Sentiment::start(&["--generation", "c", "--profile", "gpu"])?;
    let captures = tempfile::tempdir()?;
    let mut sidecar = Sidecar::start(&sentiment.listen, captures.path(), &[])?;
    let canaries = [
        "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "4111 1111 1111 1111",
        "gloria.winter@example.net",
        "GB29 NWBK 6016 1331 9268 19",
        "session-5e0c1fb2a9d84b7c",
    ];
    let text = format!(
        r#"{{"text":"I love it! write to {} or charge {} ({}) key {}","note":"{}"}}"#,
        canaries[3], canaries[2], canaries[4], canaries[0], canaries[5]
    );
    let answer = curl(&[
        "-X",
        "POST",
        "-H",
        "content-type: application/json",
        "-H",
        &format!("authorization: Bearer {}", canaries[1]),
        "-H",
        &format!("cookie: sid={}", canaries[5]),
        "-H",
        &format!("x-api-key: {}", canaries[0]),
        "-d",
        &text,
        &format!("http://{}/predict?user={}", sidecar.listen, canaries[3]),
    ])?;
    assert!(answer.contains("200 OK") && answer.contains("POSITIVE"), "{answer}");

    let metrics = fetch(&format!("http://{}/metrics", sidecar.admin))?;
    sidecar.process.signal(Signal::TERM)?;
    let logged = loop {
        // The outputs close when the process is gone.
        if let Err(ended) = sidecar.process.await_line("no line says this") {
            break ended.to_string();
        }
    };
    let dir = captures.path().to_string_lossy().into_owned();
    let exchange = understudy_json(&["capture", "cat", "--json", &dir])?.to_string();
    assert!(exchange.contains("I love it!"), "free text stays: {exchange}");
    for canary in canaries {
        for (place, content) in [("capture", &exchange), ("metrics", &metrics), ("log", &logged)] {
            assert!(!content.contains(canary), "a secret reached the {place}");
        }
        let digits = canary.replace(' ', "");
        assert!(!exchange.contains(&digits), "a secret reached the capture without its spaces");
    }
    Ok(())
}

#[test]
fn probes_and_metrics_pages_are_excluded_and_counted() -> Result<()> {
    let sentiment = Sentiment::start(&["--generation", "b", "--profile", "gpu"])?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&sentiment.listen, captures.path(), &[])?;
    for path in ["/health", "/metrics", "/ready"] {
        fetch(&format!("http://{}{path}", sidecar.listen))?;
    }
    let stats = close(sidecar, captures.path())?;
    assert_eq!((count(&stats, "seen")?, count(&stats, "excluded")?, count(&stats, "recorded")?), (3, 3, 0));
    Ok(())
}

#[test]
fn a_full_disk_stops_the_recording_and_not_the_traffic() -> Result<()> {
    let nginx = Nginx::answering()?;
    let captures = tempfile::tempdir()?;
    let body = captures.path().join("body.json");
    let noise: String =
        (0..4_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    std::fs::write(&body, format!(r#"{{"text":"{noise}"}}"#))?;
    // A file size limit stands in for a full disk: the kernel refuses the write in the same place.
    let mut command = std::process::Command::new("sh");
    let program = understudy_tests::programs::program("understudy-proxy");
    command.arg("-c").arg("trap '' XFSZ; ulimit -f 16; exec \"$@\"").arg("sh").arg(program);
    command.args(Sidecar::args(&nginx.listen, captures.path()));
    let sidecar = Sidecar::start_command(command)?;

    let load = h2load(&format!("http://{}/predict", sidecar.listen), 20_000, 8, Some(&body))?;
    assert_eq!((load.ok, load.failed), (20_000, 0), "traffic does not notice");

    let stats = close(sidecar, captures.path())?;
    assert_eq!(count(&stats, "seen")?, 20_000);
    assert_law(&stats)?;
    assert!(count(&stats, "io_error")? > 0, "{stats}");
    Ok(())
}
