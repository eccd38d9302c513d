//! Header and trailer fields: an allow-list, and keyed tokens where equality matters.

use bytes::Bytes;

use super::content::boundary;
use super::encoded::Encoding;
use super::masker::{Draft, Masker};
use super::paths::Treatment;
use super::policy::{HeaderName, KeptHeader, Rules};
use crate::exchange::{Body, Headers, Place};

/// Fields that would be wrong once the body is sanitized, whatever a policy allows: codings that were removed, digests
/// and signatures over bytes that changed, and the trace context that the recorder has already read.
const NEVER: &[&str] = &[
    "content-encoding",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "want-content-digest",
    "signature",
    "signature-input",
    "etag",
    "if-match",
    "if-none-match",
    "traceparent",
    "tracestate",
    "baggage",
];

/// Which fields of one direction stay.
pub(super) struct Fields {
    keep: Vec<KeptHeader>,
    tokenize: Vec<HeaderName>,
    place: Place,
}

/// What became of a body, as far as the fields that describe it go.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLen {
    /// A body went by (a response to HEAD declares a length and has none).
    present: bool,
    sanitized: usize,
}

// === impl BodyLen ===

impl BodyLen {
    pub(super) fn of(sanitized: &Body) -> Self {
        Self {
            present: sanitized.original_len > 0 || !sanitized.bytes.is_empty(),
            sanitized: sanitized.bytes.len(),
        }
    }
}

// === impl Fields ===

impl Fields {
    pub(super) fn of_requests(rules: &Rules) -> Self {
        Self::new(rules.headers.request.iter(), rules, Place::RequestHeader)
    }

    pub(super) fn of_responses(rules: &Rules) -> Self {
        Self::new(rules.headers.response.iter(), rules, Place::ResponseHeader)
    }

    fn new<'a>(keep: impl Iterator<Item = &'a KeptHeader>, rules: &Rules, place: Place) -> Self {
        Self {
            keep: keep.cloned().collect(),
            tokenize: rules.headers.tokenize.iter().cloned().collect(),
            place,
        }
    }

    /// What may be written of `headers`; fields that may not stay are left out.
    pub(super) fn sanitize(&self, headers: Headers, body: BodyLen, masker: &mut Masker) -> Headers {
        let kept = headers.into_fields().into_iter().filter_map(|(name, value)| {
            let value = self.value(&name, value, body, masker);
            if value.is_none() {
                masker.count("header", self.place);
            }
            value.map(|value| (name, value))
        });
        kept.collect()
    }

    /// Whether a keyed token stands for the value of this field.
    pub(super) fn is_tokenized(&self, name: &[u8]) -> bool {
        self.tokenize.iter().any(|t| t.matches(name))
    }

    fn value(&self, name: &Bytes, value: Bytes, body: BodyLen, masker: &mut Masker) -> Option<Bytes> {
        if NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes())) {
            return None;
        }
        if self.is_tokenized(name) {
            masker.count("header_token", self.place);
            return Some(masker.token(value.trim_ascii()).into());
        }
        if !self.keep.iter().any(|k| k.matches(name)) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            return match body.present {
                true => Some(body.sanitized.to_string().into()),
                false => value.iter().all(u8::is_ascii_digit).then_some(value),
            };
        }
        let mut draft = Draft::new(&value, self.place);
        // The boundary of a form is replaced as in the body, where it stands before each part.
        let boundary = match name.eq_ignore_ascii_case(b"content-type") {
            true => boundary(&value).unwrap_or(value.len()..value.len()),
            false => value.len()..value.len(),
        };
        let mut scan = |range| masker.treat(&mut draft, range, Encoding::Plain, Treatment::Scan, "header");
        let (before, behind) = (scan(0..boundary.start), scan(boundary.end..value.len()));
        before.and(behind).ok()?;
        if !boundary.is_empty() {
            masker.rename(&mut draft, boundary).ok()?;
        }
        let changed = draft.finish();
        Some(changed.map(Bytes::from).unwrap_or(value))
    }
}
