//! Whatever comes, in whatever pieces.

use proptest::prelude::*;

use super::*;

fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => any::<u8>(), 6 => prop::sample::select(&b"\r\n\r\n :;0123456789aGETPOHTP/1.chunkedlength-"[..])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes, in whatever pieces: no panic, no growth, the law holds.
    #[test]
    fn arbitrary_bytes_neither_panic_nor_grow(
        steps in prop::collection::vec((any::<bool>(), prop::collection::vec(byte(), 0..300)), 0..20),
        begins_well in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        if begins_well {
            bench.play(&[(Client, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), (Service, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]);
        }
        for (is_client, bytes) in &steps {
            bench.feed(if *is_client { Client } else { Service }, bytes);
            prop_assert!(bench.desk.held() <= 2 * (head::MAX_HEAD + MAX_BODY) + 20 * 300);
        }
        let whole = bench.outcome();
        let mut bench = Bench::new();
        if begins_well {
            bench.play(&[(Client, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), (Service, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")]);
        }
        for (is_client, bytes) in &steps {
            for byte in bytes {
                bench.feed(if *is_client { Client } else { Service }, &[*byte]);
            }
        }
        prop_assert_eq!(bench.outcome(), whole, "byte by byte");
    }

    /// Well-formed exchanges in any cut come out as they went in.
    #[test]
    fn exchanges_survive_any_cut(
        bodies_in in prop::collection::vec((prop::collection::vec(b'a'..=b'z', 0..60), any::<bool>(), any::<bool>()), 1..8),
        cuts in prop::collection::vec(1usize..40, 1..60),
    ) {
        let message = |start: &str, body: &[u8], chunked: bool| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            if chunked {
                let (a, b) = body.split_at(body.len() / 2);
                let chunk = |text: &str| if text.is_empty() { String::new() } else { format!("{:X}\r\n{text}\r\n", text.len()) };
                format!("{start}\r\ntransfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n", chunk(a), chunk(b))
            } else {
                format!("{start}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
        };
        let mut bench = Bench::new();
        let mut cuts = cuts.iter().copied().cycle();
        for (body, chunked_request, chunked_response) in &bodies_in {
            for (from, text) in [
                (Client, message("POST /p HTTP/1.1", body, *chunked_request)),
                (Service, message("HTTP/1.1 200 OK", body, *chunked_response)),
            ] {
                let mut rest = text.as_bytes();
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                    bench.feed(from, piece);
                    rest = after;
                }
            }
        }
        let outcome = bench.outcome();
        prop_assert_eq!(outcome.out.len(), bodies_in.len());
        for (out, (body, ..)) in outcome.out.iter().zip(&bodies_in) {
            prop_assert_eq!(out.request.as_ref().unwrap().body.as_bytes(), &body[..]);
            prop_assert_eq!(out.response.as_ref().unwrap().body.as_bytes(), &body[..]);
        }
    }
}
