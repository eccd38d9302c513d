//! One record: an exchange as a MessagePack map with short keys.
//!
//! A record borrows: encoding reads straight from the [`Exchange`], decoding slices the decompressed block, so that
//! neither copies a body. A field that is empty, zero or as expected is left out, and a reader ignores keys it does
//! not know. Codes are small integers, so that one a newer producer invented does not make the record unreadable.

use std::io;

use bytes::Bytes;
use rmp::encode::{write_array_len, write_bin, write_bool, write_map_len, write_sint, write_str, write_uint};

use super::msgpack::Cursor;
use super::tables::{TableBuilder, Tables};
use crate::exchange::{
    Body, Chunk, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Timing, UnixNanos,
};

/// Why a record whose bytes are intact is no exchange; never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordFault {
    #[error("is not a record map")]
    Malformed,
    #[error("has an HTTP version of code {0}, unknown to this program")]
    Version(u8),
}

/// What orders a record among others: read first, and without the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordKey {
    pub(super) arrival: UnixNanos,
    pub(super) id: ExchangeId,
}

/// Writing to memory does not fail; the type is what `rmp` gives for any writer.
pub(super) type Encoding = Result<(), io::Error>;

// === encoding ===

/// At least as many bytes as the record of `exchange` takes together with its fields.
pub(super) fn size_bound(exchange: &Exchange) -> usize {
    let fields = |headers: &Headers| headers.iter().map(|(n, v)| n.len() + v.len() + 16).sum::<usize>();
    let body = |body: &Body| body.bytes.len() + body.decoded_from.as_ref().map_or(0, String::len);
    let request = &exchange.request;
    let asked = request.method.len() + request.target.len() + body(&request.body);
    let answered =
        |response: &Response| body(&response.body) + fields(&response.headers) + fields(&response.trailers);
    let redacted = exchange.redactions.iter().map(|r| r.class.len() + 16).sum::<usize>();
    let sizes = [
        asked,
        fields(&request.headers),
        fields(&request.trailers),
        exchange.response.as_ref().map_or(0, answered),
        exchange.chunks.len().saturating_mul(16),
        redacted,
        512,
    ];
    sizes.into_iter().fold(0, usize::saturating_add)
}

/// Appends the record of `exchange` to `out`. Its arrival is told from `base`, its id from `previous`, the id of the
/// record before it.
pub(super) fn encode(
    exchange: &Exchange,
    base: u64,
    previous: Option<ExchangeId>,
    tables: &mut TableBuilder,
    out: &mut Vec<u8>,
) -> Encoding {
    let Exchange { timing, response, .. } = exchange;
    let pairs = [
        true,
        true,
        true,
        exchange.index != 0,
        true,
        response.is_some(),
        exchange.ending.code() != 0,
        timing.request_end.is_some(),
        timing.response_start.is_some(),
        end_told(timing) != 0,
        !exchange.chunks.is_empty(),
        !exchange.redactions.is_empty(),
        exchange.trace_id.is_some(),
    ];
    write_map_len(out, count(&pairs))?;
    write_str(out, "a")?;
    write_sint(out, exchange.arrival.0.wrapping_sub(base) as i64)?;
    write_str(out, "i")?;
    write_id(exchange.id, previous, out)?;
    write_str(out, "c")?;
    write_uint(out, exchange.connection)?;
    write_number(out, "n", exchange.index.into())?;
    write_str(out, "q")?;
    write_request(&exchange.request, tables, out)?;
    if let Some(response) = response {
        write_str(out, "p")?;
        write_response(response, tables, out)?;
    }
    write_number(out, "e", exchange.ending.code().into())?;
    write_optional(out, "tq", timing.request_end)?;
    write_optional(out, "tp", timing.response_start)?;
    write_number(out, "te", end_told(timing))?;
    if !exchange.chunks.is_empty() {
        write_str(out, "k")?;
        write_array_len(out, exchange.chunks.len() as u32)?;
        for chunk in &exchange.chunks {
            write_array_len(out, 2)?;
            write_uint(out, chunk.offset)?;
            write_uint(out, chunk.len.into())?;
        }
    }
    if !exchange.redactions.is_empty() {
        write_str(out, "r")?;
        tables.write_redactions(&exchange.redactions, out)?;
    }
    if let Some(trace) = exchange.trace_id {
        write_str(out, "x")?;
        write_bin(out, &trace.to_be_bytes())?;
    }
    Ok(())
}

/// The end is told from the response's first byte: with a short body that is 0 or little.
fn end_told(timing: &Timing) -> u64 {
    timing.end.wrapping_sub(timing.response_start.unwrap_or(0))
}

fn write_id(id: ExchangeId, previous: Option<ExchangeId>, out: &mut Vec<u8>) -> Encoding {
    match previous {
        Some(previous) if previous.0 >> 64 == id.0 >> 64 => {
            write_sint(out, (id.0 as u64).wrapping_sub(previous.0 as u64) as i64)?;
        }
        _ => write_bin(out, &id.0.to_be_bytes())?,
    }
    Ok(())
}

