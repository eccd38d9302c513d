//! Follows one connection's bytes after they were passed on, and assembles its exchanges.
//!
//! The tap sees each direction's bytes in order, cut anywhere. It interprets what decides where messages end and
//! nothing else. What it does not understand ends the *recording of that connection*, counted by [`Reason`]; it is
//! never guessed at, and the bytes were forwarded before the tap saw them.
//!
//! - [`head`]: where heads end, what they say about framing.
//! - [`body`]: content-length, chunked with trailers, until close.
//! - [`pending`]: a request whose response is still to come.

use std::collections::VecDeque;

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::body::{Body, Piece};
use crate::tap::head::{Framing, Lines, Method, RequestHead, ResponseHead, Side};
use crate::tap::pending::Pending;

pub(crate) mod body;
pub(crate) mod head;
mod pending;
#[cfg(test)]
mod tests;

/// Most requests of a connection that wait for their responses.
const MAX_PIPELINED: usize = 128;

/// Follows one connection.
pub(crate) struct Tap {
    connection: u64,
    sampled: bool,
    following: bool,
    next_index: u32,
    request: Inbound,
    response: Inbound,
    /// Requests in order; the request under way is the last, the response under way belongs to the first.
    pending: VecDeque<Pending>,
    client_closed: bool,
}

/// One direction's message under way.
#[derive(Default)]
struct Inbound {
    /// Bytes of an incomplete head.
    carry: Vec<u8>,
    lines: Lines,
    /// When the first byte of that head came.
    since: Option<Nanos>,
    /// The body under way.
    body: Option<Body>,
}

/// A head that is complete.
struct Found<'a> {
    head: &'a [u8],
    /// How many of the bytes just given it took.
    used: usize,
    /// When its first byte came.
    since: Nanos,
}

/// Why the recording of a connection ended before the connection did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// TLS: only its ends can read it.
    Tls,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// Another protocol.
    NotHttp,
    /// A head that is not HTTP/1.
    Malformed,
    /// A line that ends without a carriage return.
    BareLineFeed,
    /// A field folded over several lines.
    FoldedField,
    /// Two lengths that differ, or a length beside a transfer coding.
    AmbiguousLength,
    /// A length that is not a number.
    BadLength,
    /// A transfer coding other than `chunked`.
    TransferCoding,
    /// A chunk that is not framed as one.
    BadChunk,
    /// A head larger than 64 KiB, or trailers larger than 16 KiB.
    HeadTooLarge,
    /// More than 128 fields.
    TooManyHeaders,
    /// Bytes from the service that answer nothing.
    ResponseWithoutRequest,
    /// More than 128 requests waiting for their responses.
    PipelineTooDeep,
    /// No memory for a head that comes in pieces.
    NoRoom,
    /// The connection became a tunnel: 101 or CONNECT. Its last exchange is recorded.
    Upgraded,
    /// The tap panicked.
    Panic,
}

// === impl Reason ===

impl Reason {
    /// Every reason.
    pub(crate) const ALL: [Reason; 17] = [
        Reason::Tls,
        Reason::Http2,
        Reason::NotHttp,
        Reason::Malformed,
        Reason::BareLineFeed,
        Reason::FoldedField,
        Reason::AmbiguousLength,
        Reason::BadLength,
        Reason::TransferCoding,
        Reason::BadChunk,
        Reason::HeadTooLarge,
        Reason::TooManyHeaders,
        Reason::ResponseWithoutRequest,
        Reason::PipelineTooDeep,
        Reason::NoRoom,
        Reason::Upgraded,
        Reason::Panic,
    ];

    /// Name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Tls => "tls",
            Reason::Http2 => "http2",
            Reason::NotHttp => "not_http",
            Reason::Malformed => "malformed",
            Reason::BareLineFeed => "bare_line_feed",
            Reason::FoldedField => "folded_field",
            Reason::AmbiguousLength => "ambiguous_length",
            Reason::BadLength => "bad_length",
            Reason::TransferCoding => "transfer_coding",
            Reason::BadChunk => "bad_chunk",
            Reason::HeadTooLarge => "head_too_large",
            Reason::TooManyHeaders => "too_many_headers",
            Reason::ResponseWithoutRequest => "response_without_request",
            Reason::PipelineTooDeep => "pipeline_too_deep",
            Reason::NoRoom => "no_room",
            Reason::Upgraded => "upgraded",
            Reason::Panic => "panic",
        }
    }
}

// === impl Tap ===

impl Tap {
    /// Begins to follow a connection. Of one that is not `sampled`, requests are counted and nothing is copied.
    pub(crate) fn new(connection: u64, sampled: bool) -> Tap {
        Tap {
            connection,
            sampled,
            following: true,
            next_index: 0,
            request: Inbound::default(),
            response: Inbound::default(),
            pending: VecDeque::new(),
            client_closed: false,
        }
    }

