//! HTTP/2 by prior knowledge (h2c), which is also gRPC's: each stream is an exchange.
//!
//! Followed passively: flow control is the peers' business. Header compression has state for the whole connection, so
//! every header block is decoded, also of streams that are not kept; one that cannot be decoded ends the recording of the
//! connection, as it ends the connection at its receiver. A message that a receiver must refuse alone costs its own
//! exchange (`unparseable`) and no other.
//!
//! - [`side`]: what client or service sends, and may send; [`frames`]: what its bytes are.
//! - [`hpack`], [`huffman`], [`tables`]: header compression.
//! - [`fields`]: heads and trailers.
//! - [`stream`]: an exchange under way.
//!
//! Pushed responses are passed over: no client asked for them.

use std::collections::HashMap;

use understudy_captures::Ending;
use understudy_captures::conservation::Drop;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::h2::fields::Fields;
use crate::tap::h2::frames::Event;
use crate::tap::h2::side::Side;
use crate::tap::h2::stream::{Fate, Stream};
use crate::tap::pending::Begun;
use crate::tap::{Reason, Subject, head};

mod fields;
mod frames;
mod hpack;
mod huffman;
mod side;
mod stream;
mod tables;

/// Most streams of a connection that are under way and kept; requests beyond are counted `over_limit`.
pub(crate) const MAX_STREAMS: usize = 1024;

/// Follows a connection of HTTP/2.
#[derive(Default)]
pub(crate) struct Http2 {
    client: Side,
    service: Side,
    streams: HashMap<u32, Stream>,
    /// The last stream that the client opened.
    newest: u32,
}

// === impl Http2 ===

impl Http2 {
    /// Follows bytes that went from client to service, after the preface.
    pub(crate) fn request(
        &mut self,
        mut bytes: &[u8],
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        while let Some(event) = self.client.frames.next(&mut bytes, now)? {
            let (id, fate) = match event {
                Event::Headers { stream, ends_stream } if stream % 2 == 1 => {
                    self.client.begin_block(Some(stream), ends_stream, desk);
                    continue;
                }
                // Streams with even numbers are the service's.
                Event::Headers { .. } | Event::Promise => return Err(Reason::BadFrame),
                Event::Block { bytes, last } => {
                    if last {
                        self.request_block(bytes, now, subject, desk)?;
                    } else {
                        self.client.collect(bytes, desk, subject.sampled).inspect_err(|reason| {
                            let opens =
                                self.client.block.as_ref().and_then(|block| block.stream) > Some(self.newest);
                            if *reason == Reason::HeadTooLarge && opens {
                                desk.ledger.seen.inc();
                                desk.ledger.drop_requests(Drop::OverLimit, 1);
                            }
                        })?;
                    }
                    continue;
                }
                Event::Setting { id, value } => {
                    self.service.allow(id, value)?;
                    continue;
                }
                Event::SettingsEnd => {
                    self.service.tables.announced()?;
                    continue;
                }
                Event::SettingsAck => {
                    self.client.tables.acknowledged()?;
                    continue;
                }
                Event::GoAway { .. } => continue,
                Event::Data { stream, bytes } => {
                    self.check_open(stream)?;
                    (stream, self.streams.get_mut(&stream).map(|stream| stream.request_data(bytes, desk)))
                }
                Event::DataEnd { stream } => {
                    self.check_open(stream)?;
                    (stream, self.streams.get_mut(&stream).map(|stream| stream.request_ended(now)))
                }
                Event::Reset { stream } => {
                    self.reset(stream, Ending::ClientAbort, now, subject, desk)?;
                    continue;
                }
            };
            self.settle(id, fate, now, subject, desk);
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
        while let Some(event) = self.service.frames.next(&mut bytes, now)? {
            let (id, fate) = match event {
                Event::Headers { stream, ends_stream } => {
                    self.check_open(stream)?;
                    self.service.begin_block(Some(stream), ends_stream, desk);
                    continue;
                }
                Event::Promise => {
                    self.service.begin_block(None, false, desk);
                    continue;
                }
                Event::Block { bytes, last } => {
                    if last {
                        self.response_block(bytes, now, subject, desk)?;
                    } else {
                        self.service.collect(bytes, desk, subject.sampled).inspect_err(|reason| {
                            let block = self.service.block.as_ref();
                            let stream = block.and_then(|block| self.streams.remove(&block.stream?));
                            match stream {
                                Some(stream) if *reason == Reason::HeadTooLarge => {
                                    stream.forget(Drop::OverLimit, desk)
                                }
                                Some(stream) => stream.forget(Drop::Unparseable, desk),
                                None => {}
                            }
                        })?;
                    }
                    continue;
                }
                Event::Setting { id, value } => {
                    self.client.allow(id, value)?;
                    continue;
                }
                Event::SettingsEnd => {
                    self.client.tables.announced()?;
                    continue;
                }
                Event::SettingsAck => {
                    self.service.tables.acknowledged()?;
                    continue;
                }
                Event::GoAway { last } => {
                    let unanswered = |id: &u32| *id > last;
                    self.end_where(unanswered, Ending::UpstreamClosed, now, subject, desk);
                    continue;
                }
                Event::Data { stream, bytes } => {
                    self.check_open(stream)?;
                    let followed = self.streams.get_mut(&stream);
                    (stream, followed.map(|stream| stream.response_data(bytes, now, desk)))
                }
                Event::DataEnd { stream } => {
                    self.check_open(stream)?;
                    (stream, self.streams.get_mut(&stream).map(Stream::response_ended))
                }
                Event::Reset { stream } => {
                    self.reset(stream, Ending::UpstreamReset, now, subject, desk)?;
                    continue;
                }
            };
            self.settle(id, fate, now, subject, desk);
        }
        Ok(())
    }

    /// Nothing comes any more: exchanges under way end so, unless their response was whole.
    pub(crate) fn end(&mut self, ending: Ending, now: Nanos, subject: &Subject, desk: &mut Desk) {
        self.end_where(|_| true, ending, now, subject, desk);
        self.free(desk);
    }

    /// Counts requests under way `unparseable`.
    pub(crate) fn give_up(&mut self, desk: &mut Desk) {
        for (_, stream) in self.streams.drain() {
            stream.forget(Drop::Unparseable, desk);
        }
        self.free(desk);
    }

    /// Whether no exchange is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.client.block.is_none()
    }

