//! One request and its response as production saw them.

mod headers;
mod redactions;

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use bytes::Bytes;

pub(crate) use headers::FieldList;
pub use headers::{Fields, Headers};
pub use redactions::{Redaction, Redactions};

/// Nanoseconds since the Unix epoch: a wall-clock instant derived from one anchor and a monotonic clock, so that
/// differences within a segment are exact even when the wall clock steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

/// Names an exchange across pods and segments: the high half is the recorder's boot nonce, the low half a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u128);

/// One request and its response as production saw them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Unique across pods.
    pub id: ExchangeId,
    /// The client connection it came on; unique within one boot of a recorder.
    pub connection: u64,
    /// Position on that connection, from 0.
    pub index: u32,
    /// When the first byte of the request arrived.
    pub arrival: UnixNanos,
    /// What was asked.
    pub request: Request,
    /// What was answered; `None` when no response head came back.
    pub response: Option<Response>,
    /// How it ended.
    pub ending: Ending,
    /// When its parts happened.
    pub timing: Timing,
    /// Instants of the response body's pieces, kept for streams only (`text/event-stream` and chunked bodies).
    pub chunks: Vec<Chunk>,
    /// What sanitizing replaced or dropped, by class; empty when nothing was touched.
    pub redactions: Redactions,
    /// Trace id of an incoming W3C `traceparent`.
    pub trace_id: Option<u128>,
    /// Who sanitized it; fresh traffic has none.
    pub stamp: Stamp,
}

/// Under which policy and key an exchange was sanitized: none for fresh traffic.
///
/// Only the sanitizer and the reader of segments make one that says something, so nothing that comes over the network
/// can claim to be sanitized. It tells nothing of what was observed and takes no part in comparisons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp(Option<NonZeroU64>);

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method token as sent.
    pub method: Bytes,
    /// Request target as sent; not necessarily UTF-8.
    pub target: Bytes,
    /// Protocol version of the request line.
    pub version: HttpVersion,
    /// Fields in wire order, names in their wire case.
    pub headers: Headers,
    /// The body, free of any transfer coding.
    pub body: Body,
    /// Trailer fields of a chunked body.
    pub trailers: Headers,
}

/// What the service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Final status code (1xx are not final).
    pub status: u16,
    /// Protocol version of the status line.
    pub version: HttpVersion,
    /// Fields in wire order, names in their wire case.
    pub headers: Headers,
    /// The body, free of any transfer coding.
    pub body: Body,
    /// Trailer fields of a chunked body.
    pub trailers: Headers,
}

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// A message body and what is known of the one that went by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The recorded bytes: sanitized, and decoded when a content coding was removed.
    pub bytes: Bytes,
    /// Length on the wire in bytes, before decoding and sanitizing, without transfer coding.
    pub original_len: u64,
    /// The content coding that sanitizing removed (`gzip`, ...), in wire form.
    pub decoded_from: Option<String>,
    /// The body ended early, so `bytes` is not all of it (and is empty when a part cannot be sanitized).
    pub truncated: bool,
}

/// How an exchange ended, as seen between client and service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The response was received whole.
    Complete,
    /// The client went away first.
    ClientAbort,
    /// The service closed the connection before its response was whole.
    UpstreamClosed,
    /// The service reset the connection before its response was whole.
    UpstreamReset,
    /// The recorder was shut down while the exchange was still going on.
    Shutdown,
    /// Nobody saw it: the exchange was imported from a file that holds no response to this request.
    Unobserved,
    /// A code written by a newer producer.
    Unknown(u8),
}

/// Offsets from [`Exchange::arrival`] in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Last byte of the request seen.
    pub request_end: Option<u64>,
    /// First byte of the final response seen.
    pub response_start: Option<u64>,
    /// The end, whatever it was.
    pub end: u64,
}

/// A piece of a streamed response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Nanoseconds after [`Exchange::arrival`].
    pub offset: u64,
    /// Body bytes in it, on the wire.
    pub len: u32,
}

/// A part of an exchange that can carry a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Path and query of the request.
    Target,
    /// Request header or trailer values.
    RequestHeader,
    /// Request body.
    RequestBody,
    /// Response header or trailer values.
    ResponseHeader,
    /// Response body.
    ResponseBody,
    /// A code written by a newer producer.
    Unknown(u8),
}

