//! Import and export as a whole, on files as other tools write them.

use std::path::Path;

use proptest::prelude::*;

use super::export::{Exporter, Target};
use super::import::{ImportError, Imported, Importer};
use super::*;
use crate::exchange::*;
use crate::{Capture, Key, Policy, Sanitizer};

/// Everything that these tests write may stay, so that what is compared is the interchange and not the sanitizer.
const OPEN: &str = "
version: 1
headers:
  request: [accept, x-note, x-trailer, x-twice]
  response: [x-note, x-trailer]
json: { free_text: ['/**'] }
detectors: { off: [private_key, jwt, api_key, url, email, iban, card, ssn, national_id, bank_account, license, mac, ip,
  phone, birth_date, address, postal_code, token, person] }
";

pub(super) fn input(bytes: &[u8]) -> Input {
    Input::new(Path::new("file"), std::io::Cursor::new(bytes.to_vec())).unwrap()
}

/// Imports one file: the exchanges in order of arrival, and the summary.
pub(super) fn import(bytes: &[u8], format: Option<Format>) -> Result<(Vec<Exchange>, Imported), ImportError> {
    import_with(bytes, format, None)
}

pub(super) fn import_with(
    bytes: &[u8],
    format: Option<Format>,
    synthesis: Option<arrivals::Synthesis>,
) -> Result<(Vec<Exchange>, Imported), ImportError> {
    let dir = tempfile::tempdir().unwrap();
    let policy = Policy::from_yaml(OPEN, "test").unwrap();
    let mut importer = Importer::new(dir.path(), Sanitizer::new(policy, Key::random()), None, synthesis)?;
    importer.read(input(bytes), format)?;
    let imported = importer.finish()?;
    assert!(imported.conservation.holds(), "{:?}", imported.conservation);
    let verification = Capture::verify(&[dir.path()]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    assert_eq!(verification.stats.conservation, imported.conservation);
    let exchanges = Capture::open(&[dir.path()]).unwrap().exchanges().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(exchanges.len() as u64, imported.conservation.recorded);
    Ok((exchanges, imported))
}

/// Exports exchanges: the file, and the summary.
pub(super) fn export(exchanges: &[Exchange], format: Format) -> (Vec<u8>, export::Exported) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let target = (format == Format::Vegeta).then(|| Target::parse("http://127.0.0.1:8080/base/").unwrap());
    let mut exporter = Exporter::to_file(&path, format, target).unwrap();
    exchanges.iter().for_each(|exchange| exporter.write(exchange).unwrap());
    let exported = exporter.finish().unwrap();
    (std::fs::read(&path).unwrap(), exported)
}

/// An exchange with a body of JSON in either direction.
pub(super) fn predict(n: u64) -> Exchange {
    let body = |text: String| Body { original_len: text.len() as u64, bytes: text.into(), ..Body::default() };
    let asked = body(format!("{{\"text\":\"the film was good, number {n}\"}}"));
    let answered = body(format!("{{\"label\":\"POSITIVE\",\"score\":0.{n}}}"));
    let fields = |body: &Body| {
        let length = body.bytes.len().to_string();
        Headers::from(vec![
            ("Content-Type".into(), "application/json".into()),
            ("Content-Length".into(), length.into()),
        ])
    };
    let mut request_fields = fields(&asked);
    request_fields.to_mut().insert(0, ("Host".into(), "sentiment.example:8080".into()));
    Exchange {
        id: ExchangeId(7 << 64 | u128::from(n)),
        connection: n / 2,
        index: (n % 2) as u32,
        arrival: UnixNanos(1_700_000_000_123_456_789 + n * 1_000_000_007),
        request: Request {
            method: "POST".into(),
            target: "/predict?top_k=1".into(),
            version: HttpVersion::Http11,
            headers: request_fields,
            body: asked,
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: fields(&answered),
            body: answered,
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(1_001), response_start: Some(2_000_003), end: 2_500_009 },
        chunks: Vec::new(),
        redactions: Default::default(),
        stamp: Stamp::default(),
        trace_id: None,
    }
}

/// As another tool would give it back: what the format has no place for is the importer's.
fn anonymous(mut exchange: Exchange) -> Exchange {
    (exchange.id, exchange.connection, exchange.index) = (ExchangeId(0), 0, 0);
    exchange
}

