//! Media types: patterns over them, and their character set.

use serde::{Deserialize, Serialize};

/// A media type in lower case. `*` stands for any type or subtype, `*+json` for any subtype with that suffix, `grpc*`
/// for any subtype that begins so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::sanitize) struct MediaPattern(String);

// === impl MediaPattern ===

impl MediaPattern {
    /// Whether `media` (type and subtype, any case) is meant.
    pub(super) fn matches(&self, media: &str) -> bool {
        let (Some((kind, sub)), Some((own_kind, own_sub))) =
            (split(media.as_bytes()), split(self.0.as_bytes()))
        else {
            return false;
        };
        let sub_matches = match (own_sub.strip_prefix(b"*"), own_sub.strip_suffix(b"*")) {
            (Some(suffix), _) => {
                sub.len() >= suffix.len() && sub[sub.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            }
            (None, Some(prefix)) => {
                sub.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
            }
            (None, None) => sub.eq_ignore_ascii_case(own_sub),
        };
        sub_matches && (own_kind == b"*" || own_kind.eq_ignore_ascii_case(kind))
    }

    /// Whether gRPC frames alone are meant.
    pub(super) fn is_grpc(&self) -> bool {
        is_grpc(&self.0)
    }
}

/// Whether a media type is that of gRPC frames.
pub(super) fn is_grpc(media: &str) -> bool {
    const GRPC: &str = "application/grpc";
    media.get(..GRPC.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(GRPC))
}

/// Whether a media type is that of gRPC frames, on HTTP/2 or for the web, whose messages are protocol buffers.
pub(super) fn is_protobuf_grpc(media: &str) -> bool {
    const TYPES: [&str; 4] =
        ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web+proto"];
    TYPES.iter().any(|known| media.eq_ignore_ascii_case(known))
}

fn split(media: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memchr(b'/', media)?;
    Some((&media[..slash], &media[slash + 1..]))
}

impl TryFrom<String> for MediaPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let token = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let good = text.split_once('/').is_some_and(|(kind, sub)| {
            let named = match (sub.strip_prefix('*'), sub.strip_suffix('*')) {
                (Some(suffix), _) => suffix.is_empty() || suffix.starts_with('+') && token(&suffix[1..]),
                (None, Some(prefix)) => token(prefix),
                (None, None) => token(sub),
            };
            (kind == "*" || token(kind)) && named
        });
        if !good {
            return Err(format!(
                "`{text}` is not a media type; write `type/subtype`, `type/*`, `type/*+suffix` or `type/prefix*`"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl From<MediaPattern> for String {
    fn from(pattern: MediaPattern) -> String {
        pattern.0
    }
}

/// Whether the character set that a content type declares is UTF-8 or a part of it; undeclared counts as UTF-8, and
/// bytes that are not are refused later.
pub(super) fn is_utf8(content_type: &str) -> bool {
    content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || matches!(
                value.trim().trim_matches('"').to_ascii_lowercase().as_str(),
                "utf-8" | "utf8" | "us-ascii" | "ascii"
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, media: &str) -> bool {
        MediaPattern::try_from(pattern.to_owned()).unwrap().matches(media)
    }

    #[test]
    fn wildcards_cover_subtypes_and_suffixes() {
        assert!(matches("application/json", "Application/JSON"));
        assert!(matches("*/*+json", "application/problem+json"));
        assert!(matches("text/*", "text/plain"));
        assert!(
            matches("application/grpc*", "application/gRPC+proto")
                && matches("application/grpc*", "application/grpc")
        );
        assert!(!matches("application/grpc*", "application/grp"));
        assert!(!matches("text/*", "application/text"));
        assert!(!matches("*/*+json", "application/json"));
        assert!(!matches("application/json", "nonsense"));
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for bad in ["json", "/json", "text/", "te xt/plain", "text/*plain"] {
            assert!(MediaPattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_character_sets_are_seen() {
        assert!(is_utf8("application/json"));
        assert!(is_utf8("text/plain; charset=\"UTF-8\"; format=flowed"));
        assert!(!is_utf8("text/plain; Charset=utf-16"));
        assert!(!is_utf8("text/plain; charset=iso-8859-1"));
    }
}
