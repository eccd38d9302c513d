//! The records of one block: encoded and compressed, and back.

use std::io;

use bytes::Bytes;

use super::frame::{BLOCK_HEADER_LEN, BlockHeader, Codec, MAX_BLOCK_BYTES, u32_at};
use super::wire::{self, RecordFault};
use crate::exchange::{Exchange, UnixNanos};

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
    raw: Vec<u8>,
    count: u32,
    first: UnixNanos,
    last: UnixNanos,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    /// The block as it goes into the file; kept, so that its room is used again.
    frame: Vec<u8>,
}

/// Why the payload of a block cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockFault {
    #[error("its checksum does not match: its bytes were changed after they were written")]
    Checksum,
    #[error("it is stored with codec {0}, unknown to this program: upgrade understudy")]
    Codec(u8),
    #[error("it does not decompress to the {0} bytes its header promises")]
    Inflate(u32),
    #[error("its record {0} runs past the end of the block")]
    Framing(u32),
    #[error("it holds {found} records instead of {promised}")]
    Count { found: u32, promised: u32 },
    #[error("its record {index} {fault}")]
    Record { index: u32, fault: RecordFault },
}

/// What came out of a block: the exchanges in the order they were written, and the first thing wrong with it.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) fault: Option<BlockFault>,
}

// === impl BlockBuilder ===

impl BlockBuilder {
    pub(super) fn new() -> Self {
        Self {
            raw: Vec::new(),
            count: 0,
            first: UnixNanos(u64::MAX),
            last: UnixNanos(0),
            // Without a context (no memory) blocks are stored raw.
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).ok(),
            frame: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Uncompressed bytes so far.
    pub(super) fn raw_len(&self) -> usize {
        self.raw.len()
    }

    /// Adds a record; on error the block is as before.
    pub(super) fn push(&mut self, exchange: &Exchange) -> io::Result<()> {
        let begin = self.raw.len();
        self.raw.extend_from_slice(&[0; LENGTH_PREFIX]);
        let encoded = wire::encode(exchange, &mut self.raw).map_err(io::Error::other);
        let len = self.raw.len() - begin - LENGTH_PREFIX;
        if let Err(error) = encoded.and_then(|()| within_limit(len)) {
            self.raw.truncate(begin);
            return Err(error);
        }
        self.raw[begin..begin + LENGTH_PREFIX].copy_from_slice(&(len as u32).to_le_bytes());
        self.count += 1;
        self.first = self.first.min(exchange.arrival);
        self.last = self.last.max(exchange.arrival);
        Ok(())
    }

    /// The block's header and payload, ready to be written at once.
    pub(super) fn seal(&mut self) -> (&[u8], BlockHeader) {
        self.frame.clear();
        self.frame.resize(BLOCK_HEADER_LEN, 0);
        let codec = self.store();
        let payload = &self.frame[BLOCK_HEADER_LEN..];
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
        (&self.frame, header)
    }

    /// Appends the payload to the frame, compressed when that makes it smaller.
    fn store(&mut self) -> Codec {
        if let Some(compressor) = &mut self.compressor {
            let bound = BLOCK_HEADER_LEN + zstd::zstd_safe::compress_bound(self.raw.len());
            self.frame.resize(bound, 0);
            match compressor.compress_to_buffer(&self.raw, &mut self.frame[BLOCK_HEADER_LEN..]) {
                Ok(len) if len < self.raw.len() => {
                    self.frame.truncate(BLOCK_HEADER_LEN + len);
                    return Codec::Zstd;
                }
                _ => self.frame.truncate(BLOCK_HEADER_LEN),
            }
        }
        self.frame.extend_from_slice(&self.raw);
        Codec::Raw
    }

    /// Empties the block.
    pub(super) fn clear(&mut self) {
        self.raw.clear();
        self.count = 0;
        self.first = UnixNanos(u64::MAX);
        self.last = UnixNanos(0);
    }
}

fn within_limit(len: usize) -> io::Result<()> {
    if len <= MAX_RECORD_BYTES {
        return Ok(());
    }
    let what = format!("an exchange takes {len} bytes, a record may have {MAX_RECORD_BYTES}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

// === decoding ===

/// Reads the records of a block from its payload as stored.
pub(super) fn decode(header: &BlockHeader, stored: Vec<u8>) -> Decoded {
    let raw = match inflate(header, stored) {
        Ok(raw) => raw,
        Err(fault) => return Decoded { exchanges: Vec::new(), fault: Some(fault) },
    };
    let mut decoded = Decoded::default();
    let mut rest = &raw[..];
    let mut index = 0;
    while !rest.is_empty() {
        let record =
            u32_at(rest, 0).and_then(|len| rest.get(LENGTH_PREFIX..LENGTH_PREFIX.checked_add(len as usize)?));
        let Some(record) = record else {
            decoded.fault.get_or_insert(BlockFault::Framing(index));
            return decoded;
        };
        rest = &rest[LENGTH_PREFIX + record.len()..];
        match wire::decode(&raw, record) {
            Ok(exchange) => decoded.exchanges.push(exchange),
            Err(fault) => drop(decoded.fault.get_or_insert(BlockFault::Record { index, fault })),
        }
        index += 1;
    }
    if index != header.count {
        decoded.fault.get_or_insert(BlockFault::Count { found: index, promised: header.count });
    }
    decoded
}

fn inflate(header: &BlockHeader, stored: Vec<u8>) -> Result<Bytes, BlockFault> {
    if crc32fast::hash(&stored) != header.payload_crc {
        return Err(BlockFault::Checksum);
    }
    let raw = match header.codec {
        Codec::Raw => stored,
        Codec::Zstd => {
            // The buffer is the cap: zstd refuses what does not fit, and pages it does not fill are never touched.
            let mut raw = Vec::with_capacity(header.raw_len as usize);
            zstd::bulk::Decompressor::new()
                .and_then(|mut zstd| zstd.decompress_to_buffer(&stored, &mut raw))
                .map_err(|_| BlockFault::Inflate(header.raw_len))?;
            raw
        }
        Codec::Unknown(code) => return Err(BlockFault::Codec(code)),
    };
    if raw.len() != header.raw_len as usize {
        return Err(BlockFault::Inflate(header.raw_len));
    }
    Ok(Bytes::from(raw))
}
