//! Writes exchanges as an archive, entry by entry.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::super::encoding::base64;
use super::super::export::{Sink, Target};
use super::super::notes::{Note, Notes};
use crate::exchange::{Body, Exchange, Headers};

/// Writes an archive.
pub struct HarWriter<W> {
    out: W,
    target: Option<Target>,
    entries: u64,
}

// === impl HarWriter ===

impl<W: Write> HarWriter<W> {
    /// Writes to `out`; URLs begin with `target`, or with the recorded host.
    pub fn new(out: W, target: Option<Target>) -> Self {
        Self { out, target, entries: 0 }
    }

    fn begin(&mut self) -> io::Result<()> {
        let creator = json!({ "name": "understudy", "version": env!("CARGO_PKG_VERSION") });
        write!(self.out, "{{\"log\":{{\"version\":\"1.2\",\"creator\":{creator},\"entries\":[")
    }

    fn url(&self, exchange: &Exchange, notes: &mut Notes) -> Option<String> {
        let Ok(target) = std::str::from_utf8(&exchange.request.target) else {
            notes.add(Note::Unsendable);
            return None;
        };
        if !target.starts_with('/') || target.bytes().any(|b| b <= b' ' || b == 0x7f) {
            notes.add(Note::Unsendable);
            return None;
        }
        if let Some(base) = &self.target {
            return Some(base.url(target));
        }
        match exchange.request.headers.get_str("host").filter(|host| is_host(host)) {
            Some(host) => {
                notes.add(Note::SchemeAssumed);
                Some(format!("http://{host}{target}"))
            }
            None => {
                notes.add(Note::NoHost);
                None
            }
        }
    }
}

impl<W: Write> Sink for HarWriter<W> {
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool> {
        let Some(url) = self.url(exchange, notes) else { return Ok(false) };
        note(exchange, notes);
        let timing = &exchange.timing;
        let end = timing.end;
        let send = timing.request_end.unwrap_or(0).min(end);
        let first = timing.response_start.unwrap_or(end).clamp(send, end);
        let entry = json!({
            "startedDateTime": exchange.arrival.to_string(),
            "time": ms(end),
            "request": request(exchange, &url, notes),
            "response": response(exchange, notes),
            "cache": {},
            "timings": {
                "blocked": -1, "dns": -1, "connect": -1, "ssl": -1,
                "send": ms(send), "wait": ms(first - send), "receive": ms(end - first),
            },
            // Counted from 1: readers take 0 for none.
            "connection": exchange.connection.saturating_add(1).to_string(),
        });
        if self.entries == 0 {
            self.begin()?;
        } else {
            self.out.write_all(b",")?;
        }
        self.out.write_all(b"\n")?;
        serde_json::to_writer(&mut self.out, &entry)?;
        self.entries += 1;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        if self.entries == 0 {
            self.begin()?;
        }
        self.out.write_all(b"\n]}}\n")?;
        self.out.flush()
    }
}

fn note(exchange: &Exchange, notes: &mut Notes) {
    notes.add(Note::Ids);
    notes.add_recorders_own(exchange);
    let answered = exchange.response.as_ref();
    if !exchange.request.trailers.is_empty() || answered.is_some_and(|r| !r.trailers.is_empty()) {
        notes.add(Note::Trailers);
    }
    if answered.is_none() {
        notes.add(Note::NoResponse);
    }
}

fn request(exchange: &Exchange, url: &str, notes: &mut Notes) -> Value {
    let request = &exchange.request;
    let query: Vec<Value> = url
        .split_once('?')
        .map(|(_, query)| query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect())
        .unwrap_or_default();
    let mut value = json!({
        "method": text(&request.method, notes),
        "url": url,
        "httpVersion": request.version.name(),
        "cookies": [],
        "headers": fields(&request.headers, notes),
        "queryString": query,
        "headersSize": -1,
        "bodySize": request.body.original_len,
    });
    if !request.body.bytes.is_empty() {
        let mime = request.headers.get_str("content-type").unwrap_or_default();
        let mut data = Map::new();
        data.insert("mimeType".into(), mime.into());
        put_text(&mut data, &request.body, "_encoding", notes);
        value["postData"] = Value::Object(data);
    } else if request.body.truncated {
        notes.add(Note::BodyAbsent);
        value["comment"] = "the request body was not recorded whole".into();
    }
    value
}

/// Without a response, the one of status 0 that browsers write.
fn response(exchange: &Exchange, notes: &mut Notes) -> Value {
    let Some(response) = &exchange.response else {
        return json!({
            "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
            "content": { "size": 0, "mimeType": "" }, "redirectURL": "", "headersSize": -1, "bodySize": -1,
        });
    };
    let mut content = Map::new();
    let size = if response.body.bytes.is_empty() {
        response.body.original_len
    } else {
        response.body.bytes.len() as u64
    };
    content.insert("size".into(), size.into());
    content.insert("mimeType".into(), response.headers.get_str("content-type").unwrap_or_default().into());
    if !response.body.bytes.is_empty() {
        put_text(&mut content, &response.body, "encoding", notes);
    } else if response.body.truncated {
        notes.add(Note::BodyAbsent);
        content.insert("comment".into(), "the response body was not recorded whole".into());
    }
    json!({
        "status": response.status,
        "statusText": "",
        "httpVersion": response.version.name(),
        "cookies": [],
        "headers": fields(&response.headers, notes),
        "content": content,
        "redirectURL": response.headers.get_str("location").unwrap_or_default(),
        "headersSize": -1,
        "bodySize": response.body.original_len,
    })
}

fn put_text(map: &mut Map<String, Value>, body: &Body, encoding: &str, notes: &mut Notes) {
    if body.decoded_from.is_some() {
        notes.add(Note::Decoded);
    }
    match std::str::from_utf8(&body.bytes) {
        Ok(text) => {
            map.insert("text".into(), text.into());
        }
        Err(_) => {
            notes.add(Note::Base64);
            map.insert("text".into(), base64(&body.bytes).into());
            map.insert(encoding.into(), "base64".into());
        }
    }
}

fn fields(headers: &Headers, notes: &mut Notes) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!({ "name": text(name, notes), "value": text(value, notes) }))
        .collect()
}

fn text(bytes: &[u8], notes: &mut Notes) -> String {
    if std::str::from_utf8(bytes).is_err() {
        notes.add(Note::NotText);
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn pair(pair: &str) -> Value {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    json!({ "name": name, "value": value })
}

fn ms(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

/// What may stand between `http://` and a path.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}
