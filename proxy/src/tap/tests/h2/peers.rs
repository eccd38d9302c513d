//! The tap between a client and a server of the `h2` crate: whatever they exchange comes out as they meant it.

use std::sync::Mutex;

use ::h2::{client, server};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::*;

/// A message as an application sends it.
#[derive(Clone, Debug)]
struct Message {
    fields: Vec<(String, String)>,
    body: Vec<Vec<u8>>,
    trailers: Option<Vec<(String, String)>>,
}

/// What both sides agree on.
#[derive(Clone, Copy, Debug)]
struct Terms {
    client_table: u32,
    server_table: u32,
    frame: u32,
    window: u32,
}

fn map(fields: &[(String, String)]) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    };
    fields.iter().map(pair).collect()
}

/// Sends a body as flow control lets it, and the trailers behind it.
async fn send_body(mut stream: ::h2::SendStream<Bytes>, message: Message) {
    for piece in message.body {
        let mut piece = Bytes::from(piece);
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
            stream.send_data(piece.split_to(room.min(piece.len())), false).unwrap();
        }
    }
    match message.trailers {
        Some(trailers) => stream.send_trailers(map(&trailers)).unwrap(),
        None => stream.send_data(Bytes::new(), true).unwrap(),
    }
}

async fn drain(mut body: ::h2::RecvStream) {
    while let Some(Ok(bytes)) = body.data().await {
        body.flow_control().release_capacity(bytes.len()).unwrap();
    }
    body.trailers().await.ok();
}

/// Passes bytes on in pieces of `cut` and reports them, as the relay does.
async fn pass(
    from: Peer,
    mut source: tokio::io::ReadHalf<DuplexStream>,
    mut sink: tokio::io::WriteHalf<DuplexStream>,
    cut: usize,
    seen: Arc<Mutex<Vec<Step>>>,
) {
    let mut room = vec![0; cut];
    while let Ok(count @ 1..) = source.read(&mut room).await {
        // In one step for both: what is passed on is seen before the other end can answer it.
        seen.lock().unwrap().push((from, room[..count].to_vec()));
        if sink.write_all(&room[..count]).await.is_err() {
            return;
        }
    }
    sink.shutdown().await.ok();
}

/// Every byte that goes by while `exchanges` happen at the same time.
fn conversation(exchanges: &[(Message, Message)], terms: Terms, cut: usize) -> Vec<Step> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (client_end, near) = tokio::io::duplex(1 << 16);
        let (far, server_end) = tokio::io::duplex(1 << 16);
        let ((near_read, near_write), (far_read, far_write)) =
            (tokio::io::split(near), tokio::io::split(far));
        tokio::spawn(pass(Client, near_read, far_write, cut, seen.clone()));
        tokio::spawn(pass(Service, far_read, near_write, cut, seen.clone()));
        let answers: Vec<Message> = exchanges.iter().map(|(_, answer)| answer.clone()).collect();
        tokio::spawn(async move {
            let mut builder = server::Builder::new();
            builder.header_table_size(terms.server_table).initial_window_size(terms.window);
            let mut connection = builder.max_frame_size(terms.frame).handshake(server_end).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                let nth: usize = request.headers()["x-nth"].to_str().unwrap().parse().unwrap();
                let answer = answers[nth].clone();
                tokio::spawn(async move {
                    drain(request.into_body()).await;
                    let mut response = Response::new(());
                    *response.headers_mut() = map(&answer.fields);
                    let stream = respond.send_response(response, false).unwrap();
                    send_body(stream, answer).await;
                });
            }
        });
        let mut builder = client::Builder::new();
        builder.header_table_size(terms.client_table).initial_window_size(terms.window);
        let (mut sender, connection) =
            builder.max_frame_size(terms.frame).handshake::<_, Bytes>(client_end).await.unwrap();
        tokio::spawn(connection);
        let (done, mut all_done) = mpsc::channel::<()>(1);
        for (nth, (ask, _)) in exchanges.iter().enumerate() {
            sender = sender.ready().await.unwrap();
            let mut request = Request::post(format!("http://svc/{nth}?q=%20")).body(()).unwrap();
            *request.headers_mut() = map(&ask.fields);
            request.headers_mut().insert("x-nth", nth.into());
            let (response, stream) = sender.send_request(request, false).unwrap();
            let (ask, done) = (ask.clone(), done.clone());
            tokio::spawn(async move {
                let sending = send_body(stream, ask);
                let receiving = async {
                    drain(response.await.unwrap().into_body()).await;
                };
                tokio::join!(sending, receiving);
                drop(done);
            });
        }
        drop(done);
        let finished = tokio::time::timeout(Duration::from_secs(60), all_done.recv()).await;
        finished.expect("the conversation ends");
    });
    let seen = seen.lock().unwrap();
    seen.clone()
}

