use serde_json::{Value, json};

use super::super::tests::import;
use super::super::{Format, Note};
use crate::exchange::*;

fn entry() -> Value {
    json!({
        "startedDateTime": "2026-03-01T10:00:00.250+02:00",
        "time": 12.5,
        "request": {
            "method": "POST", "url": "https://api.example.com/predict?top_k=2#part", "httpVersion": "h2",
            "headers": [
                { "name": ":authority", "value": "api.example.com" }, { "name": ":method", "value": "POST" },
                { "name": "content-type", "value": "application/json" },
            ],
            "queryString": [{ "name": "top_k", "value": "2" }], "cookies": [], "headersSize": -1, "bodySize": 15,
            "postData": { "mimeType": "application/json", "text": "{\"text\":\"good\"}" },
        },
        "response": {
            "status": 200, "statusText": "", "httpVersion": "h2", "cookies": [], "redirectURL": "",
            "headers": [
                { "name": "content-type", "value": "text/plain" }, { "name": "content-encoding", "value": "gzip" },
            ],
            "content": { "size": 4, "mimeType": "text/plain", "text": "w6RiYw==", "encoding": "base64" },
            "headersSize": -1, "bodySize": 24,
        },
        "cache": {},
        "timings": { "blocked": 1.5, "dns": -1, "connect": -1, "ssl": -1, "send": 1, "wait": 8, "receive": 2 },
        "connection": "443",
    })
}

fn archive(entries: &[Value]) -> Vec<u8> {
    json!({ "log": { "version": "1.2", "creator": { "name": "a \"log\": [", "version": "entries" }, "pages": [{}], "entries": entries } })
        .to_string()
        .into_bytes()
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut entry = entry();
    change(&mut entry);
    entry
}

#[test]
fn an_entry_of_a_browser_is_read_whole() {
    let (all, imported) = import(&archive(&[entry()]), None).unwrap();
    let exchange = &all[0];
    assert_eq!(exchange.arrival.to_string(), "2026-03-01T08:00:00.250000000Z");
    let timing = Timing { request_end: Some(2_500_000), response_start: Some(10_500_000), end: 12_500_000 };
    assert_eq!(exchange.timing, timing);
    assert_eq!(&exchange.request.target[..], b"/predict?top_k=2");
    assert_eq!(exchange.request.version, HttpVersion::Http2);
    assert_eq!(exchange.request.headers.get("host"), Some(&b"api.example.com"[..]));
    assert_eq!(&exchange.request.body.bytes[..], b"{\"text\":\"good\"}");
    let body = &exchange.response.as_ref().unwrap().body;
    assert_eq!((&body.bytes[..], body.original_len), ("äbc".as_bytes(), 24));
    assert_eq!(body.decoded_from.as_deref(), Some("gzip"));
    for note in [Note::PseudoFields, Note::HostFromUrl, Note::ContentDecoded] {
        assert!(imported.notes.count(note) > 0, "{note:?}");
    }
}

#[test]
fn a_request_that_timed_out_has_no_response() {
    let timed_out = |error: Option<&str>| {
        with(|entry| {
            entry["response"] =
                json!({ "status": 0, "statusText": "", "headers": [], "content": {}, "_error": error });
            entry["timings"] = json!({ "blocked": 3.0, "send": 0, "wait": 0, "receive": 0 });
        })
    };
    let entries =
        [timed_out(Some("net::ERR_TIMED_OUT")), timed_out(Some("net::ERR_ABORTED")), timed_out(None)];
    let (all, imported) = import(&archive(&entries), None).unwrap();
    assert!(all.iter().all(|exchange| exchange.response.is_none()));
    let mut endings: Vec<_> = all.iter().map(|exchange| exchange.ending.name()).collect();
    endings.sort_unstable();
    assert_eq!(endings, ["client_abort", "unobserved", "unobserved"]);
    assert_eq!(imported.notes.count(Note::NoResponse), 3);
}

