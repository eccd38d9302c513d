//! The tap against hyper: generated and hostile streams, the same messages or none.
//!
//! hyper's server reads requests, hyper's client reads responses, and the tap is shown both directions. What the tap
//! records as whole hyper must have read so too; what hyper read whole the tap must have recorded, unless it gave up.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method as HyperMethod, Request, Response};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf};

use super::*;

/// A message that hyper read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    /// Method and target, or the status.
    start: String,
    body: Vec<u8>,
    trailers: usize,
}

fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Lets everything happen that can: there is no clock and no socket, so that some rounds are enough.
async fn settled() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// What has come out of `end` so far.
async fn available(end: &mut DuplexStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut room = vec![0; 1 << 16];
    poll_fn(|cx| {
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut *end).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => all.extend_from_slice(buffer.filled()),
                _ => return Poll::Ready(()),
            }
        }
    })
    .await;
    all
}

/// What hyper's server reads of each piece, and what it answers to it.
fn read_by_server(pieces: &[Vec<u8>]) -> (Vec<Option<Read>>, Vec<Vec<u8>>) {
    on_one_thread(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let reads = Arc::new(Mutex::new(Vec::new()));
        let service = service_fn({
            let reads = reads.clone();
            move |request: Request<Incoming>| {
                let reads = reads.clone();
                async move {
                    let start = format!("{} {}", request.method(), request.uri());
                    let nth = reads.lock().unwrap().len();
                    reads.lock().unwrap().push(None);
                    if let Ok(body) = request.into_body().collect().await {
                        let trailers = body.trailers().map_or(0, hyper::HeaderMap::len);
                        let body = body.to_bytes().to_vec();
                        reads.lock().unwrap()[nth] = Some(Read { start, body, trailers });
                    }
                    Ok::<_, hyper::Error>(Response::new(Empty::<Bytes>::new()))
                }
            }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.max_headers(head::MAX_HEADERS).half_close(true);
        let serving = tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
        let mut answers = Vec::new();
        for piece in pieces {
            // hyper may have hung up.
            client.write_all(piece).await.ok();
            settled().await;
            answers.push(available(&mut client).await);
        }
        client.shutdown().await.ok();
        settled().await;
        serving.abort();
        let reads = reads.lock().unwrap().clone();
        (reads, answers)
    })
}

/// What hyper's client reads as the response to one request.
fn read_by_client(method: &str, answer: &[u8], closes: bool) -> Option<Read> {
    on_one_thread(async {
        let (client, mut server) = tokio::io::duplex(1 << 20);
        let (mut sender, connection) =
            hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(client)).await.unwrap();
        tokio::spawn(connection);
        let method = HyperMethod::from_bytes(method.as_bytes()).unwrap();
        let request = Request::builder().method(method).uri("/").body(Empty::<Bytes>::new()).unwrap();
        let reading = tokio::spawn(async move {
            let response = sender.send_request(request).await.ok()?;
            let start = response.status().as_u16().to_string();
            let body = response.into_body().collect().await.ok()?;
            let trailers = body.trailers().map_or(0, hyper::HeaderMap::len);
            Some(Read { start, body: body.to_bytes().to_vec(), trailers })
        });
        settled().await;
        server.write_all(answer).await.ok();
        settled().await;
        if closes {
            drop(server);
        }
        settled().await;
        if !reading.is_finished() {
            reading.abort();
        }
        reading.await.ok().flatten()
    })
}

fn of_copied(copied: &Copied, is_request: bool) -> Option<Read> {
    let mut words = copied.head.split([' ', '\r']);
    let (first, second) = (words.next()?, words.next()?);
    let start = if is_request { format!("{first} {second}") } else { second.to_owned() };
    let trailers = copied.trailers.lines().filter(|line| !line.is_empty()).count();
    (!copied.truncated).then(|| Read { start, body: copied.body.clone().into_bytes(), trailers })
}

/// Requests in pieces, each followed by what hyper answers.
fn compare_requests(pieces: &[Vec<u8>], cut: usize) {
    let (reads, answers) = read_by_server(pieces);
    let mut bench = Bench::new();
    for (piece, answer) in pieces.iter().zip(&answers) {
        for bytes in piece.chunks(cut) {
            bench.feed(Client, bytes);
        }
        bench.feed(Service, answer);
    }
    let outcome = bench.outcome();
    let shown = || pieces.iter().map(|piece| piece.escape_ascii().to_string()).collect::<Vec<_>>();
    for out in &outcome.out {
        let Some(ours) = of_copied(out.request.as_ref().unwrap(), true) else { continue };
        match reads.get(out.index as usize).cloned().flatten() {
            Some(theirs) => assert_eq!(ours, theirs, "{:?}", shown()),
            // A request that hyper refuses is recorded with the refusal, and none behind it is answered.
            None => {
                let status = out.response.as_ref().and_then(|response| of_copied(response, false));
                let refused = status.is_some_and(|read| ["400", "414", "431"].contains(&&*read.start));
                assert!(refused || out.response.is_none(), "{ours:?} is not what hyper read: {:?}", shown());
                let behind = outcome.out.iter().filter(|other| other.index > out.index);
                assert!(behind.into_iter().all(|other| other.response.is_none()), "{:?}", shown());
            }
        }
    }
    if outcome.given_up.is_empty() {
        let theirs = reads.iter().flatten().count();
        let ours = outcome.out.iter().filter(|out| of_copied(out.request.as_ref().unwrap(), true).is_some());
        assert!(ours.count() >= theirs, "hyper read more: {reads:?} of {:?}", shown());
    }
}

