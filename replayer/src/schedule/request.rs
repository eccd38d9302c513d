//! A recorded request as it is sent again.
//!
//! The method, the target and the body bytes are the recorded ones, exactly; so are the fields, in their order and with
//! their names as they were spelled. Those are left out that belong to the recorded connection or are made anew for this one (`connection` and what it names, `transfer-encoding`,
//! `content-length`, `host`, `expect`, trace context), and those that carry credentials: a run gets its credentials from
//! the plan, never from a capture. A body that was sent chunked is sent with its length.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderName, HeaderValue};
use understudy_captures::exchange::{HttpVersion, Request};

use crate::plan::Plan;

/// Different sets of fields that are kept ready. Real clients of one service send a handful; a capture with more
/// (an id in a field) costs a set for each request.
const MAX_FIELD_SETS: usize = 1024;

/// Fields that are never sent as recorded, beside those that `connection` names.
const NOT_REPEATED: [HeaderName; 18] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::EXPECT,
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-understudy-run"),
];

/// A request ready to be sent: cloning it copies no bytes.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// As recorded.
    pub method: Bytes,
    /// As recorded, in origin form.
    pub target: Bytes,
    /// Lines of a head, each with its end, without those of the connection; shared between requests that have the same.
    pub fields: Bytes,
    /// As recorded.
    pub body: Bytes,
    /// The request says that it has a body, even if that is empty.
    pub has_length: bool,
}

/// Why an exchange cannot be repeated as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrepeatable {
    /// Part of the request body is missing.
    BodyIncomplete,
    /// Came over HTTP/2.
    Http2,
    /// Asked for another protocol (WebSocket), or a tunnel.
    Upgrade,
    /// Method, target or a field cannot be put into an HTTP/1.1 request unchanged.
    Unsendable,
}

/// Makes requests ready, sharing what they have in common.
pub struct Preparation {
    known: HashMap<Vec<u8>, Bytes>,
    key: Vec<u8>,
    /// Set on every request, instead of what was recorded under these names.
    added: Vec<(HeaderName, HeaderValue)>,
}

// === impl Unrepeatable ===

impl Unrepeatable {
    /// Every reason.
    pub const ALL: [Unrepeatable; 4] =
        [Unrepeatable::BodyIncomplete, Unrepeatable::Http2, Unrepeatable::Upgrade, Unrepeatable::Unsendable];

    /// For people, after a number of exchanges.
    pub fn explain(self) -> &'static str {
        match self {
            Unrepeatable::BodyIncomplete => "whose request body was not recorded whole",
            Unrepeatable::Http2 => "that came over HTTP/2, which the replay does not speak",
            Unrepeatable::Upgrade => "that switched to another protocol",
            Unrepeatable::Unsendable => "whose method, target or fields HTTP/1.1 cannot carry unchanged",
        }
    }
}

// === impl Preparation ===

impl Preparation {
    /// For the candidates and added fields of a plan.
    pub fn of(plan: &Plan) -> Preparation {
        Preparation { known: HashMap::new(), key: Vec::new(), added: plan.headers.clone() }
    }

    /// Makes one request ready, or says why that cannot be done faithfully.
    pub fn prepare(&mut self, request: &Request) -> Result<Prepared, Unrepeatable> {
        if request.version == HttpVersion::Http2 {
            return Err(Unrepeatable::Http2);
        }
        if request.body.truncated {
            return Err(Unrepeatable::BodyIncomplete);
        }
        let method = Method::from_bytes(&request.method).map_err(|_| Unrepeatable::Unsendable)?;
        if method == Method::CONNECT || request.headers.get("upgrade").is_some() {
            return Err(Unrepeatable::Upgrade);
        }
        let target = origin_form(&request.target);
        if target.first() != Some(&b'/') || !target.iter().all(|byte| may_be_in_target(*byte)) {
            return Err(Unrepeatable::Unsendable);
        }
        let fields = self.fields(request)?;
        let body = request.body.bytes.clone();
        let has_length = !body.is_empty()
            || request.headers.get("content-length").is_some()
            || request.headers.get("transfer-encoding").is_some();
        Ok(Prepared { method: request.method.clone(), target, fields, body, has_length })
    }

    fn fields(&mut self, request: &Request) -> Result<Bytes, Unrepeatable> {
        self.key.clear();
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_made_anew(name)) {
            self.key.extend_from_slice(name);
            self.key.push(0);
            self.key.extend_from_slice(value);
            self.key.push(b'\n');
        }
        // The coding that sanitizing removed from the body must not be announced.
        let decoded = request.body.decoded_from.is_some();
        self.key.push(u8::from(decoded));
        if let Some(known) = self.known.get(&self.key) {
            return Ok(known.clone());
        }
        let fields = Bytes::from(self.build(request, decoded)?);
        if self.known.len() < MAX_FIELD_SETS {
            self.known.insert(self.key.clone(), fields.clone());
        }
        Ok(fields)
    }

    fn build(&self, request: &Request, decoded: bool) -> Result<Vec<u8>, Unrepeatable> {
        let nominated: Vec<&[u8]> = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
            .flat_map(|(_, value)| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .collect();
        let mut lines = Vec::new();
        let mut put = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                lines.extend_from_slice(part);
            }
        };
        for (spelled, value) in request.headers.iter() {
            if nominated.iter().any(|nominee| nominee.eq_ignore_ascii_case(spelled)) {
                continue;
            }
            let name = HeaderName::from_bytes(spelled).map_err(|_| Unrepeatable::Unsendable)?;
            let replaced = self.added.iter().any(|(added, _)| *added == name);
            if replaced || NOT_REPEATED.contains(&name) || (decoded && name == header::CONTENT_ENCODING) {
                continue;
            }
            HeaderValue::from_bytes(value).map_err(|_| Unrepeatable::Unsendable)?;
            put(spelled, value);
        }
        for (name, value) in &self.added {
            put(name.as_str().as_bytes(), value.as_bytes());
        }
        Ok(lines)
    }
}

/// Whether a field differs from request to request and is not repeated: sets that differ in these alone are one.
fn is_made_anew(name: &[u8]) -> bool {
    match name.len() {
        4 => name.eq_ignore_ascii_case(b"host"),
        11 => name.eq_ignore_ascii_case(b"traceparent"),
        14 => name.eq_ignore_ascii_case(b"content-length"),
        _ => false,
    }
}

/// Whether a byte of a target leaves its request line one line of three words. A fragment is no part of a request.
fn may_be_in_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && byte != b'#'
}

/// Path and query of an absolute-form target (`http://host/path`); any other target as it is.
fn origin_form(target: &Bytes) -> Bytes {
    let Some(scheme) = target.windows(3).position(|window| window == b"://") else { return target.clone() };
    if !target[..scheme].iter().all(u8::is_ascii_alphabetic) || scheme == 0 {
        return target.clone();
    }
    match target[scheme + 3..].iter().position(|byte| *byte == b'/') {
        Some(path) => target.slice(scheme + 3 + path..),
        None => Bytes::from_static(b"/"),
    }
}
