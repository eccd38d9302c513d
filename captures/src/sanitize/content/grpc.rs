//! gRPC bodies: frames of protocol buffers, read by the descriptors that the policy names.
//!
//! A body is read twice. First it is made *plain*: compressed frames are decoded, and fields that the descriptors do not
//! know or the policy drops are taken out, which changes lengths ([`plain`]). Then values are rewritten where they stand,
//! as in every other body: a replacement is as long as what it replaces, so no length changes any more (`rewrite`).

use std::ops::Range;
use std::sync::Arc;

use super::super::masker::{Draft, Masker};
use super::{Bodies, Reason, codings, single};
use crate::exchange::{Headers, Place};

mod plain;
mod rewrite;
mod schema;
mod tensors;
mod wire;

pub(super) use plain::Plain;
use schema::MessageId;
pub(in crate::sanitize) use schema::{FieldRule, Schema, UnknownFields};

/// A flag, and four bytes of length.
const PREFIX: usize = 5;

/// The frame holds trailers: gRPC-Web puts them behind the messages of a response.
const TRAILERS: u8 = 0x80;

/// Messages nested deeper are read by no implementation.
const DEEPEST: usize = 100;

const MALFORMED: Reason = "no frames of the messages that the descriptors name";
const UNDESCRIBED: Reason = "a method that the descriptors do not name";
const TOO_DEEP: Reason = "messages nested deeper than the policy's limit";

/// The methods that the policy describes, and the one that the present exchange calls.
pub(super) struct Services {
    schema: Arc<Schema>,
    called: Option<(MessageId, MessageId)>,
    max_depth: usize,
}

/// A frame in a body.
struct Frame {
    flag: u8,
    message: Range<usize>,
}

// === impl Services ===

impl Services {
    pub(super) fn new(schema: Arc<Schema>, max_depth: usize) -> Self {
        Self { schema, called: None, max_depth: max_depth.min(DEEPEST) }
    }

    /// Looks up the method that a request target names.
    pub(super) fn call(&mut self, target: &[u8]) {
        self.called = self.schema.method(target);
    }

    /// Whether the messages of the present exchange are described.
    pub(super) fn are_described(&self) -> bool {
        self.called.is_some()
    }

    /// Rewrites a plain body.
    pub(super) fn rewrite(
        &self,
        bodies: &mut Bodies,
        draft: &mut Draft<'_>,
        masker: &mut Masker,
    ) -> Result<(), Reason> {
        let message = self.message(draft.place).ok_or(UNDESCRIBED)?;
        rewrite::rewrite(bodies, &self.schema, message, draft, masker)
    }

    fn message(&self, place: Place) -> Option<MessageId> {
        let (input, output) = self.called?;
        Some(if place == Place::RequestBody { input } else { output })
    }
}

impl From<wire::Malformed> for Reason {
    fn from(_: wire::Malformed) -> Reason {
        MALFORMED
    }
}

/// The frame at `range.start`; leaves `range` behind it.
fn frame(body: &[u8], range: &mut Range<usize>) -> Result<Option<Frame>, Reason> {
    if range.start == range.end {
        return Ok(None);
    }
    let prefix = body[range.clone()].first_chunk::<PREFIX>().ok_or(MALFORMED)?;
    let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    let start = range.start + PREFIX;
    if len > range.end - start {
        return Err("a frame that is cut");
    }
    range.start = start + len;
    Ok(Some(Frame { flag: prefix[0], message: start..start + len }))
}

fn write_frame(flag: u8, message: &[u8], out: &mut Vec<u8>) -> Result<(), Reason> {
    let len = u32::try_from(message.len()).map_err(|_| MALFORMED)?;
    out.push(flag);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

/// A message as it was before its frame was compressed.
fn inflated(message: &[u8], headers: &Headers, max_decoded: u64) -> Result<Vec<u8>, Reason> {
    let coding = single(headers, "grpc-encoding").and_then(|coding| std::str::from_utf8(coding).ok());
    let coding = coding.ok_or("a compressed frame without its coding")?.trim().to_ascii_lowercase();
    codings::undo(&coding, message, max_decoded)
}

/// Where a value stands, for those who ask; costs nothing otherwise.
struct Trail(Option<String>);

impl Trail {
    fn new(wanted: bool) -> Self {
        Self(wanted.then(String::new))
    }

    /// Goes into a step; returns what [`Trail::leave`] needs.
    fn enter(&mut self, step: &str) -> usize {
        let Some(path) = &mut self.0 else { return 0 };
        let len = path.len();
        path.push('/');
        path.push_str(step);
        len
    }

    fn leave(&mut self, len: usize) {
        if let Some(path) = &mut self.0 {
            path.truncate(len);
        }
    }
}
