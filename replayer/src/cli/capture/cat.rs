//! `understudy capture cat`.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use understudy_captures::capture::Damage;
use understudy_captures::interchange::jsonl;
use understudy_captures::{Body, Exchange, Headers};

use super::text::{Shown, span};
use super::{Reading, print_damage, printed, unreadable};
use crate::cli::Failure;

/// Arguments of `cat`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    reading: Reading,
    /// Print one JSON object a line; bytes that are not UTF-8 come in base64, under KEY_base64
    #[arg(long)]
    json: bool,
    /// Stop after this many exchanges
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let capture = args.reading.open()?;
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
    serde_json::to_writer(&mut *out, &jsonl::to_json(exchange))?;
    writeln!(out)
}
