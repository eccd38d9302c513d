//! Entries of an archive as exchanges.

use bytes::Bytes;

use super::super::encoding::{known_coding, unbase64};
use super::super::import::{Found, Identity, ImportError, Reader};
use super::super::input::Input;
use super::super::notes::{Note, Notes, Place};
use super::elements::{Element, Elements};
use super::model::{self, Entry, Pair, PostData, Timings};
use crate::conservation::Drop;
use crate::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Stamp, Timing, UnixNanos,
};
use crate::http1;

/// Longest span that is believed, in milliseconds: a year.
const MAX_SPAN_MS: f64 = 366.0 * 24.0 * 3600.0 * 1000.0;

/// Reads an archive.
pub struct HarReader {
    elements: Elements,
    /// Instant of the entry before.
    latest: u64,
}

// === impl HarReader ===

impl HarReader {
    /// Reads from the beginning of `input`.
    pub fn new(input: Input) -> HarReader {
        HarReader { elements: Elements::new(input), latest: 0 }
    }
}

impl Reader for HarReader {
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError> {
        let (bytes, offset) = match self.elements.next()? {
            None => return Ok(None),
            Some(Element::Whole(bytes, offset)) => (bytes, offset),
            Some(Element::TooLarge(offset)) => {
                notes.at(Note::OverLimit, Place::Byte(offset));
                return Ok(Some(Found::Dropped(Drop::OverLimit)));
            }
            Some(Element::Torn(offset)) => {
                notes.at(Note::TornTail, Place::Byte(offset));
                return Ok(Some(Found::Dropped(Drop::Unparseable)));
            }
        };
        let place = Place::Byte(offset);
        let read = serde_json::from_slice(bytes)
            .map_err(|_| Note::Unreadable)
            .and_then(|entry| exchange(entry, notes, place));
        Ok(Some(match read {
            Ok((exchange, identity)) => {
                if exchange.arrival.0 < self.latest {
                    notes.at(Note::OutOfOrder, place);
                }
                self.latest = self.latest.max(exchange.arrival.0);
                Found::Exchange(Box::new(exchange), identity)
            }
            Err(note) => {
                notes.at(note, place);
                Found::Dropped(Drop::Unparseable)
            }
        }))
    }

    fn input(&self) -> &Input {
        self.elements.input()
    }
}

fn exchange(entry: Entry, notes: &mut Notes, place: Place) -> Result<(Exchange, Identity), Note> {
    let Entry { started_date_time, time, request, response, timings, connection, web_socket } = entry;
    let arrival = started_date_time.as_deref().and_then(instant).ok_or(Note::BadInstant)?;
    if web_socket.is_some_and(|messages| !messages.is_empty()) {
        notes.at(Note::WebSocket, place);
    }
    let request = asked(request, notes, place)?;
    let error = response.as_ref().and_then(|response| response.error.clone()).unwrap_or_default();
    // A request that was never answered has a response of status 0.
    let response = match response.filter(|response| response.status != 0.0) {
        Some(response) => Some(answered(response, notes, place)?),
        None => None,
    };
    let ending = match &response {
        Some(_) => Ending::Complete,
        None if error.contains("ABORTED") => Ending::ClientAbort,
        None if error.contains("RESET") => Ending::UpstreamReset,
        None if error.contains("CLOSED") || error.contains("EMPTY_RESPONSE") => Ending::UpstreamClosed,
        None => Ending::Unobserved,
    };
    let identity = match connection.filter(|name| !name.is_empty() && name != "0") {
        Some(name) => Identity::Connection(number(&name)),
        None => Identity::Unknown,
    };
    let trace_id = request.headers.get("traceparent").and_then(http1::trace_id);
    let exchange = Exchange {
        id: ExchangeId(0),
        connection: 0,
        index: 0,
        arrival,
        timing: timing(timings.unwrap_or_default(), time, response.is_some()),
        request,
        response,
        ending,
        chunks: Vec::new(),
        redactions: Default::default(),
        stamp: Stamp::default(),
        trace_id,
    };
    Ok((exchange, identity))
}

