use std::io::Write;

use super::super::Key;
use super::super::policy::Policy;
use super::super::pseudonym::Pseudonyms;
use super::*;

const SECRET: &[u8] = b"{\"text\":\"fine\",\"user\":\"Ada Lovelace\"}";

fn headers(fields: &[(&str, &str)]) -> Headers {
    let owned = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    Headers(fields.iter().map(|(n, v)| (owned(n), owned(v))).collect())
}

fn body(bytes: &[u8]) -> Body {
    Body { bytes: Bytes::copy_from_slice(bytes), original_len: bytes.len() as u64, ..Body::default() }
}

fn sanitize_under(policy: &str, bytes: &[u8], fields: &[(&str, &str)]) -> Result<Body, Reason> {
    let policy = Policy::from_yaml(policy, "test").unwrap();
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), policy.detectors());
    Bodies::new(policy.rules()).sanitize(body(bytes), &headers(fields), Place::RequestBody, &mut masker)
}

fn sanitize(bytes: &[u8], fields: &[(&str, &str)]) -> Result<Body, Reason> {
    sanitize_under("version: 1", bytes, fields)
}

fn text(body: &Body) -> &str {
    std::str::from_utf8(&body.bytes).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const JSON: (&str, &str) = ("Content-Type", "application/json; charset=utf-8");

#[test]
fn known_codings_are_removed_and_named() {
    let twice = gzip(&zlib(SECRET));
    for (coding, bytes) in [
        ("gzip", gzip(SECRET)),
        ("deflate", zlib(SECRET)),
        ("deflate", deflate(SECRET)),
        ("zstd", zstd::stream::encode_all(SECRET, 3).unwrap()),
        ("deflate, gzip", twice),
    ] {
        let new = sanitize(&bytes, &[JSON, ("content-encoding", coding)]).unwrap();
        assert_eq!(new.decoded_from.as_deref(), Some(coding));
        assert_eq!(new.original_len, bytes.len() as u64);
        assert!(
            text(&new).starts_with("{\"text\":\"fine\",\"user\":\"") && !text(&new).contains("Ada"),
            "{coding}"
        );
    }
}

#[test]
fn unknown_and_damaged_codings_are_refused() {
    let gzipped = gzip(SECRET);
    let torn = &gzipped[..gzipped.len() - 5];
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "br")]), Err("the content coding is unknown"));
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "gzip")]), Err(TORN));
    assert_eq!(sanitize(torn, &[JSON, ("content-encoding", "gzip")]), Err(TORN));
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "zstd")]), Err(TORN));
    // Declared in two fields, applied in order.
    let fields = [JSON, ("content-encoding", "gzip"), ("content-encoding", "br")];
    assert_eq!(sanitize(&gzipped, &fields), Err("the content coding is unknown"));
}

#[test]
fn a_decompression_bomb_stops_at_the_limit() {
    let zeros = vec![b' '; 8 << 20];
    let policy = "version: 1\nmax_decoded_bytes: 1000000";
    for (coding, bomb) in [("gzip", gzip(&zeros)), ("zstd", zstd::stream::encode_all(&zeros[..], 3).unwrap())]
    {
        assert!(bomb.len() < 20_000);
        let result = sanitize_under(policy, &bomb, &[JSON, ("content-encoding", coding)]);
        assert_eq!(result, Err("the decoded body is over the policy's limit"), "{coding}");
    }
}

#[test]
fn types_without_a_rule_are_dropped_or_refused() {
    for media in [
        "multipart/form-data; boundary=x",
        "application/grpc",
        "application/octet-stream",
        "text/html",
        "nonsense",
        "application/json; charset=utf-16",
        "text/plain; charset=latin1",
    ] {
        let new = sanitize(SECRET, &[("content-type", media), ("content-encoding", "br")]).unwrap();
        assert_eq!((new.bytes.len(), new.original_len), (0, SECRET.len() as u64), "{media}");
        let refused =
            sanitize_under("version: 1\nunknown_content: refuse", SECRET, &[("content-type", media)]);
        assert!(refused.is_err(), "{media}");
    }
    assert!(sanitize(SECRET, &[]).unwrap().bytes.is_empty(), "undeclared");
    assert!(sanitize(SECRET, &[JSON, JSON]).unwrap().bytes.is_empty(), "declared twice");
}

