//! The records of one block: encoded and compressed, and back.

use std::io;

use bytes::Bytes;

use super::frame::{BLOCK_HEADER_LEN, BlockHeader, Codec, MAX_BLOCK_BYTES, u32_at};
use super::tables::{TableBuilder, Tables};
use super::wire::{self, RecordFault, RecordKey};
use crate::exchange::{Exchange, ExchangeId, Stamp, UnixNanos};

/// Fastest level: recording shares its cores with the service, and records of one block repeat so much that higher
/// levels gain little.
const ZSTD_LEVEL: i32 = 1;
const LENGTH_PREFIX: usize = 4;

/// The most bytes of one record; larger exchanges are refused.
const MAX_RECORD_BYTES: usize = MAX_BLOCK_BYTES / 2;
/// A block that reached this takes no more records, so that one more always fits.
pub(super) const MAX_OPEN_BYTES: usize = MAX_BLOCK_BYTES - MAX_RECORD_BYTES - LENGTH_PREFIX;

/// Gathers records until the block is closed.
pub(super) struct BlockBuilder {
    records: Vec<u8>,
    tables: TableBuilder,
    count: u32,
    first: UnixNanos,
    last: UnixNanos,
    /// Arrival of the first record, which those of the others are told from.
    base: u64,
    /// Id of the last record.
    previous: Option<ExchangeId>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    /// Tables and records; kept, as is the frame, so that its room is used again.
    raw: Vec<u8>,
    /// The block as it goes into the file; whatever is behind it is of an earlier one.
    frame: Vec<u8>,
}

/// Why the payload of a block cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlockFault {
    #[error("its checksum does not match: its bytes were changed after they were written")]
    Checksum,
    #[error("it is stored with codec {0}, unknown to this program: upgrade understudy")]
    Codec(u8),
    #[error("it does not decompress to the {0} bytes its header promises")]
    Inflate(u32),
    #[error("what its records have in common cannot be read")]
    Tables,
    #[error("its record {0} runs past the end of the block")]
    Framing(u32),
    #[error("it holds {found} records instead of {promised}")]
    Count { found: u32, promised: u32 },
    #[error("its record {index} {fault}")]
    Record { index: u32, fault: RecordFault },
}

