use std::io::Write;

use super::super::Key;
use super::super::policy::Policy;
use super::super::pseudonym::Pseudonyms;
use super::*;

const SECRET: &[u8] = b"{\"text\":\"fine\",\"user\":\"Ada Lovelace\"}";

fn headers(fields: &[(&str, &str)]) -> Headers {
    let owned = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    fields.iter().map(|(n, v)| (owned(n), owned(v))).collect()
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
    const TORN: Reason = "the content coding is damaged";
    let other = sanitize(SECRET, &[JSON, ("content-encoding", "compress")]);
    assert_eq!(other, Err("the content coding is unknown"));
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "br")]), Err(TORN));
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "gzip")]), Err(TORN));
    assert_eq!(sanitize(torn, &[JSON, ("content-encoding", "gzip")]), Err(TORN));
    assert_eq!(sanitize(SECRET, &[JSON, ("content-encoding", "zstd")]), Err(TORN));
    // Declared in two fields, applied in order.
    let fields = [JSON, ("content-encoding", "gzip"), ("content-encoding", "own")];
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
        "multipart/mixed; boundary=x",
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
    assert_eq!(&*masker.redactions(Vec::new())[0].class, "body");
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

fn brotli(bytes: &[u8]) -> Vec<u8> {
    // One stored meta-block and an empty last one (RFC 7932, 9.2): window bits 16, no compression, lengths on 16 bits.
    assert!((2..=1 << 16).contains(&bytes.len()));
    // Bits, least significant first: WBITS 0; ISLAST 0; MNIBBLES 00; MLEN-1 on 16 bits; ISUNCOMPRESSED 1.
    let head = ((bytes.len() as u32 - 1) << 4) | 1 << 20;
    let mut out = head.to_le_bytes()[..3].to_vec();
    out.extend_from_slice(bytes);
    out.push(0b11);
    out
}

#[test]
fn brotli_is_removed_bounded_and_refused_when_torn() {
    let fields = [JSON, ("content-encoding", "br")];
    let new = sanitize(&brotli(SECRET), &fields).unwrap();
    assert_eq!(new.decoded_from.as_deref(), Some("br"));
    assert!(text(&new).starts_with("{\"text\":\"fine\",\"user\":\"") && !text(&new).contains("Ada"));
    let whole = brotli(SECRET);
    assert_eq!(sanitize(&whole[..whole.len() - 5], &fields), Err("the content coding is damaged"));
    let large = brotli(&[b' '; 60_000]);
    let result = sanitize_under("version: 1\nmax_decoded_bytes: 1000", &large, &fields);
    assert_eq!(result, Err("the decoded body is over the policy's limit"));
    let many = ("content-encoding", "gzip, gzip, gzip, gzip, gzip");
    assert_eq!(sanitize(SECRET, &[JSON, many]), Err("more content codings than any sender applies"));
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"--Ada Lovelace 7\"");

fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut out = String::new();
    for (fields, content) in parts {
        out += &format!("----Ada Lovelace 7\r\n{fields}\r\n\r\n{content}\r\n");
    }
    out += "----Ada Lovelace 7--\r\n";
    out.into_bytes()
}

#[test]
fn parts_of_a_form_are_read_by_name_and_type() {
    let whole = form(&[
        ("Content-Disposition: form-data; name=\"text\"", "so good, write to ada@example.com"),
        ("content-disposition: form-data; name=user", "Ada Lovelace"),
        ("Content-Disposition: form-data; name=\"label\"", "POSITIVE"),
        ("Content-Disposition: form-data; name=\"Ada Lovelace\"", "Ada"),
        (
            "Content-Disposition: form-data; name=\"inputs\"; filename=\"Ada-cv.json\"; filename*=UTF-8''Ada%20cv\r\nContent-Type: application/json\r\nX-Own: Ada",
            "[\"a fine film\",[[{\"user\":\"Ada\"}]]]",
        ),
        ("Content-Disposition: form-data; name=\"photo\"\r\nContent-Type: image/png", "\u{89}PNG Ada"),
    ]);
    let new = sanitize(&whole, &[FORM]).unwrap();
    let new = text(&new);
    assert_eq!(new.len(), whole.len());
    for gone in ["Ada", "ada@", "velace", "PNG"] {
        assert!(!new.contains(gone), "{gone} in {new}");
    }
    for kept in [
        "name=\"text\"\r\n\r\nso good, write to ",
        "name=\"label\"\r\n\r\nPOSITIVE\r\n",
        "Content-Type: application/json\r\n",
        "[\"a fine film\",[[{\"user\":\"",
        "UTF-8''",
        "Content-Type: image/png\r\n\r\n\0\0",
    ] {
        assert!(new.contains(kept), "{kept:?} in {new}");
    }
}

