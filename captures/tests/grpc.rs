//! gRPC frames through the sanitizer, written and read by an independent implementation of protocol buffers.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use prost::Message;
use service::{Ask, InferRequest, NewerAsk, Tensor, descriptors};
use understudy_captures::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Place, Request, Response, Stamp, Timing,
    UnixNanos,
};
use understudy_captures::sanitize::{Canaries, Fate, Scanner};
use understudy_captures::{Key, Policy, Sanitizer};

#[path = "grpc/service.rs"]
mod service;

/// Fields of which the tests that need no others say something.
const FIELDS: &str = "{reviews.Ask.comment: drop, reviews.Ask.order: keep}";

fn policy_file(dir: &Path, fields: &str, more: &str) -> std::path::PathBuf {
    std::fs::write(dir.join("services.pb"), descriptors().encode_to_vec()).unwrap();
    let path = dir.join("policy.yaml");
    let yaml = format!("version: 1\ngrpc:\n  descriptors: [services.pb]\n  fields: {fields}\n{more}");
    std::fs::write(&path, yaml).unwrap();
    path
}

fn policy(fields: &str, more: &str) -> Policy {
    let dir = tempfile::tempdir().unwrap();
    Policy::from_file(&policy_file(dir.path(), fields, more)).unwrap()
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The messages of a body whose frames are not compressed.
fn messages<M: Message + Default>(mut body: &[u8]) -> Vec<M> {
    let mut found = Vec::new();
    while let Some((prefix, rest)) = body.split_first_chunk::<5>() {
        assert_eq!(prefix[0], 0, "a flag");
        let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        found.push(M::decode(&rest[..len]).unwrap());
        body = &rest[len..];
    }
    assert!(body.is_empty());
    found
}

const JUDGE: &str = "/reviews.Reviews/Judge";

fn exchange(target: &str, fields: &[(&'static str, &'static str)], body: Vec<u8>) -> Exchange {
    let own =
        |(name, value): &(&'static str, &'static str)| (name.as_bytes().into(), value.as_bytes().into());
    let headers: Headers = fields.iter().map(own).collect();
    let body = Body { original_len: body.len() as u64, bytes: body.into(), ..Body::default() };
    Exchange {
        id: ExchangeId(1),
        connection: 1,
        index: 0,
        arrival: UnixNanos(1),
        request: Request {
            method: "POST".into(),
            target: target.to_owned().into(),
            version: HttpVersion::Http11,
            headers: headers.clone(),
            body: body.clone(),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers,
            body,
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn sanitize(
    policy: Policy,
    target: &str,
    fields: &[(&'static str, &'static str)],
    body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let mut sanitizer = Sanitizer::new(policy, Key::random());
    let sanitized = sanitizer.sanitize(exchange(target, fields, body)).map_err(|error| error.to_string())?;
    Ok(sanitized.request.body.bytes.to_vec())
}

fn ask() -> Ask {
    Ask {
        text: "a fine lamp, write to ada@example.com".into(),
        customer: "Ada Lovelace".into(),
        model_name: "distilbert".into(),
        tags: vec!["private".into(), "refund".into()],
        parameters: [("note".to_owned(), "call Ada".to_owned())].into(),
        picture: vec![0xff, 0xd8, 1, 2, 3],
        parts: vec![Ask { customer: "Charles Babbage".into(), ..Ask::default() }],
        numbers: vec![4_242_424_242_424_242, -219_099_999, 7],
        amount: 4_242_424_242_424_242.0,
        account: 4_242_424_242_424_242,
        offset: -4_242_424_242_424_242,
        urgent: true,
        comment: "by Ada".into(),
        order: 4_242_424_242_424_242,
        scores: vec![0.25, -1.5],
    }
}

#[test]
fn values_go_as_those_of_json_do_and_numbers_that_name_nobody_stay() {
    let old = ask();
    for (coding, body) in
        [("identity", frame(0, &old.encode_to_vec())), ("gzip", frame(1, &gzip(&old.encode_to_vec())))]
    {
        let body =
            [body, frame(0, &Ask { text: "second".into(), ..Ask::default() }.encode_to_vec())].concat();
        let new = sanitize(policy(FIELDS, ""), JUDGE, &[GRPC, ("grpc-encoding", coding)], body).unwrap();
        let new: Vec<Ask> = messages(&new);
        assert_eq!((new.len(), new[1].text.as_str()), (2, "second"));
        let new = &new[0];
        assert!(new.text.starts_with("a fine lamp, write to ") && !new.text.contains("ada@"), "{new:?}");
        assert_eq!((new.text.len(), new.customer.len()), (old.text.len(), old.customer.len()));
        assert_ne!(new.customer, old.customer);
        assert_eq!(new.model_name, old.model_name, "listed in the built-in policy");
        assert!(new.tags.len() == 2 && new.tags[0] != "private" && new.tags[1] != "refund");
        assert!(new.parameters["note"] != "call Ada" && new.parameters["note"].len() == 8);
        assert_eq!(new.picture, [0; 5]);
        assert_ne!(new.parts[0].customer, "Charles Babbage");
        assert!(new.numbers[0] != old.numbers[0] && new.numbers[1] != old.numbers[1] && new.numbers[2] == 7);
        assert!(new.numbers[1] < 0);
        assert!(new.amount != old.amount && new.account != old.account && new.offset != old.offset);
        assert!(new.offset < 0 && new.urgent);
        assert_eq!(new.scores, old.scores);
        assert_eq!((new.comment.as_str(), new.order), ("", old.order), "as the policy says");
    }
}

#[test]
fn a_field_is_treated_as_it_is_named() {
    let fields = "{reviews.Ask.customer: free_text, reviews.Ask.parameters: keep, reviews.Ask.picture: keep, \
                  reviews.Ask.numbers: replace, reviews.Ask.parts: drop, reviews.Ask.text: replace}";
    let new = sanitize(policy(fields, ""), JUDGE, &[GRPC], frame(0, &ask().encode_to_vec())).unwrap();
    let new = &messages::<Ask>(&new)[0];
    assert_eq!((new.parameters["note"].as_str(), new.picture.len()), ("call Ada", 5));
    assert_eq!((new.picture[0], new.numbers.as_slice(), new.parts.len()), (0xff, &[0, 0, 0][..], 0));
    assert!(!new.text.contains("fine"), "{}", new.text);
}

#[test]
fn what_the_descriptors_do_not_know_goes_or_refuses() {
    let inner = NewerAsk { text: "inner".into(), secret: "Ada Lovelace".into(), parts: Vec::new() };
    let newer = NewerAsk { text: "outer".into(), secret: "Grace Hopper".into(), parts: vec![inner] };
    let body = frame(0, &newer.encode_to_vec());
    let new = sanitize(policy("{}", ""), JUDGE, &[GRPC], body.clone()).unwrap();
    let new = &messages::<NewerAsk>(&new)[0];
    assert_eq!((new.text.as_str(), new.secret.as_str(), new.parts.len()), ("outer", "", 1));
    // Only the path `/text` is free text.
    assert_eq!((new.parts[0].text.len(), new.parts[0].secret.as_str()), (5, ""));
    let refused = sanitize(policy("{}", "  unknown_fields: refuse\n"), JUDGE, &[GRPC], body.clone());
    assert_eq!(refused.unwrap_err(), "request body: a field that the descriptors do not know");
    // A known number in another form is an unknown field to its reader.
    let odd = frame(0, b"\x08\x07\x0a\x02hi");
    assert_eq!(sanitize(policy("{}", ""), JUDGE, &[GRPC], odd).unwrap(), frame(0, b"\x0a\x02hi"));
    // A method that nobody described: as content of unknown type.
    assert!(sanitize(policy("{}", ""), "/reviews.Reviews/Other", &[GRPC], body.clone()).unwrap().is_empty());
    let refused = sanitize(policy("{}", "unknown_content: refuse\n"), "/a.B/C", &[GRPC], body.clone());
    assert!(refused.unwrap_err().contains("the policy refuses"));
    // And what the policy drops stays dropped.
    let rules = "content_types: [{type: \"application/grpc*\", as: drop}]\n";
    assert!(sanitize(policy("{}", rules), JUDGE, &[GRPC], body).unwrap().is_empty());
}

#[test]
fn damaged_frames_are_refused() {
    let message = ask().encode_to_vec();
    let whole = frame(0, &message);
    let bad_utf8 = b"\x0a\x02\xff\xfe".to_vec();
    let mut deep = Vec::new();
    for _ in 0..200 {
        deep = [b"\x3a".to_vec(), varint(deep.len()), deep].concat();
    }
    for (body, says) in [
        (whole[..4].to_vec(), "no frames"),
        (whole[..20].to_vec(), "cut"),
        (frame(0, &message[..message.len() - 1]), "no frames"),
        (frame(2, &message), "unknown kind"),
        (frame(1, &gzip(&message)), "without its coding"),
        (frame(0, &bad_utf8), "UTF-8"),
        (frame(0, &deep), "deeper"),
        (frame(0, b"\x0b\x0c"), "no frames"),
        (frame(0, b"\x42\x01\x80"), "no frames"),
    ] {
        let error = sanitize(policy("{}", ""), JUDGE, &[GRPC], body).unwrap_err();
        assert!(error.contains(says), "{error} should say {says}");
    }
    let torn = frame(1, &gzip(&message)[..20]);
    for coding in ["gzip", "snappy"] {
        let error = sanitize(policy("{}", ""), JUDGE, &[GRPC, ("grpc-encoding", coding)], torn.clone());
        assert!(error.unwrap_err().contains("content coding"));
    }
    let bomb = frame(1, &gzip(&frame(0, &vec![0; 1 << 20])));
    let error =
        sanitize(policy("{}", "max_decoded_bytes: 4096\n"), JUDGE, &[GRPC, ("grpc-encoding", "gzip")], bomb);
    assert!(error.unwrap_err().contains("limit"));
}

fn varint(value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(value as u64, &mut bytes);
    bytes
}

#[test]
fn of_the_trailers_of_grpc_web_the_status_stays() {
    let message = frame(0, &Ask { text: "fine".into(), ..Ask::default() }.encode_to_vec());
    let trailers = frame(0x80, b"grpc-status: 3\r\ngrpc-message: no such user ada\r\n");
    let mut observed = exchange(JUDGE, &[("content-type", "application/grpc-web+proto")], message.clone());
    let body = [message.clone(), trailers.clone()].concat();
    observed.response.as_mut().unwrap().body.bytes = body.into();
    let sanitized = Sanitizer::new(policy("{}", ""), Key::random()).sanitize(observed).unwrap();
    let kept = &sanitized.response.as_ref().unwrap().body.bytes;
    assert_eq!(*kept, [message.clone(), frame(0x80, b"grpc-status:3\r\n")].concat());
    let asked = [message.clone(), trailers.clone()].concat();
    assert!(sanitize(policy("{}", ""), JUDGE, &[GRPC], asked).is_err(), "a request has none");
}

#[test]
fn tensors_of_the_open_inference_protocol_are_read_by_their_types() {
    let strings = |texts: &[&str]| {
        texts
            .iter()
            .flat_map(|t| [&(t.len() as u32).to_le_bytes(), t.as_bytes()].concat())
            .collect::<Vec<u8>>()
    };
    let tensor = |name: &str, datatype: &str, shape: &[i64]| Tensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
    };
    // 65 bytes: a length that looks like a letter.
    let long = format!("mail ada@example.com {}", "very ".repeat(8) + "good");
    assert_eq!(long.len(), 65);
    let request = InferRequest {
        model_name: "sentiment".into(),
        inputs: vec![tensor("text", "BYTES", &[2, 1]), tensor("ids", "INT64", &[2])],
        raw_input_contents: vec![strings(&[&long, "fine"]), [7i64, 9].map(i64::to_le_bytes).concat()],
    };
    let infer = "/inference.GRPCInferenceService/ModelInfer";
    let go = |request: &InferRequest| {
        sanitize(policy("{}", ""), infer, &[GRPC], frame(0, &request.encode_to_vec()))
    };
    let new = messages::<InferRequest>(&go(&request).unwrap());
    let (new, old) = (&new[0], &request);
    assert_eq!((&new.inputs, &new.model_name), (&old.inputs, &old.model_name));
    let texts = &new.raw_input_contents[0];
    assert!(texts.starts_with(b"\x41\0\0\0mail ") && texts.ends_with(b"good\x04\0\0\0fine"), "{texts:?}");
    assert!(!texts.windows(4).any(|w| w == b"ada@"));
    // Token ids spell the text; `binary_tensors` of the built-in policy.
    assert_eq!(new.raw_input_contents[1], [0; 16]);
    let mut short = request.clone();
    short.raw_input_contents.pop();
    assert!(go(&short).is_err());
    let mut wrong = request.clone();
    wrong.raw_input_contents[1].pop();
    assert!(go(&wrong).is_err());
    let mut unknown = request;
    unknown.inputs[1].datatype = "COMPLEX".into();
    assert!(go(&unknown).is_err());
}

#[test]
fn mistakes_in_a_policy_are_named_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let error =
        |fields: &str| Policy::from_file(&policy_file(dir.path(), fields, "")).unwrap_err().to_string();
    for (fields, says) in [
        (
            "{reviews.Ask.nobody: drop}",
            "policy.yaml:4:32: no message of the descriptors has a field `reviews.Ask.nobody`",
        ),
        ("{reviews.Ask.parts: keep}", "`reviews.Ask.parts` is a message"),
        ("{reviews.Ask.amount: free_text}", "`reviews.Ask.amount` is a number"),
        ("{reviews.Ask.text: hide}", "policy.yaml:4:"),
    ] {
        let error = error(fields);
        assert!(error.contains(says) && !error.contains('\n'), "{error}");
    }
    let path = policy_file(dir.path(), "{}", "");
    let error = |bytes: &[u8]| {
        std::fs::write(dir.path().join("services.pb"), bytes).unwrap();
        Policy::from_file(&path).unwrap_err().to_string()
    };
    assert!(error(b"syntax = \"proto3\";").contains("policy.yaml:3:17: descriptor file "));
    assert!(error(b"").contains("not a set of file descriptors"));
    let mut cut = descriptors();
    cut.file[1].message_type.pop();
    assert!(error(&cut.encode_to_vec()).contains("--include_imports"));
    std::fs::remove_file(dir.path().join("services.pb")).unwrap();
    let gone = Policy::from_file(&path).unwrap_err().to_string();
    assert!(gone.contains("policy.yaml:3:17") && gone.contains("services.pb"), "{gone}");
}

#[test]
fn the_digest_covers_descriptors_and_fields() {
    let digest = |fields: &str, more: &str| policy(fields, more).digest();
    let plain = digest("{}", "");
    assert_eq!(plain, digest("{}", ""));
    assert_ne!(plain, Policy::builtin().digest());
    assert_ne!(plain, digest(FIELDS, ""));
    assert_ne!(plain, digest("{}", "  unknown_fields: refuse\n"));
    let dir = tempfile::tempdir().unwrap();
    let path = policy_file(dir.path(), "{}", "");
    let mut other = descriptors();
    other.file[0].message_type[0].field[0].name = Some("words".into());
    std::fs::write(dir.path().join("services.pb"), other.encode_to_vec()).unwrap();
    assert_ne!(plain, Policy::from_file(&path).unwrap().digest());
    assert_eq!(policy("{}", "").review().grpc_methods, 2);
}

#[test]
fn an_explanation_names_fields_and_a_scan_finds_what_is_in_them() {
    let observed = exchange(JUDGE, &[GRPC], frame(0, &ask().encode_to_vec()));
    let explained = Sanitizer::new(policy(FIELDS, ""), Key::random()).explain(&observed);
    let of = |at: &str| {
        let found = explained.pieces.iter().find(|p| p.place == Place::RequestBody && p.at == at);
        found.map(|p| (p.before.as_str(), p.fate.clone())).unwrap_or_else(|| panic!("no {at}: {explained:?}"))
    };
    assert_eq!(of("/customer"), ("Ada Lovelace", Fate::Replaced));
    assert_eq!(of("/text").1, Fate::Found(vec!["email"]));
    assert_eq!(of("/model_name").1, Fate::Kept);
    assert_eq!(of("/parts/0/customer"), ("Charles Babbage", Fate::Replaced));
    assert_eq!(of("/parameters/note").1, Fate::Replaced);
    assert_eq!(of("/numbers/0"), ("4242424242424242", Fate::Found(vec!["card"])));
    assert_eq!(of("/comment").1, Fate::Dropped("the policy drops it"));

    let mut scanner = Scanner::new(policy("{}", ""), Canaries::new(&[]).unwrap());
    let leaks = scanner.scan(&observed);
    let at = |at: &str, class: &str| {
        leaks.iter().any(|l| l.place == Place::RequestBody && l.at == at && l.class == class && !l.explained)
    };
    assert!(at("/text", "email") && at("/numbers/0", "card") && at("/account", "card"), "{leaks:?}");
    let clean = Sanitizer::new(policy("{}", ""), Key::random()).sanitize(observed).unwrap();
    assert!(scanner.scan(&clean).iter().all(|leak| leak.explained), "{:?}", scanner.scan(&clean));
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let text = || "[a-zA-Z\u{e9}]{0,12}";
    let leaf = (
        (text(), text(), proptest::collection::vec(text(), 0..3)),
        proptest::collection::btree_map("[a-e]{1,3}", text(), 0..3),
        proptest::collection::vec(any::<u8>(), 0..12),
        (proptest::collection::vec(any::<i64>(), 0..4), any::<i64>(), any::<u64>(), any::<bool>()),
    );
    let leaf = leaf.prop_map(
        |((customer, model_name, tags), parameters, picture, (numbers, offset, account, urgent))| Ask {
            customer,
            model_name,
            tags,
            parameters,
            picture,
            numbers,
            offset,
            account,
            urgent,
            ..Ask::default()
        },
    );
    leaf.prop_recursive(4, 24, 3, |inner| {
        (inner.clone(), proptest::collection::vec(inner, 0..3)).prop_map(|(ask, parts)| Ask { parts, ..ask })
    })
}

/// Same structure; of text only its length.
fn assert_same_shape(old: &Ask, new: &Ask) {
    let len = |text: &String| (text.len(), text.chars().count());
    for (a, b) in [(&old.customer, &new.customer), (&old.model_name, &new.model_name)] {
        assert_eq!(len(a), len(b));
    }
    assert!(old.tags.iter().map(len).eq(new.tags.iter().map(len)));
    assert!(old.parameters.keys().eq(new.parameters.keys()));
    assert_eq!((old.picture.len(), old.urgent), (new.picture.len(), new.urgent));
    assert_eq!((old.numbers.len(), old.parts.len()), (new.numbers.len(), new.parts.len()));
    old.parts.iter().zip(&new.parts).for_each(|(old, new)| assert_same_shape(old, new));
}

fn strings(ask: &Ask, found: &mut Vec<String>) {
    found.extend([ask.customer.clone(), ask.model_name.clone()]);
    found.extend(ask.tags.iter().chain(ask.parameters.values()).cloned());
    ask.parts.iter().for_each(|part| strings(part, found));
}

proptest! {
    #[test]
    fn valid_frames_stay_valid_and_no_string_survives(ask in any_ask(), compressed: bool) {
        let message = ask.encode_to_vec();
        let body = if compressed { frame(1, &gzip(&message)) } else { frame(0, &message) };
        let strict = policy("{}", "extends: nothing\nheaders: {request: [content-type], response: [content-type]}\n");
        let mut sanitizer = Sanitizer::new(strict.clone(), Key::random());
        let observed = exchange(JUDGE, &[GRPC, ("grpc-encoding", "gzip")], body);
        let sanitized = sanitizer.sanitize(observed).unwrap();
        let new = &sanitized.request.body.bytes;
        prop_assert_eq!(new.len(), message.len() + 5);
        assert_same_shape(&ask, &messages::<Ask>(new)[0]);
        let mut old = Vec::new();
        strings(&ask, &mut old);
        // Six letters and more are not spelled by chance.
        for text in old.iter().filter(|text| text.chars().count() >= 6) {
            prop_assert!(memchr::memmem::find(new, text.as_bytes()).is_none(), "{} survives", text);
        }
        prop_assert!(ask.picture.is_empty() || std::str::from_utf8(&ask.picture).is_ok() || messages::<Ask>(new)[0].picture.iter().all(|b| *b == 0));
        // Twice is once.
        let again = sanitizer.sanitize(sanitized.clone().into_inner()).unwrap();
        prop_assert_eq!(&again.request.body.bytes, new);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), framed: bool) {
        let body = if framed { frame(0, &bytes) } else { bytes };
        sanitize(policy("{}", ""), JUDGE, &[GRPC], body).ok();
    }
}
