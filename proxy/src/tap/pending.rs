//! A request whose response is still to come, or is coming.

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;
use understudy_captures::exchange::Chunk;

use crate::batch::{Facts, Part};
use crate::clock::Nanos;
use crate::desk::Desk;

/// Most pieces of a streamed body whose instants are kept; later ones join the last.
const MAX_CHUNKS: usize = 4096;

/// An exchange under way.
pub(crate) struct Pending {
    /// Decides how the response is framed.
    pub(crate) method: Method,
    /// Last byte of the request.
    pub(crate) request_end: Option<Nanos>,
    /// First byte of the final response.
    pub(crate) response_start: Option<Nanos>,
    /// The response is whole.
    pub(crate) response_done: bool,
    index: u32,
    arrival: Nanos,
    /// Its fate is open: it will be handed over. Otherwise it has been counted, and only its framing is followed.
    kept: bool,
    request: Half,
    response: Option<Half>,
    streamed: bool,
    http2: bool,
    chunks: Vec<Chunk>,
}

/// A request whose head went by.
pub(crate) struct Begun<'a> {
    pub(crate) method: Method,
    /// Its path matches an exclusion.
    pub(crate) excluded: bool,
    /// Length of its body, when the head says it.
    pub(crate) declared: Option<u64>,
    /// When its first byte came.
    pub(crate) since: Nanos,
    /// The head, in the form of HTTP/1.
    pub(crate) head: &'a [u8],
}

/// A piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Body bytes, free of transfer coding.
    Data(&'a [u8]),
    /// Trailer fields as lines, the empty line included.
    Trailer(&'a [u8]),
}

/// Methods that change how the response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Connect,
    Other,
}

/// A message under way.
#[derive(Default)]
struct Half {
    bytes: Vec<u8>,
    part: Part,
}

// === impl Pending ===

impl Pending {
    /// Counts a request whose head went by, and its fate when that is known already.
    pub(crate) fn begin(
        index: u32,
        http2: bool,
        begun: Begun<'_>,
        left_out: Option<Drop>,
        desk: &mut Desk,
    ) -> Pending {
        let mut pending = Pending {
            method: begun.method,
            request_end: None,
            response_start: None,
            response_done: false,
            index,
            arrival: begun.since,
            kept: true,
            request: Half::default(),
            response: None,
            streamed: false,
            http2,
            chunks: Vec::new(),
        };
        desk.ledger.seen.inc();
        let left_out = left_out.or(is_over(begun.declared, desk).then_some(Drop::OverLimit));
        match left_out {
            Some(fate) => pending.forget(fate, desk),
            None => {
                pending.request.bytes = desk.buffer();
                let kept = pending.request.head(begun.head, desk);
                pending.unless_kept(kept, desk);
            }
        }
        pending
    }

    /// A piece of the request's body.
    pub(crate) fn request_piece(&mut self, piece: Piece<'_>, desk: &mut Desk) {
        if self.kept {
            let kept = self.request.piece(piece, desk);
            self.unless_kept(kept, desk);
        }
    }

    /// The final response begins.
    pub(crate) fn begin_response(
        &mut self,
        head: &[u8],
        declared: Option<u64>,
        streamed: bool,
        desk: &mut Desk,
    ) {
        self.streamed = streamed;
        if is_over(declared, desk) {
            self.forget(Drop::OverLimit, desk);
        }
        let mut response = Half::default();
        if self.kept {
            response.bytes = desk.buffer();
            let kept = response.head(head, desk);
            self.response = Some(response);
            self.unless_kept(kept, desk);
        }
    }

    /// A piece of the response's body.
    pub(crate) fn response_piece(&mut self, piece: Piece<'_>, desk: &mut Desk) {
        if self.kept
            && let Some(response) = &mut self.response
        {
            let kept = response.piece(piece, desk);
            self.unless_kept(kept, desk);
        }
    }

