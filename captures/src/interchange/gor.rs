//! GoReplay's request files (`.gor`).
//!
//! A record is a line `TYPE ID INSTANT [LATENCY]` (instants and latencies in nanoseconds), the message as it went by,
//! and a separator that nothing escapes: a body may hold it. Lengths tell where such a body really ends.
//!
//! - `records`: cuts a file into records and reads their messages.
//! - `join`: finds the response of a request, in bounded memory.
//! - `writer`: the way back.
//!
//! The latency of a record is from its message's first byte to its last. Older files count a response's latency from
//! its request and give both the instant of the request; then too, instant plus latency is the end.

mod join;
mod message;
mod records;
mod writer;

#[cfg(test)]
mod tests;

pub use writer::GorWriter;

use super::Input;
use super::import::{Found, Identity, ImportError, Reader};
use super::notes::{Note, Notes, Place};
use crate::conservation::Drop;
use crate::exchange::{Ending, Exchange, ExchangeId, Stamp, Timing, UnixNanos};
use crate::http1;

use join::{Answer, Asked, Join};
use message::Message;
use records::{Cut, Kind, Meta, Record, Records};

/// Ends every record.
const SEPARATOR: &[u8] = "\n\u{1f435}\u{1f648}\u{1f649}\n".as_bytes();

/// Whether a line begins a record.
pub(super) fn is_meta(line: &[u8]) -> bool {
    Meta::parse(line).is_some()
}

/// Reads a `.gor` file.
pub struct GorReader {
    records: Records,
    join: Join,
    /// Instant of the request before.
    latest: u64,
    ended: bool,
}

// === impl GorReader ===

impl GorReader {
    /// Reads from the beginning of `input`.
    pub fn new(input: Input) -> GorReader {
        GorReader { records: Records::new(input), join: Join::default(), latest: 0, ended: false }
    }

    /// What becomes of a record: an exchange that is complete now, or a request that is lost.
    fn take(&mut self, record: Record, notes: &mut Notes) -> Option<Found> {
        let place = Place::Byte(record.offset);
        for note in &record.notes {
            notes.at(*note, place);
        }
        let Meta { kind, id, instant, latency } = record.meta;
        match record.message {
            Message::Request(request) => {
                if instant < self.latest {
                    notes.at(Note::OutOfOrder, place);
                }
                self.latest = self.latest.max(instant);
                let asked = Asked { instant, latency, request };
                let (asked, answer) = self.join.request(id, asked, notes, place)?;
                Some(exchange(asked, answer, notes))
            }
            Message::Response(response) => {
                let answer = Answer { instant, latency, response };
                let (asked, answer) = self.join.response(id, answer, notes, place)?;
                Some(exchange(asked, Some(answer), notes))
            }
            Message::NotHttp if kind == Kind::Request => {
                notes.at(Note::NotHttp, place);
                Some(Found::Dropped(Drop::Unparseable))
            }
            Message::NotHttp => {
                notes.at(Note::NotHttp, place);
                None
            }
        }
    }
}

impl Reader for GorReader {
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError> {
        while !self.ended {
            let found = match self.records.next()? {
                Some(Cut::Record(record)) => self.take(*record, notes),
                Some(Cut::Replayed(offset)) => {
                    notes.at(Note::ReplayedResponse, Place::Byte(offset));
                    None
                }
                Some(Cut::Skipped { note, offset, kind }) => {
                    notes.at(note, Place::Byte(offset));
                    // Of a response that is skipped the request is still read.
                    let reason = if note == Note::OverLimit { Drop::OverLimit } else { Drop::Unparseable };
                    (kind != Some(Kind::Response)).then_some(Found::Dropped(reason))
                }
                None => {
                    self.ended = true;
                    break;
                }
            };
            if found.is_some() {
                return Ok(found);
            }
            if let Some((asked, answer)) = self.join.overdue() {
                return Ok(Some(exchange(asked, answer, notes)));
            }
        }
        Ok(self.join.rest(notes).map(|asked| exchange(asked, None, notes)))
    }

    fn input(&self) -> &Input {
        self.records.input()
    }
}

fn exchange(asked: Asked, answer: Option<Answer>, notes: &mut Notes) -> Found {
    let Asked { instant, latency, mut request } = asked;
    let mut timing = Timing { request_end: latency, response_start: None, end: latency.unwrap_or(0) };
    let mut ending = Ending::Unobserved;
    let mut response = None;
    if let Some(answer) = answer {
        ending = Ending::Complete;
        let start = answer.instant.saturating_sub(instant);
        timing.response_start = (start > 0).then_some(start);
        timing.end = start.saturating_add(answer.latency.unwrap_or(0));
        let mut answered = answer.response;
        if answered.body.truncated && answered.body.bytes.is_empty() {
            // Nothing follows the head of an answer to HEAD, whatever length it declares.
            let is_head = request.method.eq_ignore_ascii_case(b"HEAD");
            answered.body.truncated = !is_head;
            if is_head {
                answered.body.original_len = 0;
            } else {
                notes.add(Note::BodyCut);
            }
        }
        response = Some(answered);
    }
    let trace_id = request.headers.get("traceparent").and_then(http1::trace_id);
    request.body.original_len = request.body.original_len.max(request.body.bytes.len() as u64);
    let exchange = Exchange {
        id: ExchangeId(0),
        connection: 0,
        index: 0,
        arrival: UnixNanos(instant),
        request,
        response,
        ending,
        timing,
        chunks: Vec::new(),
        redactions: Default::default(),
        stamp: Stamp::default(),
        trace_id,
    };
    Found::Exchange(Box::new(exchange), Identity::Unknown)
}
