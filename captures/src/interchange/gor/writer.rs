//! Writes exchanges as GoReplay reads them.

use std::io::{self, Write};

use super::super::export::Sink;
use super::super::notes::{Note, Notes};
use super::SEPARATOR;
use crate::exchange::{Body, Exchange, Headers, HttpVersion};

/// Writes a `.gor` file.
pub struct GorWriter<W> {
    out: W,
    message: Vec<u8>,
}

// === impl GorWriter ===

impl<W: Write> GorWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, message: Vec::new() }
    }

    /// One record; a latency that is not known is left out, as old versions did.
    fn record(
        &mut self,
        kind: char,
        exchange: &Exchange,
        instant: u64,
        latency: Option<u64>,
    ) -> io::Result<()> {
        write!(self.out, "{kind} {} {instant}", exchange.id)?;
        if let Some(latency) = latency {
            write!(self.out, " {latency}")?;
        }
        self.out.write_all(b"\n")?;
        self.out.write_all(&self.message)?;
        self.out.write_all(SEPARATOR)
    }

    /// Puts fields and body of a message together. What frames the body is made to fit it: a coding that sanitizing
    /// removed or a body that is empty now would otherwise be read past its end.
    fn put(&mut self, headers: &Headers, body: &Body, trailers: &Headers, has_body: bool, notes: &mut Notes) {
        let chunked = headers.get("transfer-encoding").is_some();
        let mut has_length = false;
        for (name, value) in headers.iter() {
            if name.eq_ignore_ascii_case(b"content-length") {
                let fits = !has_body || value == body.bytes.len().to_string().as_bytes();
                if has_length || chunked || !fits {
                    continue;
                }
                has_length = true;
            }
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                continue;
            }
            self.field(name, value);
        }
        if chunked && has_body {
            self.field(b"transfer-encoding", b"chunked");
        } else if has_body && !has_length && !body.bytes.is_empty() {
            notes.add(Note::Framing);
            self.field(b"content-length", body.bytes.len().to_string().as_bytes());
        }
        self.message.extend_from_slice(b"\r\n");
        if !chunked || !has_body {
            if !trailers.is_empty() {
                notes.add(Note::Trailers);
            }
            self.message.extend_from_slice(&body.bytes);
            return;
        }
        if !body.bytes.is_empty() {
            self.message.extend_from_slice(format!("{:x}\r\n", body.bytes.len()).as_bytes());
            self.message.extend_from_slice(&body.bytes);
            self.message.extend_from_slice(b"\r\n");
        }
        self.message.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.iter() {
            self.field(name, value);
        }
        self.message.extend_from_slice(b"\r\n");
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        self.message.extend_from_slice(name);
        self.message.extend_from_slice(b": ");
        self.message.extend_from_slice(value);
        self.message.extend_from_slice(b"\r\n");
    }
}

impl<W: Write> Sink for GorWriter<W> {
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool> {
        let request = &exchange.request;
        if request.body.truncated {
            notes.add(Note::RequestIncomplete);
            return Ok(false);
        }
        if request.version == HttpVersion::Http2 {
            notes.add(Note::Http2AsHttp1);
        }
        notes.add(Note::Connections);
        notes.add_recorders_own(exchange);
        self.message.clear();
        self.message.extend_from_slice(&request.method);
        self.message.push(b' ');
        self.message.extend_from_slice(&request.target);
        self.message.extend_from_slice(version_line(request.version));
        self.message.extend_from_slice(b"\r\n");
        self.put(&request.headers, &request.body, &request.trailers, true, notes);
        decoded(&request.body, notes);
        self.record('1', exchange, exchange.arrival.0, exchange.timing.request_end)?;
        let Some(response) = &exchange.response else {
            notes.add(Note::NoResponse);
            return Ok(true);
        };
        if response.body.truncated {
            notes.add(Note::ResponseIncomplete);
        }
        let bodiless =
            request.method.eq_ignore_ascii_case(b"HEAD") || matches!(response.status, 100..=199 | 204 | 304);
        self.message.clear();
        let version = version_line(response.version).trim_ascii_start();
        self.message.extend_from_slice(version);
        self.message.extend_from_slice(format!(" {} \r\n", response.status).as_bytes());
        self.put(&response.headers, &response.body, &response.trailers, !bodiless, notes);
        decoded(&response.body, notes);
        let start = exchange.timing.response_start.unwrap_or(0);
        let latency = exchange.timing.end.saturating_sub(start);
        self.record('2', exchange, exchange.arrival.0.saturating_add(start), Some(latency))?;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        self.out.flush()
    }
}

fn version_line(version: HttpVersion) -> &'static [u8] {
    match version {
        HttpVersion::Http10 => b" HTTP/1.0",
        HttpVersion::Http11 | HttpVersion::Http2 => b" HTTP/1.1",
    }
}

fn decoded(body: &Body, notes: &mut Notes) {
    if body.decoded_from.is_some() {
        notes.add(Note::Decoded);
    }
}
