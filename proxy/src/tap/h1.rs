//! HTTP/1.0 and 1.1: heads and bodies one behind the other, responses in the order of their requests.

use std::collections::VecDeque;

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::body::Body;
use crate::tap::head::{self, Framing, Lines, RequestHead, ResponseHead, Side};
use crate::tap::pending::{Begun, Method, Pending, Piece};
use crate::tap::{Reason, Subject};

/// Most requests of a connection that wait for their responses.
pub(crate) const MAX_PIPELINED: usize = 128;

/// Follows a connection of HTTP/1.
#[derive(Default)]
pub(crate) struct Http1 {
    request: Inbound,
    response: Inbound,
    /// Requests in order; the request under way is the last, the response under way belongs to the first.
    pending: VecDeque<Pending>,
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

// === impl Http1 ===

impl Http1 {
    /// Follows bytes that went from client to service.
    pub(crate) fn request(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        while !bytes.is_empty() {
            let used = self.request_step(bytes, now, subject, desk)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Follows bytes that went from service to client.
    pub(crate) fn response(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        while !bytes.is_empty() {
            let used = self.response_step(bytes, now, subject, desk)?;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// The service sends no more, which is the end of a body without another.
    pub(crate) fn upstream_closed(&mut self) {
        if matches!(self.response.body, Some(Body::UntilClose))
            && let Some(front) = self.pending.front_mut()
        {
            front.response_done = true;
        }
    }

    /// Nothing comes any more: exchanges under way end so, unless their response was whole.
    pub(crate) fn end(&mut self, ending: Ending, now: Nanos, subject: &Subject, desk: &mut Desk) {
        for pending in self.pending.drain(..) {
            pending.finish(subject.connection, ending, now, desk);
        }
        self.free(desk);
    }

    /// Counts requests under way `unparseable`.
    pub(crate) fn give_up(&mut self, desk: &mut Desk) {
        for mut pending in self.pending.drain(..) {
            pending.forget(Drop::Unparseable, desk);
        }
        self.free(desk);
    }

    /// Whether no exchange is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.request.carry.is_empty()
    }

    fn free(&mut self, desk: &mut Desk) {
        for inbound in [&mut self.request, &mut self.response] {
            desk.release(std::mem::take(&mut inbound.carry));
        }
    }

    /// Follows the head or body of a request; how many bytes that took.
    fn request_step(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> Result<usize, Reason> {
        if let (Some(body), Some(last)) = (&mut self.request.body, self.pending.back_mut()) {
            let taken = body.take(bytes, &mut |piece| last.request_piece(piece, desk))?;
            if taken.ended {
                self.request.body = None;
                self.request_ended(now, subject, desk);
            }
            return Ok(taken.used);
        }
        let mut carry = std::mem::take(&mut self.request.carry);
        let found = self.request.find_head(Side::Request, bytes, &mut carry, now, desk);
        let step = match found {
            Ok(Some(Found { head, used, since })) => {
                self.request_head(head, since, now, subject, desk).map(|()| used)
            }
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

    fn request_head(
        &mut self,
        head: &[u8],
        since: Nanos,
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        let parsed = match RequestHead::parse(head, &desk.scope.exclude) {
            Ok(_) if self.pending.len() == MAX_PIPELINED => Err(Reason::PipelineTooDeep),
            parsed => parsed,
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                desk.ledger.seen.inc();
                desk.ledger.drop_requests(Drop::Unparseable, 1);
                return Err(reason);
            }
        };
        let request = Begun {
            method: parsed.method,
            excluded: parsed.excluded,
            declared: parsed.framing.length(),
            since,
            head,
        };
        let pending = subject.begin(false, request, desk);
        self.pending.push_back(pending);
        self.request.body = Body::begin(parsed.framing);
        if self.request.body.is_none() {
            self.request_ended(now, subject, desk);
        }
        Ok(())
    }

    fn request_ended(&mut self, now: Nanos, subject: &Subject, desk: &mut Desk) {
        if let Some(last) = self.pending.back_mut() {
            last.request_end = Some(now);
            // The service answered before it had the whole request.
            if last.response_done
                && let Some(only) = self.pending.pop_back()
            {
                only.finish(subject.connection, Ending::Complete, now, desk);
            }
        }
    }

    /// Follows the head or body of a response; how many bytes that took.
    fn response_step(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) -> Result<usize, Reason> {
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
                self.response_ended(now, subject, desk);
            }
            return Ok(taken.used);
        }
        let mut carry = std::mem::take(&mut self.response.carry);
        let found = self.response.find_head(Side::Response, bytes, &mut carry, now, desk);
        let step = match found {
            Ok(Some(Found { head, used, since })) => {
                let rest = &bytes[used..];
                self.response_head(head, rest, since, now, subject, desk).map(|body| used + body)
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
        subject: &Subject,
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
                front.finish_with(subject.connection, head, &rest[..length], now, desk);
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
        front.begin_response(head, parsed.framing.length(), parsed.streamed, desk);
        self.response.body = Body::begin(parsed.framing);
        if self.response.body.is_none() {
            self.response_ended(now, subject, desk);
        }
        Ok(0)
    }

    fn response_ended(&mut self, now: Nanos, subject: &Subject, desk: &mut Desk) {
        let Some(front) = self.pending.front_mut() else { return };
        front.response_done = true;
        if front.request_end.is_some()
            && let Some(front) = self.pending.pop_front()
        {
            front.finish(subject.connection, Ending::Complete, now, desk);
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
