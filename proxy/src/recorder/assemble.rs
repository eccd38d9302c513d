//! Makes an [`Exchange`] of the raw bytes that a data thread collected.

use std::mem::MaybeUninit;

use bytes::Bytes;
use understudy_captures::exchange::{HttpVersion, Stamp, Timing};
use understudy_captures::{Body, Exchange, ExchangeId, Headers, Request, Response};

use crate::batch::{Batch, Message, Observed};
use crate::clock::Clock;
use crate::tap::head::MAX_HEADERS;

/// The bytes are not what the tap took them for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the exchange does not read as HTTP")]
pub(crate) struct NotHttp;

/// The exchange of `observed`.
pub(crate) fn assemble(
    batch: &Batch,
    observed: &Observed,
    id: ExchangeId,
    clock: &Clock,
) -> Result<Exchange, NotHttp> {
    let request = request(batch.request(observed))?;
    let response = batch.response(observed).map(response).transpose()?;
    let offset = |instant: u64| instant.saturating_sub(observed.arrival);
    Ok(Exchange {
        id,
        connection: observed.connection,
        index: observed.index,
        arrival: clock.wall(observed.arrival),
        trace_id: request.headers.get("traceparent").and_then(trace_id),
        request,
        response,
        ending: observed.ending,
        timing: Timing {
            request_end: observed.request_end.map(offset),
            response_start: observed.response_start.map(offset),
            end: offset(observed.end),
        },
        chunks: batch.chunks(observed).to_vec(),
        redactions: Vec::new(),
        stamp: Stamp::default(),
    })
}

fn request(message: Message<'_>) -> Result<Request, NotHttp> {
    let head = Bytes::copy_from_slice(message.head);
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    parsed.parse_with_uninit_headers(&head, &mut room).map_err(|_| NotHttp)?;
    let part = |text: Option<&str>| text.map(|text| head.slice_ref(text.as_bytes())).ok_or(NotHttp);
    Ok(Request {
        method: part(parsed.method)?,
        target: part(parsed.path)?,
        version: version(parsed.version)?,
        headers: headers(&head, parsed.headers),
        body: body(message),
        trailers: trailers(message)?,
    })
}

fn response(message: Message<'_>) -> Result<Response, NotHttp> {
    let head = Bytes::copy_from_slice(message.head);
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, &head, &mut room)
        .map_err(|_| NotHttp)?;
    Ok(Response {
        status: parsed.code.ok_or(NotHttp)?,
        version: version(parsed.version)?,
        headers: headers(&head, parsed.headers),
        body: body(message),
        trailers: trailers(message)?,
    })
}

fn version(minor: Option<u8>) -> Result<HttpVersion, NotHttp> {
    match minor {
        Some(0) => Ok(HttpVersion::Http10),
        Some(1) => Ok(HttpVersion::Http11),
        _ => Err(NotHttp),
    }
}

/// Fields as slices of `whole`, which they were parsed from.
fn headers(whole: &Bytes, parsed: &[httparse::Header<'_>]) -> Headers {
    let field = |header: &httparse::Header<'_>| {
        (whole.slice_ref(header.name.as_bytes()), whole.slice_ref(header.value))
    };
    parsed.iter().map(field).collect()
}

fn body(message: Message<'_>) -> Body {
    Body {
        bytes: Bytes::copy_from_slice(message.body),
        original_len: message.body.len() as u64,
        decoded_from: None,
        truncated: message.truncated,
    }
}

fn trailers(message: Message<'_>) -> Result<Headers, NotHttp> {
    // Of a message that ended early the last line may be cut.
    if message.trailers.is_empty() || message.truncated {
        return Ok(Headers::default());
    }
    let whole = Bytes::copy_from_slice(message.trailers);
    let mut room = [httparse::EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(&whole, &mut room) {
        Ok(httparse::Status::Complete((_, parsed))) => Ok(headers(&whole, parsed)),
        Ok(httparse::Status::Partial) | Err(_) => Err(NotHttp),
    }
}

/// Trace id of a W3C `traceparent`: version, 32 hex digits, parent, flags.
fn trace_id(value: &[u8]) -> Option<u128> {
    let mut parts = std::str::from_utf8(value).ok()?.split('-');
    let version = parts.next()?;
    let trace = parts.next()?;
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if version.len() != 2 || version == "ff" || trace.len() != 32 || !is_hex(version) || !is_hex(trace) {
        return None;
    }
    u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_taken_from_a_well_formed_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let wanted = u128::from_str_radix(id, 16).ok();
        assert_eq!(trace_id(format!("00-{id}-00f067aa0ba902b7-01").as_bytes()), wanted);
        for wrong in [
            format!("ff-{id}-00f067aa0ba902b7-01"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-+{}-00f067aa0ba902b7-01", &id[1..]),
            id.to_owned(),
        ] {
            assert_eq!(trace_id(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