/// One response, and the connection's end behind it if `closes`.
fn compare_response(method: &str, answer: &[u8], closes: bool, cut: usize) {
    let theirs = read_by_client(method, answer, closes);
    let mut bench = Bench::new();
    bench.feed(Client, format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes());
    for bytes in answer.chunks(cut) {
        bench.feed(Service, bytes);
    }
    let outcome = if closes {
        bench.outcome()
    } else {
        bench.tap.end(Ending::Shutdown, bench.now, &mut bench.desk);
        bench.drained()
    };
    let shown = answer.escape_ascii().to_string();
    let ours = outcome.out.first().and_then(|out| of_copied(out.response.as_ref()?, false));
    match (&ours, &theirs) {
        (Some(ours), Some(theirs)) => assert_eq!(ours, theirs, "{method} {shown}"),
        // A final response to one request: what comes behind it ends the recording, whichever way hyper takes it.
        (Some(_), None) => panic!("{method}: hyper did not read {shown}: {ours:?}"),
        (None, Some(_)) => assert!(
            !outcome.given_up.is_empty() || outcome.totals.over_limit > 0,
            "{method}: hyper read {shown}: {theirs:?}"
        ),
        (None, None) => {}
    }
}

fn line(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(choices).prop_map(str::to_owned)
}

const FIELDS: &[&str] = &[
    "Host: a",
    "Content-Length: 5",
    "Content-Length: 5",
    "content-length: 0",
    "Content-Length: 12",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length: 05",
    "Content-Length : 5",
    "Content-Length:5 ",
    "Content-Length: 5\t",
    "Content-Length: 18446744073709551616",
    "Content-Length: 0x5",
    "Content-Length:",
    "Content-Length: 1 2",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked",
    "transfer-encoding:  CHUNKED ",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: \tchunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer_Encoding: chunked",
    "Connection: close",
    "Connection: keep-alive",
    "Expect: 100-continue",
    "X: y\r\n folded",
    "X: y\nZ: bare",
    "X:",
    ": no name",
    "no colon",
    "X\0Y: z",
    "X: a\0b",
    "X: a\rb",
    "X: \u{e9}",
    "Trailer: T",
    "Upgrade: h2c",
];

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1",
    "POST /p?q HTTP/1.1",
    "POST /p HTTP/1.1",
    "HEAD / HTTP/1.1",
    "PUT http://a/b HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET / HTTP/1.0",
    "POST / HTTP/1.0",
    "GET / HTTP/2.0",
    "GET /",
    "G@T / HTTP/1.1",
    "get / HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET / HTTP/1.1 ",
    "GET /\u{e9} HTTP/1.1",
    " GET / HTTP/1.1",
    "GET\t/ HTTP/1.1",
];

const STATUSES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204 No",
    "HTTP/1.1 304 No",
    "HTTP/1.1 404 \u{e9}",
    "HTTP/1.1 99 Low",
    "HTTP/1.1 0200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/1.1  200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 500 a\rb",
    " HTTP/1.1 200 OK",
];

const BODIES: &[&str] = &[
    "",
    "hello",
    "hello world!",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "00000005\r\nhello\r\n000\r\n\r\n",
    "5\r\nhello\r\n0\r\nT: x\r\n\r\n",
    "5\r\nhello\r\n0\r\nT: x\r\n y\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\r\nhello0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "A\r\n0123456789\r\n5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r",
    "fffffffffffffffff\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    "\r\n",
    "5\r\r\nhello\r\n0\r\n\r\n",
    "5;\nx\r\nhello\r\n0\r\n\r\n",
];

fn message(starts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(line(FIELDS), 0..4);
    let ends = prop_oneof![9 => Just("\r\n"), 1 => Just("\n")];
    // Now and then one byte is another, is there twice, or is not there.
    let fault = prop::option::weighted(0.2, (any::<prop::sample::Index>(), 0..3u8, 0..128u8));
    (line(starts), fields, ends, line(BODIES), fault).prop_map(|(start, fields, end, body, fault)| {
        let head =
            std::iter::once(start).chain(fields).map(|line| format!("{line}{end}")).collect::<String>();
        let mut bytes = format!("{head}{end}{body}").into_bytes();
        if let Some((at, how, byte)) = fault {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn requests_are_read_as_hyper_reads_them_or_given_up(
        pieces in prop::collection::vec(message(REQUESTS), 1..4),
        cut in 1usize..50,
    ) {
        compare_requests(&pieces, cut);
    }

    #[test]
    fn responses_are_read_as_hyper_reads_them_or_given_up(
        answer in message(STATUSES),
        method in prop::sample::select(&["GET", "HEAD", "POST"][..]),
        closes in any::<bool>(),
        cut in 1usize..50,
    ) {
        compare_response(method, &answer, closes, cut);
    }
}

#[test]
fn streams_that_matter_agree_at_every_cut() {
    let plain = [POST, GET].concat();
    let chunked = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=\"y\"\r\nab\r\n\r\n0A\r\n0123456789\r\n0\r\nT: 1\r\n\r\n";
    let expecting = "POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    for request in [plain.as_str(), chunked, expecting] {
        for cut in 1..=request.len() {
            compare_requests(&[request.as_bytes().to_vec(), POST.as_bytes().to_vec()], cut);
        }
    }
    for answer in [
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\nT: 1\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nto the end",
    ] {
        for cut in 1..=answer.len() {
            compare_response("GET", answer.as_bytes(), true, cut);
        }
    }
}
