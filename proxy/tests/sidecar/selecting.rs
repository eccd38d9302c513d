//! Which exchanges are recorded, and how that is changed without a restart.

use std::collections::BTreeSet;

use understudy_captures::Capture;

use crate::scene::{Binary, InProcess, Service, admin, ask, connect, eventually, metric, read_back};

fn excluded(admin: std::net::SocketAddr, reason: &str) -> u64 {
    metric(admin, &format!("understudy_proxy_excluded_total{{reason=\"{reason}\"}}"))
}

#[test]
fn what_a_rule_leaves_out_is_counted_by_reason_and_answered_all_the_same() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let rules = ["--include", "path=/predict*", "--exclude", "header.x=skip;latency>1h"];
    let sidecar = InProcess::start(service.address, dir.path(), &rules);
    let mut client = connect(sidecar.traffic);
    for path in ["/predict", "/other", "/healthz", "/metrics", "/predict/b"] {
        assert_eq!(ask(&mut client, path, "{}"), b"{\"label\":\"POSITIVE\"}");
    }
    for header in ["X: skip", "User-Agent: kube-probe/1.34"] {
        let request = format!("POST /predict HTTP/1.1\r\nHost: svc\r\n{header}\r\nContent-Length: 0\r\n\r\n");
        std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
        crate::scene::read_message(&mut client).expect("an answer");
    }
    eventually("all have their fate", || {
        ["path", "probe", "rule", "not_included"].map(|reason| excluded(sidecar.admin, reason))
            == [2, 1, 1, 1]
    });
    drop(client);
    let summary = sidecar.stop();
    assert_eq!((summary.conservation.recorded, summary.conservation.excluded), (2, 5));
    let (_, exchanges) = read_back(dir.path());
    let targets: Vec<_> = exchanges.iter().map(|e| &e.request.target[..]).collect();
    assert_eq!(targets, ["/predict".as_bytes(), b"/predict/b"]);
}

#[test]
fn a_session_is_recorded_whole_or_not_at_all_across_sidecars_of_one_key() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap();
    let rules = ["--key-file", key.to_str().unwrap(), "--sample", "0.5", "--sample-by", "header:X-Session"];
    let mut recorded = Vec::new();
    for pod in ["a", "b"] {
        let captures = dir.path().join(pod);
        let sidecar = InProcess::start(service.address, &captures, &rules);
        let mut client = connect(sidecar.traffic);
        for session in 0..40 {
            let request =
                format!("GET /session/{session} HTTP/1.1\r\nHost: svc\r\nX-Session: s{session}\r\n\r\n");
            std::io::Write::write_all(&mut client, request.as_bytes()).unwrap();
            crate::scene::read_message(&mut client).expect("an answer");
        }
        drop(client);
        let totals = sidecar.stop().conservation;
        assert_eq!((totals.seen, totals.recorded + totals.sampled_out), (40, 40));
        let (capture, exchanges) = read_back(&captures);
        assert_eq!(capture.segments().next().unwrap().origin.unwrap().sample, 0.5);
        recorded.push(exchanges.iter().map(|e| e.request.target.to_vec()).collect::<BTreeSet<_>>());
    }
    assert_eq!(recorded[0], recorded[1], "both pods chose the same sessions");
    assert!((8..=32).contains(&recorded[0].len()), "{}", recorded[0].len());
}

const KEEPS_TEXT: &str = "version: 1\njson:\n  keep: [/warehouse]\n";

#[test]
fn a_reload_takes_policy_and_rules_into_use_in_a_new_segment_or_changes_nothing() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let (policy, rules) = (dir.path().join("policy.yaml"), dir.path().join("rules.yaml"));
    std::fs::write(&policy, "version: 1\n").unwrap();
    std::fs::write(&rules, "{}").unwrap();
    let captures = dir.path().join("captures");
    let files = ["--policy", policy.to_str().unwrap(), "--rules", rules.to_str().unwrap()];
    let mut sidecar = Binary::start(service.address, &captures, &files);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{\"warehouse\":\"Zanzibar\"}");

    eventually("it is written under the old policy", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 1
    });

    // Wrong files change nothing.
    std::fs::write(&rules, "exclude: ['color=red']").unwrap();
    let (status, says) = admin(sidecar.admin, "POST", "/reload");
    assert_eq!(status, 422, "{says}");
    assert!(says.contains("color=red") && says.contains("rules.yaml"), "{says}");
    assert_eq!(metric(sidecar.admin, "understudy_proxy_config_last_reload_successful"), 0);
    std::fs::write(&policy, "version: [").unwrap();
    std::fs::write(&rules, "exclude-path: [/secret*]").unwrap();
    sidecar.signal("HUP");
    eventually("the refusal is counted", || {
        metric(sidecar.admin, "understudy_proxy_reloads_total{outcome=\"refused\"}") == 2
    });
    ask(&mut client, "/secret/a", "{}");
    eventually("it is written, since the refused rules do not hold", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 2
    });

    std::fs::write(&policy, KEEPS_TEXT).unwrap();
    sidecar.signal("HUP");
    eventually("the reload is counted", || {
        metric(sidecar.admin, "understudy_proxy_reloads_total{outcome=\"applied\"}") == 1
    });
    assert_eq!(metric(sidecar.admin, "understudy_proxy_config_last_reload_successful"), 1);
    // Data threads hear of it with their next batch.
    eventually("the new rules hold", || {
        ask(&mut client, "/secret/b", "{}");
        excluded(sidecar.admin, "path") > 0
    });
    ask(&mut client, "/predict", "{\"warehouse\":\"Zanzibar\"}");
    drop(client);
    sidecar.signal("TERM");
    assert_eq!(sidecar.ended().0, Some(0));

    let verification = Capture::verify(&[&captures]).unwrap();
    assert!(verification.is_whole() && verification.stats.conservation.holds(), "{verification:?}");
    let (capture, exchanges) = read_back(&captures);
    let digests: Vec<_> = capture.segments().map(|s| s.origin.unwrap().policy.clone()).collect();
    assert_eq!(digests.len(), 2);
    assert_ne!(digests[0], digests[1], "a new policy, a new segment");
    let bodies: Vec<String> = exchanges
        .iter()
        .filter(|e| e.request.target == "/predict")
        .map(|e| String::from_utf8_lossy(&e.request.body.bytes).into_owned())
        .collect();
    assert!(!bodies[0].contains("Zanzibar") && bodies[1].contains("Zanzibar"), "{bodies:?}");
    assert!(exchanges.iter().any(|e| e.request.target.starts_with(b"/secret/a")), "before the reload");
}
