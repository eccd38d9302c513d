//! Bytes as text, or as base64 where they are none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Puts bytes under `key` as text, or under `KEY_base64` when they are not UTF-8.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => map.insert(key.to_owned(), text.into()),
        Err(_) => map.insert(format!("{key}_base64"), base64(bytes).into()),
    };
}

/// Takes what [`put`] put; `None` when neither is there or the base64 is wrong.
pub(super) fn take(text: Option<String>, encoded: Option<&str>) -> Option<Bytes> {
    match (text, encoded) {
        (Some(text), None) => Some(text.into()),
        (None, Some(encoded)) => unbase64(encoded),
        _ => None,
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Line breaks are allowed, as mail and some browsers write them.
pub(super) fn unbase64(text: &str) -> Option<Bytes> {
    match STANDARD.decode(text) {
        Ok(bytes) => Some(bytes.into()),
        Err(_) => {
            let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            STANDARD.decode(compact).ok().map(Bytes::from)
        }
    }
}

/// The content coding of a message, when every part of it has a name that is registered.
pub(super) fn known_coding(value: &str) -> Option<String> {
    let parts: Vec<String> = value
        .split(',')
        .map(|part| part.trim().to_ascii_lowercase())
        .filter(|part| !part.is_empty() && part != "identity")
        .collect();
    let is_known =
        |part: &String| matches!(&part[..], "gzip" | "x-gzip" | "deflate" | "br" | "zstd" | "compress");
    (!parts.is_empty() && parts.iter().all(is_known)).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_go_into_json_as_base64() {
        let mut map = Map::new();
        put(&mut map, "body", b"\xff\x00");
        put(&mut map, "method", b"GET");
        assert_eq!(Value::Object(map), serde_json::json!({ "body_base64": "/wA=", "method": "GET" }));
        assert_eq!(take(None, Some("/wA=")), Some(Bytes::from_static(b"\xff\x00")));
        assert_eq!(take(Some("both".into()), Some("/wA=")), None);
    }

    #[test]
    fn a_coding_that_is_no_coding_is_not_kept() {
        assert_eq!(known_coding("GZIP , br").as_deref(), Some("gzip, br"));
        assert_eq!(known_coding("gloria winter"), None);
        assert_eq!(known_coding("identity"), None);
    }
}
