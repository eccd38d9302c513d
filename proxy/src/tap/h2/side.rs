//! What one side of an HTTP/2 connection sends, and what the other allows it to send.

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::desk::Desk;
use crate::tap::h2::fields::Fields;
use crate::tap::h2::frames::Frames;
use crate::tap::h2::hpack;
use crate::tap::{Reason, head};

/// Largest header block before decompression.
const MAX_BLOCK: usize = head::MAX_HEAD;
/// Most frames of settings that one side leaves unanswered.
const MAX_UNANSWERED: usize = 64;

const HEADER_TABLE_SIZE: u16 = 0x1;
const MAX_FRAME_SIZE: u16 = 0x5;

/// What one side sends, and what it may.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) frames: Frames,
    decoder: hpack::Decoder,
    /// Fields whose block is not complete.
    pub(crate) block: Option<Block>,
    pub(crate) tables: Tables,
}

/// Sizes of the header table that the other side allows.
pub(crate) struct Tables {
    in_force: u32,
    /// Those of settings that this side has not acknowledged, oldest first.
    unanswered: VecDeque<Option<u32>>,
    /// Of the settings that are coming.
    coming: Option<u32>,
}

/// A header block that comes in pieces.
pub(crate) struct Block {
    /// `None` for a pushed request.
    pub(crate) stream: Option<u32>,
    pub(crate) ends_stream: bool,
    /// When its first byte came.
    pub(crate) since: Nanos,
    pub(crate) bytes: Vec<u8>,
}

// === impl Side ===

impl Side {
    /// Notes what a setting of the other side allows this one.
    pub(crate) fn allow(&mut self, id: u16, value: u32) -> Result<(), Reason> {
        match id {
            HEADER_TABLE_SIZE => self.tables.coming = Some(value),
            MAX_FRAME_SIZE => self.frames.allow_payload(value)?,
            _ => {}
        }
        Ok(())
    }

    /// A header block begins.
    pub(crate) fn begin_block(&mut self, stream: Option<u32>, ends_stream: bool, desk: &mut Desk) {
        let since = self.frames.began();
        self.block = Some(Block { stream, ends_stream, since, bytes: desk.buffer() });
    }

    /// Keeps a piece of the block. Of a connection that is not sampled nothing is decoded, so nothing is kept.
    pub(crate) fn collect(&mut self, piece: &[u8], desk: &mut Desk, sampled: bool) -> Result<(), Reason> {
        let Some(block) = &mut self.block else { return Err(Reason::BadFrame) };
        if !sampled {
            return Ok(());
        }
        if block.bytes.len() + piece.len() > MAX_BLOCK {
            return Err(Reason::HeadTooLarge);
        }
        if desk.keep(&mut block.bytes, piece) { Ok(()) } else { Err(Reason::NoRoom) }
    }

    /// The fields of a block whose last piece is `last`.
    pub(crate) fn fields(
        &mut self,
        mut block: Block,
        last: &[u8],
        desk: &mut Desk,
    ) -> Result<Fields, Reason> {
        let mut fields = Fields::default();
        let limit = self.tables.limit();
        let mut decode =
            |bytes: &[u8]| self.decoder.decode(bytes, limit, &mut |name, value| fields.push(name, value));
        // Mostly a block comes in one piece.
        let decoded = if block.bytes.len() + last.len() > MAX_BLOCK {
            Err(Reason::HeadTooLarge)
        } else if block.bytes.is_empty() {
            decode(last)
        } else if desk.keep(&mut block.bytes, last) {
            decode(&block.bytes)
        } else {
            Err(Reason::NoRoom)
        };
        desk.release(block.bytes);
        decoded.map(|()| fields)
    }
}

// === impl Tables ===

impl Default for Tables {
    fn default() -> Tables {
        Tables { in_force: hpack::DEFAULT_TABLE, unanswered: VecDeque::new(), coming: None }
    }
}

impl Tables {
    /// The other side has announced settings.
    pub(crate) fn announced(&mut self) -> Result<(), Reason> {
        if self.unanswered.len() == MAX_UNANSWERED {
            return Err(Reason::BadFrame);
        }
        self.unanswered.push_back(self.coming.take());
        Ok(())
    }

    /// This side has put the oldest of them in force.
    pub(crate) fn acknowledged(&mut self) -> Result<(), Reason> {
        let oldest = self.unanswered.pop_front().ok_or(Reason::BadFrame)?;
        self.in_force = oldest.unwrap_or(self.in_force);
        Ok(())
    }

    /// Largest table that is allowed. Larger ones may be used from the moment that they are known.
    fn limit(&self) -> u32 {
        self.unanswered.iter().flatten().fold(self.in_force, |limit, size| limit.max(*size))
    }
}