/// Fields of a recorded head or trailer section but for those that this test adds, sorted: `HeaderMap` has no order
/// between names.
fn read_fields(lines: &str) -> Vec<(String, String)> {
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut fields: Vec<_> = lines.lines().filter_map(pair).collect();
    fields.retain(|(name, _)| name != "x-nth" && name != "host");
    fields.sort();
    fields
}

fn sorted(fields: &[(String, String)]) -> Vec<(String, String)> {
    let mut fields = fields.to_vec();
    fields.sort();
    fields
}

fn check(copied: &Copied, message: &Message) {
    assert_eq!(read_fields(&copied.head), sorted(&message.fields));
    assert_eq!(copied.body.as_bytes(), message.body.concat());
    assert_eq!(read_fields(&copied.trailers), sorted(message.trailers.as_deref().unwrap_or_default()));
    assert!(!copied.truncated);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["", "a", "grpc-status", "application/grpc", "%20 ~!@#$^&*()_+|{}:<>?"][..])
            .prop_map(str::to_owned),
        "[ -~]{0,200}".prop_map(|text| text.trim().to_owned()),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof!["x-[a-c]", "x-[a-z0-9_.-]{1,40}"];
    prop::collection::vec((name, text()), 0..12)
}

fn message() -> impl Strategy<Value = Message> {
    let body = prop::collection::vec(prop::collection::vec(b'a'..=b'z', 0..300), 0..4);
    (fields(), body, prop::option::of(fields())).prop_map(|(fields, body, trailers)| Message {
        fields,
        body,
        trailers,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_peers_mean_comes_out_whatever_they_agreed_on(
        exchanges in prop::collection::vec((message(), message()), 1..12),
        (client_table, server_table) in (0u32..9000, 0u32..9000),
        window in 1u32..70_000,
        cut in prop_oneof![1usize..40, 1000usize..20_000],
    ) {
        let terms = Terms { client_table, server_table, frame: 16_384, window };
        let outcome = Bench::fed(&conversation(&exchanges, terms, cut));
        prop_assert_eq!(&outcome.given_up, &[""; 0]);
        prop_assert_eq!(outcome.out.len(), exchanges.len());
        for out in &outcome.out {
            let (request, response) = (out.request.as_ref().unwrap(), out.response.as_ref().unwrap());
            let target = request.head.strip_prefix("POST /").unwrap().split('?').next().unwrap();
            let (ask, answer) = &exchanges[target.parse::<usize>().unwrap()];
            check(request, ask);
            check(response, answer);
            prop_assert_eq!(out.ending, Ending::Complete);
        }
    }

    /// The same with bytes changed on their way to the tap: no panic, no growth, the law holds.
    #[test]
    fn damaged_conversations_neither_panic_nor_grow(
        exchange in (message(), message()),
        faults in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let terms = Terms { client_table: 4096, server_table: 4096, frame: 16_384, window: 65_535 };
        let mut steps = conversation(&[exchange.clone(), exchange], terms, 500);
        for (step, at, byte) in faults {
            let step = step.index(steps.len());
            let bytes = &mut steps[step].1;
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        Bench::fed(&steps);
    }
}