    /// Follows bytes that went from client to service.
    pub(crate) fn request(&mut self, mut bytes: &[u8], now: Nanos, desk: &mut Desk) {
        #[cfg(test)]
        assert!(desk.panic_on.is_none_or(|trigger| trigger != bytes), "asked to panic");
        while self.following && !bytes.is_empty() {
            match self.request_step(bytes, now, desk) {
                Ok(used) => bytes = &bytes[used..],
                Err(reason) => self.give_up(reason, desk),
            }
        }
    }

    /// Follows bytes that went from service to client.
    pub(crate) fn response(&mut self, mut bytes: &[u8], now: Nanos, desk: &mut Desk) {
        while self.following && !bytes.is_empty() {
            match self.response_step(bytes, now, desk) {
                Ok(used) => bytes = &bytes[used..],
                Err(reason) => self.give_up(reason, desk),
            }
        }
    }

    /// The client sends no more.
    pub(crate) fn client_closed(&mut self) {
        self.client_closed = true;
    }

    /// The service sends no more.
    pub(crate) fn upstream_closed(&mut self, now: Nanos, desk: &mut Desk) {
        if matches!(self.response.body, Some(Body::UntilClose))
            && let Some(front) = self.pending.front_mut()
        {
            front.response_done = true;
        }
        // A client that closed and then sees the service close without an answer has given up on it.
        self.end(if self.client_closed { Ending::ClientAbort } else { Ending::UpstreamClosed }, now, desk);
    }

    /// Nothing comes any more; exchanges under way end so, unless their response was whole.
    pub(crate) fn end(&mut self, ending: Ending, now: Nanos, desk: &mut Desk) {
        while let Some(pending) = self.pending.pop_front() {
            let ending = if pending.response_done { Ending::Complete } else { ending };
            pending.finish(self.connection, ending, now, desk);
        }
        self.stop(desk);
    }

    /// Ends the recording of this connection; requests under way are counted `unparseable`.
    pub(crate) fn give_up(&mut self, reason: Reason, desk: &mut Desk) {
        if !self.following {
            return;
        }
        desk.ledger.give_up(reason);
        for mut pending in self.pending.drain(..) {
            pending.forget(Drop::Unparseable, desk);
        }
        self.stop(desk);
    }

    /// Whether no exchange is under way, so that the connection may be closed without cutting one.
    pub(crate) fn is_idle(&self) -> bool {
        self.following && self.pending.is_empty() && self.request.carry.is_empty()
    }

    fn stop(&mut self, desk: &mut Desk) {
        self.following = false;
        self.pending = VecDeque::new();
        for inbound in [&mut self.request, &mut self.response] {
            inbound.body = None;
            desk.release(std::mem::take(&mut inbound.carry));
        }
    }

    /// Follows the head or body of a request; how many bytes that took.
    fn request_step(&mut self, bytes: &[u8], now: Nanos, desk: &mut Desk) -> Result<usize, Reason> {
        if let (Some(body), Some(last)) = (&mut self.request.body, self.pending.back_mut()) {
            let taken = body.take(bytes, &mut |piece| last.request_piece(piece, desk))?;
            if taken.ended {
                self.request.body = None;
                self.request_ended(now, desk);
            }
            return Ok(taken.used);
        }
        let mut carry = std::mem::take(&mut self.request.carry);
        let found = self.request.find_head(Side::Request, bytes, &mut carry, now, desk);
        let step = match found {
            Ok(Some(Found { head, used, since })) => self.request_head(head, since, now, desk).map(|()| used),
            Ok(None) => {
                self.request.carry = carry;
                return Ok(bytes.len());
            }
            Err(reason) => {
                if reason == Reason::HeadTooLarge {
                    desk.ledger.seen.inc();
                    desk.ledger.drop_requests(Drop::OverLimit, 1);
                }
                Err(reason)
            }
        };
        desk.release(carry);
        step
    }

    fn request_head(&mut self, head: &[u8], since: Nanos, now: Nanos, desk: &mut Desk) -> Result<(), Reason> {
        let parsed = match RequestHead::parse(head, &desk.scope.exclude) {
            Ok(parsed) if self.pending.len() < MAX_PIPELINED => Ok(parsed),
            Ok(_) => Err(Reason::PipelineTooDeep),
            Err(reason) => Err(reason),
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            // The preface of HTTP/2 only looks like a request.
            Err(Reason::Http2) => return Err(Reason::Http2),
            Err(reason) => {
                desk.ledger.seen.inc();
                desk.ledger.drop_requests(Drop::Unparseable, 1);
                return Err(reason);
            }
        };
        let left_out = if !self.sampled {
            Some(Drop::SampledOut)
        } else if parsed.excluded || !desk.is_recording() {
            Some(Drop::Excluded)
        } else {
            None
        };
        let pending = Pending::begin(self.next_index, parsed.method, since, head, left_out, desk);
        self.pending.push_back(pending);
        self.next_index = self.next_index.wrapping_add(1);
        self.request.body = Body::begin(parsed.framing);
        if self.request.body.is_none() {
            self.request_ended(now, desk);
        }
        Ok(())
    }

