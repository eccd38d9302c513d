//! A script for k6 and the requests beside it, one JSON array.
//!
//! k6 has no executor that follows recorded instants. The script shares its iterations out in order, and each waits for
//! its instant, counted from the start of the test; how late it was is a metric of the run. Or it sends at a constant
//! rate.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use serde_json::{Map, json};

use super::encoding::put;
use super::export::{Load, Sink, by_name};
use super::notes::{Note, Notes};
use crate::exchange::{Exchange, UnixNanos};

const SCRIPT: &str = include_str!("k6.js");

/// More users than were ever busy at once: answers may take longer than the recorded ones.
const SPARE_USERS: usize = 4;
/// Users that are started without being asked; each takes memory.
const MAX_USERS: usize = 2000;

/// Writes a script and its data.
pub(super) struct K6Writer<D, S> {
    data: D,
    script: S,
    /// What the script calls the data.
    name: String,
    first: Option<UnixNanos>,
    last: u64,
    written: u64,
    /// When the exchanges under way end.
    under_way: BinaryHeap<Reverse<u64>>,
    peak: usize,
}

impl<D: Write, S: Write> K6Writer<D, S> {
    pub(super) fn new(data: D, script: S, name: String) -> Self {
        Self { data, script, name, first: None, last: 0, written: 0, under_way: BinaryHeap::new(), peak: 0 }
    }
}

impl<D: Write, S: Write> Sink for K6Writer<D, S> {
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool> {
        let Some(load) = Load::of(exchange, notes) else { return Ok(false) };
        let first = *self.first.get_or_insert(exchange.arrival);
        let offset = exchange.arrival.since(first);
        self.last = self.last.max(offset);
        while self.under_way.peek().is_some_and(|Reverse(end)| *end <= offset) {
            self.under_way.pop();
        }
        self.under_way.push(Reverse(offset.saturating_add(exchange.timing.end)));
        self.peak = self.peak.max(self.under_way.len());
        let fields: Map<_, _> = by_name(&load.fields, notes)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let mut request = Map::new();
        request.insert("offset_ms".into(), json!(offset as f64 / 1e6));
        request.insert("method".into(), load.method.into());
        request.insert("target".into(), load.target.into());
        request.insert("headers".into(), fields.into());
        if !exchange.request.body.bytes.is_empty() {
            put(&mut request, "body", &exchange.request.body.bytes);
        }
        if request.contains_key("body_base64") {
            notes.add(Note::Base64);
        }
        self.data.write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
        serde_json::to_writer(&mut self.data, &request)?;
        self.written += 1;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        self.data.write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
        self.data.flush()?;
        let users =
            (self.peak + SPARE_USERS).min(MAX_USERS).min(usize::try_from(self.written.max(1)).unwrap_or(1));
        let seconds = self.last as f64 / 1e9;
        let script = SCRIPT
            .replace("\"@DATA@\"", &json!(format!("./{}", self.name)).to_string())
            .replace("@USERS@", &users.to_string())
            .replace("@SECONDS@", &format!("{seconds:.3}"));
        self.script.write_all(script.as_bytes())?;
        self.script.flush()
    }
}
