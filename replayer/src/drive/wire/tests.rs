use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use super::*;

/// Counts what it sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    first: u32,
    status: u16,
    received: u64,
}

impl Witness for Seen {
    fn first_byte(&mut self) {
        self.first += 1;
    }

    fn status(&mut self, status: u16) {
        self.status = status;
    }

    fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }
}

/// What a response was, read in these pieces: status, body if kept, whether the connection goes on. `None` when it is
/// not over, `Err` when it is none.
type Read1 = Result<Option<(u16, Option<Vec<u8>>, bool)>, Malformed>;

fn read(pieces: &[&[u8]], bodiless: bool, close: bool) -> Read1 {
    let mut body = Vec::new();
    let mut seen = Seen::default();
    let mut incoming = Incoming::new(bodiless, &mut body);
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        incoming.take(piece, &mut seen)?;
    }
    if close && !incoming.is_over() {
        incoming.close()?;
    }
    if !incoming.is_over() {
        return Ok(None);
    }
    let (kept, persistent) = (incoming.kept().is_some(), incoming.is_persistent());
    assert_eq!(seen.first, 1);
    Ok(Some((seen.status, kept.then(|| body.clone()), persistent)))
}

/// Reads a response whole, in two pieces cut at every place, and byte by byte: the same must come of it.
fn cut_everywhere(response: &[u8], bodiless: bool, close: bool) -> Read1 {
    let whole = read(&[response], bodiless, close);
    for at in 0..=response.len() {
        let (one, two) = response.split_at(at);
        assert_eq!(read(&[one, two], bodiless, close), whole, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = response.chunks(1).collect();
    assert_eq!(read(&bytes, bodiless, close), whole, "byte by byte");
    whole
}

#[test]
fn every_framing_is_read_wherever_it_is_cut() {
    let cases: [(&str, u16, Option<&str>, bool); 11] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, Some("hello"), true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, None, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, None, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, None, true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            200,
            Some("abcde"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
            200,
            Some("a"),
            true,
        ),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, Some("x"), true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, Some("x"), false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, Some("x"), false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, Some("x"), true),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", 500, None, true),
    ];
    for (response, status, body, persistent) in cases {
        let expected = (status, body.map(|body| body.as_bytes().to_vec()), persistent);
        assert_eq!(cut_everywhere(response.as_bytes(), false, false), Ok(Some(expected)), "{response}");
    }
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(cut_everywhere(head, true, false), Ok(Some((200, None, true))), "an answer to HEAD");
    let until_close = b"HTTP/1.1 200 OK\r\n\r\nall of it";
    assert_eq!(cut_everywhere(until_close, false, false), Ok(None));
    assert_eq!(cut_everywhere(until_close, false, true), Ok(Some((200, Some(b"all of it".to_vec()), false))));
}

#[test]
fn what_may_be_smuggled_ends_the_connection_or_is_no_response() {
    let both =
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    assert_eq!(cut_everywhere(both, false, false), Ok(Some((200, Some(b"a".to_vec()), false))));
    let unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n";
    assert_eq!(read(&[unasked], false, false), Ok(Some((200, Some(b"x".to_vec()), false))));
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\0\0\0\0",
    ] {
        assert_eq!(cut_everywhere(response.as_bytes(), false, false), Err(Malformed), "{response}");
    }
    assert_eq!(
        read(&[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"], false, true),
        Err(Malformed),
        "cut short"
    );
}

#[test]
fn a_head_without_end_does_not_grow_without_bound() {
    let mut body = Vec::new();
    let mut incoming = Incoming::new(false, &mut body);
    let mut seen = Seen::default();
    incoming.take(b"HTTP/1.1 200 OK\r\n", &mut seen).unwrap();
    let line = format!("x-filler: {}\r\n", "x".repeat(1000));
    let refused = (0..100).find(|_| incoming.take(line.as_bytes(), &mut seen).is_err());
    assert!(refused.is_some_and(|lines| lines < 70), "{refused:?}");
}

/// A server that treats one connection so.
fn server(treat: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || treat(listener.accept().unwrap().0));
    address
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
}

#[test]
fn an_answer_to_half_a_body_is_an_answer_but_nothing_follows_it() {
    let address = server(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
        // Kept open, and not read: the rest of the body can never be written.
        thread::park();
    });
    block_on(async {
        let mut wire = Wire::connect(address, scratch()).await.unwrap();
        let body = vec![b'x'; 32 << 20];
        let mut seen = Seen::default();
        let head =
            |out: &mut Vec<u8>| out.extend_from_slice(b"POST / HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n");
        let complete = wire.exchange(head, &body, false, &mut seen).await.unwrap();
        assert_eq!((seen.status, complete.persistent), (413, false));
    });
}

#[test]
fn a_large_body_arrives_whole() {
    let body: Vec<u8> = (0..4u32 << 20).map(|i| (i % 251) as u8).collect();
    let expected = body.clone();
    let address = server(move |mut stream| {
        read_head(&mut stream);
        let mut arrived = vec![0; expected.len()];
        stream.read_exact(&mut arrived).unwrap();
        let status = if arrived == expected { 200 } else { 400 };
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    block_on(async {
        let mut wire = Wire::connect(address, scratch()).await.unwrap();
        let mut seen = Seen::default();
        let head =
            |out: &mut Vec<u8>| out.extend_from_slice(b"POST / HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n");
        let complete = wire.exchange(head, &body, false, &mut seen).await.unwrap();
        assert_eq!((seen.status, complete.persistent), (200, true));
    });
}

#[test]
fn an_idle_connection_that_was_closed_or_spoke_unasked_is_spent() {
    for unasked in [&b""[..], b"HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let address = server(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            // Only now may the connection go bad: the client says so by a byte.
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(unasked).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            thread::park();
        });
        block_on(async {
            let mut wire = Wire::connect(address, scratch()).await.unwrap();
            let head = |out: &mut Vec<u8>| out.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            let complete = wire.exchange(head, b"", false, &mut Seen::default()).await.unwrap();
            assert!(complete.persistent && !wire.is_spent());
            wire.stream.try_write(b"x").unwrap();
            wire.stream.readable().await.unwrap();
            assert!(wire.is_spent());
        });
    }
}
