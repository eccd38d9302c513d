//! One exchange a line: what `capture cat --json` prints, and back without loss.

use std::io::{self, Write};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::encoding::{known_coding, put, take};
use super::export::Sink;
use super::import::{Found, Identity, ImportError, Reader};
use super::input::{Input, Line};
use super::notes::{Note, Notes, Place};
use crate::conservation::Drop;
use crate::exchange::{
    Body, Chunk, Ending, Exchange, ExchangeId, Headers, HttpVersion, Place as Part, Redaction, Request,
    Response, Stamp, Timing, UnixNanos,
};
use crate::sanitize::Class;

/// Classes of redactions that are not those of detectors.
const OTHER_CLASSES: [&str; 8] =
    ["header", "header_token", "body", "string", "key", "path", "query", "unknown"];

/// Writes JSON Lines.
pub struct JsonlWriter<W>(W);

/// Reads JSON Lines.
pub struct JsonlReader {
    input: Input,
}

#[derive(Deserialize)]
struct Written {
    id: Option<String>,
    connection: Option<u64>,
    index: Option<u32>,
    arrival: String,
    request: Asked,
    #[serde(default)]
    response: Option<Answered>,
    #[serde(default)]
    ending: Option<String>,
    #[serde(default)]
    timing_ns: Offsets,
    #[serde(default)]
    chunks: Vec<(u64, u32)>,
    #[serde(default)]
    redactions: Vec<Mark>,
    #[serde(default)]
    trace_id: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    method: Option<String>,
    method_base64: Option<String>,
    target: Option<String>,
    target_base64: Option<String>,
    #[serde(flatten)]
    message: Message,
}

