//! Message bodies: what their type and coding say, and what is done with each.

use std::io::Read;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::encoded::{Encoding, Undecodable};
use super::json::{Malformed, Rewriter};
use super::masker::{Draft, Masker};
use super::paths::Treatment;
use super::policy::{Rules, UnknownContent};
use crate::exchange::{Body, Headers, Place};

mod forms;
mod media;

pub(super) use forms::{is_plain_name, pairs};
use media::MediaPattern;

/// A decoder's window may take this much memory (2^23 bytes, the limit of RFC 9659 for zstd on the web).
const ZSTD_WINDOW_LOG: u32 = 23;

/// How bodies of a type are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ContentKind {
    /// One JSON document.
    Json,
    /// JSON documents, one a line.
    JsonLines,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Free text.
    Text,
    /// `text/event-stream`.
    Events,
    /// Never recorded.
    Drop,
    /// The exchange is not recorded.
    Refuse,
}

/// Which types are read how; the first that matches holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentRule {
    #[serde(rename = "type")]
    media: MediaPattern,
    #[serde(rename = "as")]
    kind: ContentKind,
}

/// Sanitizes bodies under one policy.
pub(super) struct Bodies {
    rules: Vec<ContentRule>,
    unknown: ContentKind,
    max_decoded: u64,
    json: Rewriter,
}

/// Why a body cannot be sanitized.
type Reason = &'static str;

// === impl Bodies ===

