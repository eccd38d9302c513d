//! What is followed and not kept: beyond a limit, excluded, sampled out, switched off.

use super::*;

#[test]
fn heads_beyond_the_limit_are_counted_over_limit() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(head::MAX_HEAD));
    let outcome = Bench::new().play(&[(Client, &long)]).outcome();
    assert_eq!((outcome.totals.seen, outcome.totals.over_limit), (1, 1));
    assert_eq!(outcome.given_up, ["head_too_large"]);
    let mut bench = Bench::new();
    for piece in long.as_bytes().chunks(1000) {
        bench.feed(Client, piece);
    }
    assert_eq!(bench.outcome(), outcome);

    let response = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(head::MAX_HEAD));
    let outcome = Bench::new().play(&[(Client, GET), (Service, &response)]).outcome();
    assert_eq!((outcome.totals.seen, outcome.totals.over_limit), (1, 1));
}

#[test]
fn too_many_fields_are_given_up() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(head::MAX_HEADERS + 1));
    assert_eq!(Bench::new().play(&[(Client, &many)]).outcome().given_up, ["too_many_headers"]);
    let most = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(head::MAX_HEADERS));
    assert_eq!(Bench::new().play(&[(Client, &most), (Service, OK)]).outcome().out.len(), 1);
}

#[test]
fn large_bodies_are_followed_but_not_kept() {
    let large = "x".repeat(MAX_BODY + 1);
    let exact = "y".repeat(MAX_BODY);
    let request = |body: &str| format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let response = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    let outcome = the_same_at_every_cut(&[
        (Client, &request(&large)),
        (Service, OK),
        (Client, GET),
        (Service, &response(&large)),
        (Client, GET),
        (Service, &chunked),
        (Client, &request(&exact)),
        (Service, &response(&exact)),
    ]);
    assert_eq!((outcome.totals.seen, outcome.totals.over_limit), (4, 3));
    assert_eq!(bodies(&outcome), [(exact.as_str(), exact.as_str())]);
}

#[test]
fn memory_for_exchanges_under_way_is_bounded() {
    let mut bench = Bench::with(Tap::new(1, true), 2 * 300);
    let request = format!("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
    bench.play(&[(Client, &request), (Service, OK), (Client, POST), (Service, OK)]);
    let outcome = bench.outcome();
    assert_eq!((outcome.totals.seen, outcome.totals.queue_full, outcome.out.len()), (2, 1, 1));
}

#[test]
fn a_pipeline_without_answers_is_bounded() {
    let mut bench = Bench::new();
    for _ in 0..=h1::MAX_PIPELINED {
        bench.feed(Client, GET.as_bytes());
    }
    let outcome = bench.outcome();
    assert_eq!(outcome.given_up, ["pipeline_too_deep"]);
    assert_eq!(outcome.totals.unparseable, h1::MAX_PIPELINED as u64 + 1);
}

#[test]
fn excluded_paths_are_followed_and_counted() {
    for target in ["/health", "/health?verbose=1", "/internal/x", "http://svc:80/health", "/internal/#f"] {
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        let outcome =
            the_same_at_every_cut(&[(Client, &request), (Service, OK), (Client, POST), (Service, OK)]);
        assert_eq!((outcome.totals.seen, outcome.totals.excluded, outcome.out.len()), (2, 1, 1), "{target}");
    }
    for target in ["/healthz", "/x/health", "/?/health", "/internal", "/a?u=http://b/health"] {
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        let outcome = the_same_at_every_cut(&[(Client, &request), (Service, OK)]);
        assert_eq!((outcome.totals.excluded, outcome.out.len()), (0, 1), "{target}");
    }
}

#[test]
fn sampled_out_connections_are_counted_request_by_request() {
    let mut bench = Bench::sampled_out();
    bench.play(&[(Client, POST), (Service, OK), (Client, GET), (Service, OK)]);
    let outcome = bench.outcome();
    assert_eq!((outcome.totals.seen, outcome.totals.sampled_out, outcome.out.len()), (2, 2, 0));
}

#[test]
fn the_recording_switch_is_read_when_a_head_goes_by() {
    let mut bench = Bench::new();
    bench.recording.store(false, Ordering::Relaxed);
    bench.play(&[(Client, POST)]);
    bench.recording.store(true, Ordering::Relaxed);
    bench.play(&[(Service, OK), (Client, POST), (Service, OK)]);
    let outcome = bench.outcome();
    assert_eq!((outcome.totals.excluded, outcome.out.len()), (1, 1));
}
