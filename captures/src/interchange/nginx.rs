//! Access logs of nginx: the combined format, with or without `$request_time` behind it, and JSON logs.
//!
//! A log has neither bodies nor headers: it tells when requests came and what they asked for. A request that may have
//! had a body is marked truncated, so that no replay takes it for whole.
//!
//! - `combined`, `json`: a line of either kind.

mod combined;
mod json;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::import::{Found, Identity, ImportError, Reader};
use super::input::{Input, Line};
use super::notes::{Note, Notes, Place};
use crate::conservation::Drop;
use crate::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Stamp, Timing, UnixNanos,
};

/// Longest span that is believed: a year.
const MAX_SPAN: u64 = 366 * 24 * 3600 * 1_000_000_000;

/// Whether a line is one of the combined format.
pub(super) fn is_combined(line: &[u8]) -> bool {
    combined::parse(line).is_ok()
}

/// Reads an access log.
pub struct NginxReader {
    input: Input,
    latest: u64,
}

/// What a line tells.
#[derive(Clone, Debug, Default, PartialEq)]
struct Logged {
    /// When the request ended, Unix nanoseconds.
    ended: u64,
    /// Nanoseconds between two readings of that clock.
    resolution: u64,
    method: Bytes,
    target: Bytes,
    version: Option<HttpVersion>,
    /// 0 when it is not known.
    status: u16,
    /// Body bytes of the response.
    sent: Option<u64>,
    /// Nanoseconds from the first byte of the request to the last of the response.
    took: Option<u64>,
    /// Fields of the request that the log has.
    fields: Vec<(&'static str, Bytes)>,
    connection: Option<u64>,
    /// Address or user.
    has_client: bool,
}

// === impl NginxReader ===

impl NginxReader {
    /// Reads from the beginning of `input`.
    pub fn new(input: Input) -> NginxReader {
        NginxReader { input, latest: 0 }
    }
}

impl Reader for NginxReader {
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError> {
        loop {
            let read = match self.input.next_line()? {
                None => return Ok(None),
                Some(Line::TooLong) => Err((Note::OverLimit, Drop::OverLimit)),
                Some(Line::Text(line)) => match line.trim_ascii() {
                    b"" => continue,
                    line if line.starts_with(b"{") => {
                        json::parse(line).map_err(|note| (note, Drop::Unparseable))
                    }
                    line => combined::parse(line).map_err(|note| (note, Drop::Unparseable)),
                },
            };
            let place = Place::Line(self.input.line_number());
            return Ok(Some(match read {
                Ok(logged) => {
                    let (exchange, identity) = exchange(logged, notes, place);
                    // A log is written in order of the ends; an arrival before that of the line above is no news.
                    if exchange.arrival.0.saturating_add(exchange.timing.end).saturating_add(1_000_000_000)
                        < self.latest
                    {
                        notes.at(Note::OutOfOrder, place);
                    }
                    self.latest = self.latest.max(exchange.arrival.0.saturating_add(exchange.timing.end));
                    Found::Exchange(Box::new(exchange), identity)
                }
                Err((note, reason)) => {
                    notes.at(note, place);
                    Found::Dropped(reason)
                }
            }));
        }
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

fn exchange(logged: Logged, notes: &mut Notes, place: Place) -> (Exchange, Identity) {
    let Logged {
        ended,
        resolution,
        method,
        target,
        version,
        status,
        sent,
        took,
        fields,
        connection,
        has_client,
    } = logged;
    match resolution {
        1_000_000_000 => notes.add(Note::ClockSecond),
        1_000_000 => notes.add(Note::ClockMilli),
        _ => {}
    }
    if has_client {
        notes.add(Note::ClientDropped);
    }
    if took.is_none() {
        notes.add(Note::NoDuration);
    }
    if version.is_none() {
        notes.add(Note::VersionUnknown);
    }
    let may_have_body = !matches!(&method[..], b"GET" | b"HEAD" | b"OPTIONS" | b"DELETE" | b"TRACE");
    let is_head = method.eq_ignore_ascii_case(b"HEAD");
    let sent = sent.filter(|_| !is_head).unwrap_or(0);
    if may_have_body || sent > 0 {
        notes.at(Note::BodyAbsent, place);
    }
    let version = version.unwrap_or(HttpVersion::Http11);
    // 499 is what nginx writes when the client went away, and nothing that a service ever answered.
    let answered = (100..1000).contains(&status) && status != 499;
    let response = answered.then(|| Response {
        status,
        version,
        headers: Headers::default(),
        body: Body { original_len: sent, truncated: sent > 0, ..Body::default() },
        trailers: Headers::default(),
    });
    let took = took.unwrap_or(0);
    let exchange = Exchange {
        id: ExchangeId(0),
        connection: 0,
        index: 0,
        arrival: UnixNanos(ended.saturating_sub(took)),
        request: Request {
            method,
            target,
            version,
            headers: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            body: Body { truncated: may_have_body, ..Body::default() },
            trailers: Headers::default(),
        },
        ending: match (&response, status) {
            (Some(_), _) => Ending::Complete,
            (None, 499) => Ending::ClientAbort,
            (None, _) => Ending::Unobserved,
        },
        response,
        timing: Timing { request_end: None, response_start: None, end: took.min(ended) },
        chunks: Vec::new(),
        redactions: Default::default(),
        stamp: Stamp::default(),
        trace_id: None,
    };
    (exchange, connection.map_or(Identity::Unknown, Identity::Connection))
}

/// Method, target and version of `$request`.
fn request_line(line: &[u8]) -> Option<(Bytes, Bytes, Option<HttpVersion>)> {
    let line = std::str::from_utf8(line).ok()?;
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = match rest.rsplit_once(' ') {
        Some((target, version)) => (target, version_of(version)?),
        // HTTP/0.9 has no version, and nothing else is a request line without one.
        None => return None,
    };
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
    let is_target = target.starts_with('/') || target == "*" || target.contains("://") || method == "CONNECT";
    (is_method && is_target && !target.contains(' '))
        .then(|| (method.to_owned().into(), target.to_owned().into(), version))
}

/// `None` for what is no version at all, `Some(None)` for one that a capture does not know.
fn version_of(text: &str) -> Option<Option<HttpVersion>> {
    Some(match text.strip_prefix("HTTP/")? {
        "1.0" => Some(HttpVersion::Http10),
        "1.1" => Some(HttpVersion::Http11),
        "2.0" | "2" => Some(HttpVersion::Http2),
        _ => None,
    })
}

/// Decimal seconds as nanoseconds: exact, unlike a float; up to nine digits of a fraction count.
fn seconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

/// Nanoseconds that a number of digits behind the point can tell apart.
fn resolution(text: &str) -> u64 {
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(9));
    10_u64.pow(9 - digits as u32)
}

fn duration(text: &str) -> Option<u64> {
    seconds(text).filter(|nanos| *nanos <= MAX_SPAN)
}