// === impl Exchange ===

impl Exchange {
    /// Whether sanitizing changed what the service would read as its input (target or body of the request). The
    /// answer to such an exchange may differ from the recorded one.
    pub fn input_changed(&self) -> bool {
        self.redactions.iter().any(|r| matches!(r.place, Place::Target | Place::RequestBody))
    }

    /// Path of the request target, without query.
    pub fn path(&self) -> &[u8] {
        let target = &self.request.target[..];
        match target.iter().position(|b| *b == b'?') {
            Some(at) => &target[..at],
            None => target,
        }
    }
}

// === impl Stamp ===

impl Stamp {
    /// The stamp of a policy (its digest) and a key (its id); none when either is unknown.
    pub(crate) fn of(policy: &str, key_id: &str) -> Self {
        if policy.is_empty() || key_id.is_empty() {
            return Self::default();
        }
        let digest = blake3::hash(format!("{policy}\n{key_id}").as_bytes());
        Self(digest.as_bytes().first_chunk().and_then(|bytes| NonZeroU64::new(u64::from_le_bytes(*bytes))))
    }

    /// Whether both name the same policy and key.
    pub(crate) fn agrees(self, other: Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }
}

impl PartialEq for Stamp {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Stamp {}

// === impl codes ===

impl Ending {
    /// The code used in segments.
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::ClientAbort => 1,
            Self::UpstreamClosed => 2,
            Self::UpstreamReset => 3,
            Self::Shutdown => 4,
            Self::Unobserved => 5,
            Self::Unknown(code) => code,
        }
    }

    /// The ending of a code; never fails.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Complete,
            1 => Self::ClientAbort,
            2 => Self::UpstreamClosed,
            3 => Self::UpstreamReset,
            4 => Self::Shutdown,
            5 => Self::Unobserved,
            other => Self::Unknown(other),
        }
    }

    /// The ending of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        (0..=5).map(Self::from_code).find(|ending| ending.name() == name)
    }

    /// Name for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientAbort => "client_abort",
            Self::UpstreamClosed => "upstream_closed",
            Self::UpstreamReset => "upstream_reset",
            Self::Shutdown => "shutdown",
            Self::Unobserved => "unobserved",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl Place {
    /// The code used in segments.
    pub fn code(self) -> u8 {
        match self {
            Self::Target => 0,
            Self::RequestHeader => 1,
            Self::RequestBody => 2,
            Self::ResponseHeader => 3,
            Self::ResponseBody => 4,
            Self::Unknown(code) => code,
        }
    }

    /// The place of a code; never fails.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Target,
            1 => Self::RequestHeader,
            2 => Self::RequestBody,
            3 => Self::ResponseHeader,
            4 => Self::ResponseBody,
            other => Self::Unknown(other),
        }
    }

    /// The place of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        (0..=4).map(Self::from_code).find(|place| place.name() == name)
    }

    /// Name for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::RequestHeader => "request_header",
            Self::RequestBody => "request_body",
            Self::ResponseHeader => "response_header",
            Self::ResponseBody => "response_body",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl HttpVersion {
    /// The code used in segments.
    pub fn code(self) -> u8 {
        match self {
            Self::Http10 => 10,
            Self::Http11 => 11,
            Self::Http2 => 20,
        }
    }

    /// The version of a code.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            10 => Some(Self::Http10),
            11 => Some(Self::Http11),
            20 => Some(Self::Http2),
            _ => None,
        }
    }

    /// The version of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Http10, Self::Http11, Self::Http2].into_iter().find(|version| version.name() == name)
    }

    /// `HTTP/1.1` and the like.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ExchangeId {
    type Err = std::num::ParseIntError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(s, 16).map(Self)
    }
}

impl UnixNanos {
    /// Nanoseconds from `earlier` to `self`; 0 when it is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `nanos` later, or earlier when negative; stops at both ends of time.
    pub fn shifted(self, nanos: i64) -> Self {
        Self(self.0.saturating_add_signed(nanos))
    }

    /// The present, by the wall clock.
    pub fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(now.map(|d| d.as_nanos() as u64).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with nanoseconds.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(self.0.into()) {
            Ok(instant) => write!(f, "{instant:.9}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}
