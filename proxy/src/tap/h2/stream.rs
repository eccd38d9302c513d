//! One stream of an HTTP/2 connection: a request and its response, each with its head, body and end.

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::Subject;
use crate::tap::h2::fields::ResponseHead;
use crate::tap::pending::{Method, Pending, Piece};

/// A stream that is followed.
pub(crate) struct Stream {
    pending: Pending,
    request: Progress,
    response: Progress,
}

/// How far a message has come.
#[derive(Debug, Default)]
struct Progress {
    /// Length that the head declared.
    declared: Option<u64>,
    /// Bytes of the body so far.
    received: u64,
}

/// Whether a stream is still to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Fate {
    Open,
    /// Its exchange is whole.
    Whole,
    /// Its receiver must refuse it.
    Refused,
}

// === impl Stream ===

impl Stream {
    /// A stream whose request head went by.
    pub(crate) fn begin(pending: Pending, declared: Option<u64>) -> Stream {
        let request = Progress { declared, received: 0 };
        Stream { pending, request, response: Progress::default() }
    }

    /// Bytes of the request's body.
    pub(crate) fn request_data(&mut self, bytes: &[u8], desk: &mut Desk) -> Fate {
        // Of a tunnel they belong to another protocol.
        if self.pending.request_end.is_some() || self.pending.method == Method::Connect {
            return Fate::Refused;
        }
        self.request.received += bytes.len() as u64;
        self.pending.request_piece(Piece::Data(bytes), desk);
        Fate::Open
    }

    /// The request's trailers, which end it.
    pub(crate) fn request_trailers(&mut self, lines: &[u8], now: Nanos, desk: &mut Desk) -> Fate {
        if self.pending.request_end.is_some() {
            return Fate::Refused;
        }
        self.pending.request_piece(Piece::Trailer(lines), desk);
        self.request_ended(now)
    }

    /// The request is whole.
    pub(crate) fn request_ended(&mut self, now: Nanos) -> Fate {
        if self.pending.request_end.is_some() || !self.request.is_as_declared() {
            return Fate::Refused;
        }
        self.pending.request_end = Some(now);
        if self.pending.response_done { Fate::Whole } else { Fate::Open }
    }

    /// Whether trailers are the next fields of the response.
    pub(crate) fn has_response(&self) -> bool {
        self.pending.response_start.is_some()
    }

    /// The head of a response; interim ones are passed over.
    pub(crate) fn response_head(
        &mut self,
        head: &ResponseHead,
        ends: bool,
        since: Nanos,
        desk: &mut Desk,
    ) -> Fate {
        if head.status < 200 {
            return if ends { Fate::Refused } else { Fate::Open };
        }
        self.pending.response_start = Some(since);
        let bodiless = self.pending.method == Method::Head || matches!(head.status, 204 | 304);
        // Such a response may declare the length that another would have.
        self.response.declared = if bodiless { Some(0) } else { head.length };
        self.pending.begin_response(&head.text, self.response.declared, head.streamed, desk);
        if self.pending.method == Method::Connect && head.status < 300 {
            // From here on it is a tunnel; what asked for it is whole.
            self.pending.request_end.get_or_insert(since);
            self.pending.response_done = true;
            return Fate::Whole;
        }
        if ends { self.response_ended() } else { Fate::Open }
    }

    /// Bytes of the response's body.
    pub(crate) fn response_data(&mut self, bytes: &[u8], now: Nanos, desk: &mut Desk) -> Fate {
        if !self.has_response() || self.pending.response_done {
            return Fate::Refused;
        }
        self.response.received += bytes.len() as u64;
        self.pending.response_piece(Piece::Data(bytes), desk);
        self.pending.note_chunk(now, bytes.len());
        Fate::Open
    }

    /// The response's trailers, which end it.
    pub(crate) fn response_trailers(&mut self, lines: &[u8], desk: &mut Desk) -> Fate {
        if self.pending.response_done {
            return Fate::Refused;
        }
        self.pending.response_piece(Piece::Trailer(lines), desk);
        self.response_ended()
    }

    /// The response is whole.
    pub(crate) fn response_ended(&mut self) -> Fate {
        if !self.has_response() || self.pending.response_done || !self.response.is_as_declared() {
            return Fate::Refused;
        }
        self.pending.response_done = true;
        if self.pending.request_end.is_some() { Fate::Whole } else { Fate::Open }
    }

    /// Counts what became of it instead of an exchange.
    pub(crate) fn forget(mut self, fate: Drop, desk: &mut Desk) {
        self.pending.forget(fate, desk);
    }

    /// Hands its exchange over; complete when the response was whole.
    pub(crate) fn finish(self, ending: Ending, now: Nanos, subject: &Subject, desk: &mut Desk) {
        self.pending.finish(subject.connection, ending, now, desk);
    }
}

// === impl Progress ===

impl Progress {
    fn is_as_declared(&self) -> bool {
        self.declared.is_none_or(|declared| declared == self.received)
    }
}