fn write_request(request: &Request, tables: &mut TableBuilder, out: &mut Vec<u8>) -> Encoding {
    let pairs = message_pairs(request.version, &request.headers, &request.body, &request.trailers);
    write_map_len(out, 2 + count(&pairs))?;
    write_str(out, "m")?;
    write_bin(out, &request.method)?;
    write_str(out, "u")?;
    write_bin(out, &request.target)?;
    write_message(request.version, &request.headers, &request.body, &request.trailers, tables, out)
}

fn write_response(response: &Response, tables: &mut TableBuilder, out: &mut Vec<u8>) -> Encoding {
    let pairs = message_pairs(response.version, &response.headers, &response.body, &response.trailers);
    write_map_len(out, 1 + count(&pairs))?;
    write_str(out, "s")?;
    write_uint(out, response.status.into())?;
    write_message(response.version, &response.headers, &response.body, &response.trailers, tables, out)
}

fn message_pairs(version: HttpVersion, headers: &Headers, body: &Body, trailers: &Headers) -> [bool; 4] {
    [version != HttpVersion::Http11, !headers.is_empty(), !is_empty(body), !trailers.is_empty()]
}

fn write_message(
    version: HttpVersion,
    headers: &Headers,
    body: &Body,
    trailers: &Headers,
    tables: &mut TableBuilder,
    out: &mut Vec<u8>,
) -> Encoding {
    if version != HttpVersion::Http11 {
        write_str(out, "v")?;
        write_uint(out, version.code().into())?;
    }
    if !headers.is_empty() {
        write_str(out, "h")?;
        tables.write_fields(headers, out)?;
    }
    if !is_empty(body) {
        write_str(out, "b")?;
        write_body(body, out)?;
    }
    if !trailers.is_empty() {
        write_str(out, "t")?;
        tables.write_fields(trailers, out)?;
    }
    Ok(())
}

fn is_empty(body: &Body) -> bool {
    body.bytes.is_empty() && body.original_len == 0 && body.decoded_from.is_none() && !body.truncated
}

fn write_body(body: &Body, out: &mut Vec<u8>) -> Encoding {
    let as_expected = body.original_len == body.bytes.len() as u64;
    let pairs = [!body.bytes.is_empty(), !as_expected, body.decoded_from.is_some(), body.truncated];
    write_map_len(out, count(&pairs))?;
    if !body.bytes.is_empty() {
        write_str(out, "b")?;
        write_bin(out, &body.bytes)?;
    }
    if !as_expected {
        write_str(out, "l")?;
        write_uint(out, body.original_len)?;
    }
    if let Some(coding) = &body.decoded_from {
        write_str(out, "d")?;
        write_str(out, coding)?;
    }
    if body.truncated {
        write_str(out, "t")?;
        write_bool(out, true)?;
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, key: &str, value: u64) -> Encoding {
    write_optional(out, key, (value != 0).then_some(value))
}

fn write_optional(out: &mut Vec<u8>, key: &str, value: Option<u64>) -> Encoding {
    if let Some(value) = value {
        write_str(out, key)?;
        write_uint(out, value)?;
    }
    Ok(())
}

fn count(pairs: &[bool]) -> u32 {
    pairs.iter().map(|present| u32::from(*present)).sum()
}

// === decoding ===

/// Instant and id of a record: reads no further than to the later of them.
pub(super) fn key(record: &[u8], base: u64, previous: Option<ExchangeId>) -> Option<RecordKey> {
    let mut cursor = Cursor::new(record);
    let (mut arrival, mut id) = (None, None);
    for _ in 0..cursor.map()? {
        match cursor.key()? {
            b"a" => arrival = Some(UnixNanos(base.wrapping_add(cursor.wrapping()?))),
            b"i" => id = Some(read_id(&mut cursor, previous)?),
            _ => cursor.skip()?,
        }
        if let (Some(arrival), Some(id)) = (arrival, id) {
            return Some(RecordKey { arrival, id });
        }
    }
    None
}

/// The exchange of one record, which must lie within `block`; its key was read before.
pub(super) fn decode(
    record: &[u8],
    key: RecordKey,
    tables: &Tables,
    block: &Bytes,
) -> Result<Exchange, RecordFault> {
    let mut reading = Reading { cursor: Cursor::new(record), tables, block, foreign_version: None };
    // Not matched as a pair: an exchange takes half a kilobyte, which would be moved for it.
    let exchange = reading.exchange(key);
    match reading.foreign_version {
        Some(code) => Err(RecordFault::Version(code)),
        None => exchange.filter(|_| reading.cursor.is_at_end()).ok_or(RecordFault::Malformed),
    }
}

fn read_id(cursor: &mut Cursor<'_>, previous: Option<ExchangeId>) -> Option<ExchangeId> {
    if cursor.is_at_bin() {
        return Some(ExchangeId(u128::from_be_bytes(cursor.bin()?.try_into().ok()?)));
    }
    let previous = previous?.0;
    let low = (previous as u64).wrapping_add(cursor.wrapping()?);
    Some(ExchangeId(previous >> 64 << 64 | u128::from(low)))
}

struct Reading<'a> {
    cursor: Cursor<'a>,
    tables: &'a Tables,
    block: &'a Bytes,
    /// An HTTP version that a newer producer wrote: the record is whole and cannot be used.
    foreign_version: Option<u8>,
}