/// `send`, `wait` and `receive` follow each other, behind what happened before anything was sent.
fn timing(timings: Timings, time: Option<f64>, is_answered: bool) -> Timing {
    let nanos = |ms: Option<f64>| {
        ms.filter(|ms| (0.0..=MAX_SPAN_MS).contains(ms)).map(|ms| (ms * 1e6).round() as u64)
    };
    let before: u64 = [timings.blocked, timings.dns, timings.connect].into_iter().filter_map(nanos).sum();
    let request_end = nanos(timings.send).map(|send| before + send);
    let response_start = match (request_end, nanos(timings.wait)) {
        (end, Some(wait)) if is_answered => Some(end.unwrap_or(before) + wait),
        _ => None,
    };
    let sum = match (response_start, nanos(timings.receive)) {
        (Some(start), receive) => Some(start + receive.unwrap_or(0)),
        (None, _) => request_end,
    };
    let end = nanos(time).or(sum).unwrap_or(0);
    // The sum of parts and the total are rounded apart.
    Timing {
        request_end: request_end.map(|at| at.min(end)),
        response_start: response_start.map(|at| at.min(end)),
        end,
    }
}

fn asked(request: model::Request, notes: &mut Notes, place: Place) -> Result<Request, Note> {
    let model::Request { method, url, http_version, headers, query_string, post_data, body_size } = request;
    let (host, mut target) = split_url(&url).ok_or(Note::Unreadable)?;
    if !target.contains('?') && !query_string.is_empty() {
        notes.at(Note::QueryRebuilt, place);
        target = format!("{target}?{}", form(&query_string));
    }
    let (mut headers, authority) = fields(headers, notes);
    if headers.get("host").is_none()
        && let Some(host) = authority.or(host)
    {
        notes.add(Note::HostFromUrl);
        headers.to_mut().insert(0, ("host".into(), host.into()));
    }
    let (bytes, absent) = match post_data {
        Some(data) => posted(data, notes, place)?,
        None => (Bytes::new(), body_size.is_some_and(|size| size > 0.0)),
    };
    let body = body(bytes, absent, body_size, None, &mut headers, notes, place);
    Ok(Request {
        method: method.into(),
        target: target.into(),
        version: version(http_version.as_deref(), notes),
        headers,
        body,
        trailers: Headers::default(),
    })
}

fn answered(response: model::Response, notes: &mut Notes, place: Place) -> Result<Response, Note> {
    let model::Response { status, http_version, headers, content, body_size, error: _ } = response;
    let status = Some(status)
        .filter(|s| (100.0..1000.0).contains(s) && s.fract() == 0.0)
        .ok_or(Note::Unreadable)? as u16;
    let (mut headers, _) = fields(headers, notes);
    let size = content.as_ref().and_then(|content| content.size);
    let bytes = match content {
        Some(model::Content { text: Some(text), encoding, .. }) => Some(decoded(text, encoding.as_deref())?),
        _ => None,
    };
    let absent = bytes.is_none() && size.or(body_size).is_some_and(|size| size > 0.0);
    let bytes = bytes.unwrap_or_default();
    Ok(Response {
        status,
        version: version(http_version.as_deref(), notes),
        body: body(bytes, absent, body_size, size, &mut headers, notes, place),
        headers,
        trailers: Headers::default(),
    })
}

