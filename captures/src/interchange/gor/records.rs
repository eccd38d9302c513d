//! Cuts a file into records.
//!
//! The separator is looked for first. Where the message's own length says that its body goes on behind it, the body is
//! followed, and that is believed when it ends exactly at another separator or at the end of the file; otherwise
//! the body was cut when it was captured, and ends at the first separator.

use bytes::Bytes;
use memchr::memmem::Finder;

use super::super::import::ImportError;
use super::super::input::{Input, MAX_RECORD};
use super::super::notes::Note;
use super::SEPARATOR;
use super::message::{Broken, Content, Framing, Head, Message, content};
use crate::exchange::Headers;
use crate::http1::{self, NotHttp};

/// Bytes read at once.
const PIECE: usize = 64 << 10;
/// Separators inside one chunked body that are tried.
const MAX_TRIES: usize = 16;

/// The line that begins a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: Kind,
    pub(super) id: Vec<u8>,
    /// First byte, Unix nanoseconds.
    pub(super) instant: u64,
    /// From there to the last byte, nanoseconds.
    pub(super) latency: Option<u64>,
}

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    Replayed,
}

/// A record that was read.
#[derive(Debug)]
pub(super) struct Record {
    /// Where it begins, after decompression.
    pub(super) offset: u64,
    pub(super) meta: Meta,
    pub(super) message: Message,
    pub(super) notes: Vec<Note>,
}

/// What was cut off.
#[derive(Debug)]
pub(super) enum Cut {
    Record(Box<Record>),
    /// A response of a replay, at this offset.
    Replayed(u64),
    /// Something that is no record that can be read.
    Skipped {
        note: Note,
        offset: u64,
        kind: Option<Kind>,
    },
}

/// Reads records one by one.
pub(super) struct Records {
    input: Input,
    /// Bytes from the beginning of the next record on.
    buffer: Vec<u8>,
    /// Where in `buffer` the next record begins; what is before it is let go with the next reading.
    start: usize,
    /// Offset of `buffer` in the file.
    base: u64,
    at_end: bool,
    separator: Finder<'static>,
}

// === impl Meta ===

impl Meta {
    /// Reads `TYPE ID INSTANT [LATENCY]`.
    pub(super) fn parse(line: &[u8]) -> Option<Meta> {
        if line.len() > 256 {
            return None;
        }
        let line = std::str::from_utf8(line).ok()?;
        let mut parts = line.trim_end_matches('\r').split(' ');
        let kind = match parts.next()? {
            "1" => Kind::Request,
            "2" => Kind::Response,
            "3" => Kind::Replayed,
            _ => return None,
        };
        let id = parts.next().filter(|id| !id.is_empty())?.as_bytes().to_vec();
        let instant = parts.next()?.parse::<u64>().ok()?;
        let latency = match parts.next() {
            Some(latency) => u64::try_from(latency.parse::<i64>().ok()?).ok(),
            None => None,
        };
        parts.next().is_none().then_some(Meta { kind, id, instant, latency })
    }
}

// === impl Records ===

