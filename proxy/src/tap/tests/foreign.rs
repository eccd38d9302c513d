//! Tunnels, foreign protocols and hostile messages: given up by name, never guessed at.

use super::*;

#[test]
fn an_upgrade_is_recorded_and_what_follows_is_not_read() {
    let ask = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02frames";
    let outcome = the_same_at_every_cut(&[(Client, ask), (Service, switch), (Client, "frames back")]);
    assert_eq!(outcome.out.len(), 1);
    assert_eq!(outcome.out[0].ending, Ending::Complete);
    assert_eq!(outcome.out[0].response.as_ref().unwrap().body, "");
    assert_eq!(outcome.given_up, ["upgraded"]);

    let tunnel = the_same_at_every_cut(&[
        (Client, "CONNECT db:5432 HTTP/1.1\r\n\r\n"),
        (Service, "HTTP/1.1 200 OK\r\n\r\nbinary"),
    ]);
    assert_eq!((tunnel.out.len(), tunnel.given_up), (1, vec!["upgraded"]));
}

#[test]
fn foreign_protocols_are_named_and_no_request_is_seen() {
    for (bytes, reason) in [
        ("\x16\x03\x01\x02\x00client hello", "tls"),
        ("\x00\x00\x00\x0astartup", "not_http"),
        ("\r\n\x16\x03", "tls"),
    ] {
        let outcome = the_same_at_every_cut(&[(Client, bytes)]);
        assert_eq!((outcome.totals.seen, outcome.given_up), (0, vec![reason]), "{bytes:?}");
    }
}

#[test]
fn hostile_requests_are_given_up_never_guessed() {
    for (request, reason) in [
        (
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "ambiguous_length",
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "ambiguous_length"),
        ("POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello", "bad_length"),
        ("POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello", "bad_length"),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "bad_length"),
        ("POST / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello", "bad_length"),
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", "bad_length"),
        ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "bad_length"),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "transfer_coding"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "transfer_coding",
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", "transfer_coding"),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "transfer_coding"),
        ("GET / HTTP/1.1\nHost: a\n\n", "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", "bare_line_feed"),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "folded_field"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nHo\rst: a\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", "malformed"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "malformed"),
        ("GET /\r\n\r\n", "malformed"),
        ("GET / HTTP/3.0\r\n\r\n", "malformed"),
        ("GET  /  HTTP/1.1\r\n\r\n", "malformed"),
    ] {
        let outcome = the_same_at_every_cut(&[(Client, request), (Client, GET), (Service, OK)]);
        assert_eq!(outcome.given_up, [reason], "{request:?}");
        assert!(outcome.out.is_empty(), "{request:?}");
        assert_eq!(outcome.totals.seen, outcome.totals.unparseable, "{request:?}");
    }
}

#[test]
fn hostile_chunks_are_given_up_with_their_request() {
    for (body, reason) in [
        ("5\nhello\r\n0\r\n\r\n", "bare_line_feed"),
        ("5\r\nhello\n0\r\n\r\n", "bare_line_feed"),
        ("5\r\nhelloXX0\r\n\r\n", "bad_chunk"),
        ("g\r\n", "bad_chunk"),
        ("\r\n", "bad_chunk"),
        (";x\r\n", "bad_chunk"),
        ("-1\r\n", "bad_chunk"),
        ("0x5\r\nhello\r\n0\r\n\r\n", "bad_chunk"),
        ("ffffffffffffffff\r\n", "bad_chunk"),
        ("5 \r\nhello\r\n", "bad_chunk"),
        ("0\r\nT: a\r\n folded\r\n\r\n", "folded_field"),
        ("0\r\nT: a\n\r\n", "bare_line_feed"),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", "bad_chunk"),
        ("0\r\n: a\r\n\r\n", "bad_chunk"),
        ("0\r\nT\r\n\r\n", "bad_chunk"),
        ("0\r\nT: \x01\r\n\r\n", "bad_chunk"),
        ("0\r\nT: a\rb\r\n\r\n", "bad_chunk"),
    ] {
        let request = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let outcome = the_same_at_every_cut(&[(Client, &request), (Service, OK)]);
        assert_eq!(outcome.given_up, [reason], "{body:?}");
        assert_eq!((outcome.totals.seen, outcome.totals.unparseable), (1, 1), "{body:?}");
    }
}

#[test]
fn hostile_responses_are_given_up_with_their_request() {
    for (response, reason) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous_length"),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "bare_line_feed"),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded_field"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "malformed"),
        ("HTTP/1.1 099 Low\r\n\r\n", "malformed"),
        ("220 smtp ready\r\n", "not_http"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "not_http"),
    ] {
        let outcome = the_same_at_every_cut(&[(Client, GET), (Service, response)]);
        assert_eq!(outcome.given_up, [reason], "{response:?}");
        assert_eq!((outcome.totals.seen, outcome.totals.unparseable), (1, 1), "{response:?}");
    }
}

#[test]
fn bytes_that_answer_nothing_end_the_recording() {
    assert_eq!(the_same_at_every_cut(&[(Service, OK)]).given_up, ["response_without_request"]);
    let twice = the_same_at_every_cut(&[(Client, GET), (Service, OK), (Service, OK)]);
    assert_eq!((twice.out.len(), twice.given_up), (1, vec!["response_without_request"]));
}
