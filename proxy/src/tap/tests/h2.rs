//! HTTP/2 in every cut: streams, header compression, what a receiver must refuse.

use super::*;

mod arbitrary;
mod frames;
mod peers;

use frames::{Frame, fields, headers, preface};

type Step = (Peer, Vec<u8>);

/// Plays steps whole, byte by byte, and with each of them cut at every place; all must agree.
fn played(steps: &[Step]) -> Outcome {
    let play = |bench: &mut Bench, steps: &[Step]| {
        for (from, bytes) in steps {
            bench.feed(*from, bytes);
        }
    };
    let mut bench = Bench::new();
    play(&mut bench, steps);
    let whole = bench.outcome();
    let mut bench = Bench::new();
    for (from, bytes) in steps {
        for byte in bytes {
            bench.feed(*from, &[*byte]);
        }
    }
    assert_eq!(bench.outcome(), whole, "byte by byte");
    for (step, (from, bytes)) in steps.iter().enumerate() {
        for cut in 1..bytes.len() {
            let mut bench = Bench::new();
            play(&mut bench, &steps[..step]);
            bench.feed(*from, &bytes[..cut]);
            bench.feed(*from, &bytes[cut..]);
            play(&mut bench, &steps[step + 1..]);
            assert_eq!(bench.outcome(), whole, "step {step} cut at {cut}");
        }
    }
    whole
}

/// Both sides' greetings and settings, then `steps`.
fn greeted(steps: impl IntoIterator<Item = (Peer, Frame)>) -> Vec<Step> {
    let mut all = vec![(Client, preface()), (Service, Frame::settings(&[]).bytes())];
    all.push((Client, Frame::acknowledge().bytes()));
    all.push((Service, Frame::acknowledge().bytes()));
    all.extend(steps.into_iter().map(|(from, frame)| (from, frame.bytes())));
    all
}

const ASK: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/v1/predict"),
    (":authority", "svc:50051"),
    ("te", "trailers"),
];
const ANSWER: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];
const STATUS: [(&str, &str); 1] = [("grpc-status", "0")];

fn ask(stream: u32) -> Frame {
    headers(stream, &ASK)
}

#[test]
fn a_unary_call_of_grpc_comes_out_with_its_trailers() {
    let outcome = played(&greeted([
        (Client, ask(1)),
        (Client, Frame::data(1, b"\0\0\0\0\x05hello").ends_stream()),
        (Service, headers(1, &ANSWER)),
        (Service, Frame::data(1, b"\0\0\0\0\x03yes")),
        (Service, headers(1, &STATUS).ends_stream()),
    ]));
    assert_eq!(outcome.given_up, [""; 0]);
    assert_eq!(bodies(&outcome), [("\0\0\0\0\x05hello", "\0\0\0\0\x03yes")]);
    let out = &outcome.out[0];
    assert_eq!(
        out.request.as_ref().unwrap().head,
        "POST /v1/predict HTTP/1.1\r\nhost: svc:50051\r\nte: trailers\r\n\r\n"
    );
    let response = out.response.as_ref().unwrap();
    assert_eq!(response.head, "HTTP/1.1 200 \r\ncontent-type: application/grpc\r\n\r\n");
    assert_eq!(response.trailers, "grpc-status: 0\r\n\r\n");
    assert_eq!((out.ending, out.chunk_bytes), (Ending::Complete, 8));
}

#[test]
fn binary_metadata_of_grpc_is_recorded_in_base64() {
    let asks = [&ASK[..], &[("x-trace-bin", "\0\u{1}\u{2}"), ("x-plain-bin", "AQI")]].concat();
    let outcome = played(&greeted([
        (Client, headers(1, &asks).ends_stream()),
        (Service, headers(1, &[&ANSWER[..], &[("x-empty-bin", "\0")]].concat()).ends_stream()),
    ]));
    let out = &outcome.out[0];
    assert!(out.request.as_ref().unwrap().head.ends_with("x-trace-bin: AQI\r\nx-plain-bin: AQI\r\n\r\n"));
    assert!(out.response.as_ref().unwrap().head.ends_with("x-empty-bin: \r\n\r\n"));
}

