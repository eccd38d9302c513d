//! Whole runs against servers in this process.

mod faults;
mod fidelity;
mod server;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use understudy_captures::{Capture, Exchange};

use self::server::{Manner, Server};
use super::*;
use crate::outcome::Kind;
use crate::outcome::log::Outcomes;
use crate::plan::Candidate;
use crate::plan::fixture::plan;
use crate::schedule::fixture::{exchange, predict, write};

/// A capture, a plan for it against some servers, and a place for its runs.
struct Stage {
    plan: Plan,
    _dir: TempDir,
}

impl Stage {
    fn new(servers: &[&Server], exchanges: impl IntoIterator<Item = Exchange>) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("captures"), exchanges);
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let plan = Plan {
            captures: vec![dir.path().join("captures")],
            out: dir.path().join("runs"),
            ..plan(&addresses)
        };
        Stage { plan, _dir: dir }
    }

    fn run(&self) -> Result<Rehearsal, DriveError> {
        rehearse(&self.plan, Progress::silent(), &Stop::new())
    }

    /// Method, target and body of every exchange of the capture, as sanitized.
    fn recorded(&self) -> Vec<(Bytes, Bytes, Bytes)> {
        let capture = Capture::open(&self.plan.captures).unwrap();
        capture
            .exchanges()
            .map(|exchange| exchange.unwrap().request)
            .map(|request| (request.method, request.target, request.body.bytes))
            .collect()
    }
}

/// `n` predictions, this far apart.
fn every(gap: Duration, n: u32) -> impl Iterator<Item = Exchange> {
    (0..n).map(move |i| predict(gap * i, &format!("good {i}")))
}

fn kinds(rehearsal: &Rehearsal) -> HashMap<Kind, usize> {
    let mut kinds = HashMap::new();
    for outcome in &rehearsal.outcomes {
        *kinds.entry(outcome.kind).or_default() += 1;
    }
    kinds
}

fn quantile(values: impl Iterator<Item = u64>, q: f64) -> Duration {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    Duration::from_nanos(values[(q * (values.len() - 1) as f64) as usize])
}

