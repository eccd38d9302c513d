//! gRPC frames: nothing panics, what is accepted stays readable, and a secret planted in a field never survives.

use std::cell::RefCell;
use std::sync::OnceLock;

use understudy_captures::{Key, Policy, Sanitizer};

use crate::exchange::{self, Message, written};

/// The planted secret: no word of any language, so that no replacement spells it by chance.
const SECRET: &[u8] = b"Qvzanzibarxy";

const DESCRIPTORS: &[u8] = include_bytes!("grpc/reviews.pb");

/// Nothing is kept and nothing is free text.
const POLICY: &str = "version: 1
extends: nothing
headers: {request: [content-type], response: [content-type]}
grpc: {descriptors: [reviews.pb]}
";

thread_local! {
    static SANITIZER: RefCell<Sanitizer> = RefCell::new(Sanitizer::new(policy(), Key::random()));
    static READER: RefCell<Sanitizer> = RefCell::new(Sanitizer::new(policy(), Key::random()));
}

/// Sanitizes `data` behind its first byte as a message, and as the frames of a body when that byte is odd; in both with
/// a message that holds the secret around.
pub fn run(data: &[u8]) {
    let Some((choice, own)) = data.split_first() else { return };
    let planted = planted(own);
    let body = match choice % 2 {
        0 => frame(&planted),
        _ => [own, &frame(&planted)].concat(),
    };
    let fields = vec![(&b"grpc-encoding"[..], &b"gzip"[..])];
    let message = Message { content_type: "application/grpc", body: &body, fields, ..Message::default() };
    let observed = exchange::of(b"/reviews.Reviews/Judge", &message, Some(&message));
    let Ok(sanitized) = SANITIZER.with_borrow_mut(|sanitizer| sanitizer.sanitize(observed)) else { return };
    let bytes = sanitized.request.body.bytes.clone();
    assert!(!bytes.is_empty(), "the method is described, so its messages are read");
    if !data.windows(SECRET.len()).any(|window| window == SECRET) {
        let all = written(&sanitized);
        assert!(!all.windows(SECRET.len()).any(|window| window == SECRET), "a planted secret survived");
    }
    // Under another key everything is replaced again, and nothing of it changes its length.
    let again = READER.with_borrow_mut(|reader| reader.sanitize(sanitized.into_inner()));
    let again = again.expect("what was written can be read");
    assert_eq!(again.request.body.bytes.len(), bytes.len(), "what was written is not plain");
}

/// A message: the secret in fields of several kinds, with bytes of the input as fields around and inside them.
fn planted(own: &[u8]) -> Vec<u8> {
    let text = |number: u8, value: &[u8]| [&[number << 3 | 2, value.len() as u8], value].concat();
    let mut inner = text(2, SECRET);
    // 127 is the longest length of one byte.
    inner.extend_from_slice(&own[..own.len().min(64)]);
    [
        text(2, SECRET),
        text(3, SECRET),
        text(4, &[text(1, b"k"), text(2, SECRET)].concat()),
        text(6, SECRET),
        text(7, &inner),
        // Number 99, which nobody knows.
        [&[0x9a, 0x06, SECRET.len() as u8], SECRET].concat(),
        own.to_vec(),
    ]
    .concat()
}

fn frame(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

fn policy() -> Policy {
    static READ: OnceLock<Policy> = OnceLock::new();
    let read = || {
        let dir = tempfile::tempdir().expect("a scratch directory can be made");
        std::fs::write(dir.path().join("reviews.pb"), DESCRIPTORS).expect("it takes files");
        let path = dir.path().join("policy.yaml");
        std::fs::write(&path, POLICY).expect("it takes files");
        Policy::from_file(&path).expect("it is a policy")
    };
    READ.get_or_init(read).clone()
}