#[test]
fn forms_that_two_readers_could_read_differently_are_refused() {
    let part = "Content-Disposition: form-data; name=\"a\"";
    let good = String::from_utf8(form(&[(part, "x")])).unwrap();
    assert!(sanitize(good.as_bytes(), &[FORM]).is_ok());
    for bad in [
        format!("preamble\r\n{good}"),
        format!("{good}epilogue"),
        good.replace("\r\n", "\n"),
        good.replace("--\r\n", ""),
        good.replacen("7\r\n", "7x\r\n", 1),
        good.replace("form-data", "attachment"),
        good.replace(part, "X: y"),
        good.replace(part, &format!("{part}\r\n{part}")),
        good.replace(part, &format!("{part}; name=b")),
        good.replace(part, &format!("{part}\r\n folded")),
        good.replace(part, &format!("{part}\r\nContent-Transfer-Encoding: base64")),
        good.replace(part, &format!("{part}\r\nContent-Type: multipart/form-data; boundary=b")),
        good.replace(part, &format!("{part}\r\nContent-Type: application/json")),
    ] {
        assert!(sanitize(bad.as_bytes(), &[FORM]).is_err(), "{bad}");
    }
    for boundary in ["", "; boundary=", "; boundary=a; boundary=b", "; boundary=\"a", "; boundary=a\u{e9}"] {
        let declared = format!("multipart/form-data{boundary}");
        assert!(sanitize(good.as_bytes(), &[("content-type", &declared)]).is_err(), "{declared}");
    }
}

/// A Triton body: `json` with its tensors behind it, and the fields that declare it.
fn tensors(place: Place, policy: &str, json: &str, tail: &[u8]) -> Result<Vec<u8>, Reason> {
    let policy = Policy::from_yaml(policy, "test").unwrap();
    let mut masker = Masker::new(Pseudonyms::new(&Key::random()), policy.detectors());
    let whole = [json.as_bytes(), tail].concat();
    let len = json.len().to_string();
    let fields = [("content-type", "application/octet-stream"), ("Inference-Header-Content-Length", &*len)];
    let new = Bodies::new(policy.rules()).sanitize(body(&whole), &headers(&fields), place, &mut masker)?;
    assert_eq!(new.bytes.len(), whole.len());
    Ok(new.bytes.to_vec())
}

#[test]
fn binary_tensors_are_read_by_the_json_before_them() {
    let json = r#"{"id":"Ada","inputs":[{"name":"TEXT","shape":[2,1],"datatype":"BYTES","parameters":{"binary_data_size":30}},{"name":"ids","shape":[2],"datatype":"INT32","parameters":{"binary_data_size":8}}]}"#;
    let tail = b"\x07\0\0\0so good\x0f\0\0\0ada@example.com\x01\0\0\0\x02\0\0\0";
    let new = tensors(Place::RequestBody, "version: 1", json, tail).unwrap();
    let behind = &new[json.len()..];
    assert!(behind.starts_with(b"\x07\0\0\0so good\x0f\0\0\0") && behind.ends_with(&[0; 8]));
    assert!(memchr::memmem::find(&new, b"ada@").is_none() && memchr::memmem::find(&new, b"Ada").is_none());
    let keep = "version: 1\nbinary_tensors: {inputs: keep}";
    assert!(tensors(Place::RequestBody, keep, json, tail).unwrap().ends_with(b"\x01\0\0\0\x02\0\0\0"));
    // An answer: scores stay, strings that nothing declares do not.
    let json = json.replace("inputs", "outputs");
    let new = tensors(Place::ResponseBody, "version: 1", &json, tail).unwrap();
    assert!(new.ends_with(b"\x01\0\0\0\x02\0\0\0") && memchr::memmem::find(&new, b"so good").is_none());
    // As a request it has no inputs, so its tail is nobody's.
    assert!(tensors(Place::RequestBody, "version: 1", &json, tail).is_err());
}

