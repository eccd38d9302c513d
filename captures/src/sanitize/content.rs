//! Message bodies: what their type and coding say, and what is done with each.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::encoded::{Encoding, Undecodable};
use super::json::{Malformed, Rewriter};
use super::masker::{Draft, Masker};
use super::paths::Treatment;
use super::policy::{BinaryTensors, Rules, UnknownContent};
use crate::exchange::{Body, Headers, Place};

mod codings;
mod events;
mod forms;
mod grpc;
mod media;
mod multipart;
mod tensors;

pub(super) use forms::{is_plain_name, pairs};
pub(super) use grpc::{FieldRule, Schema, UnknownFields};
use grpc::{Plain, Services};
use media::MediaPattern;
pub(super) use multipart::boundary;

/// Content types remembered with what they mean: a service has a handful, and says them on every message.
const REMEMBERED: usize = 4;

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
    /// `multipart/form-data`.
    Multipart,
    /// JSON and, behind it, binary tensors, where a header field says so; else of unknown type.
    Tensors,
    /// Free text.
    Text,
    /// `text/event-stream`.
    Events,
    /// gRPC frames of messages that the policy has descriptors of.
    #[serde(skip)]
    Grpc,
    /// Never recorded.
    Drop,
    /// The exchange is not recorded.
    Refuse,
}

/// Which types are read how; the first that matches holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "RawRule")]
pub(super) struct ContentRule {
    #[serde(rename = "type")]
    media: MediaPattern,
    #[serde(rename = "as")]
    kind: ContentKind,
}

/// A rule as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
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
    tensors: BinaryTensors,
    /// Where the policy describes services.
    grpc: Option<Services>,
    /// Content types as sent, the latest first.
    remembered: Vec<(Box<[u8]>, ContentKind)>,
}

/// Why a body cannot be sanitized.
type Reason = &'static str;

// === impl ContentKind ===

impl ContentKind {
    /// Whether a body is looked into.
    fn is_read(self) -> bool {
        !matches!(self, Self::Drop | Self::Refuse)
    }
}

// === impl ContentRule ===

impl TryFrom<RawRule> for ContentRule {
    type Error = String;