/// Decompresses one block after the other. A context made anew for each would cost as much as some dozens of records.
#[derive(Default)]
pub(super) struct Inflater(Option<zstd::bulk::Decompressor<'static>>);

/// A block that is decompressed, with its records in the order they were written; each is decoded when it is asked
/// for, so that an open block takes little more than its bytes.
#[derive(Debug, Default)]
pub(crate) struct OpenBlock {
    raw: Bytes,
    tables: Tables,
    records: Vec<Record>,
    /// The first thing wrong with the block.
    fault: Option<BlockFault>,
    /// Records that its header promises and nobody gets.
    lost: u64,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
struct Record {
    key: RecordKey,
    begin: u32,
    len: u32,
    /// Position in the block.
    index: u32,
}

// === impl BlockBuilder ===

impl BlockBuilder {
    pub(super) fn new() -> Self {
        Self {
            records: Vec::new(),
            tables: TableBuilder::default(),
            count: 0,
            first: UnixNanos(u64::MAX),
            last: UnixNanos(0),
            base: 0,
            previous: None,
            // Without a context (no memory) blocks are stored raw.
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(),
            raw: Vec::new(),
            frame: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Uncompressed bytes so far.
    pub(super) fn raw_len(&self) -> usize {
        self.records.len() + self.tables.len()
    }

    /// Adds a record; on error the block is as before.
    pub(super) fn push(&mut self, exchange: &Exchange) -> io::Result<()> {
        within_limit(wire::size_bound(exchange))?;
        if self.count == 0 {
            self.base = exchange.arrival.0;
        }
        let begin = self.records.len();
        self.records.extend_from_slice(&[0; LENGTH_PREFIX]);
        let encoded = wire::encode(exchange, self.base, self.previous, &mut self.tables, &mut self.records);
        if let Err(error) = encoded {
            self.records.truncate(begin);
            return Err(error);
        }
        let len = (self.records.len() - begin - LENGTH_PREFIX) as u32;
        self.records[begin..begin + LENGTH_PREFIX].copy_from_slice(&len.to_le_bytes());
        self.count += 1;
        self.previous = Some(exchange.id);
        self.first = self.first.min(exchange.arrival);
        self.last = self.last.max(exchange.arrival);
        Ok(())
    }

    /// The block's header and payload, ready to be written at once. To be cleared afterwards.
    pub(super) fn seal(&mut self) -> io::Result<(&[u8], BlockHeader)> {
        self.raw.clear();
        self.raw.extend_from_slice(&[0; LENGTH_PREFIX]);
        self.tables.seal(self.base, &mut self.raw)?;
        let tables_len = (self.raw.len() - LENGTH_PREFIX) as u32;
        self.raw[..LENGTH_PREFIX].copy_from_slice(&tables_len.to_le_bytes());
        self.raw.extend_from_slice(&self.records);
        let (codec, len) = self.store();
        let payload = &self.frame[BLOCK_HEADER_LEN..][..len];
        let header = BlockHeader {
            codec,
            count: self.count,
            first: self.first,
            last: self.last,
            // Both are below MAX_BLOCK_BYTES: see MAX_OPEN_BYTES and `store`.
            stored_len: payload.len() as u32,
            raw_len: self.raw.len() as u32,
            payload_crc: crc32fast::hash(payload),
        };
        self.frame[..BLOCK_HEADER_LEN].copy_from_slice(&header.to_bytes());
        Ok((&self.frame[..BLOCK_HEADER_LEN + len], header))
    }

    /// Puts the payload into the frame, compressed when that makes it smaller; returns its length.
    fn store(&mut self) -> (Codec, usize) {
        let bound = BLOCK_HEADER_LEN + zstd::zstd_safe::compress_bound(self.raw.len());
        if self.frame.len() < bound {
            self.frame.resize(bound, 0);
        }
        let room = &mut self.frame[BLOCK_HEADER_LEN..];
        let compressed = self.compressor.as_mut().map(|zstd| zstd.compress_to_buffer(&self.raw, room));
        match compressed {
            Some(Ok(len)) if len < self.raw.len() => (Codec::Zstd, len),
            _ => {
                room[..self.raw.len()].copy_from_slice(&self.raw);
                (Codec::Raw, self.raw.len())
            }
        }
    }

    /// Empties the block.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.tables.clear();
        self.count = 0;
        self.first = UnixNanos(u64::MAX);
        self.last = UnixNanos(0);
        self.previous = None;
    }
}

fn within_limit(len: usize) -> io::Result<()> {
    if len <= MAX_RECORD_BYTES {
        return Ok(());
    }
    let what = format!("an exchange takes {len} bytes, a record may have {MAX_RECORD_BYTES}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

// === impl OpenBlock ===

impl OpenBlock {
    /// Opens a block from its payload as stored; `stamp` is that of the segment.
    pub(super) fn open(header: &BlockHeader, stored: &[u8], stamp: Stamp, inflater: &mut Inflater) -> Self {
        let mut block = Self::default();
        match inflater.inflate(header, stored) {
            Ok(raw) => block.index(raw, header.count),
            Err(fault) => block.fault = Some(fault),
        }
        block.tables.stamp = stamp;
        block.lost = u64::from(header.count).saturating_sub(block.records.len() as u64);
        block
    }

    /// Finds the records, and their keys.
    fn index(&mut self, raw: Bytes, promised: u32) {
        let mut at = 0;
        let part = |at: &mut usize| {
            let len = u32_at(&raw, *at)? as usize;
            let begin = *at + LENGTH_PREFIX;
            let bytes = raw.get(begin..begin.checked_add(len)?)?;
            *at = begin + len;
            Some((begin, bytes))
        };
        let Some(tables) = part(&mut at).and_then(|(_, bytes)| Tables::read(bytes, &raw)) else {
            self.fault = Some(BlockFault::Tables);
            return;
        };
        // The header's count is a claim; a record takes at least ten bytes.
        self.records.reserve((promised as usize).min(raw.len() / 10));
        let mut previous = None;
        while at < raw.len() {
            let index = self.records.len() as u32;
            let Some((begin, bytes)) = part(&mut at) else {
                self.fault = Some(BlockFault::Framing(index));
                break;
            };
            // The ids after this one are told from it, so nothing after it is certain.
            let Some(key) = wire::key(bytes, tables.base, previous) else {
                self.fault = Some(BlockFault::Record { index, fault: RecordFault::Malformed });
                break;
            };
            previous = Some(key.id);
            self.records.push(Record { key, begin: begin as u32, len: bytes.len() as u32, index });
        }
        let found = self.records.len() as u32;
        if found != promised {
            self.fault.get_or_insert(BlockFault::Count { found, promised });
        }
        self.tables = tables;
        self.raw = raw;
    }

    /// Corrects the clock that the arrivals were told by, nanoseconds ahead.
    pub(crate) fn shift(&mut self, correction: i64) {
        if correction != 0 {
            self.records.iter_mut().for_each(|r| r.key.arrival = r.key.arrival.shifted(correction));
        }
    }

    /// Puts the records in order of arrival, then of id, the first to come last.
    pub(crate) fn sort(&mut self) {
        self.records.sort_unstable_by_key(|record| std::cmp::Reverse(record.key));
    }

    /// Puts the records in the order they were written, the first to come last.
    pub(crate) fn reverse(&mut self) {
        self.records.reverse();
    }

    /// Instant and id of the exchange that comes next.
    pub(crate) fn next_key(&self) -> Option<(UnixNanos, ExchangeId)> {
        self.records.last().map(|record| (record.key.arrival, record.key.id))
    }

    /// Decodes the exchange that comes next; `None` when it cannot be read, or when there is none.
    pub(crate) fn pop(&mut self) -> Option<Exchange> {
        let Record { key, begin, len, index } = self.records.pop()?;
        let record = &self.raw[begin as usize..][..len as usize];
        match wire::decode(record, key, &self.tables, &self.raw) {
            Ok(exchange) => Some(exchange),
            Err(fault) => {
                self.lost += 1;
                self.fault.get_or_insert(BlockFault::Record { index, fault });
                None
            }
        }
    }

    /// Whether no record is left.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.records.is_empty()
    }

    /// Tables and records, decompressed.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// What was wrong with the block, and how many of its records are lost by it; known when it is exhausted.
    pub(super) fn fault(&self) -> Option<(&BlockFault, u64)> {
        self.fault.as_ref().map(|fault| (fault, self.lost))
    }
}

// === impl Inflater ===

impl Inflater {
    /// The payload of a block, of which `stored` is in the file.
    fn inflate(&mut self, header: &BlockHeader, stored: &[u8]) -> Result<Bytes, BlockFault> {
        if crc32fast::hash(stored) != header.payload_crc {
            return Err(BlockFault::Checksum);
        }
        let raw = match header.codec {
            Codec::Raw => stored.to_vec(),
            Codec::Zstd => self
                .decompress(stored, header.raw_len as usize)
                .map_err(|_| BlockFault::Inflate(header.raw_len))?,
            Codec::Unknown(code) => return Err(BlockFault::Codec(code)),
        };
        if raw.len() != header.raw_len as usize {
            return Err(BlockFault::Inflate(header.raw_len));
        }
        Ok(Bytes::from(raw))
    }

    fn decompress(&mut self, stored: &[u8], raw_len: usize) -> io::Result<Vec<u8>> {
        let zstd = match &mut self.0 {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        // The buffer is the cap: zstd refuses what does not fit, and pages it does not fill are never touched.
        let mut raw = Vec::with_capacity(raw_len);
        zstd.decompress_to_buffer(stored, &mut raw)?;
        Ok(raw)
    }
}
