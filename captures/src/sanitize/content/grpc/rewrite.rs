//! The second reading: values rewritten where they stand, as the policy says of their fields and of their paths.
//!
//! The path of a value is that of the message's JSON form with the names of the `.proto` file: `/inputs/0/name`.

use std::ops::Range;

use super::super::{Bodies, tensors};
use super::schema::{Field, FieldRule, Kind, MessageId, Number, Schema};
use super::tensors::{Layout, described, layout};
use super::wire::{self, WireType};
use super::{Frame, MALFORMED, Reason, TRAILERS, Trail, frame};
use crate::sanitize::encoded::Encoding;
use crate::sanitize::json::Rewriter;
use crate::sanitize::masker::{Draft, Masker};
use crate::sanitize::paths::Treatment;
use crate::sanitize::trace::{Named, Step};

/// The present body and what is done with it.
struct Values<'a, 'd, 's> {
    schema: &'a Schema,
    json: &'a mut Rewriter,
    draft: &'a mut Draft<'d>,
    masker: &'a mut Masker,
    source: &'s [u8],
    trail: Trail,
    /// Bytes of tensors: they are treated by the paths of their JSON form, when the message is done.
    tensors: Vec<(&'static str, usize, tensors::Shape, Range<usize>)>,
}

/// Rewrites the frames of a plain body.
pub(super) fn rewrite(
    bodies: &mut Bodies,
    schema: &Schema,
    message: MessageId,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    let source = draft.source;
    let asked = masker.is_traced();
    let mut rest = 0..source.len();
    let mut first = 0;
    while let Some(Frame { flag, message: range }) = frame(source, &mut rest)? {
        if flag == TRAILERS {
            continue;
        }
        first += 1;
        bodies.json.restart();
        let mut trail = Trail::new(asked);
        if let Some(path) = trail.0.as_mut().filter(|_| first > 1) {
            *path = format!("message {first} ");
        }
        let mut values =
            Values { schema, json: &mut bodies.json, draft, masker, source, trail, tensors: Vec::new() };
        values.message(message, range)?;
        for (list, index, shape, range) in std::mem::take(&mut values.tensors) {
            tensors::content(bodies, (list, index), shape, range, draft, masker)?;
        }
    }
    Ok(())
}

// === impl Values ===

