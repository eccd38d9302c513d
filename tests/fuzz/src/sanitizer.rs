//! Whole exchanges: nothing panics, lengths stay, and a secret planted where the policy allows nothing never survives,
//! whatever stands around it.

use std::cell::RefCell;

use understudy_captures::{Key, Policy, Sanitizer};

use crate::exchange::{self, Message, written};

/// The planted secret: no word of any language, so that no replacement spells it by chance.
const SECRET: &str = "Qvzanzibarxy";

/// The types that an input chooses from, with what is written before and behind its own bytes so that the secret stands
/// in a value. What a policy of nothing keeps are names: of members, parameters, events.
const SHAPES: [(&str, &str, &str); 8] = [
    ("application/json", "{\"a\":", ",\"b\":[{\"c\":\"Qvzanzibarxy\"}]}"),
    ("application/json", "[\"Qvzanzibarxy\",", "]"),
    ("application/x-ndjson", "", "\n{\"a\":\"Qvzanzibarxy\"}\n"),
    ("application/x-www-form-urlencoded", "a=Qvzanzibarxy&", "&b=Qvzanzib%61rxy"),
    ("text/event-stream", "", "\n\ndata: Qvzanzibarxy\n\ndata: {\"a\":\"Qvzanzibarxy\"}\n\n"),
    (
        "multipart/form-data; boundary=line",
        "--line\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
        "\r\n--line\r\nContent-Disposition: form-data; name=\"b\"; filename=\"Qvzanzibarxy\"\r\n\r\nQvzanzibarxy\r\n--line--\r\n",
    ),
    ("application/octet-stream", "Qvzanzibarxy", "Qvzanzibarxy"),
    ("application/vnd.api+json", "", ""),
];

thread_local! {
    /// Nothing is kept and nothing is free text.
    static STRICT: RefCell<Sanitizer> = RefCell::new(Sanitizer::new(strict(), Key::random()));
    static BUILTIN: RefCell<Sanitizer> = RefCell::new(Sanitizer::new(Policy::builtin(), Key::random()));
}

/// The first byte chooses a shape; the rest, split at 0xff, is target, header value, body.
pub fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let mut parts = rest.splitn(3, |b| *b == 0xff);
    let [target, value, content] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let (content_type, before, behind) = SHAPES[usize::from(*choice) % SHAPES.len()];
    let body = [before.as_bytes(), content, behind.as_bytes()].concat();
    let target = [b"/a/users/Qvzanzibarxy/", target, b"#Qvzanzibarxy"].concat();
    let message = Message {
        content_type,
        coding: "",
        fields: vec![(b"accept", value), (b"x-own", SECRET.as_bytes()), (b"cookie", SECRET.as_bytes())],
        body: &body,
    };
    let observed = exchange::of(&target, &message, Some(&message));
    STRICT.with_borrow_mut(|sanitizer| {
        let Ok(sanitized) = sanitizer.sanitize(observed.clone()) else { return };
        let kept = &sanitized.request.body.bytes;
        assert!(kept.is_empty() || kept.len() == body.len(), "the length of the body changed");
        assert_eq!(sanitized.request.target.len(), target.len(), "the length of the target changed");
        // What the input itself spells out in a name may stay; what was planted stands in values.
        if contains(data, SECRET) {
            return;
        }
        assert!(!contains(&written(&sanitized), SECRET), "a planted secret survived");
    });
    BUILTIN.with_borrow_mut(|sanitizer| sanitizer.sanitize(observed).ok());
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

fn strict() -> Policy {
    const POLICY: &str = "version: 1
extends: nothing
headers: {request: [accept, content-type, content-length], response: [accept, content-type, content-length]}
target: {identifiers: [\"/**/users/*\"]}
content_types:
  - {type: application/json, as: json}
  - {type: application/x-ndjson, as: json_lines}
  - {type: application/x-www-form-urlencoded, as: form}
  - {type: multipart/form-data, as: multipart}
  - {type: text/event-stream, as: events}
  - {type: \"*/*+json\", as: json}
";
    Policy::from_yaml(POLICY, "strict").expect("it is a policy")
}
