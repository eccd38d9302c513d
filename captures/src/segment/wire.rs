//! One record: an exchange as a MessagePack map with short keys.
//!
//! A record borrows: encoding reads straight from the [`Exchange`], decoding slices the decompressed block, so that
//! neither copies a body. A field that is empty, zero or as expected is left out, and a reader ignores keys it does
//! not know. Codes are small integers rather than serde's enums, so that one a newer producer invented does not make
//! the record unreadable.

use std::fmt;

use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frame::from_map;
use crate::exchange::{
    Body, Chunk, Ending, Exchange, ExchangeId, Headers, HttpVersion, Place, Redaction, Request, Response,
    Stamp, Timing, UnixNanos,
};

/// Why a record whose bytes are intact is no exchange; never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordFault {
    #[error("is not a record map")]
    Malformed,
    #[error("has an id of {0} bytes instead of 16")]
    Id(usize),
    #[error("has an HTTP version of code {0}, unknown to this program")]
    Version(u8),
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    #[serde(rename = "i", with = "serde_bytes", borrow)]
    id: &'a [u8],
    #[serde(rename = "c")]
    connection: u64,
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    index: u32,
    #[serde(rename = "a")]
    arrival: u64,
    #[serde(rename = "q", borrow)]
    request: WireRequest<'a>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none", borrow)]
    response: Option<WireResponse<'a>>,
    #[serde(rename = "e", default, skip_serializing_if = "is_zero")]
    ending: u8,
    #[serde(rename = "tq", default, skip_serializing_if = "Option::is_none")]
    request_end: Option<u64>,
    #[serde(rename = "tp", default, skip_serializing_if = "Option::is_none")]
    response_start: Option<u64>,
    #[serde(rename = "te", default, skip_serializing_if = "is_zero")]
    end: u64,
    #[serde(rename = "k", default, skip_serializing_if = "Vec::is_empty")]
    chunks: Vec<(u64, u32)>,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty", borrow)]
    redactions: Vec<(&'a str, u8, u32)>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<serde_bytes::ByteArray<16>>,
}

#[derive(Serialize, Deserialize)]
struct WireRequest<'a> {
    #[serde(rename = "m", with = "serde_bytes", borrow)]
    method: &'a [u8],
    #[serde(rename = "u", with = "serde_bytes", borrow)]
    target: &'a [u8],
    #[serde(rename = "v", default = "http11", skip_serializing_if = "is_http11")]
    version: u8,
    #[serde(rename = "h", default, skip_serializing_if = "Fields::is_empty", borrow)]
    headers: Fields<'a>,
    #[serde(rename = "b", default, skip_serializing_if = "WireBody::is_empty", borrow)]
    body: WireBody<'a>,
    #[serde(rename = "t", default, skip_serializing_if = "Fields::is_empty", borrow)]
    trailers: Fields<'a>,
}

#[derive(Serialize, Deserialize)]
struct WireResponse<'a> {
    #[serde(rename = "s")]
    status: u16,
    #[serde(rename = "v", default = "http11", skip_serializing_if = "is_http11")]
    version: u8,
    #[serde(rename = "h", default, skip_serializing_if = "Fields::is_empty", borrow)]
    headers: Fields<'a>,
    #[serde(rename = "b", default, skip_serializing_if = "WireBody::is_empty", borrow)]
    body: WireBody<'a>,
    #[serde(rename = "t", default, skip_serializing_if = "Fields::is_empty", borrow)]
    trailers: Fields<'a>,
}

#[derive(Default, Serialize, Deserialize)]
struct WireBody<'a> {
    #[serde(rename = "b", default, skip_serializing_if = "<[u8]>::is_empty", with = "serde_bytes", borrow)]
    bytes: &'a [u8],
    /// Left out when it is the length of `bytes`.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    original_len: Option<u64>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none", borrow)]
    decoded_from: Option<&'a str>,
    #[serde(rename = "t", default, skip_serializing_if = "is_false")]
    truncated: bool,
}

