//! Triton's binary tensor extension: a JSON document, and behind it the raw bytes of its tensors one after the other.
//!
//! The header field `inference-header-content-length` says where the JSON ends, each tensor's `binary_data_size` how
//! many bytes are its own. BYTES tensors are strings with a length of four bytes before each; all others are numbers.
//! What does not add up to the byte is refused.

use std::ops::Range;

use serde::Deserialize;

use super::super::encoded::Encoding;
use super::super::masker::{Draft, Masker};
use super::{Bodies, Reason};
use crate::exchange::{Headers, Place};

const MALFORMED: Reason = "binary tensors that do not add up";

/// The parts of the JSON that say where the tensors are. A key that occurs twice is an error: two readers could take
/// different ones.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    #[serde(default)]
    shape: Vec<u64>,
    #[serde(default)]
    datatype: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
struct Parameters {
    binary_data_size: Option<u64>,
}

/// What the bytes of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Strings, each behind its length.
    Strings { elements: u64 },
    /// Numbers, in so many bytes.
    Numbers { bytes: u64 },
}

/// Where the JSON ends; `None` when the message does not say so, or says nonsense.
pub(super) fn json_len(headers: &Headers, body: usize) -> Option<usize> {
    let declared = super::single(headers, "inference-header-content-length")?;
    let digits = std::str::from_utf8(declared).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|len| *len <= body)
}

/// Rewrites the document in `draft` whose JSON has `json_len` bytes.
pub(super) fn rewrite(
    bodies: &mut Bodies,
    json_len: usize,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    let source = draft.source;
    super::utf8(&source[..json_len])?;
    bodies.json.rewrite(draft, 0..json_len, masker)?;
    let document: Document = serde_json::from_slice(&source[..json_len]).map_err(|_| MALFORMED)?;
    let (list, tensors) = match draft.place {
        Place::RequestBody => ("inputs", document.inputs),
        _ => ("outputs", document.outputs),
    };
    let mut at = json_len;
    for (index, tensor) in tensors.iter().enumerate() {
        let Some(len) = tensor.parameters.binary_data_size else { continue };
        let len = usize::try_from(len).map_err(|_| MALFORMED)?;
        let range = at..at.checked_add(len).filter(|end| *end <= source.len()).ok_or(MALFORMED)?;
        at = range.end;
        let elements = tensor.shape.iter().try_fold(1u64, |n, dim| n.checked_mul(*dim)).ok_or(MALFORMED)?;
        let shape = match width(&tensor.datatype) {
            _ if tensor.datatype == "BYTES" => Shape::Strings { elements },
            Some(width) => Shape::Numbers { bytes: elements.checked_mul(width).ok_or(MALFORMED)? },
            None => return Err("a binary tensor of unknown type"),
        };
        content(bodies, (list, index), shape, range, draft, masker)?;
    }
    if at == source.len() { Ok(()) } else { Err(MALFORMED) }
}

/// Treats the bytes of one tensor, element INDEX of LIST.
pub(super) fn content(
    bodies: &mut Bodies,
    (list, index): (&str, usize),
    shape: Shape,
    range: Range<usize>,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    match shape {
        Shape::Strings { elements } => strings(bodies, (list, index), elements, range, draft, masker),
        Shape::Numbers { bytes } if bytes != range.len() as u64 => Err(MALFORMED),
        Shape::Numbers { .. } => {
            if !bodies.tensors.keeps(draft.place) && !range.is_empty() {
                draft.blank(range);
                masker.count("tensor", draft.place);
            }
            Ok(())
        }
    }
}

/// Treats the elements of a BYTES tensor as the policy says of `/LIST/INDEX/data/ELEMENT`.
fn strings(
    bodies: &mut Bodies,
    (list, index): (&str, usize),
    elements: u64,
    range: Range<usize>,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    let source = draft.source;
    let (mut at, mut element) = (range.start, 0u64);
    while at < range.end {
        let start = at + 4;
        let prefix = source[..range.end].get(at..start).and_then(|p| <[u8; 4]>::try_from(p).ok());
        let len = u32::from_le_bytes(prefix.ok_or(MALFORMED)?) as usize;
        at = start.checked_add(len).filter(|end| *end <= range.end).ok_or(MALFORMED)?;
        if std::str::from_utf8(&source[start..at]).is_ok() {
            let path = [list, &index.to_string(), "data", &element.to_string()];
            let treatment = bodies.json.treatment(path.map(str::as_bytes));
            masker.treat(draft, start..at, Encoding::Plain, treatment, "string")?;
        } else {
            // An image or the like.
            draft.blank(start..at);
            masker.count("tensor", draft.place);
        }
        element += 1;
    }
    if element == elements { Ok(()) } else { Err(MALFORMED) }
}

/// Bytes of one number.
pub(super) fn width(datatype: &str) -> Option<u64> {
    Some(match datatype {
        "BOOL" | "UINT8" | "INT8" => 1,
        "UINT16" | "INT16" | "FP16" | "BF16" => 2,
        "UINT32" | "INT32" | "FP32" => 4,
        "UINT64" | "INT64" | "FP64" => 8,
        _ => return None,
    })
}
