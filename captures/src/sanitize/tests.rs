use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::exchange::{Body, Chunk, Ending, ExchangeId, Headers, HttpVersion, Timing, UnixNanos};
use crate::segment::{Origin, Writer, WriterConfig};
use crate::{Capture, Conservation};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let owned = |s: &str| Bytes::copy_from_slice(s.as_bytes());
    fields.iter().map(|(n, v)| (owned(n), owned(v))).collect()
}

fn body(text: &str) -> Body {
    Body {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        original_len: text.len() as u64,
        ..Body::default()
    }
}

fn exchange() -> Exchange {
    let json = ("Content-Type", "application/json");
    Exchange {
        id: ExchangeId(7),
        connection: 3,
        index: 1,
        arrival: UnixNanos(1_700_000_000_000_000_000),
        request: Request {
            method: "POST".into(),
            target: "/predict?lang=en".into(),
            version: HttpVersion::Http11,
            headers: headers(&[("Host", "sentiment:8000"), json, ("Content-Length", "26")]),
            body: body(r#"{"text":"what a fine day"}"#),
            trailers: Headers::default(),
        },
        response: Some(Response {
            status: 200,
            version: HttpVersion::Http11,
            headers: headers(&[
                json,
                ("date", "Sat, 21 Nov 2026 22:45:54 GMT"),
                ("X-Inference-Time-MS", "35.21"),
            ]),
            body: body(
                r#"{"label":"POSITIVE","score":0.9998,"model_name":"distilbert-base-uncased-finetuned-sst-2-english"}"#,
            ),
            trailers: Headers::default(),
        }),
        ending: Ending::Complete,
        timing: Timing { request_end: Some(5), response_start: Some(9), end: 10 },
        chunks: vec![Chunk { offset: 9, len: 3 }],
        redactions: Default::default(),
        trace_id: Some(42),
        stamp: Stamp::default(),
    }
}

fn key() -> Key {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    Key::from_file(&path).unwrap()
}

fn sanitizer() -> Sanitizer {
    Sanitizer::new(Policy::builtin(), key())
}

/// Every byte that would reach a capture.
fn all_bytes(exchange: &Exchange) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = |bytes: &[u8]| {
        all.extend_from_slice(bytes);
        all.push(0);
    };
    let request = &exchange.request;
    part(&request.method);
    part(&request.target);
    part(&request.body.bytes);
    let response = exchange.response.as_ref().unwrap();
    part(&response.body.bytes);
    for fields in [&request.headers, &request.trailers, &response.headers, &response.trailers] {
        fields.iter().for_each(|(name, value)| {
            part(name);
            part(value);
        });
    }
    part(format!("{:?} {:?}", request.body.decoded_from, exchange.redactions).as_bytes());
    all
}

#[test]
fn an_exchange_without_anything_personal_passes_as_it_is() {
    let mut plain = exchange();
    plain.request.target = "/predict".into();
    let sanitized = sanitizer().sanitize(plain.clone()).unwrap();
    assert_eq!(*sanitized, plain);
    assert!(!sanitized.input_changed());
}

