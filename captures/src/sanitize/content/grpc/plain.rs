//! The first reading: frames decoded, fields taken out that must not or cannot be looked at.

use bytes::Bytes;

use super::schema::{FieldRule, Kind, MessageId, UnknownFields};
use super::wire::{self, WireType};
use super::{Frame, Reason, Services, TOO_DEEP, TRAILERS, Trail, UNDESCRIBED, frame, inflated, write_frame};
use crate::exchange::{Headers, Place};

/// A body without compressed frames, and without what was taken out of it.
pub(in crate::sanitize) struct Plain {
    pub(in crate::sanitize) bytes: Bytes,
    /// How many fields were taken out.
    pub(in crate::sanitize) dropped: u32,
    /// Where they stood and why they went, when somebody asks.
    pub(in crate::sanitize) named: Vec<(String, &'static str)>,
}

/// What the reading of one body has come to.
struct Reading<'a> {
    services: &'a Services,
    trail: Trail,
    dropped: u32,
    named: Vec<(String, &'static str)>,
}

// === impl Services ===

impl Services {
    /// `body` made plain. With `asked`, names what was taken out.
    pub(in crate::sanitize) fn plain(
        &self,
        body: Bytes,
        headers: &Headers,
        place: Place,
        max_decoded: u64,
        asked: bool,
    ) -> Result<Plain, Reason> {
        let message = self.message(place).ok_or(UNDESCRIBED)?;
        let mut reading = Reading { services: self, trail: Trail::new(asked), dropped: 0, named: Vec::new() };
        let mut out = Vec::with_capacity(body.len());
        let mut rest = 0..body.len();
        let mut ended = false;
        while let Some(Frame { flag, message: range }) = frame(&body, &mut rest)? {
            if std::mem::replace(&mut ended, flag == TRAILERS) {
                return Err("a frame behind the trailers");
            }
            let left = max_decoded.saturating_sub(out.len() as u64);
            let decoded;
            let source = match flag {
                0 => &body[range],
                1 => {
                    decoded = inflated(&body[range], headers, left)?;
                    &decoded
                }
                TRAILERS if place == Place::ResponseBody => {
                    write_frame(TRAILERS, &reading.trailers(&body[range]), &mut out)?;
                    continue;
                }
                _ => return Err("a frame of unknown kind"),
            };
            let mut kept = Vec::with_capacity(source.len());
            reading.message(message, source, &mut kept, 0)?;
            write_frame(0, &kept, &mut out)?;
        }
        let Reading { dropped, named, .. } = reading;
        Ok(Plain { bytes: if out == *body { body } else { out.into() }, dropped, named })
    }
}

// === impl Reading ===

impl Reading<'_> {
    /// Copies a message field by field; `depth` others are around it.
    fn message(
        &mut self,
        id: MessageId,
        source: &[u8],
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), Reason> {
        if depth >= self.services.max_depth {
            return Err(TOO_DEEP);
        }
        let schema = &*self.services.schema;
        let message = schema.message(id);
        let mut rest = 0..source.len();
        while let Some(found) = wire::field(source, &mut rest)? {
            let value = &source[found.value];
            let known = message.field(found.number).map(|(_, field)| field);
            let Some(field) = known.filter(|field| field.is_written_as(found.wire)) else {
                if schema.unknown == UnknownFields::Refuse {
                    return Err("a field that the descriptors do not know");
                }
                self.drop(&found.number.to_string(), "the descriptors do not know it");
                continue;
            };
            if field.rule == Some(FieldRule::Drop) {
                self.drop(&field.name, "the policy drops it");
                continue;
            }
            let Kind::Message(inner) = field.kind else {
                wire::write_tag(found.number, found.wire, value.len(), out);
                out.extend_from_slice(value);
                continue;
            };
            let mut kept = Vec::with_capacity(value.len());
            let left = self.trail.enter(&field.name);
            self.message(inner, value, &mut kept, depth + 1)?;
            self.trail.leave(left);
            wire::write_tag(found.number, WireType::Bytes, kept.len(), out);
            out.extend_from_slice(&kept);
        }
        Ok(())
    }

    /// Of the trailers of gRPC-Web the status stays.
    fn trailers(&mut self, block: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        for line in block.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            let colon = memchr::memchr(b':', line).unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
            let is_status = line[..colon].eq_ignore_ascii_case(b"grpc-status");
            if is_status && (1..=2).contains(&value.len()) && value.iter().all(u8::is_ascii_digit) {
                kept.extend_from_slice(&[b"grpc-status:", value, b"\r\n"].concat());
            } else {
                self.drop("(a trailer)", "of the trailers the status stays");
            }
        }
        kept
    }

    fn drop(&mut self, step: &str, why: &'static str) {
        self.dropped = self.dropped.saturating_add(1);
        let left = self.trail.enter(step);
        if let Some(path) = &self.trail.0 {
            self.named.push((path.clone(), why));
        }
        self.trail.leave(left);
    }
}
