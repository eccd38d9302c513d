use super::super::tests::{import, predict};
use super::super::{Format, Note};
use crate::exchange::*;

const MONKEYS: &str = "\n🐵🙈🙉\n";

fn post(body: &str) -> String {
    format!(
        "POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn file(records: &[(&str, &str)]) -> Vec<u8> {
    records
        .iter()
        .map(|(meta, message)| format!("{meta}\n{message}{MONKEYS}"))
        .collect::<String>()
        .into_bytes()
}

fn body(exchange: &Exchange) -> &str {
    std::str::from_utf8(&exchange.request.body.bytes).unwrap()
}

#[test]
fn requests_find_their_responses_whatever_the_order() {
    let records = file(&[
        ("2 bb 1700000002500000000 40", &answer("late")),
        ("1 aa 1700000001000000000 300", &post("first")),
        ("3 aa 1700000001000000000 70", &answer("of a replay")),
        ("1 bb 1700000000000000000 20", &post("second")),
        ("2 aa 1700000001002000000 5000", &answer("fine")),
        ("1 cc 1700000003000000000", &post("alone")),
        ("2 dd 1700000004000000000 1", &answer("whose")),
    ]);
    let (all, imported) = import(&records, None).unwrap();
    let told: Vec<_> = all
        .iter()
        .map(|e| (body(e), e.response.as_ref().map(|r| r.body.bytes.clone()), e.timing, e.ending))
        .collect();
    let timing = |end, start, last| Timing { request_end: end, response_start: start, end: last };
    assert_eq!(
        told,
        [
            (
                "second",
                Some("late".into()),
                timing(Some(20), Some(2_500_000_000), 2_500_000_040),
                Ending::Complete
            ),
            ("first", Some("fine".into()), timing(Some(300), Some(2_000_000), 2_005_000), Ending::Complete),
            ("alone", None, timing(None, None, 0), Ending::Unobserved),
        ]
    );
    let notes = &imported.notes;
    assert_eq!(notes.count(Note::ReplayedResponse), 1);
    assert_eq!(notes.count(Note::ResponseWithoutRequest), 1);
    assert_eq!(notes.count(Note::OutOfOrder), 1);
    assert_eq!(notes.count(Note::NoResponse), 1);
    assert_eq!((imported.conservation.seen, imported.conservation.recorded), (3, 3));
}

#[test]
fn latency_counted_from_the_request_gives_the_same_end() {
    // Older files give a response the instant of its request.
    let records = file(&[("1 a 1000 -1", &post("x")), ("2 a 1000 777", &answer("y"))]);
    let (all, _) = import(&records, None).unwrap();
    assert_eq!(all[0].timing, Timing { request_end: None, response_start: None, end: 777 });
}

#[test]
fn a_body_with_the_separator_is_recovered_by_its_length() {
    let nested = format!("one{MONKEYS}1 ff 5 6\nGET / HTTP/1.1\r\n\r\n{MONKEYS}two\r\n\r\n");
    let chunked = format!(
        "POST /c HTTP/1.1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{nested}\r\n0\r\nX-Trailer: t\r\n\r\n",
        nested.len()
    );
    let records = file(&[("1 a 1", &post(&nested)), ("1 b 2", &chunked), ("1 c 3", &post("next"))]);
    let (all, imported) = import(&records, None).unwrap();
    assert_eq!(all.iter().map(body).collect::<Vec<_>>(), [&nested, &nested, "next"]);
    assert_eq!(all[1].request.trailers.get("x-trailer"), Some(&b"t"[..]));
    assert_eq!(imported.notes.count(Note::SeparatorInBody), 2);
}

#[test]
fn a_body_that_was_cut_ends_at_its_separator_and_costs_no_other() {
    let cut = "POST /p HTTP/1.1\r\nContent-Length: 40\r\n\r\nonly a part";
    let huge = "POST /p HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx";
    let records = file(&[("1 a 1", cut), ("1 b 2", huge), ("1 c 3", &post("next"))]);
    let (all, imported) = import(&records, None).unwrap();
    let told: Vec<_> = all.iter().map(|e| (e.request.body.truncated, e.request.body.original_len)).collect();
    assert_eq!(told, [(true, 40), (true, u64::MAX), (false, 4)]);
    assert_eq!(body(&all[2]), "next");
    assert_eq!(imported.notes.count(Note::BodyCut), 2);
}

#[test]
fn the_end_of_a_file_is_a_record_only_when_it_is_whole() {
    let whole = file(&[("1 a 1", &post("first")), ("1 b 2", &post("second"))]);
    let without_separator = &whole[..whole.len() - MONKEYS.len()];
    for cut in 0..MONKEYS.len() {
        let (all, imported) = import(&whole[..whole.len() - cut], None).unwrap();
        // What is left of a separator that was cut is no part of the body.
        assert_eq!(all.len(), 2, "{cut}");
        assert_eq!(imported.notes.count(Note::TornTail), 0);
    }
    for cut in 1..6 {
        let (all, imported) = import(&without_separator[..without_separator.len() - cut], None).unwrap();
        assert_eq!((all.len(), imported.notes.count(Note::TornTail)), (1, 1), "{cut}");
        assert_eq!(imported.conservation.unparseable, 1);
    }
}

#[test]
fn what_is_no_record_costs_itself_alone() {
    let records = file(&[
        ("1 a 1", &post("first")),
        ("9 x y", "what is this"),
        ("1 b 99999999999999999999999", &post("beyond any clock")),
        ("1 c -5", &post("before any clock")),
        ("1 d 4", "\x16\x03\x01 no HTTP"),
        ("2 d 4 1", "HTTP/9.9 nonsense\r\n\r\n"),
        ("1 e 5", "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        ("1 f 6", &post("last")),
    ]);
    let (all, imported) = import(&records, Some(Format::Gor)).unwrap();
    assert_eq!(all.iter().map(body).collect::<Vec<_>>(), ["first", "last"]);
    assert_eq!((imported.conservation.seen, imported.conservation.unparseable), (7, 5));
    let (note, count) = imported.notes.iter().next().unwrap();
    let offset = post("first").len() + "1 a 1\n".len() + MONKEYS.len();
    assert_eq!((note, &count.first[0]), (Note::Unreadable, &format!("file: byte {offset}")));
}

#[test]
fn an_answer_to_head_has_no_body_whatever_it_declares() {
    let records = file(&[
        ("1 a 1", "HEAD / HTTP/1.1\r\n\r\n"),
        ("2 a 2 1", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("1 b 3", "GET / HTTP/1.1\r\n\r\n"),
        ("2 b 4 1", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ]);
    let (all, imported) = import(&records, None).unwrap();
    assert!(all.iter().all(|e| !e.response.as_ref().unwrap().body.truncated));
    assert_eq!(imported.notes.count(Note::BodyCut), 0);
}

#[test]
fn line_feeds_by_hand_and_ids_used_twice_are_read() {
    let records = file(&[
        ("1 a 1", "POST /x HTTP/1.1\nContent-Type: text/plain\nContent-Length: 2\n\nhi\n"),
        ("1 a 2", &post("again")),
        ("2 a 3 1", &answer("to the later one")),
    ]);
    let (all, imported) = import(&records, None).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(body(&all[0]), "hi");
    assert!(all[0].response.is_none() && all[1].response.is_some());
    assert_eq!(imported.notes.count(Note::DuplicateId), 1);
}

#[test]
fn a_file_of_requests_alone_is_read_in_bounded_memory() {
    let message = post("x");
    let records: Vec<_> = (0..10_000_u64).map(|n| (format!("1 {n:x} {n}"), message.clone())).collect();
    let records: Vec<_> = records.iter().map(|(meta, message)| (&meta[..], &message[..])).collect();
    let (all, imported) = import(&file(&records), None).unwrap();
    assert_eq!((all.len(), imported.notes.count(Note::NoResponse)), (10_000, 10_000));
    assert!(all.iter().zip(0..).all(|(exchange, n)| exchange.arrival.0 == n && exchange.connection == n));
}

#[test]
fn a_response_body_with_a_separator_is_written_so_that_it_can_be_read() {
    let mut exchange = predict(1);
    let response = exchange.response.as_mut().unwrap();
    response.headers = Headers::from(vec![("Content-Type".into(), "text/plain".into())]);
    response.body.bytes = format!("a{MONKEYS}b").into();
    response.body.original_len = response.body.bytes.len() as u64;
    let (file, exported) = super::super::tests::export(&[exchange.clone()], Format::Gor);
    assert_eq!(exported.notes.count(Note::Framing), 1);
    let (back, _) = import(&file, None).unwrap();
    assert_eq!(back[0].response.as_ref().unwrap().body, exchange.response.unwrap().body);
}