#[test]
fn tensors_that_do_not_add_up_are_refused() {
    let json = |shape: &str, kind: &str, size: usize| {
        format!(
            "{{\"inputs\":[{{\"name\":\"a\",\"shape\":{shape},\"datatype\":\"{kind}\",\"parameters\":{{\"binary_data_size\":{size}}}}}]}}"
        )
    };
    let check = |json: &str, tail: &[u8]| tensors(Place::RequestBody, "version: 1", json, tail);
    assert!(check(&json("[1]", "BYTES", 6), b"\x02\0\0\0hi").is_ok());
    assert!(
        check(&json("[1]", "BYTES", 6), b"\x02\0\0\0\xff\xfe").is_ok_and(|new| new.ends_with(b"\0\0\0\0"))
    );
    for (json, tail) in [
        (json("[1]", "BYTES", 6), &b"\x02\0\0\0hi "[..]),
        (json("[1]", "BYTES", 7), b"\x02\0\0\0hi"),
        (json("[1]", "BYTES", 6), b"\x03\0\0\0hi"),
        (json("[2]", "BYTES", 6), b"\x02\0\0\0hi"),
        (json("[1]", "FP32", 6), b"\x02\0\0\0hi"),
        (json("[9223372036854775807,4]", "FP32", 4), b"\x02\0\0\0"),
        (json("[1]", "STRING", 6), b"\x02\0\0\0hi"),
        (
            json("[1]", "BYTES", 6).replace("\"datatype\"", "\"datatype\":\"FP32\",\"datatype\""),
            b"\x02\0\0\0hi",
        ),
    ] {
        assert!(check(&json, tail).is_err(), "{json}");
    }
    // Without the field that says where the JSON ends, the type says nothing.
    assert!(sanitize(SECRET, &[("content-type", "application/octet-stream")]).unwrap().bytes.is_empty());
    let beyond = [("content-type", "application/json"), ("inference-header-content-length", "999")];
    assert!(sanitize(SECRET, &beyond).is_err());
}

#[test]
fn grpc_is_dropped_or_refused_and_nothing_else() {
    let frame = b"\0\0\0\0\x05\n\x03Ada";
    for media in ["application/grpc", "application/grpc+proto", "application/grpc+json"] {
        assert!(sanitize(frame, &[("content-type", media)]).unwrap().bytes.is_empty(), "{media}");
    }
    let refuse = "version: 1\ncontent_types: [{type: \"application/grpc*\", as: refuse}]";
    assert!(sanitize_under(refuse, frame, &[("content-type", "application/grpc")]).is_err());
    let read =
        Policy::from_yaml("version: 1\ncontent_types:\n  - {type: application/grpc, as: text}\n", "p.yaml");
    let error = read.unwrap_err().to_string();
    assert!(error.starts_with("p.yaml:3:") && error.contains("as: drop"), "{error}");
}

#[test]
fn data_of_one_event_on_several_lines_are_one_document() {
    let events = [("content-type", "text/event-stream")];
    for ends in ["\n", "\r\n"] {
        let stream = "data: {\"label\":\"POSITIVE\",\ndata: \"user\":\"Ada\",\ndata:\"n\":1}\n\ndata: {\"user\":\"Ada\"}\ndata: [\"Ada\"]\n\n".replace('\n', ends);
        let new = sanitize(stream.as_bytes(), &events).unwrap();
        let new = text(&new);
        assert!(!new.contains("Ada") && new.starts_with("data: {\"label\":\"POSITIVE\","), "{new}");
        assert!(
            new.contains("data: \"user\":\"") && new.contains("data:\"n\":1}") && new.len() == stream.len()
        );
    }
}

#[test]
fn an_echo_of_the_input_is_treated_like_the_input() {
    let mut sanitizer = super::super::Sanitizer::new(Policy::builtin(), Key::random());
    let text = "write to ada@example.com today";
    let new = |sanitizer: &mut super::super::Sanitizer, json: String| {
        let place = Place::ResponseBody;
        let new =
            sanitizer.bodies.sanitize(body(json.as_bytes()), &headers(&[JSON]), place, &mut sanitizer.masker);
        serde_json::from_slice::<serde_json::Value>(&new.unwrap().bytes).unwrap()
    };
    let asked = new(&mut sanitizer, format!("{{\"text\":\"{text}\"}}"));
    let told = new(
        &mut sanitizer,
        format!(
            "{{\"detail\":[{{\"loc\":[\"body\"],\"input\":{{\"text\":\"{text}\",\"user\":\"Ada\"}}}},{{\"input\":\"{text}\",\"msg\":\"{text}\"}}]}}"
        ),
    );
    assert_eq!(told["detail"][0]["input"]["text"], asked["text"]);
    assert_eq!(told["detail"][1]["input"], asked["text"]);
    assert_ne!(told["detail"][1]["msg"], asked["text"], "a message is not an echo");
    assert!(!told.to_string().contains("Ada"));
}
