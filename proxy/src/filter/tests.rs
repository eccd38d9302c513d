//! What the rules leave out, and that sampling by key agrees across recorders.

use std::time::Duration;

use understudy_captures::exchange::{Stamp, Timing};
use understudy_captures::{Body, Ending, ExchangeId, Headers, Request, Response};

use super::*;

fn exchange(method: &str, target: &str, headers: &[(&str, &str)], status: Option<u16>) -> Exchange {
    let mut fields = Headers::default();
    for (name, value) in headers {
        fields.push(name.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    let version = understudy_captures::exchange::HttpVersion::Http11;
    Exchange {
        id: ExchangeId(7 << 64 | 1),
        connection: 3,
        index: 0,
        arrival: Default::default(),
        request: Request {
            method: method.to_owned().into(),
            target: target.to_owned().into(),
            version,
            headers: fields,
            body: Body::default(),
            trailers: Headers::default(),
        },
        response: status.map(|status| Response {
            status,
            version,
            headers: Headers::default(),
            body: Body::default(),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { end: Duration::from_millis(100).as_nanos() as u64, ..Timing::default() },
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

fn rules(flags: RuleFlags) -> Rules {
    flags.checked(None).unwrap()
}

fn why(flags: RuleFlags, exchange: &Exchange) -> Option<Exclusion> {
    Filter::new(rules(flags), Key::random()).leaves_out(exchange).map(|(_, why)| why.expect("an exclusion"))
}

fn including(rule: &str) -> RuleFlags {
    RuleFlags { include: vec![rule.to_owned()], ..RuleFlags::default() }
}

fn excluding(rule: &str) -> RuleFlags {
    RuleFlags { exclude: vec![rule.to_owned()], ..RuleFlags::default() }
}

#[test]
fn each_condition_decides_by_itself() {
    let ours = exchange("POST", "/v1/predict?q=1", &[("X-Tenant", "acme")], Some(503));
    for met in [
        "method=get,post",
        "path=/v1/*",
        "path=*predict",
        "header.x-tenant=ac*",
        "status=5xx",
        "status=200,503",
        "latency>50ms",
        "latency<1s",
        "method=POST path=/v1/predict status=503 latency>99ms",
    ] {
        assert_eq!(why(excluding(met), &ours), Some(Exclusion::Rule), "{met}");
        assert_eq!(why(including(met), &ours), None, "{met}");
    }
    for not_met in [
        "method=GET",
        "path=/v1",
        "header.x-tenant=acm",
        "header.x-other=*",
        "status=4xx,none",
        "latency>100ms",
        "latency<100ms",
        "method=POST path=/v2/*",
    ] {
        assert_eq!(why(excluding(not_met), &ours), None, "{not_met}");
        assert_eq!(why(including(not_met), &ours), Some(Exclusion::NotIncluded), "{not_met}");
    }
    let unanswered = exchange("POST", "/v1/predict", &[], None);
    assert_eq!(why(excluding("status=none"), &unanswered), Some(Exclusion::Rule));
    assert_eq!(why(excluding("status=1xx,2xx,3xx,4xx,5xx"), &unanswered), None);
    let absolute = exchange("GET", "http://host/v1/predict", &[], Some(200));
    assert_eq!(why(excluding("path=/v1/*"), &absolute), Some(Exclusion::Rule));
}

#[test]
fn exclusion_wins_and_one_inclusion_is_enough() {
    let flags = RuleFlags {
        include: vec!["path=/a".into(), "path=/b".into()],
        exclude: vec!["status=404".into()],
        ..RuleFlags::default()
    };
    assert_eq!(why(flags.clone(), &exchange("GET", "/b", &[], Some(200))), None);
    assert_eq!(why(flags.clone(), &exchange("GET", "/b", &[], Some(404))), Some(Exclusion::Rule));
    assert_eq!(why(flags, &exchange("GET", "/c", &[], Some(200))), Some(Exclusion::NotIncluded));
}

#[test]
fn the_kubelets_requests_are_left_out_unless_asked_for() {
    let probe = exchange("GET", "/anything", &[("User-Agent", "kube-probe/1.34")], Some(200));
    assert_eq!(why(RuleFlags::default(), &probe), Some(Exclusion::Probe));
    let keeping = RuleFlags { keep_probes: true, ..RuleFlags::default() };
    assert_eq!(why(keeping.clone(), &probe), None);
    assert!(rules(keeping).exclude_paths.is_empty());
    let default = rules(RuleFlags::default()).exclude_paths;
    assert_eq!(default.len(), PROBE_PATHS.len());
}

#[test]
fn one_value_of_the_key_is_recorded_whole_in_every_pod_or_in_none() {
    let flags =
        RuleFlags { sample: Some(0.3), sample_by: Some("header:x-session".into()), ..RuleFlags::default() };
    let key = Key::random();
    let (here, there) =
        (Filter::new(rules(flags.clone()), key.clone()), Filter::new(rules(flags.clone()), key));
    let elsewhere = Filter::new(rules(flags), Key::random());
    let (mut recorded, mut differ) = (0, 0);
    for session in 0..2_000 {
        let session = session.to_string();
        let mut first = exchange("GET", "/a", &[("X-Session", &session)], Some(200));
        let decided = here.leaves_out(&first);
        assert!(matches!(decided, None | Some((Drop::SampledOut, None))));
        // Another pod, connection, path, moment.
        first.connection = 99;
        first.id = ExchangeId(1234 << 64);
        first.request.target = "/b".to_owned().into();
        assert_eq!(there.leaves_out(&first), decided);
        recorded += u32::from(decided.is_none());
        differ += u32::from(elsewhere.leaves_out(&first) != decided);
    }
    assert!((500..700).contains(&recorded), "about 30 %: {recorded}");
    assert!(differ > 600, "another key chooses others: {differ}");

    let by_path = RuleFlags { sample: Some(0.5), sample_by: Some("path".into()), ..RuleFlags::default() };
    let filter = Filter::new(rules(by_path), Key::random());
    let taken = |n: u32, query: &str| {
        filter.leaves_out(&exchange("GET", &format!("/item/{n}{query}"), &[], Some(200))).is_none()
    };
    let count = (0..1_000).filter(|n| taken(*n, "")).count();
    assert!((430..570).contains(&count), "{count}");
    assert!((0..1_000).all(|n| taken(n, "") == taken(n, "?page=2")), "the query is no part of the path");
}

#[test]
fn requests_without_the_key_go_with_their_connection() {
    let flags = RuleFlags { sample: Some(0.5), sample_by: Some("header:x".into()), ..RuleFlags::default() };
    let filter = Filter::new(rules(flags), Key::random());
    let mut taken = 0;
    for connection in 0..1_000 {
        let mut without = exchange("GET", "/a", &[], Some(200));
        without.connection = connection;
        let decided = filter.leaves_out(&without);
        without.id = ExchangeId(without.id.0 + 1);
        assert_eq!(filter.leaves_out(&without), decided, "the next request of the same connection");
        taken += u32::from(decided.is_none());
    }
    assert!((430..570).contains(&taken), "{taken}");
}

#[test]
fn a_file_says_the_same_under_the_same_names_and_mistakes_are_told_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rules.yaml");
    let read = |yaml: &str, flags: RuleFlags| {
        std::fs::write(&path, yaml).unwrap();
        flags.checked(Some(&path))
    };
    let yaml =
        "sample: 0.5\nsample-by: header:x-session\ninclude: ['path=/a method=POST']\nexclude-path: [/h*]\n";
    let typed = RuleFlags {
        sample: Some(0.5),
        sample_by: Some("header:x-session".into()),
        include: vec!["path=/a method=POST".into()],
        exclude_path: Some(vec!["/h*".into()]),
        ..RuleFlags::default()
    };
    assert_eq!(read(yaml, RuleFlags::default()).unwrap(), rules(typed.clone()));
    assert_eq!(read("{}", typed.clone()).unwrap(), rules(typed));

    let twice = read("sample: 0.5\n", RuleFlags { sample: Some(0.1), ..RuleFlags::default() });
    assert!(twice.unwrap_err().to_string().contains("give it in one place"));
    for (yaml, says) in [
        ("sampel: 0.5\n", "sampel"),
        ("sample: 0\n", "(0, 1]"),
        ("sample-by: cookie\n", "header:NAME"),
        ("include: ['verb=GET']\n", "method=GET,POST"),
        ("exclude: ['status=60']\n", "status=60"),
        ("exclude: ['latency>5']\n", "250ms"),
        ("exclude: ['']\n", "without a condition"),
        ("exclude-path: [health]\n", "health"),
    ] {
        let said = read(yaml, RuleFlags::default()).unwrap_err().to_string();
        assert!(said.contains(says) && said.contains("rules.yaml"), "{yaml}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let missing = RuleFlags::default().checked(Some(&dir.path().join("none.yaml"))).unwrap_err();
    assert_eq!(missing.code(), 66);
}