impl Bodies {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            rules: rules.content_types.clone(),
            unknown: match rules.unknown_content {
                Some(UnknownContent::Refuse) => ContentKind::Refuse,
                Some(UnknownContent::Drop) | None => ContentKind::Drop,
            },
            max_decoded: rules.max_decoded_bytes(),
            json: Rewriter::new(rules.json_paths(), rules.max_depth()),
        }
    }

    /// What may be written of `body`.
    pub(super) fn sanitize(
        &mut self,
        body: Body,
        headers: &Headers,
        place: Place,
        masker: &mut Masker,
    ) -> Result<Body, Reason> {
        let Body { bytes, original_len, decoded_from, truncated } = body;
        let without = |decoded_from| Body { bytes: Bytes::new(), original_len, decoded_from, truncated };
        if bytes.is_empty() {
            return Ok(without(decoded_from));
        }
        let kind = if truncated { ContentKind::Drop } else { self.kind(headers) };
        match kind {
            ContentKind::Refuse => return Err("the policy refuses content of this type"),
            ContentKind::Drop => {
                masker.count("body", place);
                return Ok(without(None));
            }
            _ => {}
        }
        let (bytes, removed) = self.decoded(bytes, headers)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "not valid UTF-8")?;
        let mut draft = Draft::new(text.as_bytes(), place);
        self.rewrite(kind, &mut draft, masker)?;
        let bytes = draft.finish().map(Bytes::from).unwrap_or(bytes);
        Ok(Body { bytes, original_len, decoded_from: removed.or(decoded_from), truncated })
    }

    /// How a body with these headers is read.
    fn kind(&self, headers: &Headers) -> ContentKind {
        let declared = single(headers, "content-type").and_then(|value| std::str::from_utf8(value).ok());
        let Some(declared) = declared else { return self.unknown };
        let media = declared.split(';').next().unwrap_or_default().trim();
        // The detectors read UTF-8; another character set would hide from them.
        if !media::is_utf8(declared) {
            return self.unknown;
        }
        self.rules.iter().find(|rule| rule.media.matches(media)).map_or(self.unknown, |rule| rule.kind)
    }

    /// The body without its content codings, and these as they were declared.
    fn decoded(&self, bytes: Bytes, headers: &Headers) -> Result<(Bytes, Option<String>), Reason> {
        let mut codings = Vec::new();
        for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding")) {
            let value = std::str::from_utf8(value).map_err(|_| "the content coding is unknown")?;
            codings.extend(value.split(',').map(|c| c.trim().to_ascii_lowercase()));
        }
        codings.retain(|c| !c.is_empty() && c != "identity");
        if codings.is_empty() {
            return Ok((bytes, None));
        }
        let mut plain = bytes;
        // The last coding was applied last.
        for coding in codings.iter().rev() {
            plain = self.undo(coding, &plain)?.into();
        }
        Ok((plain, Some(codings.join(", "))))
    }

    fn undo(&self, coding: &str, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
        match coding {
            "gzip" | "x-gzip" => self.read(flate2::read::MultiGzDecoder::new(bytes)),
            // RFC 9110 says zlib; some senders write the bare stream.
            "deflate" => match self.read(flate2::read::ZlibDecoder::new(bytes)) {
                Err(TORN) => self.read(flate2::read::DeflateDecoder::new(bytes)),
                result => result,
            },
            "zstd" => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(|_| TORN)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|_| TORN)?;
                self.read(decoder)
            }
            _ => Err("the content coding is unknown"),
        }
    }

    fn read(&self, decoder: impl Read) -> Result<Vec<u8>, Reason> {
        let mut plain = Vec::new();
        decoder.take(self.max_decoded + 1).read_to_end(&mut plain).map_err(|_| TORN)?;
        if plain.len() as u64 > self.max_decoded {
            return Err("the decoded body is over the policy's limit");
        }
        Ok(plain)
    }

    fn rewrite(
        &mut self,
        kind: ContentKind,
        draft: &mut Draft<'_>,
        masker: &mut Masker,
    ) -> Result<(), Reason> {
        let whole = 0..draft.source.len();
        match kind {
            ContentKind::Json => Ok(self.json.rewrite(draft, whole, masker)?),
            ContentKind::JsonLines => {
                for line in lines(draft.source) {
                    if !draft.source[line.clone()].trim_ascii().is_empty() {
                        self.json.rewrite(draft, line, masker)?;
                    }
                }
                Ok(())
            }
            ContentKind::Form => self.form(draft, masker),
            ContentKind::Text => {
                Ok(masker.treat(draft, whole, Encoding::Plain, Treatment::FreeText, "string")?)
            }
            ContentKind::Events => self.events(draft, masker),
            ContentKind::Drop | ContentKind::Refuse => Err("content of this type is not read"),
        }
    }

    fn form(&mut self, draft: &mut Draft<'_>, masker: &mut Masker) -> Result<(), Reason> {
        for (name, value) in pairs(draft.source, 0..draft.source.len()) {
            let treatment = match &name {
                Some(name) if is_plain_name(&draft.source[name.clone()]) => {
                    masker.treat(draft, name.clone(), Encoding::Form, Treatment::Scan, "key")?;
                    self.json.member(&draft.source[name.clone()])
                }
                Some(name) => {
                    masker.treat(draft, name.clone(), Encoding::Form, Treatment::Replace, "string")?;
                    Treatment::Replace
                }
                None => Treatment::Replace,
            };
            masker.treat(draft, value, Encoding::Form, treatment, "string")?;
        }
        Ok(())
    }

    /// An event stream, line by line: data are JSON documents or replaced whole.
    fn events(&mut self, draft: &mut Draft<'_>, masker: &mut Masker) -> Result<(), Reason> {
        for line in lines(draft.source) {
            let bytes = &draft.source[line.clone()];
            let Some(colon) = memchr::memchr(b':', bytes) else {
                // A field without value, or something that is no event stream at all.
                if !matches!(bytes, b"" | b"data" | b"event" | b"id" | b"retry") {
                    masker.treat(draft, line, Encoding::Plain, Treatment::Replace, "string")?;
                }
                continue;
            };
            let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
            let value = line.start + colon + 1 + space..line.end;
            let content = &draft.source[value.clone()];
            match &bytes[..colon] {
                b"data" if content == b"[DONE]" => {}
                b"data" if matches!(content.first(), Some(b'{' | b'[' | b'"')) => {
                    self.json.rewrite(draft, value, masker)?;
                }
                b"event" => masker.treat(draft, value, Encoding::Plain, Treatment::Keep, "string")?,
                b"retry" if content.iter().all(u8::is_ascii_digit) => {}
                b"data" | b"id" | b"retry" | b"" => {
                    masker.treat(draft, value, Encoding::Plain, Treatment::Replace, "string")?;
                }
                _ => masker.treat(draft, line, Encoding::Plain, Treatment::Replace, "string")?,
            }
        }
        Ok(())
    }
}

const TORN: Reason = "the content coding is damaged";

/// The value of a field that must not occur twice: two content types are none.
fn single<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

/// Lines without their ends: LF, CR LF or CR.
fn lines(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for end in memchr::memchr2_iter(b'\n', b'\r', bytes).chain([bytes.len()]) {
        lines.push(start..end);
        start = end + 1;
    }
    lines
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Reason {
        match malformed {
            Malformed::Grammar => "not valid JSON",
            Malformed::TooDeep => "JSON nested deeper than the policy's limit",
        }
    }
}

impl From<Undecodable> for Reason {
    fn from(_: Undecodable) -> Reason {
        "not valid UTF-8"
    }
}

#[cfg(test)]
mod tests;