#[test]
fn forms_and_queries_are_made_again_of_their_parameters() {
    let form = with(|entry| {
        entry["request"]["headers"] =
            json!([{ "name": "Content-Type", "value": "application/x-www-form-urlencoded" }]);
        entry["request"]["url"] = "http://a/p".into();
        entry["request"]["queryString"] = json!([{ "name": "top_k", "value": "1 &" }]);
        entry["request"]["postData"] = json!({
            "mimeType": "application/x-www-form-urlencoded",
            "params": [{ "name": "text", "value": "ä b" }, { "name": "stream", "value": "x" }],
        });
    });
    let (all, imported) = import(&archive(&[form]), None).unwrap();
    assert_eq!(&all[0].request.body.bytes[..], b"text=%C3%A4+b&stream=x");
    assert!(all[0].request.target.starts_with(b"/p?top_k="));
    assert_eq!((imported.notes.count(Note::FormRebuilt), imported.notes.count(Note::QueryRebuilt)), (1, 1));
}

#[test]
fn bodies_that_the_archive_does_not_have_are_truncated() {
    let absent = with(|entry| {
        entry["request"]["postData"] =
            json!({ "mimeType": "multipart/form-data; boundary=x", "params": [{ "name": "f" }] });
        entry["response"]["content"] = json!({ "size": 900, "mimeType": "image/png" });
    });
    let (all, imported) = import(&archive(&[absent]), None).unwrap();
    assert!(all[0].request.body.truncated && all[0].response.as_ref().unwrap().body.truncated);
    assert_eq!(imported.notes.count(Note::BodyAbsent), 2);
}

#[test]
fn an_entry_that_is_wrong_costs_itself_alone() {
    let instant = |text: &str| with(|entry| entry["startedDateTime"] = text.into());
    let entries = [
        entry(),
        json!({ "request": 5 }),
        instant("yesterday"),
        instant("9999-12-31T23:59:59Z"),
        instant("0000-01-01T00:00:00Z"),
        with(|entry| entry["response"]["status"] = json!(-7)),
        with(|entry| entry["response"]["content"]["text"] = "***".into()),
        with(|entry| entry["time"] = json!(-1e300)),
    ];
    let (all, imported) = import(&archive(&entries), None).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((imported.conservation.seen, imported.conservation.unparseable), (8, 6));
    assert_eq!(imported.notes.count(Note::BadInstant), 3);
    let (_, count) = imported.notes.iter().find(|(note, _)| *note == Note::Unreadable).unwrap();
    assert!(count.first[0].starts_with("file: byte "), "{:?}", count.first);
}

#[test]
fn an_archive_that_was_cut_gives_what_is_whole() {
    let whole = archive(&[entry(), entry(), entry()]);
    let torn = &whole[..whole.len() - 100];
    let (all, imported) = import(torn, None).unwrap();
    assert_eq!((all.len(), imported.notes.count(Note::TornTail)), (2, 1));
}

#[test]
fn entries_elsewhere_and_deep_nesting_are_not_taken_for_the_log() {
    let decoy = br#"{"x":{"entries":[{"a":1}]},"log":{"a":{"entries":[{}]},"entries":"log"}}"#;
    assert!(import(decoy, Some(Format::Har)).is_err());
    let mut deep = br#"{"log":{"entries":["#.to_vec();
    deep.extend(std::iter::repeat_n(b"{\"a\":[", 100_000).flatten());
    assert!(import(&deep, Some(Format::Har)).is_err());
    let mut before = br#"{"log":{"pages":"#.to_vec();
    before.extend(std::iter::repeat_n(b'[', 100_000));
    assert!(import(&before, Some(Format::Har)).is_err());
}

#[test]
fn versions_and_indented_archives_of_other_writers_are_read() {
    for (name, version) in [
        ("HTTP/1.0", HttpVersion::Http10),
        ("http/2.0", HttpVersion::Http2),
        ("h3", HttpVersion::Http2),
        ("", HttpVersion::Http11),
        ("unknown", HttpVersion::Http11),
    ] {
        let entry = with(|entry| entry["request"]["httpVersion"] = name.into());
        let pretty = serde_json::to_vec_pretty(&json!({ "log": { "entries": [entry] } })).unwrap();
        let marked = [&b"\xef\xbb\xbf"[..], &pretty].concat();
        let (all, _) = import(&marked, None).unwrap();
        assert_eq!(all[0].request.version, version, "{name}");
    }
}