/// An archive holds bodies as the page saw them, decoded.
fn body(
    bytes: Bytes,
    absent: bool,
    wire_size: Option<f64>,
    size: Option<f64>,
    headers: &mut Headers,
    notes: &mut Notes,
    place: Place,
) -> Body {
    let coding = headers.get_str("content-encoding").and_then(known_coding);
    let mut decoded_from = None;
    if !bytes.is_empty() && headers.get("content-encoding").is_some() && !is_compressed(&bytes) {
        notes.add(Note::ContentDecoded);
        headers.to_mut().retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-encoding"));
        decoded_from = coding;
    }
    if absent {
        notes.at(Note::BodyAbsent, place);
    }
    let known = |size: Option<f64>| size.filter(|size| *size > 0.0 && *size < 1e15).map(|size| size as u64);
    let original_len = known(wire_size).or(if bytes.is_empty() { known(size) } else { None });
    Body { original_len: original_len.unwrap_or(bytes.len() as u64), bytes, decoded_from, truncated: absent }
}

/// Some proxies write what was on the wire after all. No JSON, form or text begins like these.
fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

/// The posted bytes, and whether there were some that the archive does not have.
fn posted(data: PostData, notes: &mut Notes, place: Place) -> Result<(Bytes, bool), Note> {
    let PostData { mime_type, text, encoding, params } = data;
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        return Ok((decoded(text, encoding.as_deref())?, false));
    }
    let Some(params) = params.filter(|params| !params.is_empty()) else { return Ok((Bytes::new(), false)) };
    if !mime_type.unwrap_or_default().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Ok((Bytes::new(), true));
    }
    notes.at(Note::FormRebuilt, place);
    Ok((form(&params).into(), false))
}

fn decoded(text: String, encoding: Option<&str>) -> Result<Bytes, Note> {
    match encoding {
        Some(name) if name.eq_ignore_ascii_case("base64") => unbase64(&text).ok_or(Note::Unreadable),
        _ => Ok(text.into()),
    }
}

/// Headers without the pseudo fields of HTTP/2, and the authority among those.
fn fields(pairs: Vec<Pair>, notes: &mut Notes) -> (Headers, Option<String>) {
    let mut authority = None;
    let mut pseudo = false;
    let mut fields = Vec::with_capacity(pairs.len());
    for Pair { name, value } in pairs {
        let value = value.unwrap_or_default();
        if name.starts_with(':') {
            pseudo = true;
            if name == ":authority" {
                authority = Some(value);
            }
        } else {
            fields.push((name.into(), value.into()));
        }
    }
    if pseudo {
        notes.add(Note::PseudoFields);
    }
    (Headers::from(fields), authority)
}

fn version(name: Option<&str>, notes: &mut Notes) -> HttpVersion {
    match name.unwrap_or_default().to_ascii_lowercase().as_str() {
        "http/1.0" => HttpVersion::Http10,
        "http/1.1" => HttpVersion::Http11,
        "h2" | "h2c" | "http/2" | "http/2.0" => HttpVersion::Http2,
        "h3" | "http/3" | "http/3.0" | "h3-29" | "http/2+quic/46" => {
            notes.add(Note::Http3);
            HttpVersion::Http2
        }
        _ => {
            notes.add(Note::VersionUnknown);
            HttpVersion::Http11
        }
    }
}

/// Host and target of a URL, without fragment and user.
fn split_url(url: &str) -> Option<(Option<String>, String)> {
    let url = url.split('#').next().unwrap_or_default();
    let Some((_, rest)) = url.split_once("://") else {
        return url.starts_with('/').then(|| (None, url.to_owned()));
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Some((Some(host.to_owned()).filter(|host| !host.is_empty()), target))
}

fn instant(text: &str) -> Option<UnixNanos> {
    let instant: jiff::Timestamp = text.trim().parse().ok()?;
    u64::try_from(instant.as_nanosecond()).ok().map(UnixNanos)
}

/// Names and values as a form sends them.
fn form(pairs: &[Pair]) -> String {
    let pair = |pair: &Pair| match &pair.value {
        Some(value) => format!("{}={}", escaped(&pair.name), escaped(value)),
        None => escaped(&pair.name),
    };
    pairs.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A connection's name as a number: names are text, and only their equality matters.
fn number(name: &str) -> u64 {
    let digest = blake3::hash(name.as_bytes());
    digest.as_bytes()[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
