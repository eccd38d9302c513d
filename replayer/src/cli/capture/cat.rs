//! `understudy capture cat`.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use understudy_captures::capture::Damage;
use understudy_captures::{Body, Capture, Exchange, Headers};

use super::text::{Shown, put, span};
use super::{print_damage, printed, unreadable};
use crate::cli::Failure;

/// Arguments of `cat`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Segments (*.ucap), or directories of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object a line; bytes that are not UTF-8 come in base64, under KEY_base64
    #[arg(long)]
    json: bool,
    /// Stop after this many exchanges
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let capture = Capture::open(&args.paths).map_err(unreadable)?;
    let mut exchanges = capture.exchanges();
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut result = Ok(());
    for exchange in exchanges.by_ref().take(args.limit) {
        let exchange = exchange.map_err(unreadable)?;
        result = match args.json {
            true => print_json_line(&exchange, &mut out),
            false => print(&exchange, &mut out),
        };
        if result.is_err() {
            break;
        }
    }
    printed(result.and_then(|()| out.flush()))?;
    warn(capture.damage().iter().chain(exchanges.damage()));
    Ok(ExitCode::SUCCESS)
}

/// Standard output carries exchanges alone, so what is missing among them goes to standard error.
fn warn<'a>(damage: impl Iterator<Item = &'a Damage>) {
    let mut error = io::stderr().lock();
    for damage in damage {
        // Nothing is left to do when standard error is gone too.
        print_damage(damage, &mut error).ok();
    }
}

// === for people ===

fn print(exchange: &Exchange, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "* {} exchange {} (connection {}, request {}): {} after {}",
        exchange.arrival,
        exchange.id,
        exchange.connection,
        exchange.index,
        exchange.ending.name(),
        span(exchange.timing.end)
    )?;
    for redaction in &exchange.redactions {
        let (class, place) = (Shown::line(redaction.class.as_bytes()), redaction.place.name());
        writeln!(out, "* redacted: {} {class} in {place}", redaction.count)?;
    }
    let request = &exchange.request;
    let (method, target) = (Shown::line(&request.method), Shown::line(&request.target));
    writeln!(out, "> {method} {target} {}", request.version.name())?;
    print_message('>', &request.headers, &request.body, &request.trailers, out)?;
    match &exchange.response {
        Some(response) => {
            writeln!(out, "< {} {}", response.version.name(), response.status)?;
            print_message('<', &response.headers, &response.body, &response.trailers, out)?;
        }
        None => writeln!(out, "* no response")?,
    }
    writeln!(out)
}

fn print_message(
    mark: char,
    headers: &Headers,
    body: &Body,
    trailers: &Headers,
    out: &mut dyn Write,
) -> io::Result<()> {
    print_fields(mark, headers, out)?;
    writeln!(out, "{mark}")?;
    if std::str::from_utf8(&body.bytes).is_err() {
        writeln!(out, "* {} bytes that are not text", body.bytes.len())?;
    } else if !body.bytes.is_empty() {
        let text = Shown::lines(body.bytes.strip_suffix(b"\n").unwrap_or(&body.bytes));
        writeln!(out, "{text}")?;
    }
    if let Some(coding) = &body.decoded_from {
        writeln!(out, "* decoded from {}", Shown::line(coding.as_bytes()))?;
    }
    if body.truncated {
        writeln!(out, "* truncated: {} bytes went by", body.original_len)?;
    }
    print_fields(mark, trailers, out)
}

fn print_fields(mark: char, fields: &Headers, out: &mut dyn Write) -> io::Result<()> {
    for (name, value) in fields.iter() {
        writeln!(out, "{mark} {}: {}", Shown::line(name), Shown::line(value))?;
    }
    Ok(())
}

// === for machines ===

fn print_json_line(exchange: &Exchange, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &to_json(exchange))?;
    writeln!(out)
}

fn to_json(exchange: &Exchange) -> Value {
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
    let redaction = |r: &understudy_captures::exchange::Redaction| json!({ "class": *r.class, "place": r.place.name(), "count": r.count });
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