impl Values<'_, '_, '_> {
    fn message(&mut self, id: MessageId, range: Range<usize>) -> Result<(), Reason> {
        let message = self.schema.message(id);
        let mut raw = match layout(message) {
            Some(layout) => Some((described(&layout, &self.source[range.clone()])?.into_iter(), layout)),
            None => None,
        };
        let mut seen = vec![0; message.fields.len()];
        let mut apart = false;
        let mut rest = range;
        while let Some(found) = wire::field(self.source, &mut rest)? {
            // The first reading left none that is not known.
            let (at, field) = message.field(found.number).ok_or(MALFORMED)?;
            if let Some((tensors, Layout { list, raw, .. })) = &mut raw
                && *raw == field.number
                && field.rule.is_none()
            {
                let (index, shape) = tensors.next().ok_or("bytes of a tensor that is not described")?;
                self.tensors.push((list, index, shape, found.value));
                apart = true;
                continue;
            }
            let left = self.trail.enter(&field.name);
            self.json.enter(field.name.as_bytes());
            self.occurrence(field, &mut seen[at], found.wire, found.value)?;
            self.json.leave();
            self.trail.leave(left);
        }
        // Either all tensors have their bytes apart or none has.
        let missing = raw.is_some_and(|(mut tensors, _)| tensors.next().is_some());
        if apart && missing { Err(MALFORMED) } else { Ok(()) }
    }

    /// One occurrence of a field: a value, an element, a member, or many numbers together.
    fn occurrence(
        &mut self,
        field: &Field,
        seen: &mut usize,
        wire: WireType,
        value: Range<usize>,
    ) -> Result<(), Reason> {
        match field.kind {
            Kind::Message(id) if self.schema.message(id).is_entry => self.entry(id, field.rule, value),
            Kind::Number(number) if wire != number.wire() => {
                let mut rest = value;
                while !rest.is_empty() {
                    let start = rest.start;
                    match number.wire() {
                        WireType::Fixed32 => rest.start += 4,
                        WireType::Fixed64 => rest.start += 8,
                        _ => drop(wire::varint(self.source, &mut rest)?),
                    }
                    if rest.start > rest.end {
                        return Err(MALFORMED);
                    }
                    self.element(field, seen, start..rest.start)?;
                }
                Ok(())
            }
            _ if field.repeated => self.element(field, seen, value),
            _ => self.value(field.kind, field.rule, value),
        }
    }

    fn element(&mut self, field: &Field, seen: &mut usize, value: Range<usize>) -> Result<(), Reason> {
        let left = if self.trail.0.is_some() { self.trail.enter(&seen.to_string()) } else { 0 };
        self.json.enter_element(*seen);
        *seen += 1;
        self.value(field.kind, field.rule, value)?;
        self.json.leave();
        self.trail.leave(left);
        Ok(())
    }

    /// A key and its value. The key is a name, as in JSON; it may stand behind the value, and be written more than once.
    fn entry(&mut self, id: MessageId, rule: Option<FieldRule>, range: Range<usize>) -> Result<(), Reason> {
        let entry = self.schema.message(id);
        let (mut name, mut values) = (String::new(), Vec::new());
        let mut rest = range;
        while let Some(found) = wire::field(self.source, &mut rest)? {
            let (at, field) = entry.field(found.number).ok_or(MALFORMED)?;
            match field.kind {
                _ if at > 0 => values.push((field, found.value)),
                Kind::String => {
                    let key = std::str::from_utf8(&self.source[found.value.clone()]);
                    name = key.map_err(|_| "not valid UTF-8")?.to_owned();
                    self.text(found.value, Treatment::Scan, "key")?;
                }
                Kind::Number(number) => {
                    let magnitude =
                        self.magnitude(number, &found.value).map_or(0, |(magnitude, _)| magnitude);
                    name = magnitude.to_string();
                    self.number(number, None, found.value);
                }
                _ => return Err(MALFORMED),
            }
        }
        let left = self.trail.enter(&name);
        self.json.enter(name.as_bytes());
        for (field, value) in values {
            self.value(field.kind, rule.or(field.rule), value)?;
        }
        self.json.leave();
        self.trail.leave(left);
        Ok(())
    }

    fn value(&mut self, kind: Kind, rule: Option<FieldRule>, value: Range<usize>) -> Result<(), Reason> {
        let treatment = match rule {
            Some(FieldRule::Keep) => Treatment::Keep,
            Some(FieldRule::FreeText) => Treatment::FreeText,
            Some(FieldRule::Replace | FieldRule::Drop) => Treatment::Replace,
            None => self.json.here(),
        };
        match kind {
            Kind::Message(id) => self.message(id, value),
            Kind::String => self.text(value, treatment, "string"),
            Kind::Bytes if std::str::from_utf8(&self.source[value.clone()]).is_ok() => {
                self.text(value, treatment, "string")
            }
            Kind::Bytes if rule == Some(FieldRule::Keep) => Ok(()),
            Kind::Bytes => {
                self.draft.blank(value);
                self.masker.count("bytes", self.draft.place);
                Ok(())
            }
            Kind::Number(number) => {
                self.number(number, rule, value);
                Ok(())
            }
            Kind::Group => Err(MALFORMED),
        }
    }

    fn text(&mut self, range: Range<usize>, treatment: Treatment, class: &'static str) -> Result<(), Reason> {
        self.name(range.start, None);
        Ok(self.masker.treat(self.draft, range, Encoding::Plain, treatment, class)?)
    }

    /// Says of what stands at `start` where that is.
    fn name(&mut self, start: usize, number: Option<(String, String)>) {
        if let (Some(trace), Some(path)) = (&mut self.masker.trace, &self.trail.0) {
            trace.name(self.draft.place, start, Named { at: path.clone(), number });
        }
    }

    /// A number names somebody or nobody, as in JSON; the rule may want none at all.
    fn number(&mut self, number: Number, rule: Option<FieldRule>, range: Range<usize>) {
        if rule == Some(FieldRule::Keep) {
            return;
        }
        let zeros = match number.wire() {
            WireType::Varint => wire::padded_varint(0, range.len()),
            _ => vec![0; range.len()],
        };
        if rule == Some(FieldRule::Replace) {
            if self.source[range.clone()] != zeros {
                self.draft.write(range, &zeros);
                self.masker.count("number", self.draft.place);
            }
            return;
        }
        let Some((magnitude, negative)) = self.magnitude(number, &range) else { return };
        let digits = magnitude.to_string();
        let Some((class, new)) = self.masker.named_integer(&digits) else { return };
        if self.masker.is_traced() {
            let (place, encoding, treatment) = (self.draft.place, Encoding::Plain, Treatment::Scan);
            let step = Step { place, range: range.clone(), encoding, treatment, class: "number" };
            self.name(range.start, Some((digits, new.clone())));
            let trace = self.masker.trace.as_mut();
            if trace.is_some_and(|trace| {
                trace.push(step);
                trace.only
            }) {
                return;
            }
        }
        let new = written(number, new.parse().unwrap_or(0), negative, self.source, &range);
        let new = if new == self.source[range.clone()] { zeros } else { new };
        self.draft.write(range, &new);
        self.masker.count(class.name(), self.draft.place);
    }

    /// The digits before the point, and whether there is a minus before them; `None` for what names nobody.
    fn magnitude(&self, number: Number, range: &Range<usize>) -> Option<(u64, bool)> {
        let bytes = &self.source[range.clone()];
        let signed = |value: i64| Some((value.unsigned_abs(), value < 0));
        match number {
            Number::Plain | Number::Float => None,
            Number::Signed => signed(wire::varint(bytes, &mut (0..bytes.len())).ok()? as i64),
            Number::Unsigned => Some((wire::varint(bytes, &mut (0..bytes.len())).ok()?, false)),
            Number::ZigZag => {
                let value = wire::varint(bytes, &mut (0..bytes.len())).ok()?;
                signed((value >> 1) as i64 ^ -((value & 1) as i64))
            }
            Number::Fixed32 => Some((u64::from(u32::from_le_bytes(bytes.try_into().ok()?)), false)),
            Number::Sfixed32 => signed(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
            Number::Fixed64 => Some((u64::from_le_bytes(bytes.try_into().ok()?), false)),
            Number::Sfixed64 => signed(i64::from_le_bytes(bytes.try_into().ok()?)),
            Number::Double => {
                let value = f64::from_le_bytes(bytes.try_into().ok()?);
                // Beyond, digits are not those that somebody wrote.
                (value.abs() < 2f64.powi(63)).then(|| (value.abs() as u64, value < 0.0))
            }
        }
    }
}

/// A number of this kind in the bytes of another one.
fn written(number: Number, magnitude: u64, negative: bool, source: &[u8], old: &Range<usize>) -> Vec<u8> {
    let signed = if negative { (magnitude as i64).wrapping_neg() } else { magnitude as i64 };
    match number {
        Number::Plain | Number::Signed | Number::Unsigned => wire::padded_varint(signed as u64, old.len()),
        Number::ZigZag => wire::padded_varint((signed << 1 ^ signed >> 63) as u64, old.len()),
        Number::Fixed32 | Number::Sfixed32 | Number::Float => (signed as u32).to_le_bytes().to_vec(),
        Number::Fixed64 | Number::Sfixed64 => (signed as u64).to_le_bytes().to_vec(),
        Number::Double => {
            let old: [u8; 8] = source[old.clone()].try_into().unwrap_or_default();
            (signed as f64 + f64::from_le_bytes(old).fract()).to_le_bytes().to_vec()
        }
    }
}
