use super::super::{Key, Policy, Sanitizer};
use super::canary::{Canaries, CanaryError};
use super::explain::Fate;
use super::scan::{Leak, Scanner};
use crate::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Place, Request, Response, Stamp, Timing,
    UnixNanos,
};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let owned = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
    fields.iter().map(|(name, value)| (owned(name), owned(value))).collect()
}

fn body(bytes: &[u8]) -> Body {
    Body { bytes: bytes.to_vec().into(), original_len: bytes.len() as u64, ..Body::default() }
}

fn exchange(target: &str, fields: &[(&str, &str)], request: &[u8], response: &[u8]) -> Exchange {
    let answered = Response {
        status: 200,
        version: HttpVersion::Http11,
        headers: headers(&[("content-type", "application/json")]),
        body: body(response),
        trailers: Headers::default(),
    };
    Exchange {
        id: ExchangeId(1),
        connection: 1,
        index: 0,
        arrival: UnixNanos(1),
        request: Request {
            method: "POST".into(),
            target: target.as_bytes().to_vec().into(),
            version: HttpVersion::Http11,
            headers: headers(fields),
            body: body(request),
            trailers: Headers::default(),
        },
        response: Some(answered),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn observed() -> Exchange {
    exchange(
        "/v1/users/ada;s=1/reviews?q=ada%40example.com&page=2",
        &[JSON, ("Host", "reviews"), ("Cookie", "s=1"), ("X-Request-Id", "r-1"), ("Content-Length", "7")],
        br#"{"text":"call 020 7946 0958 or write to ada@example.com","user":"Ada","tags":["x","Ada L"],"n":4111111111111111}"#,
        br#"{"label":"POSITIVE","note":"for Ada"}"#,
    )
}

fn scan(exchange: &Exchange, canaries: &[&str]) -> Vec<Leak> {
    let canaries: Vec<String> = canaries.iter().map(|c| (*c).to_owned()).collect();
    Scanner::new(Policy::builtin(), Canaries::new(&canaries).unwrap()).scan(exchange)
}

#[test]
fn an_explanation_says_of_each_piece_what_happens_and_why() {
    let explanation = Sanitizer::new(Policy::builtin(), Key::random()).explain(&observed());
    assert!(explanation.result.is_ok());
    let fate = |place: Place, at: &str| {
        let piece = explanation.pieces.iter().find(|piece| piece.place == place && piece.at == at);
        piece.map(|piece| piece.fate.clone()).unwrap_or_else(|| panic!("{at}: {:#?}", explanation.pieces))
    };
    assert_eq!(fate(Place::Target, "path segment 3"), Fate::Replaced);
    assert_eq!(fate(Place::Target, "?q"), Fate::Replaced);
    assert_eq!(fate(Place::Target, "?page"), Fate::Kept);
    assert_eq!(fate(Place::RequestHeader, "Host"), Fate::Kept);
    assert!(matches!(fate(Place::RequestHeader, "Cookie"), Fate::Dropped(_)));
    assert_eq!(fate(Place::RequestHeader, "X-Request-Id"), Fate::Token);
    assert_eq!(fate(Place::RequestHeader, "Content-Length"), Fate::Corrected);
    assert_eq!(fate(Place::RequestBody, "/text"), Fate::Found(vec!["email", "phone"]));
    assert_eq!(fate(Place::RequestBody, "/user"), Fate::Replaced);
    assert_eq!(fate(Place::RequestBody, "/tags/1"), Fate::Replaced);
    assert_eq!(fate(Place::RequestBody, "/n"), Fate::Found(vec!["card"]));
    assert_eq!(fate(Place::ResponseBody, "/label"), Fate::Kept);
    assert_eq!(fate(Place::ResponseBody, "/note"), Fate::Replaced);
}

#[test]
fn a_sanitized_exchange_has_nothing_unexplained() {
    let sanitized = Sanitizer::new(Policy::builtin(), Key::random()).sanitize(observed()).unwrap();
    let leaks = scan(&sanitized, &["ada@example.com", "020 7946 0958"]);
    assert!(leaks.iter().all(|leak| leak.explained), "{leaks:#?}");
    assert!(leaks.iter().any(|leak| leak.class == "email" && leak.place == Place::RequestBody));
}

#[test]
fn what_was_not_replaced_is_a_leak_with_its_place() {
    let mut sanitized =
        Sanitizer::new(Policy::builtin(), Key::random()).sanitize(observed()).unwrap().into_inner();
    let mut text = String::from_utf8(sanitized.request.body.bytes.to_vec()).unwrap();
    text = text.replace("\"tags\"", "\"mail\":[\"grace@example.com\"],\"tags\"");
    sanitized.request.body.bytes = text.into();
    sanitized.request.headers.push("accept", "grace@example.com");
    sanitized.redactions = sanitized.redactions.iter().filter(|r| &*r.class != "string").cloned().collect();
    let leaks: Vec<_> = scan(&sanitized, &[]).into_iter().filter(|leak| !leak.explained).collect();
    let places: Vec<_> = leaks.iter().map(|leak| (leak.class, leak.place, leak.at.as_str())).collect();
    assert!(places.contains(&("email", Place::RequestHeader, "accept")), "{places:?}");
    assert!(places.iter().any(|(class, place, _)| *class == "email" && *place == Place::RequestBody));
    let shown = format!("{leaks:?}");
    assert!(!shown.contains("grace"), "never the value");
    // One more than the exchange says it replaced.
    assert_eq!(
        leaks.iter().filter(|leak| leak.place == Place::RequestBody && leak.class == "email").count(),
        1
    );
}

#[test]
fn bodies_that_no_rule_reads_are_searched_as_text() {
    for (media, content) in [
        ("text/html", &b"<p>ada@example.com</p>"[..]),
        ("application/json", b"{\"torn\": \"ada@example.com"),
        ("application/octet-stream", b"\xff\xfe ada@example.com \x00"),
    ] {
        let leaks = scan(&exchange("/", &[("content-type", media)], content, b"{}"), &[]);
        assert!(leaks.iter().any(|leak| leak.class == "email" && !leak.explained), "{media}: {leaks:?}");
    }
}

#[test]
fn canaries_are_found_in_any_form() {
    let cases: [(&[u8], &str); 7] = [
        (br#"{"a":"say Zanzibar"}"#, "as it is"),
        (br#"{"ZANZIBAR":1}"#, "as it is"),
        (br#"{"a":"\u005aanzib\u0061r"}"#, "JSON-escaped"),
        (br#"{"a":"x%20%5aanzibar"}"#, "percent"),
        (br#"{"a":"%255aanzibar"}"#, "percent"),
        (br#"{"a":"eFphbnppYmFy"}"#, "base64"),
        (br#"{"a":"WmFuemliYXI="}"#, "base64"),
    ];
    for (content, form) in cases {
        let leaks = scan(&exchange("/", &[JSON], content, b"{}"), &["nothing else", "Zanzibar"]);
        let found: Vec<_> = leaks.iter().filter(|leak| leak.class == "canary").collect();
        assert_eq!(found.len(), 1, "{}: {leaks:?}", String::from_utf8_lossy(content));
        assert!(found[0].canary == Some(2) && found[0].at.contains(form) && !found[0].explained, "{found:?}");
    }
    let everywhere = exchange("/zanzibar?zanzibar=zanzibar", &[("x-zanzibar", "zanzibar")], b"", b"zanzibar");
    let found = scan(&everywhere, &["Zanzibar"]).into_iter().filter(|leak| leak.class == "canary").count();
    assert_eq!(found, 6);
}

#[test]
fn short_canaries_are_refused_without_quoting_them() {
    let refused = Canaries::new(&["fine one".to_owned(), "abc".to_owned()]).map(|_| ()).unwrap_err();
    assert!(matches!(refused, CanaryError::TooShort { number: 2 }));
    assert!(!refused.to_string().contains("abc"));
}

#[test]
fn places_are_named_in_every_kind_of_body() {
    for (media, content, at) in [
        ("application/json", &b"{\"a\":{\"b/c\":[0,{\"d\":\"ada@example.com\"}]}}"[..], "/a/b~1c/1/d"),
        ("application/json", b"{\"a\":{\"ada@example.com\":1}}", "/a/ (a name)"),
        ("application/x-ndjson", b"{}\n{\"a\":\"ada@example.com\"}", "line 2 /a"),
        ("application/x-www-form-urlencoded", b"x=1&mail=ada%40example.com", "mail"),
        ("text/event-stream", b"event: x\ndata: {\"a\":\"ada@example.com\"}\n\n", "line 2 /a"),
        ("text/event-stream", b"data: {\"b\":1,\ndata: \"a\":\"ada@example.com\"}\n\n", "line 2"),
        ("text/plain", b"x\ny ada@example.com", "line 1"),
    ] {
        let leaks = scan(&exchange("/", &[("content-type", media)], content, b"{}"), &[]);
        assert_eq!(leaks.iter().map(|leak| leak.at.as_str()).collect::<Vec<_>>(), [at], "{media}");
    }
}

#[test]
fn the_name_of_a_place_never_quotes_a_finding() {
    let content =
        br#"{"ada@example.com":{"grace@example.com":"mail bob@example.com"},"zanzibar":["zanzibar"]}"#;
    let fields = [JSON, ("x-zanzibar", "ada@example.com")];
    let leaks =
        scan(&exchange("/?ada%40example.com=ada@example.com", &fields, content, b"{}"), &["Zanzibar"]);
    assert!(leaks.len() >= 6, "{leaks:#?}");
    let shown = format!("{leaks:?}").to_lowercase();
    assert!(!shown.contains("example") && !shown.contains("zanzibar"), "{shown}");
}