    fn free(&mut self, desk: &mut Desk) {
        for side in [&mut self.client, &mut self.service] {
            if let Some(block) = side.block.take() {
                desk.release(block.bytes);
            }
        }
    }

    /// A header block of the client is complete: a request's head or its trailers.
    fn request_block(
        &mut self,
        last: &[u8],
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        let Some(block) = self.client.block.take() else { return Err(Reason::BadFrame) };
        let Some(id) = block.stream else { return Ok(()) };
        let (ends, since) = (block.ends_stream, block.since);
        let opens = id > self.newest;
        if opens {
            self.newest = id;
        }
        if !subject.sampled {
            desk.release(block.bytes);
            if opens {
                desk.ledger.seen.inc();
                desk.ledger.drop_requests(Drop::SampledOut, 1);
            }
            return Ok(());
        }
        let fields = match self.client.fields(block, last, desk) {
            Ok(fields) => fields,
            Err(reason) => {
                if opens {
                    let fate =
                        if reason == Reason::HeadTooLarge { Drop::OverLimit } else { Drop::Unparseable };
                    desk.ledger.seen.inc();
                    desk.ledger.drop_requests(fate, 1);
                }
                return Err(reason);
            }
        };
        if opens {
            self.begin(id, fields, ends, since, now, subject, desk);
            return Ok(());
        }
        let fate = self.streams.get_mut(&id).map(|stream| match fields.trailers() {
            Ok(lines) if ends => stream.request_trailers(&lines, now, desk),
            Ok(_) | Err(_) => Fate::Refused,
        });
        self.settle(id, fate, now, subject, desk);
        Ok(())
    }

