//! Makes an [`Exchange`] of the raw bytes that a data thread collected.

use bytes::Bytes;
use understudy_captures::exchange::{HttpVersion, Stamp, Timing};
use understudy_captures::http1::{self, NotHttp};
use understudy_captures::{Body, Exchange, ExchangeId, Headers, Request, Response};

use crate::batch::{Batch, Message, Observed};
use crate::clock::Clock;

/// The exchange of `observed`.
pub(crate) fn assemble(
    batch: &Batch,
    observed: &Observed,
    id: ExchangeId,
    clock: &Clock,
) -> Result<Exchange, NotHttp> {
    let mut request = request(batch.request(observed))?;
    let mut response = batch.response(observed).map(response).transpose()?;
    if observed.http2 {
        request.version = HttpVersion::Http2;
        if let Some(response) = &mut response {
            response.version = HttpVersion::Http2;
        }
    }
    let offset = |instant: u64| instant.saturating_sub(observed.arrival);
    Ok(Exchange {
        id,
        connection: observed.connection,
        index: observed.index,
        arrival: clock.wall(observed.arrival),
        trace_id: request.headers.get("traceparent").and_then(http1::trace_id),
        request,
        response,
        ending: observed.ending,
        timing: Timing {
            request_end: observed.request_end.map(offset),
            response_start: observed.response_start.map(offset),
            end: offset(observed.end),
        },
        chunks: batch.chunks(observed).to_vec(),
        redactions: Default::default(),
        stamp: Stamp::default(),
    })
}

fn request(message: Message<'_>) -> Result<Request, NotHttp> {
    let head = http1::request_head(&Bytes::copy_from_slice(message.head))?;
    Ok(Request {
        method: head.method,
        target: head.target,
        version: head.version,
        headers: head.headers,
        body: body(message),
        trailers: trailers(message)?,
    })
}

fn response(message: Message<'_>) -> Result<Response, NotHttp> {
    let head = http1::response_head(&Bytes::copy_from_slice(message.head))?;
    Ok(Response {
        status: head.status,
        version: head.version,
        headers: head.headers,
        body: body(message),
        trailers: trailers(message)?,
    })
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
    http1::fields(&Bytes::copy_from_slice(message.trailers)).map(|(fields, _)| fields)
}