#[derive(Deserialize)]
struct Answered {
    status: u16,
    #[serde(flatten)]
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    version: Option<String>,
    #[serde(default)]
    headers: Vec<Field>,
    body: Option<String>,
    body_base64: Option<String>,
    original_len: Option<u64>,
    decoded_from: Option<String>,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    trailers: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: Option<String>,
    name_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Offsets {
    request_end: Option<u64>,
    response_start: Option<u64>,
    end: u64,
}

#[derive(Deserialize)]
struct Mark {
    class: String,
    place: String,
    count: u32,
}

// === writing ===

impl<W: Write> JsonlWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write> Sink for JsonlWriter<W> {
    fn write(&mut self, exchange: &Exchange, _: &mut Notes) -> io::Result<bool> {
        serde_json::to_writer(&mut self.0, &to_json(exchange))?;
        self.0.write_all(b"\n")?;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        self.0.flush()
    }
}

/// An exchange as one JSON object; bytes that are not UTF-8 come in base64, under `KEY_base64`.
pub fn to_json(exchange: &Exchange) -> Value {
    let request = &exchange.request;
    let mut asked = Map::new();
    put(&mut asked, "method", &request.method);
    put(&mut asked, "target", &request.target);
    asked.insert("version".into(), request.version.name().into());
    put_message(&mut asked, &request.headers, &request.body, &request.trailers);
    let answered = exchange.response.as_ref().map(|response| {
        let mut map = Map::new();
        map.insert("status".into(), response.status.into());
        map.insert("version".into(), response.version.name().into());
        put_message(&mut map, &response.headers, &response.body, &response.trailers);
        map
    });
    let redaction = |r: &Redaction| json!({ "class": *r.class, "place": r.place.name(), "count": r.count });
    json!({
        "id": exchange.id.to_string(),
        "connection": exchange.connection,
        "index": exchange.index,
        "arrival": exchange.arrival.to_string(),
        "request": asked,
        "response": answered,
        "ending": exchange.ending.name(),
        "timing_ns": {
            "request_end": exchange.timing.request_end,
            "response_start": exchange.timing.response_start,
            "end": exchange.timing.end,
        },
        "chunks": exchange.chunks.iter().map(|c| json!([c.offset, c.len])).collect::<Vec<_>>(),
        "redactions": exchange.redactions.iter().map(redaction).collect::<Vec<_>>(),
        "trace_id": exchange.trace_id.map(|id| format!("{id:032x}")),
    })
}

fn put_message(map: &mut Map<String, Value>, headers: &Headers, body: &Body, trailers: &Headers) {
    map.insert("headers".into(), fields(headers));
    put(map, "body", &body.bytes);
    map.insert("original_len".into(), body.original_len.into());
    map.insert("decoded_from".into(), body.decoded_from.clone().into());
    map.insert("truncated".into(), body.truncated.into());
    map.insert("trailers".into(), fields(trailers));
}

/// An array of objects: names may repeat, and their order is part of the recording.
fn fields(headers: &Headers) -> Value {
    let field = |(name, value)| {
        let mut map = Map::new();
        put(&mut map, "name", name);
        put(&mut map, "value", value);
        Value::Object(map)
    };
    headers.iter().map(field).collect()
}

// === reading ===

impl JsonlReader {
    /// Reads from the beginning of `input`.
    pub fn new(input: Input) -> JsonlReader {
        JsonlReader { input }
    }
}

impl Reader for JsonlReader {
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError> {
        loop {
            let read = match self.input.next_line()? {
                None => return Ok(None),
                Some(Line::Text(line)) if line.trim_ascii().is_empty() => continue,
                Some(Line::Text(line)) => serde_json::from_slice(line)
                    .map_err(|_| Note::Unreadable)
                    .and_then(exchange)
                    .map_err(|note| (note, Drop::Unparseable)),
                Some(Line::TooLong) => Err((Note::OverLimit, Drop::OverLimit)),
            };
            return Ok(Some(match read {
                Ok((exchange, identity)) => Found::Exchange(Box::new(exchange), identity),
                Err((note, reason)) => {
                    notes.at(note, Place::Line(self.input.line_number()));
                    Found::Dropped(reason)
                }
            }));
        }
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

fn exchange(line: Written) -> Result<(Exchange, Identity), Note> {
    let Written {
        id,
        connection,
        index,
        arrival,
        request,
        response,
        ending,
        timing_ns,
        chunks,
        redactions,
        trace_id,
    } = line;
    let id = id.map(|id| id.parse::<ExchangeId>().map_err(|_| Note::Unreadable)).transpose()?;
    let identity = match (id, connection) {
        (Some(_), _) => Identity::Kept,
        (None, Some(connection)) => Identity::Connection(connection),
        (None, None) => Identity::Unknown,
    };
    let trace_id = match trace_id {
        Some(text) => Some(u128::from_str_radix(&text, 16).map_err(|_| Note::Unreadable)?),
        None => None,
    };
    let mark = |mark: Mark| {
        let place = Part::from_name(&mark.place)?;
        Some(Redaction { class: mark.class.into(), place, count: mark.count })
    };
    let response = response.map(answered).transpose()?;
    let unstated = if response.is_some() { Ending::Complete } else { Ending::Unobserved };
    let exchange = Exchange {
        id: id.unwrap_or_default(),
        connection: connection.unwrap_or(0),
        index: index.unwrap_or(0),
        arrival: instant(&arrival).ok_or(Note::BadInstant)?,
        request: asked(request)?,
        response,
        ending: ending.as_deref().map_or(Some(unstated), Ending::from_name).ok_or(Note::Unreadable)?,
        timing: Timing {
            request_end: timing_ns.request_end,
            response_start: timing_ns.response_start,
            end: timing_ns.end,
        },
        chunks: chunks.into_iter().map(|(offset, len)| Chunk { offset, len }).collect(),
        redactions: redactions.into_iter().map(mark).collect::<Option<_>>().ok_or(Note::Unreadable)?,
        trace_id,
        stamp: Stamp::default(),
    };
    Ok((exchange, identity))
}

fn asked(asked: Asked) -> Result<Request, Note> {
    let Asked { method, method_base64, target, target_base64, message } = asked;
    let (version, headers, body, trailers) = parts(message)?;
    Ok(Request {
        method: take(method, method_base64.as_deref()).ok_or(Note::Unreadable)?,
        target: take(target, target_base64.as_deref()).ok_or(Note::Unreadable)?,
        version,
        headers,
        body,
        trailers,
    })
}

fn answered(answered: Answered) -> Result<Response, Note> {
    let (version, headers, body, trailers) = parts(answered.message)?;
    Ok(Response { status: answered.status, version, headers, body, trailers })
}

fn parts(message: Message) -> Result<(HttpVersion, Headers, Body, Headers), Note> {
    let Message { version, headers, body, body_base64, original_len, decoded_from, truncated, trailers } =
        message;
    let version = match version {
        Some(name) => HttpVersion::from_name(&name).ok_or(Note::Unreadable)?,
        None => HttpVersion::Http11,
    };
    let bytes = match (body, body_base64) {
        (None, None) => Default::default(),
        (body, encoded) => take(body, encoded.as_deref()).ok_or(Note::Unreadable)?,
    };
    let body = Body {
        original_len: original_len.unwrap_or(bytes.len() as u64),
        bytes,
        decoded_from: decoded_from.as_deref().and_then(known_coding),
        truncated,
    };
    Ok((version, named(headers)?, body, named(trailers)?))
}

fn named(fields: Vec<Field>) -> Result<Headers, Note> {
    let field = |field: Field| {
        let name = take(field.name, field.name_base64.as_deref())?;
        Some((name, take(field.value, field.value_base64.as_deref())?))
    };
    fields.into_iter().map(field).collect::<Option<Headers>>().ok_or(Note::Unreadable)
}

/// RFC 3339, or what [`UnixNanos`] prints beyond its years.
fn instant(text: &str) -> Option<UnixNanos> {
    if let Some(nanos) = text.strip_suffix("ns") {
        return nanos.parse().ok().map(UnixNanos);
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(instant.as_nanosecond()).ok().map(UnixNanos)
}

/// The name of a redaction class, when it is one of ours: anything else could say what was redacted.
pub(super) fn known_class(name: &str) -> Option<&'static str> {
    let classes = Class::ALL.iter().map(|class| class.name());
    classes.chain(OTHER_CLASSES).find(|known| *known == name)
}
