//! Exchanges on their way from a data thread to the recorder: raw bytes in one arena, small fixed records beside it.

use std::ops::Range;

use understudy_captures::Ending;
use understudy_captures::exchange::Chunk;

use crate::clock::Nanos;

/// Exchanges that ended, in the order of their ends.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Heads, bodies and trailers of all exchanges.
    bytes: Vec<u8>,
    /// Where each exchange's parts lie, and what is known of it.
    observed: Vec<Observed>,
    /// Instants of streamed response bodies.
    chunks: Vec<Chunk>,
}

/// One exchange as the tap saw it.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// The client connection.
    pub(crate) connection: u64,
    /// Position on it.
    pub(crate) index: u32,
    /// First byte of the request.
    pub(crate) arrival: Nanos,
    /// Last byte of the request.
    pub(crate) request_end: Option<Nanos>,
    /// First byte of the final response.
    pub(crate) response_start: Option<Nanos>,
    /// The end, whatever it was.
    pub(crate) end: Nanos,
    /// What it was.
    pub(crate) ending: Ending,
    /// Whether it came over HTTP/2; its heads are then in the form of HTTP/1 all the same.
    pub(crate) http2: bool,
    /// The request.
    pub(crate) request: Part,
    /// The response, when its head came back.
    pub(crate) response: Option<Part>,
    start: usize,
    chunks: Range<usize>,
}

/// Lengths of a message's head, body and trailers, which lie one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Request or status line and header fields, with the empty line.
    pub(crate) head: usize,
    /// Body without transfer coding.
    pub(crate) body: usize,
    /// Trailer fields as they came, with the empty line.
    pub(crate) trailers: usize,
    /// Whether the message ended before its framing said so.
    pub(crate) truncated: bool,
}

/// The bytes of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// Request or status line and header fields.
    pub(crate) head: &'a [u8],
    /// Body without transfer coding.
    pub(crate) body: &'a [u8],
    /// Trailer fields as they came.
    pub(crate) trailers: &'a [u8],
    /// Whether the message ended early.
    pub(crate) truncated: bool,
}

/// What the tap knows of an exchange besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) connection: u64,
    pub(crate) index: u32,
    pub(crate) arrival: Nanos,
    pub(crate) request_end: Option<Nanos>,
    pub(crate) response_start: Option<Nanos>,
    pub(crate) end: Nanos,
    pub(crate) ending: Ending,
    pub(crate) http2: bool,
}

// === impl Batch ===

impl Batch {
    /// Appends an exchange. `request` holds the bytes that `request_part` describes, `response` the same in pieces.
    pub(crate) fn push(
        &mut self,
        facts: Facts,
        (request, request_part): (&[u8], Part),
        response: Option<(&[&[u8]], Part)>,
        chunks: &[Chunk],
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(request);
        for piece in response.iter().flat_map(|(pieces, _)| pieces.iter()) {
            self.bytes.extend_from_slice(piece);
        }
        let first_chunk = self.chunks.len();
        self.chunks.extend_from_slice(chunks);
        self.observed.push(Observed {
            connection: facts.connection,
            index: facts.index,
            arrival: facts.arrival,
            request_end: facts.request_end,
            response_start: facts.response_start,
            end: facts.end,
            ending: facts.ending,
            http2: facts.http2,
            request: request_part,
            response: response.map(|(_, part)| part),
            start,
            chunks: first_chunk..self.chunks.len(),
        });
    }

    /// Exchanges in it.
    pub(crate) fn len(&self) -> usize {
        self.observed.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.observed.is_empty()
    }

    /// Bytes of heads, bodies and trailers.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The exchanges.
    pub(crate) fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// The request of one of its exchanges.
    pub(crate) fn request(&self, observed: &Observed) -> Message<'_> {
        self.message(observed.start, observed.request)
    }

    /// The response of one of its exchanges.
    pub(crate) fn response(&self, observed: &Observed) -> Option<Message<'_>> {
        let start = observed.start + observed.request.len();
        observed.response.map(|part| self.message(start, part))
    }

    /// Instants of the response body's pieces.
    pub(crate) fn chunks(&self, observed: &Observed) -> &[Chunk] {
        &self.chunks[observed.chunks.clone()]
    }

    /// Empties it for use by another; room that an unusually large exchange took is given back.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.observed.clear();
        self.chunks.clear();
        self.bytes.shrink_to(keep);
        self.chunks.shrink_to(keep / size_of::<Chunk>());
    }

    fn message(&self, start: usize, part: Part) -> Message<'_> {
        let (head, rest) = self.bytes[start..start + part.len()].split_at(part.head);
        let (body, trailers) = rest.split_at(part.body);
        Message { head, body, trailers, truncated: part.truncated }
    }
}

// === impl Part ===

impl Part {
    /// All its bytes.
    pub(crate) fn len(&self) -> usize {
        self.head + self.body + self.trailers
    }
}