#[test]
fn what_was_done_is_counted_by_class_and_place() {
    let mut observed = exchange();
    observed.request.body = body(r#"{"text":"mail ada@example.com or bob@example.com","id":"t-17"}"#);
    observed.request.headers.push("X-API-Key", "k");
    let sanitized = sanitizer().sanitize(observed).unwrap();
    let counted: Vec<_> = sanitized.redactions.iter().map(|r| (&*r.class, r.place, r.count)).collect();
    let expected = [
        ("query", Place::Target, 1),
        ("header", Place::RequestHeader, 1),
        ("email", Place::RequestBody, 2),
        ("string", Place::RequestBody, 1),
    ];
    assert_eq!(counted, expected);
    assert!(sanitized.input_changed());
}

#[test]
fn a_field_that_repeats_is_treated_as_the_first_time() {
    let mut sanitizer = sanitizer();
    for n in 0..12 {
        let mut observed = exchange();
        let host = ["sentiment.example", "ada@example.com", "10.1.2.3:8000", "ada@example.com"][n % 4];
        let kind = ["text/plain", "text/plain; of=ada@example.com", "text/plain"][n % 3];
        observed.request.headers = headers(&[("Host", host), ("accept", "*/*"), ("HOST", host)]);
        observed.response.as_mut().unwrap().headers = headers(&[("Content-Type", kind), ("vary", "*")]);
        observed.response.as_mut().unwrap().body = Body::default();
        let alone = Sanitizer::new(Policy::builtin(), key()).sanitize(observed.clone()).unwrap();
        assert_eq!(sanitizer.sanitize(observed).unwrap(), alone, "{host} {kind}");
    }
}

#[test]
fn canaries_in_every_place_never_come_out() {
    const WORD: &str = "Zanzibar7Canary";
    const CARD: &str = "4242424242424242";
    const MAIL: &str = "canary.bird@zanzibar.example";
    let spelled: String = WORD.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let percent: String = WORD.bytes().map(|b| format!("%{b:02X}")).collect();
    let fields = [
        ("Authorization", "Bearer Zanzibar7Canary"),
        ("Cookie", "session=Zanzibar7Canary"),
        ("X-API-Key", WORD),
        ("X-Custom", WORD),
        ("User-Agent", "Zanzibar7Canary/1.0"),
        ("Referer", "http://host/?q=Zanzibar7Canary"),
        ("X-Correlation-ID", WORD),
        ("Accept", MAIL),
        ("Content-Length", WORD),
        ("Traceparent", "00-Zanzibar7Canary-01"),
    ];
    let document = format!(
        r#"{{"text":"{MAIL} {CARD}","texts":["pay 4242 4242 4242 4242"],"user":{{"name":"{WORD}","more":["{spelled}",{{"deep":"{WORD}"}}]}},
           "{MAIL}":1,"n":{CARD},"label":"{MAIL}","detail":"no such user {WORD}"}}"#
    );
    let mut observed = exchange();
    let request = &mut observed.request;
    request.target =
        format!("/users/{WORD}/{MAIL}/{CARD};s={WORD}?q={WORD}&{MAIL}=1&r={percent}#{WORD}").into();
    request.headers.to_mut().extend(headers(&fields).into_fields());
    request.body = body(&document);
    request.trailers = headers(&fields);
    let response = observed.response.as_mut().unwrap();
    response.headers.to_mut().extend(
        headers(&[("Set-Cookie", WORD), ("Location", WORD), ("ETag", WORD), ("Vary", MAIL)]).into_fields(),
    );
    response.trailers = headers(&fields);
    response.body = body(&document);

    let form = |mut observed: Exchange| {
        observed.request.headers = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        observed.request.body = body(&format!("user={WORD}&{MAIL}=x&text={CARD}&z={percent}&{WORD}"));
        observed
    };
    for observed in [observed.clone(), form(observed)] {
        let sanitized = sanitizer().sanitize(observed).unwrap();
        let bytes = all_bytes(&sanitized);
        for canary in
            [WORD, CARD, MAIL, "4242 4242 4242 4242", &spelled[..18], &percent[..9], "zanzibar.example"]
        {
            assert!(memchr::memmem::find(&bytes, canary.as_bytes()).is_none(), "{canary} came out");
        }
    }
}

