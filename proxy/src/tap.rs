//! Follows one connection's bytes after they were passed on, and assembles its exchanges.
//!
//! The tap sees each direction's bytes in order, cut anywhere. It interprets what decides where messages end and
//! nothing else. What it does not understand ends the *recording of that connection*, counted by [`Reason`]; it is
//! never guessed at, and the bytes were forwarded before the tap saw them.
//!
//! The client's first bytes decide the protocol: the preface of HTTP/2, or else HTTP/1.
//!
//! - [`h1`]: HTTP/1.0 and 1.1; [`head`]: where heads end, what they say about framing; [`body`]: content-length, chunked
//!   with trailers, until close.
//! - [`h2`]: HTTP/2 by prior knowledge, gRPC with it.
//! - [`pending`]: a request whose response is still to come.
//! - [`reason`]: why a connection is not followed any more.

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::h1::Http1;
use crate::tap::h2::Http2;
use crate::tap::pending::{Begun, Pending};
pub(crate) use crate::tap::reason::Reason;

mod body;
mod h1;
mod h2;
pub(crate) mod head;
mod pending;
mod reason;
#[cfg(test)]
mod tests;

/// What a client says first when it knows that the service speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Follows one connection.
pub(crate) struct Tap {
    subject: Subject,
    following: Following,
    client_closed: bool,
}

/// The connection that is followed.
struct Subject {
    connection: u64,
    /// Of a connection that is not, requests are counted and nothing is copied.
    sampled: bool,
    next_index: u32,
}

enum Following {
    Undecided(Undecided),
    Http1(Box<Http1>),
    Http2(Box<Http2>),
    /// Nothing is followed any more.
    Nothing,
}

/// A connection whose protocol is not known yet.
#[derive(Default)]
struct Undecided {
    /// Bytes of the preface that came, and when.
    matched: usize,
    since: Nanos,
    /// What followed the service, which need not wait for the client's preface before it speaks HTTP/2.
    early: Option<Box<Http2>>,
}

// === impl Tap ===

impl Tap {
    /// Begins to follow a connection. Of one that is not `sampled`, requests are counted and nothing is copied.
    pub(crate) fn new(connection: u64, sampled: bool) -> Tap {
        Tap {
            subject: Subject { connection, sampled, next_index: 0 },
            following: Following::Undecided(Undecided::default()),
            client_closed: false,
        }
    }

    /// Follows bytes that went from client to service.
    pub(crate) fn request(&mut self, bytes: &[u8], now: Nanos, desk: &mut Desk) {
        #[cfg(test)]
        assert!(desk.panic_on.is_none_or(|trigger| trigger != bytes), "asked to panic");
        let subject = &mut self.subject;
        let result = match &mut self.following {
            Following::Http1(http1) => http1.request(bytes, now, subject, desk),
            Following::Http2(http2) => http2.request(bytes, now, subject, desk),
            Following::Undecided(undecided) => {
                let (decided, result) = undecided.request(bytes, now, subject, desk);
                if let Some(following) = decided {
                    self.following = following;
                }
                result
            }
            Following::Nothing => Ok(()),
        };
        if let Err(reason) = result {
            self.give_up(reason, desk);
        }
    }

    /// Follows bytes that went from service to client.
    pub(crate) fn response(&mut self, bytes: &[u8], now: Nanos, desk: &mut Desk) {
        let result = match &mut self.following {
            Following::Http1(http1) => http1.response(bytes, now, &self.subject, desk),
            Following::Http2(http2) => http2.response(bytes, now, &self.subject, desk),
            Following::Undecided(undecided) => undecided.response(bytes, now, &self.subject, desk),
            Following::Nothing => Ok(()),
        };
        if let Err(reason) = result {
            self.give_up(reason, desk);
        }
    }

    /// The client sends no more.
    pub(crate) fn client_closed(&mut self) {
        self.client_closed = true;
    }

    /// The service sends no more.
    pub(crate) fn upstream_closed(&mut self, now: Nanos, desk: &mut Desk) {
        if let Following::Http1(http1) = &mut self.following {
            http1.upstream_closed();
        }
        // A client that closed and then sees the service close without an answer has given up on it.
        self.end(if self.client_closed { Ending::ClientAbort } else { Ending::UpstreamClosed }, now, desk);
    }

    /// Nothing comes any more; exchanges under way end so, unless their response was whole.
    pub(crate) fn end(&mut self, ending: Ending, now: Nanos, desk: &mut Desk) {
        match &mut self.following {
            Following::Http1(http1) => http1.end(ending, now, &self.subject, desk),
            Following::Http2(http2) => http2.end(ending, now, &self.subject, desk),
            Following::Undecided(undecided) => undecided.free(desk),
            Following::Nothing => {}
        }
        self.following = Following::Nothing;
    }

    /// Ends the recording of this connection; requests under way are counted `unparseable`.
    pub(crate) fn give_up(&mut self, reason: Reason, desk: &mut Desk) {
        match &mut self.following {
            Following::Http1(http1) => http1.give_up(desk),
            Following::Http2(http2) => http2.give_up(desk),
            Following::Undecided(undecided) => undecided.free(desk),
            Following::Nothing => return,
        }
        desk.ledger.give_up(reason);
        self.following = Following::Nothing;
    }

    /// Whether no exchange is under way, so that the connection may be closed without cutting one.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.following {
            Following::Http1(http1) => http1.is_idle(),
            Following::Http2(http2) => http2.is_idle(),
            Following::Undecided(undecided) => undecided.matched == 0,
            Following::Nothing => false,
        }
    }
}

// === impl Subject ===

impl Subject {
    /// Counts a request whose head went by, and keeps it unless it is left out.
    fn begin(&mut self, http2: bool, begun: Begun<'_>, desk: &mut Desk) -> Pending {
        let left_out = if !self.sampled { Some(Drop::SampledOut) } else { desk.leaves_out(begun.excluded) };
        let index = self.next_index;
        self.next_index = index.wrapping_add(1);
        Pending::begin(index, http2, begun, left_out, desk)
    }
}

// === impl Undecided ===

impl Undecided {
    /// Follows what the client says first; also what the connection is from then on, once that is known.
    fn request(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> (Option<Following>, Result<(), Reason>) {
        let wanted = &PREFACE[self.matched..];
        let matched = wanted.iter().zip(bytes).take_while(|(wanted, byte)| wanted == byte).count();
        if matched == wanted.len() {
            let mut http2 = self.early.take().unwrap_or_default();
            let result = http2.request(&bytes[matched..], now, subject, desk);
            return (Some(Following::Http2(http2)), result);
        }
        if matched == bytes.len() {
            if self.matched == 0 {
                self.since = now;
            }
            self.matched += matched;
            return (None, Ok(()));
        }
        if self.early.is_some() {
            return (None, Err(Reason::ResponseWithoutRequest));
        }
        let mut http1 = Box::<Http1>::default();
        let result = http1
            .request(&PREFACE[..self.matched], self.since, subject, desk)
            .and_then(|()| http1.request(bytes, now, subject, desk));
        (Some(Following::Http1(http1)), result)
    }

    /// Follows a service that speaks before its client.
    fn response(
        &mut self,
        bytes: &[u8],
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        let early = self.early.get_or_insert_default();
        early.response(bytes, now, subject, desk).map_err(|_| Reason::ResponseWithoutRequest)
    }

    fn free(&mut self, desk: &mut Desk) {
        if let Some(early) = &mut self.early {
            early.give_up(desk);
        }
    }
}