#[test]
fn streams_interleave_and_each_keeps_its_own() {
    let outcome = played(&greeted([
        (Client, ask(1)),
        (Client, ask(3)),
        (Client, Frame::data(3, b"three")),
        (Client, Frame::data(1, b"one").ends_stream()),
        (Service, headers(3, &ANSWER)),
        (Service, headers(1, &ANSWER)),
        (Service, Frame::data(1, b"for one").ends_stream()),
        (Client, Frame::data(3, b" more").ends_stream()),
        (Service, Frame::data(3, b"for three").ends_stream()),
    ]));
    assert_eq!(bodies(&outcome), [("one", "for one"), ("three more", "for three")]);
    assert_eq!(outcome.out.iter().map(|out| out.index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn padding_priority_and_continuation_belong_to_no_message() {
    let block = fields(&ASK);
    let (a, rest) = block.split_at(3);
    let outcome = played(&greeted([
        (Client, Frame::header_block(1, a).padded(7).prioritized().open()),
        (Client, Frame::continuation(1, b"").open()),
        (Client, Frame::continuation(1, rest)),
        (Client, Frame::priority(1)),
        (Client, Frame::data(1, b"he").padded(200)),
        (Client, Frame::data(1, b"").padded(0)),
        (Client, Frame::data(1, b"llo").padded(1).ends_stream()),
        (Client, Frame::unknown(0xbe, b"grease")),
        (Client, Frame::ping()),
        (Service, Frame::window_update(0)),
        (Service, headers(1, &[(":status", "103"), ("link", "</a>")])),
        (Service, headers(1, &ANSWER).padded(3)),
        (Service, Frame::data(1, b"yes").padded(9).ends_stream()),
    ]));
    assert_eq!(outcome.given_up, [""; 0]);
    assert_eq!(bodies(&outcome), [("hello", "yes")]);
}

#[test]
fn a_reset_says_who_gave_up() {
    let cut = |from| {
        let outcome = played(&greeted([
            (Client, ask(1)),
            (Service, headers(1, &ANSWER)),
            (Service, Frame::data(1, b"ye")),
            (from, Frame::reset(1)),
            // What was on its way belongs to nothing any more.
            (Service, Frame::data(1, b"s")),
            (Client, Frame::data(1, b"x").ends_stream()),
            (Client, ask(3).ends_stream()),
            (Service, headers(3, &ANSWER).ends_stream()),
        ]));
        assert_eq!((outcome.given_up.len(), outcome.out.len()), (0, 2));
        assert!(outcome.out[0].response.as_ref().unwrap().truncated);
        assert_eq!(outcome.out[1].ending, Ending::Complete);
        outcome.out[0].ending
    };
    assert_eq!(cut(Client), Ending::ClientAbort);
    assert_eq!(cut(Service), Ending::UpstreamReset);
}

#[test]
fn an_early_answer_is_complete_with_a_request_that_is_not() {
    let outcome = played(&greeted([
        (Client, ask(1)),
        (Client, Frame::data(1, b"much")),
        (Service, headers(1, &ANSWER)),
        (Service, Frame::data(1, b"enough").ends_stream()),
        (Service, Frame::reset(1)),
    ]));
    assert_eq!(bodies(&outcome), [("much", "enough")]);
    assert_eq!(outcome.out[0].ending, Ending::Complete);
    assert!(outcome.out[0].request.as_ref().unwrap().truncated);
}

#[test]
fn streams_that_a_leaving_service_does_not_answer_end_with_its_word() {
    let outcome = played(&greeted([
        (Client, ask(1).ends_stream()),
        (Client, ask(3).ends_stream()),
        (Service, Frame::go_away(1)),
        (Service, headers(1, &ANSWER).ends_stream()),
    ]));
    let endings: Vec<_> = outcome.out.iter().map(|out| (out.index, out.ending)).collect();
    assert_eq!(endings, [(1, Ending::UpstreamClosed), (0, Ending::Complete)]);
}

#[test]
fn a_service_may_speak_first() {
    let outcome = played(&[
        (Service, Frame::settings(&[(3, 100)]).bytes()),
        (Client, preface()),
        (Client, Frame::acknowledge().bytes()),
        (Client, ask(1).ends_stream().bytes()),
        (Service, headers(1, &ANSWER).ends_stream().bytes()),
    ]);
    assert_eq!((outcome.given_up.len(), outcome.out.len()), (0, 1));
    let other = played(&[(Service, Frame::settings(&[]).bytes()), (Client, GET.as_bytes().to_vec())]);
    assert_eq!(other.given_up, ["response_without_request"]);
}

#[test]
fn a_message_that_must_be_refused_costs_its_own_exchange_only() {
    let with = |more: &[(&'static str, &'static str)]| [&ASK[..], more].concat();
    let without = |name: &str| ASK.iter().filter(|(field, _)| *field != name).copied().collect::<Vec<_>>();
    for bad in [
        with(&[("Upper", "x")]),
        with(&[("connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("te", "gzip")]),
        with(&[("a", "line\r\nbreak")]),
        with(&[("a", "null\0")]),
        with(&[("a", " blank")]),
        with(&[("a b", "c")]),
        with(&[("", "c")]),
        with(&[(":path", "/late")]),
        with(&[("content-length", "1")]),
        with(&[("content-length", "0"), ("content-length", "1")]),
        with(&[("content-length", "+0")]),
        without(":method"),
        without(":path"),
        without(":scheme"),
        [&[(":status", "200")], &ASK[..]].concat(),
        [&[(":nonsense", "200")], &ASK[..]].concat(),
        [&[(":path", "/twice")], &ASK[..]].concat(),
        vec![(":method", "GET"), (":scheme", "http"), (":path", "")],
        vec![(":method", "GET"), (":scheme", "http"), (":path", "/a b")],
        vec![(":method", "G T"), (":scheme", "http"), (":path", "/")],
    ] {
        let outcome = played(&greeted([
            (Client, headers(1, &bad).ends_stream()),
            (Client, ask(3).ends_stream()),
            (Service, headers(3, &ANSWER).ends_stream()),
        ]));
        assert_eq!(outcome.given_up, [""; 0], "{bad:?}");
        let totals = &outcome.totals;
        assert_eq!((totals.seen, totals.unparseable, totals.recorded), (2, 1, 1), "{bad:?}");
    }
    for bad in [
        vec![(":status", "20")],
        vec![(":status", "101")],
        vec![(":status", "2o0")],
        vec![("content-type", "text/plain")],
        vec![(":status", "200"), ("content-length", "5")],
    ] {
        let outcome =
            played(&greeted([(Client, ask(1).ends_stream()), (Service, headers(1, &bad).ends_stream())]));
        assert_eq!((outcome.given_up.len(), outcome.totals.unparseable), (0, 1), "{bad:?}");
    }
}

#[test]
fn lengths_hold_or_the_exchange_is_none() {
    let sized = [(":status", "200"), ("content-length", "3")];
    let answered = |frames: Vec<Frame>, method: &str| {
        let ask = [(":method", method), (":scheme", "http"), (":path", "/")];
        let mut all = vec![(Client, headers(1, &ask).ends_stream())];
        all.extend(frames.into_iter().map(|frame| (Service, frame)));
        played(&greeted(all)).totals.unparseable
    };
    assert_eq!(answered(vec![headers(1, &sized), Frame::data(1, b"yes").ends_stream()], "GET"), 0);
    assert_eq!(answered(vec![headers(1, &sized), Frame::data(1, b"no").ends_stream()], "GET"), 1);
    assert_eq!(answered(vec![headers(1, &sized).ends_stream()], "HEAD"), 0);
    assert_eq!(
        answered(vec![headers(1, &[(":status", "304"), ("content-length", "9")]).ends_stream()], "GET"),
        0
    );
}

#[test]
fn what_a_receiver_ends_the_connection_for_ends_its_recording() {
    let table_size = |size: u8| Frame::header_block(1, &[&[0x20 | size][..], &fields(&ASK)].concat());
    for (frames, reason) in [
        (vec![(Client, Frame::data(1, b"x"))], "bad_frame"),
        (vec![(Client, headers(2, &ASK))], "bad_frame"),
        (vec![(Client, headers(0, &ASK))], "bad_frame"),
        (vec![(Service, headers(1, &ANSWER))], "bad_frame"),
        (vec![(Client, Frame::reset(1))], "bad_frame"),
        (vec![(Client, Frame::continuation(1, b""))], "bad_frame"),
        (vec![(Client, ask(1).open()), (Client, Frame::data(1, b"x"))], "bad_frame"),
        (vec![(Client, ask(1).open()), (Client, Frame::continuation(3, b""))], "bad_frame"),
        (vec![(Client, ask(1)), (Client, Frame::data(1, b"x").overpadded())], "bad_frame"),
        (vec![(Client, ask(1)), (Client, Frame::data(1, &[0; 16_385]))], "bad_frame"),
        (vec![(Client, Frame::settings(&[(5, 16_383)]))], "bad_frame"),
        (vec![(Client, Frame::acknowledge())], "bad_frame"),
        (vec![(Client, Frame::new(0x4, 0, 0, b"short"))], "bad_frame"),
        (vec![(Client, Frame::new(0x4, 0, 1, b""))], "bad_frame"),
        (vec![(Client, Frame::new(0x6, 0, 0, b"short"))], "bad_frame"),
        (vec![(Client, Frame::new(0x3, 0, 1, b"short"))], "bad_frame"),
        (vec![(Client, Frame::new(0x5, 4, 1, b"\0\0\0\x02"))], "bad_frame"),
        (vec![(Client, Frame::header_block(1, &[0x80]))], "bad_header_block"),
        (vec![(Client, Frame::header_block(1, &[0xfe]))], "bad_header_block"),
        (vec![(Client, Frame::header_block(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))], "bad_header_block"),
        (vec![(Client, Frame::header_block(1, &[0x40, 0x05, b'a']))], "bad_header_block"),
        (vec![(Client, Frame::header_block(1, &[0x82, 0x20]))], "bad_header_block"),
        (vec![(Client, Frame::header_block(1, &[0x40, 0x81, 0xff, 0x00]))], "bad_header_block"),
        (
            vec![(Client, Frame::header_block(1, &[0x40, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00]))],
            "bad_header_block",
        ),
        // 4097 is more than a table has by default.
        (vec![(Client, Frame::header_block(1, &[0x3f, 0xe2, 0x1f]))], "bad_header_block"),
        // A service that allows less must see a smaller table.
        (
            vec![(Service, Frame::settings(&[(1, 10)])), (Client, Frame::acknowledge()), (Client, ask(1))],
            "bad_header_block",
        ),
        (
            vec![
                (Service, Frame::settings(&[(1, 1 << 20)])),
                (Client, Frame::header_block(1, &[0x3f, 0xe2, 0xff, 0x03])),
            ],
            "header_table_too_large",
        ),
    ] {
        let mut steps =
            greeted([(Client, ask(1).ends_stream()), (Service, headers(1, &ANSWER).ends_stream())]);
        steps.truncate(4);
        steps.extend(frames.iter().map(|(from, frame)| (*from, frame.bytes())));
        let short: Vec<Step> = steps.iter().filter(|(_, bytes)| bytes.len() < 10_000).cloned().collect();
        let outcome = if short.len() == steps.len() { played(&steps) } else { Bench::fed(&steps) };
        assert_eq!(outcome.given_up, [reason], "{frames:?}");
        assert!(outcome.out.is_empty());
    }
    // And what is allowed: a smaller table once it is announced, larger frames once they are asked for.
    let outcome = Bench::fed(&greeted([
        (Service, Frame::settings(&[(1, 10), (5, 20_000)])),
        (Client, Frame::acknowledge()),
        (Client, table_size(10)),
        (Client, Frame::data(1, &[b'x'; 16_385]).ends_stream()),
        (Service, headers(1, &ANSWER).ends_stream()),
    ]));
    assert_eq!((outcome.given_up.len(), outcome.totals.seen, outcome.totals.over_limit), (0, 1, 1));
    assert_eq!(Bench::fed(&[(Client, preface()), (Service, Frame::ping().bytes())]).given_up, ["bad_frame"]);
}

#[test]
fn limits_hold_and_are_counted() {
    // More fields than a head may have, and more bytes than it may have after decompression: the connection goes on.
    let many: Vec<_> = ASK.into_iter().chain(std::iter::repeat_n(("a", "b"), head::MAX_HEADERS)).collect();
    let big = "x".repeat(4000);
    let bomb: Vec<u8> = [fields(&ASK), frames::indexed("a", &big), [0xbe].repeat(30)].concat();
    let outcome = Bench::fed(&greeted([
        (Client, headers(1, &many).ends_stream()),
        (Client, Frame::header_block(3, &bomb).ends_stream()),
        (Client, ask(5).ends_stream()),
        (Service, headers(5, &ANSWER).ends_stream()),
    ]));
    let totals = &outcome.totals;
    assert_eq!((totals.unparseable, totals.over_limit, totals.recorded), (1, 1, 1), "{outcome:?}");

    // A header block without end.
    let mut steps = vec![(Client, ask(1).open())];
    steps.extend((0..80).map(|_| (Client, Frame::continuation(1, &[0; 1000]).open())));
    let outcome = Bench::fed(&greeted(steps));
    assert_eq!((outcome.given_up, outcome.totals.over_limit), (vec!["head_too_large"], 1));

    // Streams without end.
    let asks = (0..=crate::tap::h2::MAX_STREAMS as u32).map(|n| (Client, ask(2 * n + 1).ends_stream()));
    let outcome = Bench::fed(&greeted(asks));
    assert_eq!((outcome.totals.over_limit, outcome.out.len()), (1, crate::tap::h2::MAX_STREAMS));

    let settings = (0..100).map(|_| (Client, Frame::settings(&[])));
    assert_eq!(Bench::fed(&greeted(settings)).given_up, ["bad_frame"]);
}

#[test]
fn requests_that_are_left_out_are_counted_and_header_tables_still_followed() {
    let health = [(":method", "GET"), (":scheme", "http"), (":path", "/health?x")];
    let steps = greeted([
        (Client, headers(1, &health).ends_stream()),
        (Service, headers(1, &ANSWER).ends_stream()),
        (Client, ask(3).ends_stream()),
        (Service, headers(3, &ANSWER).ends_stream()),
    ]);
    let outcome = played(&steps);
    assert_eq!((outcome.totals.excluded, outcome.totals.recorded), (1, 1));
    let mut bench = Bench::sampled_out();
    for (from, bytes) in &steps {
        bench.feed(*from, bytes);
    }
    assert_eq!(bench.outcome().totals.sampled_out, 2);
}

#[test]
fn a_tunnel_is_recorded_and_not_read() {
    let ask = [(":method", "CONNECT"), (":authority", "db:5432")];
    let outcome = played(&greeted([
        (Client, headers(1, &ask)),
        (Service, headers(1, &[(":status", "200")])),
        (Client, Frame::data(1, b"binary")),
        (Service, Frame::data(1, b"yranib").ends_stream()),
    ]));
    assert_eq!(bodies(&outcome), [("", "")]);
    assert_eq!(
        outcome.out[0].request.as_ref().unwrap().head,
        "CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\n\r\n"
    );
}

#[test]
fn pushed_responses_are_passed_over() {
    let promise = [&[0, 0, 0, 2][..], &fields(&ASK)].concat();
    let outcome = played(&greeted([
        (Client, ask(1).ends_stream()),
        (Service, Frame::new(0x5, 0x4, 1, &promise)),
        (Service, headers(2, &ANSWER)),
        (Service, Frame::data(2, b"pushed").ends_stream()),
        (Service, headers(1, &ANSWER)),
        (Service, Frame::data(1, b"asked for").ends_stream()),
    ]));
    assert_eq!((bodies(&outcome), outcome.given_up.len()), (vec![("", "asked for")], 0));
}
