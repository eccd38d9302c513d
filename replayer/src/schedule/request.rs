//! A recorded request as it is sent again.
//!
//! The method, the target and the body bytes are the recorded ones, exactly. Of the fields those are left out that belong
//! to the recorded connection or are made anew for this one (`connection` and what it names, `transfer-encoding`,
//! `content-length`, `host`, `expect`, trace context), and those that carry credentials: a run gets its credentials from
//! the plan, never from a capture. A body that was sent chunked is sent with its length.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use understudy_captures::exchange::{HttpVersion, Request};

use crate::plan::Plan;

/// Different sets of fields that are kept ready. Real clients of one service send a handful; a capture with more
/// (an id in a field) costs a set for each request.
const MAX_FIELD_SETS: usize = 1024;

/// Longest target that `http::Uri` takes.
const MAX_TARGET: usize = u16::MAX as usize - 1;

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
    pub method: Method,
    /// As recorded, in origin form.
    pub target: Uri,
    /// Without those of the connection; shared between requests that have the same.
    pub fields: Arc<HeaderMap>,
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
    known: HashMap<Vec<u8>, Arc<HeaderMap>>,
    key: Vec<u8>,
    /// Set on every request, instead of what was recorded under these names.
    added: Vec<(HeaderName, HeaderValue)>,
    /// The longest path prefix of a candidate.
    prefix: usize,
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
        Preparation {
            known: HashMap::new(),
            key: Vec::new(),
            added: plan.headers.clone(),
            prefix: plan.candidates.iter().map(|candidate| candidate.target.prefix.len()).max().unwrap_or(0),
        }
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
        if target.len() + self.prefix > MAX_TARGET || target.first() != Some(&b'/') {
            return Err(Unrepeatable::Unsendable);
        }
        let uri = Uri::from_maybe_shared(target.clone()).map_err(|_| Unrepeatable::Unsendable)?;
        // `Uri` drops a fragment; whatever else it might change would change the request too.
        if uri.path_and_query().map(|path| path.as_str().as_bytes()) != Some(&target[..]) {
            return Err(Unrepeatable::Unsendable);
        }
        let fields = self.fields(request)?;
        let body = request.body.bytes.clone();
        let has_length = !body.is_empty()
            || request.headers.get("content-length").is_some()
            || request.headers.get("transfer-encoding").is_some();
        Ok(Prepared { method, target: uri, fields, body, has_length })
    }

    fn fields(&mut self, request: &Request) -> Result<Arc<HeaderMap>, Unrepeatable> {
        self.key.clear();
        for (name, value) in request.headers.iter() {
            self.key.extend_from_slice(name);
            self.key.push(0);
            self.key.extend_from_slice(value);
            self.key.push(b'\n');
        }
        // The coding that sanitizing removed from the body must not be announced.
        let decoded = request.body.decoded_from.is_some();
        self.key.push(u8::from(decoded));
        if let Some(known) = self.known.get(&self.key) {
            return Ok(Arc::clone(known));
        }
        let fields = Arc::new(self.build(request, decoded)?);
        if self.known.len() < MAX_FIELD_SETS {
            self.known.insert(self.key.clone(), Arc::clone(&fields));
        }
        Ok(fields)
    }

    fn build(&self, request: &Request, decoded: bool) -> Result<HeaderMap, Unrepeatable> {
        let nominated: Vec<&[u8]> = request
            .headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
            .flat_map(|(_, value)| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .collect();
        // Room for what is added to each request when it is sent.
        let mut fields = HeaderMap::with_capacity(request.headers.len() + self.added.len() + 4);
        for (name, value) in request.headers.iter() {
            if nominated.iter().any(|nominee| nominee.eq_ignore_ascii_case(name)) {
                continue;
            }
            let name = HeaderName::from_bytes(name).map_err(|_| Unrepeatable::Unsendable)?;
            if NOT_REPEATED.contains(&name) || (decoded && name == header::CONTENT_ENCODING) {
                continue;
            }
            let value = HeaderValue::from_bytes(value).map_err(|_| Unrepeatable::Unsendable)?;
            fields.append(name, value);
        }
        for (name, value) in &self.added {
            fields.insert(name.clone(), value.clone());
        }
        Ok(fields)
    }
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