/// Header fields: an array of `[name, value]`, both binary.
enum Fields<'a> {
    Kept(&'a [(Bytes, Bytes)]),
    Read(Vec<(&'a serde_bytes::Bytes, &'a serde_bytes::Bytes)>),
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_false(value: &bool) -> bool {
    !value
}

fn http11() -> u8 {
    HttpVersion::Http11.code()
}

fn is_http11(code: &u8) -> bool {
    *code == http11()
}

/// Appends the record of `exchange` to `out`.
pub(super) fn encode(exchange: &Exchange, out: &mut Vec<u8>) -> Result<(), rmp_serde::encode::Error> {
    let id = exchange.id.0.to_be_bytes();
    let record = Record {
        id: &id,
        connection: exchange.connection,
        index: exchange.index,
        arrival: exchange.arrival.0,
        request: WireRequest::of(&exchange.request),
        response: exchange.response.as_ref().map(WireResponse::of),
        ending: exchange.ending.code(),
        request_end: exchange.timing.request_end,
        response_start: exchange.timing.response_start,
        end: exchange.timing.end,
        chunks: exchange.chunks.iter().map(|c| (c.offset, c.len)).collect(),
        redactions: exchange.redactions.iter().map(|r| (&r.class[..], r.place.code(), r.count)).collect(),
        trace_id: exchange.trace_id.map(|id| serde_bytes::ByteArray::new(id.to_be_bytes())),
    };
    record.serialize(&mut rmp_serde::Serializer::new(out).with_struct_map())
}

/// The exchange of one record, which must lie within `block`.
pub(super) fn decode(block: &Bytes, record: &[u8]) -> Result<Exchange, RecordFault> {
    let record: Record<'_> = from_map(record).map_err(|_| RecordFault::Malformed)?;
    let id = record.id.try_into().map_err(|_| RecordFault::Id(record.id.len()))?;
    Ok(Exchange {
        id: ExchangeId(u128::from_be_bytes(id)),
        connection: record.connection,
        index: record.index,
        arrival: UnixNanos(record.arrival),
        request: record.request.into_request(block)?,
        response: record.response.map(|response| response.into_response(block)).transpose()?,
        ending: Ending::from_code(record.ending),
        timing: Timing {
            request_end: record.request_end,
            response_start: record.response_start,
            end: record.end,
        },
        chunks: record.chunks.into_iter().map(|(offset, len)| Chunk { offset, len }).collect(),
        redactions: record.redactions.into_iter().map(redaction).collect(),
        trace_id: record.trace_id.map(|id| u128::from_be_bytes(id.into_array())),
        // Stands in the header of the segment, once for all.
        stamp: Stamp::default(),
    })
}

fn redaction((class, place, count): (&str, u8, u32)) -> Redaction {
    Redaction { class: class.to_owned(), place: Place::from_code(place), count }
}

fn version(code: u8) -> Result<HttpVersion, RecordFault> {
    HttpVersion::from_code(code).ok_or(RecordFault::Version(code))
}

// === impl WireRequest ===

impl<'a> WireRequest<'a> {
    fn of(request: &'a Request) -> Self {
        Self {
            method: &request.method,
            target: &request.target,
            version: request.version.code(),
            headers: Fields::Kept(&request.headers.0),
            body: WireBody::of(&request.body),
            trailers: Fields::Kept(&request.trailers.0),
        }
    }

    fn into_request(self, block: &Bytes) -> Result<Request, RecordFault> {
        Ok(Request {
            method: block.slice_ref(self.method),
            target: block.slice_ref(self.target),
            version: version(self.version)?,
            headers: self.headers.into_headers(block),
            body: self.body.into_body(block),
            trailers: self.trailers.into_headers(block),
        })
    }
}

// === impl WireResponse ===

impl<'a> WireResponse<'a> {
    fn of(response: &'a Response) -> Self {
        Self {
            status: response.status,
            version: response.version.code(),
            headers: Fields::Kept(&response.headers.0),
            body: WireBody::of(&response.body),
            trailers: Fields::Kept(&response.trailers.0),
        }
    }

    fn into_response(self, block: &Bytes) -> Result<Response, RecordFault> {
        Ok(Response {
            status: self.status,
            version: version(self.version)?,
            headers: self.headers.into_headers(block),
            body: self.body.into_body(block),
            trailers: self.trailers.into_headers(block),
        })
    }
}

// === impl WireBody ===

impl<'a> WireBody<'a> {
    fn of(body: &'a Body) -> Self {
        let as_expected = body.original_len == body.bytes.len() as u64;
        Self {
            bytes: &body.bytes,
            original_len: (!as_expected).then_some(body.original_len),
            decoded_from: body.decoded_from.as_deref(),
            truncated: body.truncated,
        }
    }

    fn into_body(self, block: &Bytes) -> Body {
        Body {
            bytes: block.slice_ref(self.bytes),
            original_len: self.original_len.unwrap_or(self.bytes.len() as u64),
            decoded_from: self.decoded_from.map(str::to_owned),
            truncated: self.truncated,
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.original_len.is_none() && self.decoded_from.is_none() && !self.truncated
    }
}

// === impl Fields ===

impl Fields<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Kept(fields) => fields.is_empty(),
            Self::Read(fields) => fields.is_empty(),
        }
    }

    fn into_headers(self, block: &Bytes) -> Headers {
        Headers(match self {
            Self::Kept(fields) => fields.to_vec(),
            Self::Read(fields) => {
                let slices = |(name, value): (&serde_bytes::Bytes, &serde_bytes::Bytes)| {
                    (block.slice_ref(name), block.slice_ref(value))
                };
                fields.into_iter().map(slices).collect()
            }
        })
    }
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self::Kept(&[])
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Kept(fields) => serializer.collect_seq(
                fields.iter().map(|(n, v)| (serde_bytes::Bytes::new(n), serde_bytes::Bytes::new(v))),
            ),
            Self::Read(fields) => serializer.collect_seq(fields),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of names and values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                // The length is the file's claim; room for more than a head has fields comes as they do.
                let mut fields = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
                while let Some(field) = seq.next_element()? {
                    fields.push(field);
                }
                Ok(Fields::Read(fields))
            }
        }

        deserializer.deserialize_seq(Pairs)
    }
}
