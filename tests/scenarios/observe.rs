//! What people look at: both `/metrics` by a real Prometheus, the report in a real browser.

use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use understudy_tests::peers::{Prometheus, browse, fetch, free_address, h2load, promtool_check};
use understudy_tests::process::Running;
use understudy_tests::programs::{Sentiment, Sidecar, program};

/// Whether a value is the expected one.
type Holds = fn(f64) -> bool;

/// What alerts of the sentiment service ask for, as they ask for it, and what must come of the traffic below.
const COMPATIBLE: [(&str, Holds); 6] = [
    ("sum(http_requests_total{status=\"200\"})", |sum| sum == 400.0),
    ("sum(http_requests_total{status=~\"5..\"}) or vector(0)", |sum| sum == 0.0),
    ("histogram_quantile(0.95, sum(http_request_duration_seconds_bucket) by (le))", |p95| {
        p95 > 0.0 && p95 < 10.0
    }),
    ("sum(mlops_inference_duration_seconds_sum) / sum(mlops_inference_duration_seconds_count)", |mean| {
        mean > 0.0
    }),
    ("sum(mlops_prediction_confidence_sum) / sum(mlops_prediction_confidence_count)", |mean| {
        (0.5..=1.0).contains(&mean)
    }),
    ("min(mlops_model_loaded)", |loaded| loaded == 1.0),
];

#[test]
fn alerts_of_the_sentiment_service_find_the_names_that_they_ask_for() -> Result<()> {
    let target = Sentiment::start(&["--profile", "gpu"])?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&target.listen, captures.path(), &["--compat-metrics"])?;
    let prometheus = Prometheus::scraping(&[&sidecar.admin])?;
    let body = captures.path().join("body.json");
    std::fs::write(&body, r#"{"text":"what a wonderful little machine"}"#)?;
    h2load(&format!("http://{}/predict", sidecar.listen), 400, 4, Some(&body))?;
    for (query, holds) in COMPATIBLE {
        prometheus.await_value(query, holds)?;
    }
    let page = fetch(&format!("http://{}/metrics", sidecar.admin))?;
    assert_eq!(promtool_check(&page)?, "", "they follow the conventions");
    Ok(())
}

#[test]
fn prometheus_scrapes_the_sidecar_and_the_replayer_and_chromium_shows_the_report() -> Result<()> {
    let target = Sentiment::start(&["--profile", "gpu"])?;
    let captures = tempfile::tempdir()?;
    let sidecar = Sidecar::start(&target.listen, captures.path(), &[])?;
    let replayer = free_address()?;
    let prometheus = Prometheus::scraping(&[&sidecar.admin, &replayer])?;

    let body = captures.path().join("body.json");
    std::fs::write(&body, r#"{"text":"what a wonderful little machine"}"#)?;
    h2load(&format!("http://{}/predict", sidecar.listen), 2_000, 16, Some(&body))?;
    let page = fetch(&format!("http://{}/metrics", sidecar.admin))?;
    assert_eq!(promtool_check(&page)?, "", "the sidecar's metrics follow the conventions");
    prometheus.await_value("sum(understudy_proxy_requests_seen_total)", |seen| seen == 2_000.0)?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;

    let out = tempfile::tempdir()?;
    let mut replay = Command::new(program("understudy"));
    replay.arg("replay").arg(captures.path()).arg("--out").arg(out.path());
    replay.args(["--rate", "200", "--iterations", "1", "--metrics", &replayer]);
    for name in ["baseline", "other"] {
        replay.arg("--candidate").arg(format!("{name}=http://{}", target.listen));
    }
    let mut run = Running::start(replay)?;
    prometheus.await_value("sum(understudy_replay_requests_total)", |sent| sent > 100.0)?;
    let page = fetch(&format!("http://{replayer}/metrics"))?;
    assert_eq!(promtool_check(&page)?, "", "the replayer's metrics follow the conventions");
    run.await_line("verdict: ")?;
    let (status, printed) = run.wait()?;
    // Prometheus and its probes share the cores with the generator here, so the certificate may be broken; 3 says so.
    assert!(status.code().is_some_and(|code| code <= 3), "{status}: {printed:?}");

    let dir = std::fs::read_dir(out.path())?.next().context("one run directory")??.path();
    let html = std::fs::read_to_string(dir.join("report.html"))?;
    for outside in ["src=\"http", "href=\"http", "@import", "<script"] {
        assert!(!html.contains(outside), "the report asks the network for nothing: {outside}");
    }
    for width in [390, 1280] {
        let picture = out.path().join(format!("report-{width}.png"));
        let document = browse(&dir.join("report.html"), &picture, width)?;
        assert!(document.contains("<svg") && document.contains("baseline"), "the page has its pictures");
        assert!(std::fs::metadata(&picture)?.len() > 20_000, "the page is not blank");
    }
    Ok(())
}
