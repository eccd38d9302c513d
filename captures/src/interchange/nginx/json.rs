//! A line of a JSON log. Sites name the members as they like; those that nginx names its variables are known, and the
//! usual short forms.

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::strtime;
use serde_json::{Map, Value};

use super::super::notes::Note;
use super::{Logged, duration, request_line, resolution, seconds, version_of};

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Logged, Note> {
    let members: Map<String, Value> = serde_json::from_slice(line).map_err(|_| Note::Unreadable)?;
    let text = |names: &[&str]| {
        names.iter().find_map(|name| match members.get(*name)? {
            Value::String(text) if text != "-" && !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let number = |names: &[&str]| text(names).and_then(|text| text.parse::<u64>().ok());
    let (ended, resolution) = ended(&text).ok_or(Note::BadInstant)?;
    let mut logged = Logged {
        ended,
        resolution,
        status: number(&["status"]).and_then(|status| u16::try_from(status).ok()).unwrap_or(0),
        sent: number(&["body_bytes_sent", "bytes_sent", "bytes"]),
        took: text(&["request_time", "duration"]).and_then(|text| duration(&text)),
        connection: number(&["connection"]),
        has_client: text(&["remote_addr", "remote_user", "client_ip", "http_x_forwarded_for"]).is_some(),
        ..Logged::default()
    };
    (logged.method, logged.target, logged.version) = match text(&["request"]) {
        Some(line) => request_line(line.as_bytes()),
        None => parts(&text),
    }
    .ok_or(Note::NotHttp)?;
    let fields = [
        ("host", &["http_host", "host"][..]),
        ("content-type", &["http_content_type", "content_type"]),
        ("referer", &["http_referer", "http_referrer", "referer"]),
        ("user-agent", &["http_user_agent", "user_agent"]),
        ("x-request-id", &["http_x_request_id"]),
    ];
    for (name, members) in fields {
        if let Some(value) = text(members) {
            logged.fields.push((name, value.into()));
        }
    }
    Ok(logged)
}

/// The instant, and what its clock can tell apart: the finest of those that are there.
fn ended(text: &impl Fn(&[&str]) -> Option<String>) -> Option<(u64, u64)> {
    if let Some(seconds_text) = text(&["msec"]) {
        return Some((seconds(&seconds_text)?, resolution(&seconds_text)));
    }
    let written = text(&["time_iso8601", "@timestamp", "timestamp", "time", "time_local", "ts"])?;
    if let Ok(instant) = written.parse::<Timestamp>() {
        return Some((u64::try_from(instant.as_nanosecond()).ok()?, fraction(&written)));
    }
    if let Ok(instant) =
        strtime::parse("%d/%b/%Y:%H:%M:%S %z", &written).and_then(|broken| broken.to_timestamp())
    {
        return Some((u64::try_from(instant.as_nanosecond()).ok()?, 1_000_000_000));
    }
    Some((seconds(&written)?, resolution(&written)))
}

/// What the digits behind the seconds of an RFC 3339 instant can tell apart.
fn fraction(text: &str) -> u64 {
    let digits: String = match text.split_once('.') {
        Some((_, rest)) => rest.chars().take_while(char::is_ascii_digit).collect(),
        None => String::new(),
    };
    resolution(&format!("0.{digits}"))
}

fn parts(text: &impl Fn(&[&str]) -> Option<String>) -> Option<(Bytes, Bytes, Option<super::HttpVersion>)> {
    let method = text(&["request_method", "method"])?;
    let target = text(&["request_uri", "uri", "path"])?;
    let version = text(&["server_protocol", "protocol"]).unwrap_or_else(|| "HTTP/1.1".to_owned());
    let mut line = format!("{method} {target}");
    if let Some(args) = text(&["args", "query_string"]).filter(|_| !target.contains('?')) {
        line = format!("{line}?{args}");
    }
    version_of(&version)?;
    request_line(format!("{line} {version}").as_bytes())
}
