//! A line of the combined format: `ADDRESS - USER [DAY/MON/YEAR:H:M:S ZONE] "REQUEST" STATUS BYTES "REFERER" "AGENT"`,
//! and whatever a site writes behind it: the last bare number with a point is taken for `$request_time`.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::strtime;

use super::super::notes::Note;
use super::{Logged, duration, request_line};

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Logged, Note> {
    let open = find(line, b" [").ok_or(Note::Unreadable)?;
    let (client, rest) = line.split_at(open);
    let close = find(rest, b"] ").ok_or(Note::Unreadable)?;
    let ended = rest.get(2..close).and_then(instant).ok_or(Note::BadInstant)?;
    let mut rest = rest[close + 2..].trim_ascii_start();
    let request = quoted(&mut rest).ok_or(Note::Unreadable)?;
    let status = word(&mut rest).and_then(|status| status.parse().ok()).ok_or(Note::Unreadable)?;
    let sent = word(&mut rest).ok_or(Note::Unreadable)?;
    let mut logged = Logged {
        ended,
        resolution: 1_000_000_000,
        status,
        sent: sent.parse().ok(),
        has_client: client.split(|b| *b == b' ').any(|part| !part.is_empty() && part != b"-"),
        ..Logged::default()
    };
    (logged.method, logged.target, logged.version) = request_line(&request).ok_or(Note::NotHttp)?;
    for name in ["referer", "user-agent"] {
        match quoted(&mut rest) {
            Some(value) if &value[..] != b"-" && !value.is_empty() => logged.fields.push((name, value)),
            Some(_) => {}
            None => break,
        }
    }
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        if rest.starts_with(b"\"") {
            // A field of the site, such as `$http_x_forwarded_for`; some quote the time as well.
            let Some(value) = quoted(&mut rest) else { break };
            logged.took = std::str::from_utf8(&value).ok().and_then(time).or(logged.took);
        } else if let Some(text) = word(&mut rest) {
            logged.took = time(text).or(logged.took);
        }
    }
    Ok(logged)
}

/// `0.123`, or `rt=0.123`, as many sites write it.
fn time(text: &str) -> Option<u64> {
    let value = match text.split_once('=') {
        Some(("rt" | "request_time", value)) => value,
        Some(_) => return None,
        None => text,
    };
    value.contains('.').then(|| duration(value)).flatten()
}

/// `10/Oct/2000:13:55:36 -0700`
fn instant(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let parsed: Timestamp = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?.to_timestamp().ok()?;
    u64::try_from(parsed.as_nanosecond()).ok()
}

/// The text in quotes that `rest` begins with, its escapes (`\xHH`, `\"`, `\\`) undone.
fn quoted(rest: &mut &[u8]) -> Option<Bytes> {
    let mut bytes = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let mut out = Vec::new();
    loop {
        let (byte, after) = bytes.split_first()?;
        bytes = after;
        match byte {
            b'"' => break,
            b'\\' => {
                let (escape, after) = bytes.split_first()?;
                bytes = after;
                if *escape == b'x' {
                    let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
                    out.push(u8::from_str_radix(digits, 16).ok()?);
                    bytes = &bytes[2..];
                } else {
                    out.push(*escape);
                }
            }
            byte => out.push(*byte),
        }
    }
    *rest = bytes;
    Some(out.into())
}

/// The word that `rest` begins with.
fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let bytes = rest.trim_ascii_start();
    let end = bytes.iter().position(u8::is_ascii_whitespace).unwrap_or(bytes.len());
    let (word, after) = bytes.split_at(end);
    *rest = after;
    std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}
