//! Targets for `vegeta attack -format=json`: one JSON object a line.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::encoding::base64;
use super::export::{Load, Sink, Target};
use super::notes::{Note, Notes};
use crate::exchange::Exchange;

/// Writes targets.
pub(super) struct VegetaWriter<W> {
    out: W,
    target: Target,
}

impl<W: Write> VegetaWriter<W> {
    pub(super) fn new(out: W, target: Target) -> Self {
        Self { out, target }
    }
}

impl<W: Write> Sink for VegetaWriter<W> {
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool> {
        let Some(load) = Load::of(exchange, notes) else { return Ok(false) };
        notes.add(Note::Arrivals);
        let mut header = Map::new();
        for (name, value) in &load.fields {
            match header.entry(*name).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(values) => values.push((*value).into()),
                other => *other = json!([value]),
            }
        }
        let mut target =
            json!({ "method": load.method, "url": self.target.url(load.target), "header": header });
        if !exchange.request.body.bytes.is_empty() {
            target["body"] = base64(&exchange.request.body.bytes).into();
        }
        serde_json::to_writer(&mut self.out, &target)?;
        self.out.write_all(b"\n")?;
        Ok(true)
    }

    fn finish(&mut self, _: &mut Notes) -> io::Result<()> {
        self.out.flush()
    }
}