#[test]
fn json_lines_come_back_as_they_were() {
    let mut odd = predict(3);
    odd.response = None;
    odd.ending = Ending::UpstreamReset;
    odd.timing = Timing { request_end: None, response_start: None, end: 9 };
    odd.trace_id = Some(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    odd.request.target = "/odd".into();
    odd.redactions = vec![Redaction { class: "email".into(), place: Place::RequestBody, count: 2 }].into();
    let mut streamed = predict(4);
    streamed.chunks = vec![Chunk { offset: 5, len: 2 }, Chunk { offset: 9, len: 1 }];
    let all = vec![predict(1), predict(2), odd, streamed];
    let (file, exported) = export(&all, Format::Jsonl);
    assert_eq!((exported.read, exported.written, exported.notes.iter().count()), (4, 4, 0));
    let (back, imported) = import(&file, None).unwrap();
    assert_eq!(imported.formats, [Format::Jsonl]);
    assert_eq!(back, all);
}

#[test]
fn gor_and_har_come_back_without_ids_and_connections() {
    let all: Vec<_> = (1..6).map(predict).collect();
    let wanted: Vec<_> = all.iter().cloned().map(anonymous).collect();
    for format in [Format::Gor, Format::Har] {
        let (file, exported) = export(&all, format);
        assert_eq!(exported.written, 5);
        let (back, imported) = import(&file, None).unwrap();
        assert_eq!(imported.formats, [format]);
        let back: Vec<_> = back.into_iter().map(anonymous).collect();
        assert_eq!(back, wanted, "{format}");
    }
}

#[test]
fn har_keeps_who_shared_a_connection() {
    let all: Vec<_> = (0..6).map(predict).collect();
    let (back, _) = import(&export(&all, Format::Har).0, None).unwrap();
    let places: Vec<_> = back.iter().map(|exchange| (exchange.connection, exchange.index)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
}

#[test]
fn what_a_format_cannot_carry_is_counted() {
    let mut odd = predict(1);
    odd.request.headers = Headers::from(vec![
        ("Content-Type".into(), "application/json".into()),
        ("Transfer-Encoding".into(), "chunked".into()),
    ]);
    odd.request.trailers = Headers::from(vec![("X-Trailer".into(), "t".into())]);
    odd.chunks = vec![Chunk { offset: 5, len: 2 }];
    odd.ending = Ending::UpstreamClosed;
    odd.redactions = vec![Redaction { class: "email".into(), place: Place::RequestBody, count: 2 }].into();
    let mut cut = predict(2);
    cut.request.body.truncated = true;
    let all = [odd, cut];

    let (file, gor) = export(&all, Format::Gor);
    assert_eq!((gor.read, gor.written), (2, 1));
    for note in [Note::ChunkInstants, Note::Redactions, Note::Endings, Note::RequestIncomplete] {
        assert_eq!(gor.notes.count(note), 1, "{note:?}");
    }
    let (back, _) = import(&file, None).unwrap();
    assert_eq!(back[0].request.trailers, all[0].request.trailers, "trailers survive in chunked framing");
    assert_eq!(back[0].request.body, all[0].request.body);

    let (_, har) = export(&all, Format::Har);
    assert_eq!((har.read, har.written), (2, 1), "the first has no host");
    assert_eq!(har.notes.count(Note::NoHost), 1);
    for format in [Format::Vegeta, Format::Wrk] {
        let (_, load) = export(&all, format);
        assert_eq!((load.written, load.notes.count(Note::RequestIncomplete)), (1, 1), "{format}");
        assert_eq!((load.notes.count(Note::Trailers), load.notes.count(Note::Arrivals)), (1, 1), "{format}");
    }
}

#[test]
fn vegeta_targets_hold_the_whole_url_and_no_credentials() {
    let mut exchange = predict(1);
    for (name, value) in
        [("Authorization", "Bearer x"), ("Connection", "close"), ("X-Twice", "a"), ("X-Twice", "b")]
    {
        exchange.request.headers.to_mut().push((name.into(), value.into()));
    }
    let (file, exported) = export(&[exchange], Format::Vegeta);
    let target: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(target["url"], "http://127.0.0.1:8080/base/predict?top_k=1");
    assert_eq!(target["header"]["X-Twice"], serde_json::json!(["a", "b"]));
    for gone in ["Authorization", "Connection", "Host", "Content-Length"] {
        assert!(target["header"].get(gone).is_none(), "{gone}");
    }
    let body = encoding::unbase64(target["body"].as_str().unwrap()).unwrap();
    assert_eq!(&body[..], b"{\"text\":\"the film was good, number 1\"}");
    assert_eq!(exported.notes.count(Note::CredentialFields), 1);
    assert_eq!(exported.notes.count(Note::HostReplaced), 1);
}

#[test]
fn an_existing_file_or_directory_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.gor");
    std::fs::write(&path, "mine").unwrap();
    let refused = Exporter::to_file(&path, Format::Gor, None).err().unwrap();
    assert!(refused.to_string().contains("exists"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let refused = Importer::new(dir.path(), sanitizer, None, None).err().unwrap();
    assert!(refused.to_string().contains("is not empty"), "{refused}");
}

#[test]
fn foreign_and_empty_files_are_refused_and_leave_nothing() {
    for (bytes, format, told) in [
        (&b"just some notes\n"[..], None, "cannot tell what kind"),
        (b"", None, "holds no"),
        (b"just some notes\n", Some(Format::Nginx), "does not read as nginx"),
        (b"just some notes\n", Some(Format::Gor), "does not read as gor"),
        (b"just some notes\n", Some(Format::Har), "holds no har"),
        (b"{\"log\":{\"entries\":[]}}", None, "holds no har"),
        (b"TIMESTAMP,ContextTokens\n", None, "have no texts"),
        (b"x", Some(Format::Wrk), "is written and not read"),
    ] {
        let error = import(bytes, format).err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("notes"), "{error}");
    }
}

#[test]
fn nothing_unsanitized_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("capture");
    let mut importer =
        Importer::new(&out, Sanitizer::new(Policy::builtin(), Key::random()), None, None).unwrap();
    let secret = "gloria.winter@example.net";
    let body = format!("{{\"text\":\"write to {secret}\"}}");
    let request = format!(
        "POST /users/{secret} HTTP/1.1\r\nCookie: {secret}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let bad = "POST / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{\"a";
    let file = format!("1 a 5 6\n{request}\n🐵🙈🙉\n1 b 7\n{bad}\n🐵🙈🙉\n");
    importer.read(input(file.as_bytes()), None).unwrap();
    let imported = importer.finish().unwrap();
    let counts = imported.conservation;
    assert_eq!((counts.seen, counts.recorded, counts.unsanitizable), (2, 1, 1));
    assert_eq!(imported.notes.unsanitizable().count(), 1);
    let all: Vec<_> = Capture::open(&[&out])
        .unwrap()
        .exchanges()
        .map(|e| jsonl::to_json(&e.unwrap()).to_string())
        .collect();
    assert!(!all[0].contains("gloria") && all[0].contains("write to"), "{}", all[0]);
}

#[test]
fn an_id_that_occurs_twice_becomes_two() {
    let (mut file, _) = export(&[predict(1)], Format::Jsonl);
    file.extend_from_within(..);
    let (back, imported) = import(&file, None).unwrap();
    assert_eq!(imported.notes.count(Note::DuplicateId), 1);
    assert_ne!(back[0].id, back[1].id);
}

#[test]
fn a_redaction_of_an_unknown_class_does_not_carry_words_in() {
    let mut exchange = predict(1);
    exchange.redactions =
        vec![Redaction { class: "gloria winter".into(), place: Place::RequestBody, count: 2 }].into();
    let (back, imported) = import(&export(&[exchange], Format::Jsonl).0, None).unwrap();
    assert_eq!(&*back[0].redactions[0].class, "unknown");
    assert!(back[0].input_changed());
    assert_eq!(imported.notes.count(Note::RedactionUnknown), 1);
}

#[test]
fn gzip_is_read_and_damage_in_it_is_told() {
    use std::io::Write;
    let all: Vec<_> = (0..200).map(predict).collect();
    let (plain, _) = export(&all, Format::Gor);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    let (back, _) = import(&packed, None).unwrap();
    assert_eq!(back.len(), 200);
    let (back, imported) = import(&packed[..packed.len() / 2], None).unwrap();
    assert!(!back.is_empty() && back.len() < 200);
    assert_eq!(imported.notes.count(Note::TornGzip), 1);
}

fn messages() -> impl Strategy<Value = Exchange> {
    let body = prop::collection::vec(any::<u8>(), 0..60);
    (any::<u32>(), "/[a-z0-9/]{0,12}", body.clone(), body, 100_u16..600, any::<bool>(), any::<[u32; 3]>())
        .prop_map(|(n, target, asked, answered, status, has_response, [a, b, c])| {
            let mut exchange = predict(u64::from(n));
            let mut spans = [u64::from(a), u64::from(b), u64::from(c)];
            spans.sort_unstable();
            exchange.request.target = target.into();
            let set = |body: &mut Body, headers: &mut Headers, bytes: Vec<u8>| {
                *headers = Headers::from(vec![
                    ("Content-Type".into(), "application/octet-stream".into()),
                    ("Content-Length".into(), bytes.len().to_string().into()),
                ]);
                *body = Body { original_len: bytes.len() as u64, bytes: bytes.into(), ..Body::default() };
            };
            set(&mut exchange.request.body, &mut exchange.request.headers, asked);
            exchange.timing =
                Timing { request_end: Some(spans[0]), response_start: Some(spans[1]), end: spans[2] };
            match exchange.response.as_mut().filter(|_| has_response) {
                Some(response) => {
                    response.status = status;
                    let bytes = if matches!(status, 100..=199 | 204 | 304) { Vec::new() } else { answered };
                    set(&mut response.body, &mut response.headers, bytes);
                }
                None => {
                    exchange.response = None;
                    exchange.ending = Ending::Unobserved;
                    exchange.timing.response_start = None;
                    exchange.timing.end = spans[0];
                }
            }
            exchange
        })
}

/// Reads a file with the reader of its format alone: what the sanitizer would make of random bytes is not the point.
fn read(mut reader: impl import::Reader) -> Vec<Exchange> {
    let mut notes = Notes::default();
    let mut read = Vec::new();
    while let Some(found) = reader.next(&mut notes).unwrap() {
        match found {
            import::Found::Exchange(exchange, _) => read.push(*exchange),
            import::Found::Dropped(reason) => panic!("{reason:?} {notes:?}"),
        }
    }
    read
}

type Drain = fn(&[u8]);

fn drain(mut reader: impl import::Reader) {
    let mut notes = Notes::default();
    while reader.next(&mut notes).unwrap().is_some() {}
}

proptest! {
    #[test]
    fn any_exchange_survives_gor_and_json_lines(all in prop::collection::vec(messages(), 1..5)) {
        let (file, _) = export(&all, Format::Jsonl);
        prop_assert_eq!(read(jsonl::JsonlReader::new(input(&file))), all.clone());
        let (file, _) = export(&all, Format::Gor);
        let mut back = read(gor::GorReader::new(input(&file)));
        // Ids repeat here, and requests without response come last.
        let key = |exchange: &Exchange| (exchange.arrival, exchange.request.target.clone());
        back.sort_by_key(key);
        let mut wanted: Vec<_> = all.into_iter().map(anonymous).collect();
        wanted.sort_by_key(key);
        for exchange in wanted.iter_mut().filter(|exchange| exchange.response.is_some()) {
            exchange.timing.response_start = exchange.timing.response_start.filter(|start| *start > 0);
        }
        prop_assert_eq!(back, wanted);
    }

    #[test]
    fn no_reader_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cut in any::<u16>(),
        at in any::<u16>(),
        bit in any::<u8>(),
    ) {
        let all = [predict(1), predict(2)];
        let drains: [(Format, Drain); 3] = [
            (Format::Gor, |file| drain(gor::GorReader::new(input(file)))),
            (Format::Har, |file| drain(har::HarReader::new(input(file)))),
            (Format::Jsonl, |file| drain(jsonl::JsonlReader::new(input(file)))),
        ];
        for (format, drain) in drains {
            drain(&bytes);
            let (mut file, _) = export(&all, format);
            let at = usize::from(at) % file.len();
            file[at] ^= bit;
            drain(&file);
            file.truncate(usize::from(cut) % file.len());
            drain(&file);
        }
        drain(nginx::NginxReader::new(input(&bytes)));
    }
}