    /// Begins to follow a stream, or counts what becomes of its request.
    #[expect(clippy::too_many_arguments, reason = "what a header block says, and where it goes")]
    fn begin(
        &mut self,
        id: u32,
        fields: Fields,
        ends: bool,
        since: Nanos,
        now: Nanos,
        subject: &mut Subject,
        desk: &mut Desk,
    ) {
        let head = match fields.request() {
            Ok(_) if self.streams.len() == MAX_STREAMS => Err(Drop::OverLimit),
            parsed => parsed,
        };
        let head = match head {
            Ok(head) => head,
            Err(fate) => {
                desk.ledger.seen.inc();
                desk.ledger.drop_requests(fate, 1);
                return;
            }
        };
        let excluded = head::is_excluded(&head.target, &desk.scope.exclude);
        let begun = Begun { method: head.method, excluded, declared: head.length, since, head: &head.text };
        let mut stream = Stream::begin(subject.begin(true, begun, desk), head.length);
        let fate = if ends { stream.request_ended(now) } else { Fate::Open };
        self.streams.insert(id, stream);
        self.settle(id, Some(fate), now, subject, desk);
    }

    /// A header block of the service is complete: a response's head or its trailers.
    fn response_block(
        &mut self,
        last: &[u8],
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        let Some(block) = self.service.block.take() else { return Err(Reason::BadFrame) };
        if !subject.sampled {
            desk.release(block.bytes);
            return Ok(());
        }
        let (id, ends, since) = (block.stream, block.ends_stream, block.since);
        let fields = match self.service.fields(block, last, desk) {
            Ok(fields) => fields,
            Err(reason) => {
                if reason == Reason::HeadTooLarge
                    && let Some(stream) = id.and_then(|id| self.streams.remove(&id))
                {
                    stream.forget(Drop::OverLimit, desk);
                }
                return Err(reason);
            }
        };
        let Some(id) = id else { return Ok(()) };
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        let answered = if stream.has_response() {
            fields.trailers().map(|lines| match ends {
                true => stream.response_trailers(&lines, desk),
                false => Fate::Refused,
            })
        } else {
            fields.response().map(|head| stream.response_head(&head, ends, since, desk))
        };
        match answered {
            Ok(fate) => self.settle(id, Some(fate), now, subject, desk),
            Err(fault) => {
                if let Some(stream) = self.streams.remove(&id) {
                    stream.forget(fault, desk);
                }
            }
        }
        Ok(())
    }

    /// Stops following a stream that is over.
    fn settle(&mut self, id: u32, fate: Option<Fate>, now: Nanos, subject: &Subject, desk: &mut Desk) {
        if matches!(fate, None | Some(Fate::Open)) {
            return;
        }
        let Some(stream) = self.streams.remove(&id) else { return };
        if fate == Some(Fate::Whole) {
            stream.finish(Ending::Complete, now, subject, desk);
        } else {
            stream.forget(Drop::Unparseable, desk);
        }
    }

    fn reset(
        &mut self,
        id: u32,
        ending: Ending,
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) -> Result<(), Reason> {
        self.check_open(id)?;
        if let Some(stream) = self.streams.remove(&id) {
            stream.finish(ending, now, subject, desk);
        }
        Ok(())
    }

    fn end_where(
        &mut self,
        ends: impl Fn(&u32) -> bool,
        ending: Ending,
        now: Nanos,
        subject: &Subject,
        desk: &mut Desk,
    ) {
        let mut over: Vec<u32> = self.streams.keys().copied().filter(ends).collect();
        // In the order in which they began, so that equal traffic makes equal captures.
        over.sort_unstable();
        for id in over {
            if let Some(stream) = self.streams.remove(&id) {
                stream.finish(ending, now, subject, desk);
            }
        }
    }

    /// Only a stream that was opened can have frames; those of one that is over may still come, and are passed over.
    fn check_open(&self, stream: u32) -> Result<(), Reason> {
        if stream % 2 == 1 && stream > self.newest { Err(Reason::BadFrame) } else { Ok(()) }
    }
}
