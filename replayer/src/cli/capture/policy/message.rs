//! One HTTP message from a file, as an exchange.

use bytes::Bytes;
use understudy_captures::exchange::{
    Body, Ending, Exchange, ExchangeId, Headers, HttpVersion, Request, Response, Stamp, Timing, UnixNanos,
};

/// More fields than a message can reasonably have.
const MOST_FIELDS: usize = 256;

/// A request that most services could get, with a secret in every part.
const REQUEST: &[u8] = b"POST /v1/users/ada.lovelace/reviews?page=2&session=f3a9c1 HTTP/1.1\r\n\
Host: reviews.internal\r\n\
Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLXRoaXM\r\n\
Cookie: sid=31d4d96e407aad42\r\n\
Content-Type: application/json\r\n\
X-Request-Id: 7b1f0d3e-order-1843\r\n\
User-Agent: shop-app/4.2 (ada's phone)\r\n\
\r\n\
{\"text\":\"Lovely lamp! Card 4242 4242 4242 4242 was charged twice, write to ada.lovelace@example.com or call +44 20 7946 0958\",\
\"user\":{\"name\":\"Ada Lovelace\",\"born\":\"1815-12-10\",\"id\":418273645},\"priority\":\"low\",\"tags\":[\"lamp\",\"refund\"]}";

/// What it is answered.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
Content-Type: application/json\r\n\
Set-Cookie: sid=31d4d96e407aad42; HttpOnly\r\n\
X-Process-Time: 12.4\r\n\
\r\n\
{\"label\":\"POSITIVE\",\"score\":0.9981,\"model_name\":\"distilbert-sst-2\",\"greeting\":\"Thank you, Ada\"}";

/// What a message file may be.
pub(super) enum Message {
    Request(Request),
    Response(Response),
}

/// The built-in sample.
pub(super) fn sample() -> Result<Exchange, String> {
    match (read(REQUEST)?, read(RESPONSE)?) {
        (Message::Request(request), Message::Response(response)) => Ok(exchange(request, Some(response))),
        _ => Err("the sample is no request and response".to_owned()),
    }
}

/// The exchange of one message.
pub(super) fn only(message: Message) -> Exchange {
    match message {
        Message::Request(request) => exchange(request, None),
        Message::Response(response) => {
            let request = Request {
                method: "GET".into(),
                target: "/".into(),
                version: response.version,
                headers: Headers::default(),
                body: Body::default(),
                trailers: Headers::default(),
            };
            exchange(request, Some(response))
        }
    }
}

fn exchange(request: Request, response: Option<Response>) -> Exchange {
    Exchange {
        id: ExchangeId(0),
        connection: 0,
        index: 0,
        arrival: UnixNanos(0),
        request,
        response,
        ending: Ending::Complete,
        timing: Timing::default(),
        chunks: Vec::new(),
        redactions: Default::default(),
        trace_id: None,
        stamp: Stamp::default(),
    }
}

/// Reads a request or a response as it is on the wire; lines may end in LF alone, as editors write them.
pub(super) fn read(bytes: &[u8]) -> Result<Message, String> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let cut = "it ends inside its head: an empty line ends the header fields";
    if bytes.starts_with(b"HTTP/") {
        let mut head = httparse::Response::new(&mut fields);
        let len = match head.parse(bytes).map_err(|error| error.to_string())? {
            httparse::Status::Complete(len) => len,
            httparse::Status::Partial => return Err(cut.to_owned()),
        };
        let headers = headers(head.headers);
        return Ok(Message::Response(Response {
            status: head.code.unwrap_or_default(),
            version: version(head.version),
            body: body(&headers, &bytes[len..])?,
            headers,
            trailers: Headers::default(),
        }));
    }
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(bytes).map_err(|error| error.to_string())? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => return Err(cut.to_owned()),
    };
    let headers = headers(head.headers);
    Ok(Message::Request(Request {
        method: Bytes::copy_from_slice(head.method.unwrap_or_default().as_bytes()),
        target: Bytes::copy_from_slice(head.path.unwrap_or_default().as_bytes()),
        version: version(head.version),
        body: body(&headers, &bytes[len..])?,
        headers,
        trailers: Headers::default(),
    }))
}

fn version(minor: Option<u8>) -> HttpVersion {
    if minor == Some(0) { HttpVersion::Http10 } else { HttpVersion::Http11 }
}

fn headers(fields: &[httparse::Header<'_>]) -> Headers {
    let owned = |field: &httparse::Header<'_>| {
        (Bytes::copy_from_slice(field.name.as_bytes()), Bytes::copy_from_slice(field.value))
    };
    fields.iter().map(owned).collect()
}

/// What follows the head, as far as `content-length` says; all of it without one.
fn body(headers: &Headers, rest: &[u8]) -> Result<Body, String> {
    let chunked =
        headers.get("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked"));
    if chunked {
        return Err("its body is in chunks: give it as one, without transfer-encoding".to_owned());
    }
    let declared = headers.get_str("content-length").and_then(|len| len.trim().parse::<usize>().ok());
    let bytes = &rest[..declared.unwrap_or(rest.len()).min(rest.len())];
    Ok(Body {
        bytes: Bytes::copy_from_slice(bytes),
        original_len: bytes.len() as u64,
        truncated: declared.is_some_and(|len| len > rest.len()),
        ..Body::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_are_told_apart() {
        let Message::Request(request) = read(b"POST /a HTTP/1.1\nHost: b\n\nxyz").unwrap() else { panic!() };
        assert_eq!((&request.target[..], &request.body.bytes[..]), (&b"/a"[..], &b"xyz"[..]));
        let text = b"HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\nok\n";
        let Message::Response(response) = read(text).unwrap() else { panic!() };
        assert_eq!((response.status, &response.body.bytes[..]), (404, &b"ok"[..]));
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_reason() {
        let error = |bytes: &[u8]| read(bytes).map(|_| ()).unwrap_err();
        assert!(error(b"GET / HTTP/1.1\r\nHost: a\r\n").contains("empty line"));
        assert!(error(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").contains("chunks"));
        assert!(!error(b"{\"text\": 1}\n\n").is_empty());
        assert!(sample().is_ok());
    }
}
