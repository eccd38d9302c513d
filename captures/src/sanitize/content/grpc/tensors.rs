//! Tensors of the Open Inference Protocol (KServe v2, Triton), whose bytes stand apart from what describes them.
//!
//! `ModelInferRequest` and `ModelInferResponse` carry the data of their tensors in `raw_input_contents` and
//! `raw_output_contents`, in the order of the tensors; those in shared memory have none.

use super::super::tensors::{Shape, width};
use super::schema::Message;
use super::wire;
use super::{MALFORMED, Reason};

/// Numbers of the fields of `InferInputTensor` and `InferOutputTensor`.
const DATATYPE: u32 = 2;
const SHAPE: u32 = 3;
const PARAMETERS: u32 = 4;

/// Where a message has its tensors.
pub(super) struct Layout {
    /// The list that describes them, as in JSON.
    pub(super) list: &'static str,
    described: u32,
    /// The field of their bytes.
    pub(super) raw: u32,
}

/// The layout of a message that holds tensors.
pub(super) fn layout(message: &Message) -> Option<Layout> {
    let layout = match message.name() {
        "inference.ModelInferRequest" => Layout { list: "inputs", described: 5, raw: 7 },
        "inference.ModelInferResponse" => Layout { list: "outputs", described: 5, raw: 6 },
        _ => return None,
    };
    let named = |number, name: &str| message.field(number).is_some_and(|(_, field)| &*field.name == name);
    let raw = match layout.list {
        "inputs" => "raw_input_contents",
        _ => "raw_output_contents",
    };
    (named(layout.described, layout.list) && named(layout.raw, raw)).then_some(layout)
}

/// The tensors of a message that are not in shared memory: their place in the list, and what they are.
pub(super) fn described(layout: &Layout, source: &[u8]) -> Result<Vec<(usize, Shape)>, Reason> {
    let (mut found, mut index) = (Vec::new(), 0);
    let mut rest = 0..source.len();
    while let Some(field) = wire::field(source, &mut rest)? {
        if field.number != layout.described || field.wire != wire::WireType::Bytes {
            continue;
        }
        if let Some(shape) = tensor(&source[field.value])? {
            found.push((index, shape));
        }
        index += 1;
    }
    Ok(found)
}

/// What one tensor is; `None` for one in shared memory.
fn tensor(source: &[u8]) -> Result<Option<Shape>, Reason> {
    let (mut datatype, mut elements) = (Vec::new(), 1u64);
    let mut rest = 0..source.len();
    while let Some(field) = wire::field(source, &mut rest)? {
        match (field.number, field.wire) {
            (DATATYPE, wire::WireType::Bytes) => datatype = source[field.value].to_vec(),
            (SHAPE, _) => {
                let mut dims = field.value;
                while !dims.is_empty() {
                    elements = elements.checked_mul(wire::varint(source, &mut dims)?).ok_or(MALFORMED)?;
                }
            }
            (PARAMETERS, wire::WireType::Bytes) => {
                let mut entry = field.value;
                let key = wire::field(source, &mut entry)?.filter(|key| key.number == 1);
                if key.is_some_and(|key| &source[key.value] == b"shared_memory_region") {
                    return Ok(None);
                }
            }
            _ => {}
        }
    }
    match (datatype.as_slice(), std::str::from_utf8(&datatype).ok().and_then(width)) {
        (b"BYTES", _) => Ok(Some(Shape::Strings { elements })),
        (_, Some(width)) => Ok(Some(Shape::Numbers { bytes: elements.checked_mul(width).ok_or(MALFORMED)? })),
        _ => Err("a binary tensor of unknown type"),
    }
}
