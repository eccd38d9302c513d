//! The JSON rewriter: what is JSON is accepted and stays JSON of the same shape; what is accepted keeps its structure.

use std::cell::RefCell;

use understudy_captures::{Key, Policy, Sanitizer};

use crate::exchange::{self, Message};

thread_local! {
    static SANITIZER: RefCell<Sanitizer> = RefCell::new(Sanitizer::new(Policy::builtin(), Key::random()));
}

/// Sanitizes `data` as a JSON body.
pub fn run(data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let request = Message { content_type: "application/json", body: data, ..Message::default() };
    let observed = exchange::of("/predict".as_bytes(), &request, None);
    let sanitized = SANITIZER.with_borrow_mut(|sanitizer| sanitizer.sanitize(observed));
    let parsed = serde_json::from_slice::<serde_json::Value>(data);
    match sanitized {
        Ok(sanitized) => {
            let body = &sanitized.request.body.bytes;
            assert_same_shape(data, body);
            if parsed.is_ok() {
                serde_json::from_slice::<serde_json::Value>(body).expect("JSON stays JSON");
            }
        }
        Err(refusal) => assert!(parsed.is_err(), "valid JSON was refused: {refusal}"),
    }
}

/// Same length, same structure byte by byte, digits where digits were; only what is inside strings may differ else.
fn assert_same_shape(before: &[u8], after: &[u8]) {
    assert_eq!(before.len(), after.len(), "the length changed");
    let (mut in_string, mut escaped) = (false, false);
    for (old, new) in before.iter().zip(after) {
        match in_string {
            true => {
                let structural = escaped || matches!(old, b'"' | b'\\');
                assert!(!structural || old == new, "an escape or a quote changed");
                assert!(structural || !matches!(new, b'"' | b'\\'), "an escape or a quote appeared");
                in_string = escaped || *old != b'"';
                escaped = !escaped && *old == b'\\';
            }
            false => {
                assert!(old == new || old.is_ascii_digit() && new.is_ascii_digit(), "structure changed");
                in_string = *old == b'"';
            }
        }
    }
}
