use super::super::tests::import;
use super::super::{Format, Note};
use crate::exchange::*;

#[test]
fn a_combined_log_gives_arrivals_and_no_bodies() {
    let log = concat!(
        r#"10.0.0.7 - - [02/Mar/2026:10:00:05 +0100] "GET /health?x=1 HTTP/1.1" 200 612 "-" "curl/8.5""#,
        "\n",
        r#"10.0.0.7 - eva [02/Mar/2026:10:00:06 +0100] "POST /predict HTTP/2.0" 201 17 "-" "py" 1.250"#,
        "\n",
        r#"::1 - - [02/Mar/2026:10:00:07 +0100] "GET /slow HTTP/1.0" 499 0 "-" "-" "10.1.1.1" rt=0.500 uct="0.1""#,
        "\n"
    );
    let (all, imported) = import(log.as_bytes(), None).unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|e| {
            (
                e.arrival.to_string(),
                String::from_utf8_lossy(&e.request.target).into_owned(),
                e.timing.end,
                e.ending.name(),
            )
        })
        .collect();
    let at = |text: &str| format!("2026-03-02T09:00:{text}Z");
    assert_eq!(
        told,
        [
            (at("04.750000000"), "/predict".to_owned(), 1_250_000_000, "complete"),
            (at("05.000000000"), told[1].1.clone(), 0, "complete"),
            (at("06.500000000"), "/slow".to_owned(), 500_000_000, "client_abort"),
        ]
    );
    assert!(all[0].request.body.truncated, "a POST has a body that the log does not have");
    assert!(!all[1].request.body.truncated);
    let body = &all[1].response.as_ref().unwrap().body;
    assert!(body.truncated && body.original_len == 612);
    assert!(all[2].response.is_none());
    let notes = &imported.notes;
    assert_eq!((notes.count(Note::ClockSecond), notes.count(Note::NoDuration)), (3, 1));
    assert_eq!((notes.count(Note::ClientDropped), notes.count(Note::BodyAbsent)), (3, 2));
}

#[test]
fn a_json_log_is_read_by_the_names_of_nginx() {
    let log = concat!(
        r#"{"msec":"1772445605.250","request":"GET /a HTTP/1.1","status":"200","body_bytes_sent":"0","request_time":"0.125","connection":"77","http_host":"a.example"}"#,
        "\n",
        r#"{"time_iso8601":"2026-03-02T10:00:06+00:00","request_method":"GET","request_uri":"/b","args":"-","status":404,"bytes_sent":3,"request_time":0.5,"connection":77}"#,
        "\n"
    );
    let (all, imported) = import(log.as_bytes(), None).unwrap();
    assert_eq!(all[0].arrival, UnixNanos(1_772_445_605_125_000_000));
    assert_eq!((all[1].connection, all[1].index), (all[0].connection, 1));
    assert_eq!(all[0].request.headers.get("host"), Some(&b"a.example"[..]));
    assert_eq!(all[1].response.as_ref().unwrap().status, 404);
    assert_eq!((imported.notes.count(Note::ClockMilli), imported.notes.count(Note::ClockSecond)), (1, 1));
}

#[test]
fn lines_that_are_no_requests_cost_themselves_alone() {
    let line = |request: &str, at: &str| format!("1.2.3.4 - - [{at}] \"{request}\" 400 0 \"-\" \"-\"\n");
    let good = "02/Mar/2026:10:00:05 +0100";
    let log = [
        line("GET /fine HTTP/1.1", good),
        line(r"\x16\x03\x01\x02", good),
        line("", good),
        line("GET /a b HTTP/1.1", good),
        line("GET / HTTP/1.1", "02/Mar/0000:10:00:05 +0100"),
        line("GET / HTTP/1.1", "99/Foo/2026:10:00:05 +0100"),
        "[ ] \"\n".to_owned(),
        "{\"msec\":\"99999999999999999999.0\",\"request\":\"GET / HTTP/1.1\"}\n".to_owned(),
        "{\"msec\":\"18446744073.709551615\",\"request\":\"GET /last HTTP/1.1\",\"request_time\":\"9e9\"}\n"
            .to_owned(),
    ]
    .concat();
    let (all, imported) = import(log.as_bytes(), Some(Format::Nginx)).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!((imported.conservation.seen, imported.conservation.unparseable), (9, 7));
    let (_, count) = imported.notes.iter().find(|(note, _)| *note == Note::NotHttp).unwrap();
    assert_eq!(count.first, ["file:2", "file:3", "file:4"]);
}

#[test]
fn escapes_in_a_request_are_undone() {
    let log = "h - - [02/Mar/2026:10:00:05 +0100] \"GET /q?a=\\x22b\\x5C HTTP/1.1\" 200 0 \"-\" \"a \\\"quoted\\\" agent\" 0.001\n";
    let mut reader = super::NginxReader::new(super::super::tests::input(log.as_bytes()));
    let found = super::Reader::next(&mut reader, &mut super::Notes::default()).unwrap().unwrap();
    let super::Found::Exchange(exchange, _) = found else { panic!() };
    assert_eq!(&exchange.request.target[..], b"/q?a=\"b\\");
    assert_eq!(exchange.request.headers.get("user-agent"), Some(&b"a \"quoted\" agent"[..]));
}