    fn request_ended(&mut self, now: Nanos, desk: &mut Desk) {
        if let Some(last) = self.pending.back_mut() {
            last.request_end = Some(now);
            // The service answered before it had the whole request.
            if last.response_done
                && let Some(only) = self.pending.pop_back()
            {
                only.finish(self.connection, Ending::Complete, now, desk);
            }
        }
    }

    /// Follows the head or body of a response; how many bytes that took.
    fn response_step(&mut self, bytes: &[u8], now: Nanos, desk: &mut Desk) -> Result<usize, Reason> {
        let Some(front) = self.pending.front_mut().filter(|front| !front.response_done) else {
            return Err(Reason::ResponseWithoutRequest);
        };
        if let Some(body) = &mut self.response.body {
            let mut data = 0;
            let taken = body.take(bytes, &mut |piece| {
                if let Piece::Data(bytes) = piece {
                    data += bytes.len();
                }
                front.response_piece(piece, desk);
            })?;
            front.note_chunk(now, data);
            if taken.ended {
                self.response.body = None;
                self.response_ended(now, desk);
            }
            return Ok(taken.used);
        }
        let mut carry = std::mem::take(&mut self.response.carry);
        let found = self.response.find_head(Side::Response, bytes, &mut carry, now, desk);
        let step = match found {
            Ok(Some(Found { head, used, since })) => {
                let rest = &bytes[used..];
                self.response_head(head, rest, since, now, desk).map(|body| used + body)
            }
            Ok(None) => {
                self.response.carry = carry;
                return Ok(bytes.len());
            }
            Err(reason) => {
                if reason == Reason::HeadTooLarge {
                    front.forget(Drop::OverLimit, desk);
                }
                Err(reason)
            }
        };
        desk.release(carry);
        step
    }

    /// Takes a response head, and the body with it when `rest` holds all of it; how many bytes of `rest` that took.
    fn response_head(
        &mut self,
        head: &[u8],
        rest: &[u8],
        since: Nanos,
        now: Nanos,
        desk: &mut Desk,
    ) -> Result<usize, Reason> {
        let Some(front) = self.pending.front_mut() else {
            return Err(Reason::ResponseWithoutRequest);
        };
        let parsed = ResponseHead::parse(head, front.method)?;
        let tunnel = parsed.status == 101 || (front.method == Method::Connect && parsed.status / 100 == 2);
        if parsed.status / 100 == 1 && !tunnel {
            return Ok(0);
        }
        let whole = match parsed.framing {
            _ if tunnel => Some(0),
            Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= rest.len()),
            Framing::Chunked | Framing::UntilClose => None,
        };
        front.response_start = Some(since);
        // The usual case: everything is at hand, and goes to the batch without a stop in a buffer.
        if let Some(length) = whole
            && front.request_end.is_some()
        {
            if let Some(front) = self.pending.pop_front() {
                front.finish_with(self.connection, head, &rest[..length], now, desk);
            }
            return if tunnel { Err(Reason::Upgraded) } else { Ok(length) };
        }
        if tunnel {
            // A tunnel before the end of the request that asked for it.
            return Err(Reason::Malformed);
        }
        let Some(front) = self.pending.front_mut() else {
            return Err(Reason::ResponseWithoutRequest);
        };
        front.begin_response(head, parsed.streamed, desk);
        self.response.body = Body::begin(parsed.framing);
        if self.response.body.is_none() {
            self.response_ended(now, desk);
        }
        Ok(0)
    }

    fn response_ended(&mut self, now: Nanos, desk: &mut Desk) {
        let Some(front) = self.pending.front_mut() else { return };
        front.response_done = true;
        if front.request_end.is_some()
            && let Some(front) = self.pending.pop_front()
        {
            front.finish(self.connection, Ending::Complete, now, desk);
        }
    }
}

// === impl Inbound ===

impl Inbound {
    /// The next head, or `None`, and all of `bytes` kept in `carry`, while it is incomplete. `carry` is this
    /// direction's, taken out.
    fn find_head<'a>(
        &mut self,
        side: Side,
        bytes: &'a [u8],
        carry: &'a mut Vec<u8>,
        now: Nanos,
        desk: &mut Desk,
    ) -> Result<Option<Found<'a>>, Reason> {
        let since = *self.since.get_or_insert(now);
        if carry.is_empty() {
            if let Some(place) = self.lines.find_end(side, bytes)? {
                self.next();
                let used = place.end;
                return Ok(Some(Found { head: &bytes[place], used, since }));
            }
            *carry = desk.buffer();
            return if desk.keep(carry, bytes) { Ok(None) } else { Err(Reason::NoRoom) };
        }
        let had = carry.len();
        let most = bytes.len().min(head::MAX_HEAD - had);
        if !desk.keep(carry, &bytes[..most]) {
            return Err(Reason::NoRoom);
        }
        match self.lines.find_end(side, carry)? {
            Some(place) => {
                self.next();
                let used = place.end - had;
                Ok(Some(Found { head: &carry[place], used, since }))
            }
            None => Ok(None),
        }
    }

    /// Makes ready for the head after this one.
    fn next(&mut self) {
        self.lines = Lines::default();
        self.since = None;
    }
}