    fn try_from(RawRule { media, kind }: RawRule) -> Result<Self, String> {
        if kind.is_read() && media.is_grpc() {
            return Err(format!(
                "`{}`: gRPC frames are read by the service's descriptors: name these under `grpc`; here only `as: drop` or `as: refuse` can be said of them",
                String::from(media)
            ));
        }
        Ok(Self { media, kind })
    }
}

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
            tensors: rules.binary_tensors,
            grpc: None,
            remembered: Vec::new(),
        }
    }

    /// The same, which reads gRPC frames, too.
    pub(super) fn describing(self, services: Option<Arc<Schema>>) -> Self {
        let max_depth = self.json.max_depth();
        Self { grpc: services.map(|schema| Services::new(schema, max_depth)), ..self }
    }

    /// Says which request target the bodies that follow belong to.
    pub(super) fn call(&mut self, target: &[u8]) {
        if let Some(grpc) = &mut self.grpc {
            grpc.call(target);
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
        let kind = self.kind(headers, truncated);
        match kind {
            ContentKind::Refuse => return Err("the policy refuses content of this type"),
            ContentKind::Drop => {
                masker.count("body", place);
                return Ok(without(None));
            }
            _ => {}
        }
        let (bytes, removed) = self.decoded(bytes, headers)?;
        let bytes = match kind {
            ContentKind::Grpc => self.plain(bytes, headers, place, masker)?,
            _ => bytes,
        };
        let mut draft = Draft::new(&bytes, place);
        match kind {
            ContentKind::Multipart => {
                let declared = single(headers, "content-type").unwrap_or_default();
                let boundary = boundary(declared).ok_or("a multipart form without a boundary")?;
                multipart::rewrite(self, &declared[boundary], &mut draft, masker)?;
            }
            ContentKind::Tensors => {
                let json_len = tensors::json_len(headers, bytes.len())
                    .ok_or("no length of the JSON before the binary tensors")?;
                tensors::rewrite(self, json_len, &mut draft, masker)?;
            }
            ContentKind::Grpc => {
                let grpc = self.grpc.take().ok_or("content of this type is not read")?;
                let result = grpc.rewrite(self, &mut draft, masker);
                self.grpc = Some(grpc);
                result?;
            }
            kind => {
                draft.read_as_text()?;
                self.rewrite(kind, &mut draft, masker)?;
            }
        }
        let bytes = draft.finish().map(Bytes::from).unwrap_or(bytes);
        Ok(Body { bytes, original_len, decoded_from: removed.or(decoded_from), truncated })
    }

    /// How the body of a message is read.
    pub(super) fn kind(&mut self, headers: &Headers, truncated: bool) -> ContentKind {
        match self.kind_of(single(headers, "content-type").unwrap_or_default()) {
            _ if truncated => ContentKind::Drop,
            // Without the field the type says nothing of what is in it.
            ContentKind::Tensors if headers.get(TENSOR_JSON).is_none() => self.unknown,
            ContentKind::Json if headers.get(TENSOR_JSON).is_some() => ContentKind::Tensors,
            ContentKind::Grpc if !self.grpc.as_ref().is_some_and(Services::are_described) => self.unknown,
            kind => kind,
        }
    }

    /// A gRPC body without compressed frames and without fields that must go; these are counted.
    pub(super) fn plain(
        &self,
        bytes: Bytes,
        headers: &Headers,
        place: Place,
        masker: &mut Masker,
    ) -> Result<Bytes, Reason> {
        let grpc = self.grpc.as_ref().ok_or("content of this type is not read")?;
        let Plain { bytes, dropped, named } =
            grpc.plain(bytes, headers, place, self.max_decoded, masker.is_traced())?;
        masker.count_many("field", place, dropped);
        if let Some(trace) = &mut masker.trace {
            trace.drop(place, named);
        }
        Ok(bytes)
    }

    /// A body without its content codings, and these as they were declared.
    pub(super) fn decoded(&self, bytes: Bytes, headers: &Headers) -> Result<(Bytes, Option<String>), Reason> {
        codings::decoded(bytes, headers, self.max_decoded)
    }

    /// How a body of this content type is read.
    pub(super) fn kind_of(&mut self, declared: &[u8]) -> ContentKind {
        if let Some(at) = self.remembered.iter().position(|(known, _)| **known == *declared) {
            self.remembered.swap(0, at);
            return self.remembered[0].1;
        }
        let kind = self.looked_up(declared);
        self.remembered.truncate(REMEMBERED - 1);
        self.remembered.insert(0, (declared.into(), kind));
        kind
    }

    fn looked_up(&self, declared: &[u8]) -> ContentKind {
        let Ok(declared) = std::str::from_utf8(declared) else { return self.unknown };
        let media = declared.split(';').next().unwrap_or_default().trim();
        // The detectors read UTF-8; another character set would hide from them.
        if !media::is_utf8(declared) {
            return self.unknown;
        }
        let rule = self.rules.iter().find(|rule| rule.media.matches(media));
        match rule.map(|rule| rule.kind) {
            // `*/*+json` does not know that `application/grpc+json` puts five bytes before each document.
            Some(kind) if kind.is_read() && media::is_grpc(media) => self.unknown,
            None if self.grpc.is_some() && media::is_protobuf_grpc(media) => ContentKind::Grpc,
            kind => kind.unwrap_or(self.unknown),
        }
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
                for line in lines(draft.source, whole) {
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
            ContentKind::Events => events::rewrite(&mut self.json, draft, masker),
            ContentKind::Multipart
            | ContentKind::Tensors
            | ContentKind::Grpc
            | ContentKind::Drop
            | ContentKind::Refuse => Err("content of this type is not read"),
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
}

const TENSOR_JSON: &str = "inference-header-content-length";

/// Refuses bytes that are no text.
fn utf8(bytes: &[u8]) -> Result<(), Reason> {
    std::str::from_utf8(bytes).map(|_| ()).map_err(|_| "not valid UTF-8")
}

/// The value of a field that must not occur twice: two content types are none.
fn single<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

/// Lines of `range` without their ends: LF, CR LF (with an empty line between the two) or CR.
fn lines(bytes: &[u8], range: Range<usize>) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = range.start;
    let ends = memchr::memchr2_iter(b'\n', b'\r', &bytes[range.clone()]).map(|at| range.start + at);
    for end in ends.chain([range.end]) {
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