    /// Notes the instant of body bytes; what came in one read is one piece.
    pub(crate) fn note_chunk(&mut self, now: Nanos, length: usize) {
        if !self.kept || !self.streamed || length == 0 {
            return;
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let offset = now.saturating_sub(self.arrival);
        let is_full = self.chunks.len() == MAX_CHUNKS;
        match self.chunks.last_mut() {
            Some(last) if is_full || last.offset == offset => last.len = last.len.saturating_add(length),
            _ => self.chunks.push(Chunk { offset, len: length }),
        }
    }

    /// Counts its fate and frees what was kept of it; from here on only its framing is followed.
    pub(crate) fn forget(&mut self, fate: Drop, desk: &mut Desk) {
        if !self.kept {
            return;
        }
        self.kept = false;
        desk.ledger.drop_requests(fate, 1);
        self.free(desk);
    }

    /// Hands it over as it is; complete when its response was whole, whatever came then.
    pub(crate) fn finish(mut self, connection: u64, ending: Ending, now: Nanos, desk: &mut Desk) {
        if self.kept {
            let ending = if self.response_done { Ending::Complete } else { ending };
            let facts = self.facts(connection, ending, now);
            let request = (
                &self.request.bytes[..],
                Part { truncated: self.request_end.is_none(), ..self.request.part },
            );
            let pieces = self.response.as_ref().map(|half| ([&half.bytes[..]], half.part));
            let response = pieces
                .as_ref()
                .map(|(pieces, part)| (&pieces[..], Part { truncated: !self.response_done, ..*part }));
            desk.batch.push(facts, request, response, &self.chunks);
            desk.send_if_due();
        }
        self.free(desk);
    }

    /// Hands it over with a response that is whole and was not kept before.
    pub(crate) fn finish_with(
        mut self,
        connection: u64,
        head: &[u8],
        body: &[u8],
        now: Nanos,
        desk: &mut Desk,
    ) {
        if self.kept && body.len() > desk.scope.max_body {
            self.forget(Drop::OverLimit, desk);
        }
        if self.kept {
            let facts = self.facts(connection, Ending::Complete, now);
            let part = Part { head: head.len(), body: body.len(), ..Part::default() };
            let request = (&self.request.bytes[..], self.request.part);
            desk.batch.push(facts, request, Some((&[head, body], part)), &[]);
            desk.send_if_due();
        }
        self.free(desk);
    }

    fn unless_kept(&mut self, kept: Result<(), Drop>, desk: &mut Desk) {
        if let Err(fate) = kept {
            self.forget(fate, desk);
        }
    }

    fn facts(&self, connection: u64, ending: Ending, now: Nanos) -> Facts {
        Facts {
            connection,
            index: self.index,
            arrival: self.arrival,
            request_end: self.request_end,
            response_start: self.response_start,
            end: now,
            ending,
            http2: self.http2,
        }
    }

    fn free(&mut self, desk: &mut Desk) {
        desk.release(std::mem::take(&mut self.request.bytes));
        if let Some(response) = self.response.take() {
            desk.release(response.bytes);
        }
        self.chunks = Vec::new();
    }
}

/// Whether a body of this length is more than is kept. Known by its head, it does not take the room of others first.
fn is_over(declared: Option<u64>, desk: &Desk) -> bool {
    declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > desk.scope.max_body))
}

// === impl Half ===

impl Half {
    fn head(&mut self, head: &[u8], desk: &mut Desk) -> Result<(), Drop> {
        self.part.head = head.len();
        self.append(head, desk)
    }

    fn piece(&mut self, piece: Piece<'_>, desk: &mut Desk) -> Result<(), Drop> {
        match piece {
            Piece::Data(bytes) if self.part.body + bytes.len() > desk.scope.max_body => Err(Drop::OverLimit),
            Piece::Data(bytes) => {
                self.part.body += bytes.len();
                self.append(bytes, desk)
            }
            Piece::Trailer(bytes) => {
                self.part.trailers += bytes.len();
                self.append(bytes, desk)
            }
        }
    }

    fn append(&mut self, bytes: &[u8], desk: &mut Desk) -> Result<(), Drop> {
        if desk.keep(&mut self.bytes, bytes) { Ok(()) } else { Err(Drop::QueueFull) }
    }
}