/// Head, body and trailers: what request and response have in common.
#[derive(Default)]
struct Message {
    version: Option<HttpVersion>,
    headers: Headers,
    body: Body,
    trailers: Headers,
}

// === impl Reading ===

impl Reading<'_> {
    fn exchange(&mut self, key: RecordKey) -> Option<Exchange> {
        let (mut connection, mut request, mut response, mut trace_id) = (None, None, None, None);
        let (mut index, mut ending, mut told_end) = (0, 0, 0_u64);
        let (mut request_end, mut response_start) = (None, None);
        let (mut chunks, mut redactions) = (Vec::new(), None);
        for _ in 0..self.cursor.map()? {
            match self.cursor.key()? {
                b"c" => connection = Some(self.cursor.uint()?),
                b"n" => index = self.cursor.uint()?,
                b"q" => request = Some(self.request()?),
                b"p" => response = Some(self.response()?),
                b"e" => ending = self.cursor.uint()?,
                b"tq" => request_end = Some(self.cursor.uint()?),
                b"tp" => response_start = Some(self.cursor.uint()?),
                b"te" => told_end = self.cursor.uint()?,
                b"k" => chunks = self.chunks()?,
                b"r" => redactions = Some(self.tables.redactions(self.cursor.uint()?)?),
                b"x" => trace_id = Some(u128::from_be_bytes(self.cursor.bin()?.try_into().ok()?)),
                _ => self.cursor.skip()?,
            }
        }
        let end = told_end.wrapping_add(response_start.unwrap_or(0));
        Some(Exchange {
            id: key.id,
            connection: connection?,
            index,
            arrival: key.arrival,
            request: request?,
            response,
            ending: Ending::from_code(ending),
            timing: Timing { request_end, response_start, end },
            chunks,
            redactions: redactions.unwrap_or_default(),
            trace_id,
            // Stands in the header of the segment, once for all.
            stamp: self.tables.stamp,
        })
    }

    fn request(&mut self) -> Option<Request> {
        let (mut method, mut target, mut message) = (None, None, Message::default());
        for _ in 0..self.cursor.map()? {
            match self.cursor.key()? {
                b"m" => method = Some(self.method()?),
                b"u" => target = Some(self.bytes()?),
                key => self.message(key, &mut message)?,
            }
        }
        let Message { version, headers, body, trailers } = message;
        let version = version.unwrap_or(HttpVersion::Http11);
        Some(Request { method: method?, target: target?, version, headers, body, trailers })
    }

    fn response(&mut self) -> Option<Response> {
        let (mut status, mut message) = (None, Message::default());
        for _ in 0..self.cursor.map()? {
            match self.cursor.key()? {
                b"s" => status = Some(self.cursor.uint()?),
                key => self.message(key, &mut message)?,
            }
        }
        let Message { version, headers, body, trailers } = message;
        let version = version.unwrap_or(HttpVersion::Http11);
        Some(Response { status: status?, version, headers, body, trailers })
    }

    fn message(&mut self, key: &[u8], message: &mut Message) -> Option<()> {
        match key {
            b"v" => {
                let code = self.cursor.uint()?;
                message.version = HttpVersion::from_code(code);
                if message.version.is_none() {
                    self.foreign_version = Some(code);
                }
            }
            b"h" => message.headers = self.tables.fields(&mut self.cursor, self.block)?,
            b"b" => message.body = self.body()?,
            b"t" => message.trailers = self.tables.fields(&mut self.cursor, self.block)?,
            _ => self.cursor.skip()?,
        }
        Some(())
    }

    fn body(&mut self) -> Option<Body> {
        let (mut body, mut original_len) = (Body::default(), None);
        for _ in 0..self.cursor.map()? {
            match self.cursor.key()? {
                b"b" => body.bytes = self.bytes()?,
                b"l" => original_len = Some(self.cursor.uint()?),
                b"d" => body.decoded_from = Some(self.cursor.text()?.to_owned()),
                b"t" => body.truncated = self.cursor.boolean()?,
                _ => self.cursor.skip()?,
            }
        }
        body.original_len = original_len.unwrap_or(body.bytes.len() as u64);
        Some(body)
    }

    fn bytes(&mut self) -> Option<Bytes> {
        Some(self.block.slice_ref(self.cursor.bin()?))
    }

    /// The usual methods are in the program already: one reference less to count.
    fn method(&mut self) -> Option<Bytes> {
        let method = self.cursor.bin()?;
        Some(match method {
            b"POST" => Bytes::from_static(b"POST"),
            b"GET" => Bytes::from_static(b"GET"),
            other => self.block.slice_ref(other),
        })
    }

    fn chunks(&mut self) -> Option<Vec<Chunk>> {
        let mut chunks = Vec::new();
        for _ in 0..self.cursor.array()? {
            if self.cursor.array()? != 2 {
                return None;
            }
            chunks.push(Chunk { offset: self.cursor.uint()?, len: self.cursor.uint()? });
        }
        Some(chunks)
    }
}