#[test]
fn one_key_gives_one_result_and_another_key_another() {
    let mut observed = exchange();
    observed.request.body = body(r#"{"text":"ada@example.com","user":"Ada"}"#);
    let first = sanitizer().sanitize(observed.clone()).unwrap();
    let mut same = sanitizer();
    assert_eq!(same.sanitize(observed.clone()).unwrap(), first);
    assert_eq!(same.sanitize(observed.clone()).unwrap(), first, "nothing is left over from the one before");
    let other = Sanitizer::new(Policy::builtin(), Key::random()).sanitize(observed).unwrap();
    assert_ne!(other.request.body.bytes, first.request.body.bytes);
}

#[test]
fn one_value_is_replaced_alike_in_every_place() {
    let mut observed = exchange();
    observed.request.target = "/predict?user=Ada+Lovelace".into();
    observed.request.body = body(r#"{"text":"x","user":"Ada Lovelace"}"#);
    let response = observed.response.as_mut().unwrap();
    response.body = body(r#"{"user":"Ada\u0020Lovelace"}"#);
    let sanitized = sanitizer().sanitize(observed).unwrap();
    let target = String::from_utf8(sanitized.request.target.to_vec()).unwrap();
    let query = target.split_once('=').unwrap().1.replace('+', " ");
    let user = |body: &Body| -> String {
        serde_json::from_slice::<serde_json::Value>(&body.bytes).unwrap()["user"].as_str().unwrap().to_owned()
    };
    assert_eq!(user(&sanitized.request.body), query);
    assert_eq!(user(&sanitized.response.as_ref().unwrap().body), query);
}

#[test]
fn fields_are_kept_dropped_tokenized_and_made_right() {
    let mut observed = exchange();
    observed.request.headers = headers(&[
        ("hOsT", "sentiment:8000"),
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
        ("Content-Length", "999"),
        ("Content-MD5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
        ("X-Request-ID", "r-1"),
        ("X-Forwarded-For", "203.0.113.7"),
        ("Accept", "*/*"),
    ]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, br#"{"text":"fine"}"#).unwrap();
    let gzipped = encoder.finish().unwrap();
    observed.request.body =
        Body { original_len: gzipped.len() as u64, bytes: gzipped.into(), ..Body::default() };
    let sanitized = sanitizer().sanitize(observed).unwrap();
    let names: Vec<_> =
        sanitized.request.headers.iter().map(|(n, _)| String::from_utf8_lossy(n).into_owned()).collect();
    assert_eq!(names, ["hOsT", "Content-Type", "Content-Length", "X-Request-ID", "Accept"]);
    assert_eq!(sanitized.request.headers.get_str("content-length"), Some("15"));
    assert_eq!(sanitized.request.headers.get("x-request-id").unwrap().len(), 36);
    assert_eq!(sanitized.request.body.decoded_from.as_deref(), Some("gzip"));
}

#[test]
fn a_length_without_a_body_stays_as_recorded() {
    let mut observed = exchange();
    observed.request.method = "HEAD".into();
    observed.request.body = Body::default();
    let response = observed.response.as_mut().unwrap();
    response.headers = headers(&[("Content-Length", "123456789012")]);
    response.body = Body::default();
    let sanitized = sanitizer().sanitize(observed).unwrap();
    assert_eq!(sanitized.response.as_ref().unwrap().headers.get_str("content-length"), Some("123456789012"));
}

#[test]
fn what_cannot_be_read_with_certainty_is_refused_without_quoting_it() {
    let secret = "Zanzibar";
    let mut cases = Vec::new();
    for method in ["", "GET /Zanzibar", "X-Zanzibar", "ZanzibarZanzibarZanzibarZanzibarZ"] {
        let mut observed = exchange();
        observed.request.method = method.into();
        cases.push(("request method", observed));
    }
    let mut observed = exchange();
    observed.request.target = Bytes::from_static(b"/Zanzibar\xff");
    cases.push(("request target", observed));
    let mut observed = exchange();
    observed.request.body = body(r#"{"text":"Zanzibar"#);
    cases.push(("request body", observed));
    let mut observed = exchange();
    observed.response.as_mut().unwrap().body = body("Zanzibar");
    cases.push(("response body", observed));
    for (place, observed) in cases {
        let refusal = sanitizer().sanitize(observed).unwrap_err();
        assert_eq!(refusal.place, place);
        assert!(!refusal.to_string().contains(secret), "{refusal}");
    }
}

#[test]
fn counts_of_a_refused_exchange_do_not_reach_the_next() {
    let mut sanitizer = sanitizer();
    let mut refused = exchange();
    refused.response.as_mut().unwrap().body = body("{");
    sanitizer.sanitize(refused).unwrap_err();
    let mut plain = exchange();
    plain.request.target = "/predict".into();
    assert!(sanitizer.sanitize(plain).unwrap().redactions.is_empty());
}

/// `exchange`, recorded under the policy and the key of `sanitizer` and read back.
fn through_a_segment(exchange: Sanitized, sanitizer: &Sanitizer) -> Exchange {
    let dir = tempfile::tempdir().unwrap();
    let origin = Origin {
        policy: sanitizer.policy().digest(),
        key_id: sanitizer.key_id().to_owned(),
        ..Origin::default()
    };
    let config = WriterConfig {
        dir: dir.path().to_owned(),
        max_bytes: u64::MAX,
        max_age: Duration::from_secs(3600),
        block_bytes: 1 << 16,
        origin,
        key: None,
    };
    let mut writer = Writer::create(config).unwrap();
    writer.append(&exchange).unwrap();
    writer.finish(&mut |_| Conservation { seen: 1, recorded: 1, ..Conservation::default() }).unwrap();
    let capture = Capture::open(&[dir.path()]).unwrap();
    let mut exchanges = capture.exchanges();
    exchanges.next().unwrap().unwrap()
}

#[test]
fn what_was_read_from_a_segment_is_sanitized_again_under_another_policy_or_key_only() {
    let mut observed = exchange();
    observed.request.body = body(r#"{"text":"ada@example.com","user":"Ada"}"#);
    let mut sanitizer = sanitizer();
    let once = sanitizer.sanitize(observed).unwrap();
    let read = through_a_segment(once.clone(), &sanitizer);
    assert_eq!(sanitizer.sanitize(read.clone()).unwrap(), once);

    let stricter = Policy::from_yaml("version: 1\nextends: nothing", "test").unwrap();
    let again = Sanitizer::new(stricter, key()).sanitize(read.clone()).unwrap();
    assert!(again.request.body.bytes.is_empty());
    let again = Sanitizer::new(Policy::builtin(), Key::random()).sanitize(read).unwrap();
    assert_ne!(again.request.body.bytes, once.request.body.bytes);
    let emails = again.redactions.iter().find(|r| &*r.class == "email").unwrap();
    assert_eq!((emails.place, emails.count), (Place::RequestBody, 2), "once before, once now");
}

#[test]
fn a_segment_that_names_no_policy_or_key_vouches_for_nothing() {
    assert!(!Stamp::of("", "").agrees(Stamp::of("", "")));
    assert!(!Stamp::default().agrees(Stamp::default()));
    assert!(!Stamp::of("p", "k").agrees(Stamp::of("p", "l")));
    assert!(Stamp::of("p", "k").agrees(Stamp::of("p", "k")));
}

proptest! {
    #[test]
    fn sanitizing_twice_is_sanitizing_once(
        text in any::<String>(),
        user in "[a-z0-9@. ]{0,20}",
        target in "/[a-z0-9/]{0,12}(\\?q=[a-z0-9]{0,6})?",
    ) {
        let mut observed = exchange();
        observed.request.target = target.into();
        observed.request.body = body(&serde_json::json!({ "text": text, "user": user }).to_string());
        let mut sanitizer = sanitizer();
        let once = sanitizer.sanitize(observed).unwrap();
        let twice = sanitizer.sanitize(once.clone().into_inner()).unwrap();
        prop_assert_eq!(&twice, &once);
        let mut third = Sanitizer::new(Policy::builtin(), key());
        prop_assert_eq!(third.sanitize(twice.into_inner()).unwrap(), once);
    }
}