impl Records {
    pub(super) fn new(input: Input) -> Records {
        Records {
            input,
            buffer: Vec::new(),
            start: 0,
            base: 0,
            at_end: false,
            separator: Finder::new(SEPARATOR),
        }
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Cut>, ImportError> {
        self.compact();
        self.skip_blank()?;
        let offset = self.base + self.start as u64;
        let Some(end) = self.find(0)? else {
            return if self.at_end { Ok(self.tail(offset)) } else { self.skip_over_limit(offset).map(Some) };
        };
        self.record(offset, end).map(Some)
    }

    /// Lets go of what was read.
    fn compact(&mut self) {
        if self.start > PIECE && self.start >= self.buffer.len() / 2 || self.start == self.buffer.len() {
            self.base += self.start as u64;
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Line breaks between records, as editors leave them.
    fn skip_blank(&mut self) -> Result<(), ImportError> {
        loop {
            match self.buffer.get(self.start) {
                Some(b'\n' | b'\r') => self.start += 1,
                Some(_) => return Ok(()),
                None if self.at_end => return Ok(()),
                None => self.read()?,
            }
        }
    }

    fn read(&mut self) -> Result<(), ImportError> {
        if self.input.fill(&mut self.buffer, PIECE)? == 0 {
            self.at_end = true;
        }
        Ok(())
    }

    /// Reads until `len` bytes of the record are there, if the file has them.
    fn ensure(&mut self, len: usize) -> Result<(), ImportError> {
        while !self.at_end && self.buffer.len() - self.start < len {
            self.read()?;
        }
        Ok(())
    }

    /// The first separator at or after `from`, counted from the record's begin.
    fn find(&mut self, from: usize) -> Result<Option<usize>, ImportError> {
        let mut scanned = from;
        loop {
            let record = &self.buffer[self.start..];
            if let Some(at) = record.get(scanned..).and_then(|rest| self.separator.find(rest)) {
                return Ok(Some(scanned + at));
            }
            scanned = scanned.max((record.len() + 1).saturating_sub(SEPARATOR.len()));
            if self.at_end || record.len() > MAX_RECORD {
                return Ok(None);
            }
            self.read()?;
        }
    }

    /// What follows the last separator: a whole record when its own length says so.
    fn tail(&mut self, offset: u64) -> Option<Cut> {
        let raw = Bytes::copy_from_slice(&self.buffer[self.start..]);
        self.start = self.buffer.len();
        if raw.is_empty() {
            return None;
        }
        let Some((meta, message)) = split(&raw) else {
            return Some(Cut::Skipped { note: Note::TornTail, offset, kind: kind_of(&raw) });
        };
        if meta.kind == Kind::Replayed {
            return Some(Cut::Replayed(offset));
        }
        // The last separator may be missing; a body without length could have been cut anywhere.
        let read = head(meta.kind, &message).and_then(|head| Ok((head.framing()?, head)));
        match read {
            Ok((framing, head)) if framing != Framing::Rest => {
                match content(&message.slice(head.len()..), framing) {
                    Ok(content) => Some(whole(offset, meta, head, content, Vec::new())),
                    Err(_) => Some(Cut::Skipped { note: Note::TornTail, offset, kind: Some(meta.kind) }),
                }
            }
            _ => Some(Cut::Skipped { note: Note::TornTail, offset, kind: Some(meta.kind) }),
        }
    }

    /// A record without end: goes on at the next separator.
    fn skip_over_limit(&mut self, offset: u64) -> Result<Cut, ImportError> {
        let kind = kind_of(&self.buffer[self.start..]);
        loop {
            // A separator may lie across the border of two pieces.
            let kept = self.buffer.len().saturating_sub(SEPARATOR.len());
            self.base += kept as u64;
            self.buffer.drain(..kept);
            self.start = 0;
            self.read()?;
            if let Some(at) = self.separator.find(&self.buffer) {
                self.start = at + SEPARATOR.len();
                break;
            }
            if self.at_end {
                self.start = self.buffer.len();
                break;
            }
        }
        Ok(Cut::Skipped { note: Note::OverLimit, offset, kind })
    }

    /// The record whose first separator is at `end`.
    fn record(&mut self, offset: u64, end: usize) -> Result<Cut, ImportError> {
        let raw = Bytes::copy_from_slice(&self.buffer[self.start..self.start + end]);
        let Some((meta, message)) = split(&raw) else {
            self.start += end + SEPARATOR.len();
            return Ok(Cut::Skipped { note: Note::Unreadable, offset, kind: None });
        };
        if meta.kind == Kind::Replayed {
            self.start += end + SEPARATOR.len();
            return Ok(Cut::Replayed(offset));
        }
        let read = head(meta.kind, &message).and_then(|head| Ok((head.framing()?, head)));
        let Ok((framing, head)) = read else {
            self.start += end + SEPARATOR.len();
            let record = Record { offset, meta, message: Message::NotHttp, notes: Vec::new() };
            return Ok(Cut::Record(Box::new(record)));
        };
        let body_at = raw.len() - message.len() + head.len();
        let mut notes = Vec::new();
        let (content, end) = match content(&raw.slice(body_at..), framing) {
            Ok(content) => {
                if raw[body_at + content.len..].iter().any(|b| !b.is_ascii_whitespace()) {
                    notes.push(Note::BytesAfterBody);
                }
                (Some(content), end)
            }
            Err(Broken::Malformed) => (None, end),
            Err(Broken::Cut(needed)) => match self.follow(body_at, end, framing, needed)? {
                Some((content, end)) => {
                    notes.push(Note::SeparatorInBody);
                    (Some(content), end)
                }
                None => (None, end),
            },
        };
        self.start += (end + SEPARATOR.len()).min(self.buffer.len() - self.start);
        if let Some(content) = content {
            return Ok(whole(offset, meta, head, content, notes));
        }
        let rest = raw.slice(body_at..);
        let original_len = if let Framing::Length(length) = framing { length } else { rest.len() as u64 };
        // The answer to HEAD declares the length of a body that never comes; whether this is one, the join knows.
        if !(rest.is_empty() && meta.kind == Kind::Response) {
            notes.push(Note::BodyCut);
        }
        let content = Content { len: rest.len(), body: rest, trailers: Headers::default() };
        let message = head.with(content, original_len, true);
        Ok(Cut::Record(Box::new(Record { offset, meta, message, notes })))
    }

    /// Follows a body that goes on behind a separator: it and where it ends, when another separator or the end of the
    /// file is exactly there.
    fn follow(
        &mut self,
        body_at: usize,
        first: usize,
        framing: Framing,
        needed: Option<u64>,
    ) -> Result<Option<(Content, usize)>, ImportError> {
        if let Some(needed) = needed {
            let Some(end) = usize::try_from(needed).ok().map(|needed| body_at.saturating_add(needed)) else {
                return Ok(None);
            };
            if end > MAX_RECORD {
                return Ok(None);
            }
            self.ensure(end + SEPARATOR.len())?;
            return Ok(self.ends_at(end).then(|| self.content(body_at, end, framing)).flatten());
        }
        let mut end = first;
        for _ in 0..MAX_TRIES {
            end = match self.find(end + 1)? {
                Some(end) => end,
                None if self.at_end => self.buffer.len() - self.start,
                None => return Ok(None),
            };
            if let Some(found) = self.content(body_at, end, framing) {
                return Ok(Some(found));
            }
            if self.ends_at(end) && self.buffer.len() - self.start == end {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// A whole body from `body_at` to exactly `end`.
    fn content(&self, body_at: usize, end: usize, framing: Framing) -> Option<(Content, usize)> {
        let rest = Bytes::copy_from_slice(&self.buffer[self.start + body_at..self.start + end]);
        content(&rest, framing).ok().filter(|content| content.len == rest.len()).map(|content| (content, end))
    }

    fn ends_at(&self, end: usize) -> bool {
        match self.buffer.get(self.start + end..) {
            Some(rest) => rest.starts_with(SEPARATOR) || (self.at_end && rest.iter().all(|b| *b == b'\n')),
            None => false,
        }
    }
}

/// First line and message of a record.
fn split(raw: &Bytes) -> Option<(Meta, Bytes)> {
    let at = memchr::memchr(b'\n', raw)?;
    Some((Meta::parse(&raw[..at])?, raw.slice(at + 1..)))
}

fn kind_of(raw: &[u8]) -> Option<Kind> {
    let line = raw.split(|b| *b == b'\n').next()?;
    Meta::parse(line).map(|meta| meta.kind)
}

fn head(kind: Kind, message: &Bytes) -> Result<Head, NotHttp> {
    match kind {
        Kind::Request => http1::request_head(message).map(Head::Request),
        Kind::Response | Kind::Replayed => http1::response_head(message).map(Head::Response),
    }
}

fn whole(offset: u64, meta: Meta, head: Head, content: Content, notes: Vec<Note>) -> Cut {
    let original_len = content.body.len() as u64;
    let message = head.with(content, original_len, false);
    Cut::Record(Box::new(Record { offset, meta, message, notes }))
}
