//! One request, from its intended instant to its end.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri};

use super::clock::Clock;
use super::lane::{Connection, Grant, Lane};
use crate::outcome::Kind;
use crate::schedule::Prepared;

/// Longest body that is kept to find the answer in. A classifier's answer is a few hundred bytes; generated text and
/// files are counted, not kept.
const MAX_KEPT: usize = 1 << 20;

const RUN: HeaderName = HeaderName::from_static("x-understudy-run");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// When the parts of a request happened, so far as they did; nanoseconds since the run began, 0 for what did not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    pub(super) dispatched: u64,
    pub(super) sent: u64,
    pub(super) first_byte: u64,
    pub(super) status: u16,
    pub(super) received: u32,
    pub(super) reused: bool,
    /// Waited because every allowed connection was busy.
    pub(super) queued: bool,
}

/// A body in which there may be an answer.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) bytes: Bytes,
    pub(super) coding: Coding,
}

/// Content coding of a kept body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

/// A complete response.
pub(super) struct Reply {
    pub(super) body: Option<Kept>,
    /// To be given back.
    pub(super) connection: Connection,
}

/// What a request carries besides what was recorded.
#[derive(Clone, Debug)]
pub(super) struct Label {
    /// Names the run.
    pub(super) run: HeaderValue,
    /// High half of every trace id of the run; not 0.
    pub(super) trace: u64,
}

// === impl Label ===

impl Label {
    /// A W3C `traceparent`, sampled. The low half of the trace id names candidate, iteration and exchange, so that a
    /// trace leads back to the outcome.
    fn trace_parent(&self, candidate: u16, iteration: u16, exchange: u32) -> Option<HeaderValue> {
        let place = u64::from(candidate) << 48 | u64::from(iteration) << 32 | u64::from(exchange);
        // Spread over all bits, so that samplers that look at some of them see chance; odd, so never 0.
        let span = place.wrapping_add(self.trace).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        HeaderValue::try_from(format!("00-{:016x}{place:016x}-{span:016x}-01", self.trace)).ok()
    }

    /// The request as it goes on the wire.
    pub(super) fn request(
        &self,
        lane: &Lane,
        prepared: &Prepared,
        place: (u16, u16, u32),
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(prepared.body.clone()));
        *request.method_mut() = prepared.method.clone();
        *request.uri_mut() = target(&lane.route.prefix, &prepared.target);
        let mut fields = HeaderMap::clone(&prepared.fields);
        fields.insert(header::HOST, lane.route.host.clone());
        if prepared.has_length {
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(prepared.body.len()));
        }
        fields.insert(RUN, self.run.clone());
        if let Some(parent) = self.trace_parent(place.0, place.1, place.2) {
            fields.insert(TRACE_PARENT, parent);
        }
        *request.headers_mut() = fields;
        request
    }
}

/// The recorded target below a candidate's prefix.
fn target(prefix: &str, recorded: &Uri) -> Uri {
    if prefix.is_empty() {
        return recorded.clone();
    }
    let path = recorded.path_and_query().map_or("/", |path| path.as_str());
    Uri::from_maybe_shared(Bytes::from(format!("{prefix}{path}"))).expect(
        "prefix and target were parsed apart, and their joint length was checked when it was prepared",
    )
}

/// Sends a request and reads its response whole. What happens until then is left in `marks`, also when this is
/// dropped at a deadline, which closes the connection.
pub(super) async fn attempt(
    lane: &Rc<Lane>,
    mut request: Request<Full<Bytes>>,
    clock: &Clock,
    marks: &mut Marks,
) -> Result<Reply, Kind> {
    let mut connection = connection(lane, clock, marks).await?;
    let response = loop {
        marks.sent = clock.now();
        marks.reused = connection.served;
        match connection.sender.try_send_request(request).await {
            Ok(response) => break response,
            Err(mut error) => match error.take_message() {
                // The candidate closed the idle connection in the same moment, and nothing was written: this is no
                // failure of the candidate, and sending it elsewhere repeats nothing. A fresh connection cannot be
                // stale, so this happens once.
                Some(unsent) if connection.served => {
                    request = unsent;
                    let slot = connection.into_slot();
                    connection = slot.connect().await.map_err(|_| Kind::ConnectError)?;
                }
                _ => return Err(Kind::Reset),
            },
        }
    };
    marks.first_byte = clock.now();
    marks.status = response.status().as_u16();
    let body = read(response, marks).await?;
    Ok(Reply { body, connection })
}

async fn connection(lane: &Rc<Lane>, clock: &Clock, marks: &mut Marks) -> Result<Connection, Kind> {
    let grant = match lane.take() {
        Some(grant) => grant,
        None => {
            marks.queued = true;
            lane.wait().await
        }
    };
    marks.dispatched = clock.now();
    match grant {
        // Waiting in line may have cost it its life.
        Grant::Connection(connection) if connection.sender.is_closed() => {
            connection.into_slot().connect().await.map_err(|_| Kind::ConnectError)
        }
        Grant::Connection(connection) => Ok(connection),
        Grant::Slot(slot) => slot.connect().await.map_err(|_| Kind::ConnectError),
    }
}

/// Reads a body to its end, keeping it if an answer may be in it.
async fn read(response: Response<Incoming>, marks: &mut Marks) -> Result<Option<Kept>, Kind> {
    let coding = coding(response.headers()).filter(|_| marks.status < 400);
    let mut body = response.into_body();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    let mut received: usize = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Kind::Reset) };
        let Some(data) = frame.data_ref() else { continue };
        received = received.saturating_add(data.len());
        marks.received = u32::try_from(received).unwrap_or(u32::MAX);
        if coding.is_none() || received > MAX_KEPT {
            continue;
        }
        // Nearly every answer comes in one piece, which needs no copy.
        if first.is_empty() {
            first = data.clone();
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(data);
        }
    }
    let kept = coding.filter(|_| received > 0 && received <= MAX_KEPT);
    Ok(kept.map(|coding| Kept { bytes: if rest.is_empty() { first } else { rest.freeze() }, coding }))
}

/// The coding, if it is one that is understood.
fn coding(fields: &HeaderMap) -> Option<Coding> {
    match fields.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Some(Coding::Identity),
        Some(b"gzip" | b"x-gzip") => Some(Coding::Gzip),
        Some(b"deflate") => Some(Coding::Deflate),
        Some(_) => None,
    }
}