#[test]
fn a_policy_can_read_other_types() {
    let policy =
        "version: 1\ncontent_types: [{type: application/vnd.own, as: json}, {type: text/*, as: refuse}]";
    assert!(
        !sanitize_under(policy, SECRET, &[("content-type", "application/vnd.own")]).unwrap().bytes.is_empty()
    );
    assert!(sanitize_under(policy, SECRET, &[("content-type", "text/plain")]).is_err());
}

#[test]
fn bodies_that_are_not_what_they_declare_are_refused() {
    assert_eq!(sanitize(b"{\"text\":", &[JSON]), Err("not valid JSON"));
    assert_eq!(sanitize(b"Ada Lovelace", &[JSON]), Err("not valid JSON"));
    assert_eq!(sanitize(b"\"\xff\"", &[JSON]), Err("not valid UTF-8"));
    assert_eq!(sanitize(b"\xff", &[("content-type", "text/plain")]), Err("not valid UTF-8"));
    assert_eq!(
        sanitize(b"a=%ff", &[("content-type", "application/x-www-form-urlencoded")]),
        Err("not valid UTF-8")
    );
    let deep = "[".repeat(200);
    assert_eq!(sanitize(deep.as_bytes(), &[JSON]), Err("JSON nested deeper than the policy's limit"));
}

#[test]
fn a_truncated_body_is_dropped() {
    let policy = Policy::builtin();
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), policy.detectors());
    let cut = Body { truncated: true, original_len: 900, ..body(&SECRET[..20]) };
    let new = Bodies::new(policy.rules())
        .sanitize(cut, &headers(&[JSON]), Place::ResponseBody, &mut masker)
        .unwrap();
    assert!(new.bytes.is_empty() && new.truncated && new.original_len == 900);
    assert_eq!(masker.redactions()[0].class, "body");
}

#[test]
fn forms_keep_names_and_declared_free_text() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let new = sanitize(b"text=so+good+%3A%29&user=Ada+L%6fvelace&mail%40example.com=1", &form).unwrap();
    let new = text(&new);
    assert!(new.starts_with("text=so+good+%3A%29&user="), "{new}");
    assert!(!new.contains("Ada") && !new.contains("velace") && !new.contains("example"), "{new}");
    // JSON under the wrong type: nothing of it passes as a parameter name.
    let new = sanitize(SECRET, &form).unwrap();
    assert!(!text(&new).contains("Ada") && !text(&new).contains("fine"));
}

#[test]
fn plain_text_is_free_text() {
    let new = sanitize(b"thanks, write to ada@example.com", &[("content-type", "text/plain")]).unwrap();
    assert!(text(&new).starts_with("thanks, write to ") && !text(&new).contains("ada@example"));
}

#[test]
fn json_lines_are_read_line_by_line() {
    let lines = b"{\"label\":\"POSITIVE\",\"user\":\"Ada\"}\r\n\n{\"user\":\"Bob\"}\n";
    let new = sanitize(lines, &[("content-type", "application/x-ndjson")]).unwrap();
    let new = text(&new);
    assert!(
        new.starts_with("{\"label\":\"POSITIVE\"") && !new.contains("Ada") && !new.contains("Bob"),
        "{new}"
    );
    assert!(sanitize(b"{}\n{\n", &[("content-type", "application/x-ndjson")]).is_err());
}

#[test]
fn event_streams_keep_their_frame() {
    let stream = "event: delta\nid: 7f\nretry: 100\n: note by Ada\n\
                  data: {\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"Ada\"}}]}\r\n\r\n\
                  data: plain Ada\n\nAda: x\ndata: [DONE]\n\n";
    let events = [("content-type", "text/event-stream")];
    let new = sanitize(stream.as_bytes(), &events).unwrap();
    let new = text(&new);
    assert_eq!(new.len(), stream.len());
    assert!(!new.contains("Ada"), "{new}");
    for frame in [
        "event: delta\n",
        "retry: 100\n",
        "\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"",
        "data: [DONE]\n\n",
    ] {
        assert!(new.contains(frame), "{frame:?} in {new}");
    }
    assert!(sanitize(b"data: {\"a\":\n\n", &events).is_err());
}
