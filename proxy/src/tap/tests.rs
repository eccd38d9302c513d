//! What the tap makes of streams: the same however they are cut, nothing of what it does not understand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use understudy_captures::{Conservation, Ending};

use super::*;
use crate::config::{PathPattern, QueueLimits, Scope};
use crate::handover::{Outlet, Parcel, queue};
use crate::ledger::Ledger;

mod agreement;
mod foreign;
mod h2;

mod limits;
mod properties;

const MAX_BODY: usize = 2000;

/// A tap with its desk, and what comes out of it.
struct Bench {
    tap: Tap,
    desk: Desk,
    outlet: Outlet,
    ledger: Arc<Ledger>,
    recording: Arc<AtomicBool>,
    now: Nanos,
}

/// An exchange as it came out, without the instants, which depend on how the stream was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Out {
    index: u32,
    request: Option<Copied>,
    response: Option<Copied>,
    ending: Ending,
    chunk_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Copied {
    head: String,
    body: String,
    trailers: String,
    truncated: bool,
}

/// Everything that must not depend on how a stream was cut.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    out: Vec<Out>,
    totals: Conservation,
    given_up: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Client,
    Service,
}
use Peer::{Client, Service};

type Script<'a> = &'a [(Peer, &'a str)];

// === impl Bench ===

impl Bench {
    fn new() -> Bench {
        Bench::with(Tap::new(7, true), 8 << 20)
    }

    fn sampled_out() -> Bench {
        Bench::with(Tap::new(7, false), 8 << 20)
    }

    fn with(tap: Tap, bytes: usize) -> Bench {
        let ledger = Arc::new(Ledger::new());
        let recording = Arc::new(AtomicBool::new(true));
        let limits = QueueLimits { batches: 64, bytes };
        let (sender, outlet) = queue(limits, &ledger);
        let scope = Scope {
            sample: 1.0,
            exclude: vec![
                PathPattern::Exact("/health".to_owned()),
                PathPattern::Prefix("/internal/".to_owned()),
            ],
            max_body: MAX_BODY,
        };
        let desk = Desk::new(Arc::new(scope), ledger.clone(), recording.clone(), sender, limits, 1);
        Bench { tap, desk, outlet, ledger, recording, now: 1000 }
    }

    fn feed(&mut self, from: Peer, bytes: &[u8]) {
        self.now += 10;
        match from {
            Client => self.tap.request(bytes, self.now, &mut self.desk),
            Service => self.tap.response(bytes, self.now, &mut self.desk),
        }
    }

    fn play(&mut self, script: Script<'_>) -> &mut Bench {
        for (from, text) in script {
            self.feed(*from, text.as_bytes());
        }
        self
    }

    /// What comes out when these are fed as they are.
    fn fed(steps: &[(Peer, Vec<u8>)]) -> Outcome {
        let mut bench = Bench::new();
        for (from, bytes) in steps {
            bench.feed(*from, bytes);
        }
        bench.outcome()
    }

    /// The service closes; what came out.
    fn outcome(&mut self) -> Outcome {
        self.tap.upstream_closed(self.now, &mut self.desk);
        self.drained()
    }

    fn drained(&mut self) -> Outcome {
        self.desk.send();
        let mut out = Vec::new();
        while let Some(Parcel::Batch(batch)) = self.outlet.next(Duration::ZERO) {
            out.extend(batch.observed().iter().map(|observed| Out {
                index: observed.index,
                request: Some(copied(batch.request(observed))),
                response: batch.response(observed).map(copied),
                ending: observed.ending,
                chunk_bytes: batch.chunks(observed).iter().map(|chunk| u64::from(chunk.len)).sum(),
            }));
            self.ledger.recorded.inc_by(batch.len() as u64);
            self.outlet.give_back(batch);
        }
        let totals = self.ledger.totals();
        assert!(totals.holds(), "the law: {totals:?}");
        assert_eq!(self.desk.held(), 0, "nothing is kept of what is over");
        let counted = |reason: &&Reason| self.ledger.given_up(**reason) == 1;
        Outcome { out, totals, given_up: Reason::ALL.iter().filter(counted).map(|r| r.name()).collect() }
    }
}

fn copied(message: crate::batch::Message<'_>) -> Copied {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Copied {
        head: text(message.head),
        body: text(message.body),
        trailers: text(message.trailers),
        truncated: message.truncated,
    }
}

/// Plays a script whole, byte by byte, and with each of its steps cut at every place; all must agree.
fn the_same_at_every_cut(script: Script<'_>) -> Outcome {
    let whole = Bench::new().play(script).outcome();
    let mut bench = Bench::new();
    for (from, text) in script {
        for byte in text.as_bytes() {
            bench.feed(*from, &[*byte]);
        }
    }
    assert_eq!(bench.outcome(), whole, "byte by byte");
    for (step, (from, text)) in script.iter().enumerate() {
        for cut in 1..text.len() {
            let mut bench = Bench::new();
            bench.play(&script[..step]);
            bench.feed(*from, &text.as_bytes()[..cut]);
            bench.feed(*from, &text.as_bytes()[cut..]);
            bench.play(&script[step + 1..]);
            assert_eq!(bench.outcome(), whole, "step {step} cut at {cut}");
        }
    }
    whole
}

fn bodies(outcome: &Outcome) -> Vec<(&str, &str)> {
    fn body(copied: &Option<Copied>) -> &str {
        copied.as_ref().map_or("-", |copied| &copied.body)
    }
    outcome.out.iter().map(|out| (body(&out.request), body(&out.response))).collect()
}

const GET: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

// === framing ===

#[test]
fn a_request_and_its_response_come_out_whole() {
    let outcome = the_same_at_every_cut(&[(Client, POST), (Service, OK)]);
    assert_eq!(bodies(&outcome), [("hello", "yes")]);
    let out = &outcome.out[0];
    assert_eq!(out.request.as_ref().unwrap().head, &POST[..POST.len() - 5]);
    assert_eq!(out.response.as_ref().unwrap().head, &OK[..OK.len() - 3]);
    assert_eq!((out.index, out.ending, out.chunk_bytes), (0, Ending::Complete, 0));
    assert_eq!(outcome.given_up, [""; 0]);
}

#[test]
fn keep_alive_numbers_its_exchanges() {
    let outcome = the_same_at_every_cut(&[(Client, POST), (Service, OK), (Client, GET), (Service, OK)]);
    assert_eq!(outcome.out.iter().map(|out| out.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(bodies(&outcome), [("hello", "yes"), ("", "yes")]);
}

#[test]
fn pipelined_requests_get_their_own_responses() {
    let requests = [POST, GET, POST].concat();
    let responses =
        [OK, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"].concat();
    let outcome = the_same_at_every_cut(&[(Client, &requests), (Service, &responses)]);
    assert_eq!(bodies(&outcome), [("hello", "yes"), ("", ""), ("hello", "")]);
}

#[test]
fn chunked_bodies_lose_their_coding_and_keep_their_trailers() {
    let request = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=\"y\"\r\nab\r\n\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n";
    let outcome = the_same_at_every_cut(&[(Client, request), (Service, response)]);
    assert_eq!(bodies(&outcome), [("ab\r\n0123456789", "yes")]);
    let out = &outcome.out[0];
    assert_eq!(out.request.as_ref().unwrap().trailers, "T: 1\r\nU: 2\r\n\r\n");
    assert_eq!(out.response.as_ref().unwrap().trailers, "\r\n");
    assert_eq!(out.chunk_bytes, 3, "pieces of a streamed response are noted");
}

#[test]
fn responses_without_a_body_end_with_their_head_whatever_their_length_says() {
    for (request, response) in [
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
        ("HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, "HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"),
    ] {
        let outcome =
            the_same_at_every_cut(&[(Client, request), (Service, response), (Client, POST), (Service, OK)]);
        assert_eq!(bodies(&outcome), [("", ""), ("hello", "yes")], "{response}");
    }
}

#[test]
fn interim_responses_are_not_the_response() {
    let head = "POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let outcome = the_same_at_every_cut(&[
        (Client, head),
        (Service, interim),
        (Client, "hello"),
        (Service, hints),
        (Service, OK),
    ]);
    assert_eq!(bodies(&outcome), [("hello", "yes")]);
}

#[test]
fn an_early_response_waits_for_the_rest_of_its_request() {
    let outcome = the_same_at_every_cut(&[
        (Client, "POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234"),
        (Service, OK),
        (Client, "56789"),
        (Client, POST),
        (Service, OK),
    ]);
    assert_eq!(bodies(&outcome), [("0123456789", "yes"), ("hello", "yes")]);
    assert!(outcome.out.iter().all(|out| out.ending == Ending::Complete));
}

#[test]
fn an_early_response_to_an_upload_that_stops_is_complete_with_a_truncated_request() {
    let outcome = the_same_at_every_cut(&[
        (Client, "POST /p HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234"),
        (Service, OK),
    ]);
    assert_eq!(outcome.out[0].ending, Ending::Complete);
    assert!(outcome.out[0].request.as_ref().unwrap().truncated);
    assert!(!outcome.out[0].response.as_ref().unwrap().truncated);
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let outcome = the_same_at_every_cut(&[
        (Client, "GET / HTTP/1.0\r\n\r\n"),
        (Service, "HTTP/1.0 200 OK\r\n\r\nall of "),
        (Service, "it"),
    ]);
    assert_eq!(bodies(&outcome), [("", "all of it")]);
    assert_eq!(outcome.out[0].ending, Ending::Complete);
    assert!(!outcome.out[0].response.as_ref().unwrap().truncated);
}

#[test]
fn empty_lines_before_a_request_are_no_part_of_it() {
    let outcome = the_same_at_every_cut(&[
        (Client, POST),
        (Service, OK),
        (Client, "\r\n\r\n"),
        (Client, GET),
        (Service, OK),
    ]);
    assert_eq!(outcome.out[1].request.as_ref().unwrap().head, GET);
}

#[test]
fn equal_lengths_said_twice_are_one_length() {
    let request = "POST / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(bodies(&the_same_at_every_cut(&[(Client, request), (Service, OK)])), [("hello", "yes")]);
}

// === ends ===

#[test]
fn an_exchange_cut_short_says_who_cut_it() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
    let by_service = the_same_at_every_cut(&[(Client, POST), (Service, half)]);
    assert_eq!(by_service.out[0].ending, Ending::UpstreamClosed);
    assert_eq!(bodies(&by_service), [("hello", "01234")]);
    assert!(by_service.out[0].response.as_ref().unwrap().truncated);

    let mut bench = Bench::new();
    bench.play(&[(Client, POST)]).tap.client_closed();
    assert_eq!(bench.outcome().out[0].ending, Ending::ClientAbort);

    for ending in [Ending::ClientAbort, Ending::UpstreamReset, Ending::Shutdown] {
        let mut bench = Bench::new();
        bench.play(&[
            (Client, POST),
            (Service, OK),
            (Client, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"),
        ]);
        bench.tap.end(ending, bench.now, &mut bench.desk);
        let outcome = bench.drained();
        assert_eq!(outcome.out[0].ending, Ending::Complete);
        assert_eq!((outcome.out[1].ending, &outcome.out[1].response), (ending, &None));
        assert!(outcome.out[1].request.as_ref().unwrap().truncated);
    }
}

#[test]
fn a_connection_is_idle_between_exchanges_only() {
    let mut bench = Bench::new();
    assert!(bench.tap.is_idle());
    bench.feed(Client, b"GE");
    assert!(!bench.tap.is_idle());
    bench.feed(Client, &GET.as_bytes()[2..]);
    assert!(!bench.tap.is_idle());
    bench.feed(Service, OK.as_bytes());
    assert!(bench.tap.is_idle());
}

#[test]
fn instants_are_those_of_the_bytes() {
    let mut bench = Bench::new();
    bench.feed(Client, &POST.as_bytes()[..10]); // 1010
    bench.feed(Client, &POST.as_bytes()[10..]); // 1020
    bench.feed(Service, &OK.as_bytes()[..5]); // 1030
    bench.feed(Service, &OK.as_bytes()[5..]); // 1040
    bench.desk.send();
    let Some(Parcel::Batch(batch)) = bench.outlet.next(Duration::ZERO) else {
        panic!("an exchange came out")
    };
    let observed = &batch.observed()[0];
    assert_eq!(
        (observed.arrival, observed.request_end, observed.response_start, observed.end),
        (1010, Some(1020), Some(1030), 1040)
    );
}