#[test]
fn every_scheduled_request_is_sent_exactly_once_with_its_recorded_bytes() {
    let (one, two) = (Server::start(Manner::Answer), Server::start(Manner::Answer));
    let exchanges = (0..120u32).map(|i| {
        let at = Duration::from_millis(u64::from(i) * 4);
        match i % 4 {
            0 => exchange(at, "GET", &format!("/health?n={i}&q=%D1%8D"), b""),
            1 => exchange(at, "HEAD", "/health", b""),
            2 => exchange(at, "POST", "/api/v1/predict", format!(r#"{{"text":"good {i}"}}"#).as_bytes()),
            _ => predict(at, "fine"),
        }
    });
    let mut stage = Stage::new(&[&one, &two], exchanges);
    stage.plan.iterations = 3;
    stage.plan.threads = 2;
    stage.plan.block = Duration::from_millis(100);
    stage.plan.warmup = Duration::from_millis(50);
    stage.plan.candidates[1].target.prefix = "/models/x".into();
    stage.plan.headers = vec![("x-api-key".parse().unwrap(), "injected".parse().unwrap())];
    let rehearsal = stage.run().unwrap();

    assert_eq!(kinds(&rehearsal), HashMap::from([(Kind::Ok, 720)]));
    for (server, prefix) in [(&one, ""), (&two, "/models/x")] {
        let mut expected: Vec<(String, String, Bytes)> = Vec::new();
        for (method, target, body) in stage.recorded() {
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            for _ in 0..3 {
                expected.push((text(&method), format!("{prefix}{}", text(&target)), body.clone()));
            }
        }
        let log = server.log();
        let mut seen: Vec<(String, String, Bytes)> =
            log.iter().map(|r| (r.method.clone(), r.target.clone(), r.body.clone())).collect();
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected);

        let mut parents = Vec::new();
        for request in &log {
            let field = |name: &str| request.fields.get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(field("host"), Some(server.address.to_string()));
            assert_eq!(field("x-api-key").as_deref(), Some("injected"));
            assert_eq!(field("x-understudy-run").as_deref(), Some(rehearsal.run_id.as_str()));
            assert_eq!(field("connection"), None);
            let expected_length = (request.method == "POST").then(|| request.body.len().to_string());
            assert!(field("content-length") == expected_length || request.body.is_empty());
            let parent = field("traceparent").unwrap();
            assert!(parent.len() == 55 && parent.starts_with("00-") && parent.ends_with("-01"), "{parent}");
            parents.push(parent);
        }
        parents.sort();
        parents.dedup();
        assert_eq!(parents.len(), 360, "every request has a trace of its own");
    }
    let warm = rehearsal.outcomes.iter().filter(|outcome| outcome.warmup).count();
    assert_eq!(warm, 13 * 6, "0 to 48 ms of each iteration and candidate");
    let answered = rehearsal.outcomes.iter().filter(|outcome| outcome.answer.is_some()).count();
    assert_eq!(answered, 720 * 3 / 4, "a HEAD has no body, everything else an answer");
    assert_eq!(rehearsal.labels, ["POSITIVE"]);
    assert!(!rehearsal.interrupted);
}

#[test]
fn candidates_take_turns_and_the_order_rotates() {
    let (one, two) = (Server::start(Manner::Answer), Server::start(Manner::Answer));
    let mut stage = Stage::new(&[&one, &two], every(Duration::from_millis(10), 40));
    stage.plan.block = Duration::from_millis(100);
    stage.plan.iterations = 2;
    let rehearsal = stage.run().unwrap();
    let mut order: Vec<_> = rehearsal.outcomes.iter().collect();
    order.sort_by_key(|outcome| outcome.intended);
    let mut turns: Vec<(u16, u16)> =
        order.iter().map(|outcome| (outcome.iteration, outcome.candidate)).collect();
    assert_eq!(turns.len(), 160);
    turns.dedup();
    // Each block of ten goes to one candidate, then to the other; who is first changes.
    let first = [(0, 0), (0, 1), (0, 0), (0, 1), (0, 0)];
    assert_eq!(turns[..5], first);
    assert_eq!(
        turns.iter().filter(|turn| turn.0 == 1).map(|turn| turn.1).collect::<Vec<_>>(),
        [1, 0, 1, 0, 1]
    );
}

#[test]
fn the_run_directory_holds_outcomes_and_latency_that_others_can_read() {
    let server = Server::start(Manner::Answer);
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(5), 200));
    stage.plan.warmup = Duration::from_millis(100);
    let rehearsal = stage.run().unwrap();

    let mut file = Outcomes::open(&rehearsal.dir()).unwrap();
    assert_eq!(
        (&file.header().run_id, &file.header().candidates[..]),
        (&rehearsal.run_id, &["a".to_owned()][..])
    );
    let written = file.block().unwrap().unwrap();
    assert!(file.block().unwrap().is_none(), "the file came to its end");
    assert_eq!(file.labels(), ["POSITIVE"]);
    // The file keeps microseconds.
    let rounded = |outcome: &Outcome| {
        let whole = |instant: u64| instant / 1_000 * 1_000;
        Outcome {
            intended: whole(outcome.intended),
            dispatched: whole(outcome.dispatched),
            sent: whole(outcome.sent),
            first_byte: whole(outcome.first_byte),
            end: whole(outcome.end),
            ..*outcome
        }
    };
    assert_eq!(written, rehearsal.outcomes.iter().map(rounded).collect::<Vec<_>>());
    assert_eq!(written[0].answer.and_then(|answer| answer.score), Some(0.875));

    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let log = std::fs::read(rehearsal.dir().join(latency_log::FILE_NAME)).unwrap();
    let (mut responses, mut services, mut last) = (0, 0, Duration::ZERO);
    let mut most = 0;
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        assert!(interval.start_timestamp() >= last, "intervals come in order");
        last = interval.start_timestamp();
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram = Deserializer::new().deserialize::<u64, _>(&mut &bytes[..]).unwrap();
        match interval.tag().unwrap().as_str() {
            "a" => {
                responses += histogram.len();
                most = most.max(histogram.max());
            }
            "a.service" => services += histogram.len(),
            other => panic!("unexpected tag {other}"),
        }
    }
    assert_eq!((responses, services), (180, 180), "warm-up is left out");
    let slowest = rehearsal.outcomes.iter().filter(|o| !o.warmup).map(Outcome::response_time).max().unwrap();
    assert!(most.abs_diff(slowest) <= slowest / 500, "{most} {slowest}");
}

#[test]
fn metrics_are_served_while_the_run_goes_on() {
    let server = Server::start(Manner::Answer);
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(10), 100));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    stage.plan.metrics = Some(address);
    let scrape = std::thread::spawn(move || {
        loop {
            // Not there yet, or nothing done yet.
            if let Ok(text) = server::get(address, "/metrics")
                && text.contains(r#"understudy_replay_requests_total{candidate="a",outcome="ok"} "#)
                && !text.contains(r#"outcome="ok"} 0"#)
            {
                return text;
            }
            std::thread::yield_now();
        }
    });
    stage.run().unwrap();
    let text = scrape.join().unwrap();
    for name in
        ["in_flight", "lag_seconds_bucket", "response_seconds_sum", "service_seconds_count", "progress_ratio"]
    {
        assert!(text.contains(&format!("understudy_replay_{name}")), "{name} is missing");
    }
    assert!(text.contains("process_cpu_seconds_total"));
    assert!(server::get(address, "/metrics").is_err(), "the server ends with the run");
}
