//! The bytes around everything in a segment: magics, lengths, checksums. Little endian throughout.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::BlockEntry;
use crate::exchange::UnixNanos;

/// Format version written, and the newest read: (major, minor). A reader refuses a higher major and ignores what a
/// higher minor added.
pub const VERSION: (u16, u16) = (1, 0);

/// The most bytes that the records of one block may take, uncompressed. A reader allocates no more than this for a
/// block, whatever a hostile file claims; a writer refuses an exchange that would not fit.
pub const MAX_BLOCK_BYTES: usize = 256 << 20;

/// First bytes of a segment. As in PNG: a high bit finds 7-bit transfers, CR LF finds newline conversion, the
/// end-of-file character stops a terminal.
pub(super) const SEGMENT_MAGIC: [u8; 8] = *b"\x89UCAP\r\n\x1a";
pub(super) const BLOCK_MAGIC: [u8; 8] = *b"\x8bUBLK\r\n\x1a";
pub(super) const CHECKPOINT_MAGIC: [u8; 8] = *b"\x8bUCHK\r\n\x1a";
pub(super) const FOOTER_MAGIC: [u8; 8] = *b"\x8bUFTR\r\n\x1a";
/// Last bytes of a closed segment.
pub(super) const END_MAGIC: [u8; 8] = *b"\x8bUEND\r\n\x1a";
/// What the magics of all frames begin with; a search for the next frame looks for it.
pub(super) const FRAME_PREFIX: &[u8] = b"\x8bU";

/// Magic, major, minor and length of the header map.
pub(super) const HEAD_LEN: usize = 16;
/// Magic, codec, reserved, count, instants, lengths, two checksums.
pub(super) const BLOCK_HEADER_LEN: usize = 48;
/// Magic and length of a map frame; its checksum follows the map.
pub(super) const MAP_FRAME_HEAD_LEN: usize = 12;
pub(super) const CRC_LEN: usize = 4;
/// Offset of the footer's frame, and the end magic.
pub(super) const TRAILER_LEN: usize = 16;

/// How a block's payload is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Raw,
    Zstd,
    /// Written by a newer producer.
    Unknown(u8),
}

/// The fixed part in front of a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) codec: Codec,
    pub(super) count: u32,
    pub(super) first: UnixNanos,
    pub(super) last: UnixNanos,
    pub(super) stored_len: u32,
    pub(super) raw_len: u32,
    pub(super) payload_crc: u32,
}

// === impl Codec ===

impl Codec {
    fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
            Self::Unknown(code) => code,
        }
    }

    fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Raw,
            1 => Self::Zstd,
            other => Self::Unknown(other),
        }
    }
}

// === impl BlockHeader ===

impl BlockHeader {
    pub(super) fn to_bytes(self) -> [u8; BLOCK_HEADER_LEN] {
        let mut bytes = [0; BLOCK_HEADER_LEN];
        bytes[..8].copy_from_slice(&BLOCK_MAGIC);
        bytes[8] = self.codec.code();
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last.0.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`; `None` unless magic and checksum are right and it keeps the limits.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Self {
            codec: Codec::from_code(*bytes.get(8)?),
            count: u32_at(bytes, 12)?,
            first: UnixNanos(u64_at(bytes, 16)?),
            last: UnixNanos(u64_at(bytes, 24)?),
            stored_len: u32_at(bytes, 32)?,
            raw_len: u32_at(bytes, 36)?,
            payload_crc: u32_at(bytes, 40)?,
        };
        let whole = bytes.starts_with(&BLOCK_MAGIC) && crc32fast::hash(&bytes[..44]) == u32_at(bytes, 44)?;
        let within = [header.stored_len, header.raw_len].iter().all(|len| *len as usize <= MAX_BLOCK_BYTES);
        (whole && within).then_some(header)
    }

    pub(super) fn entry(&self, offset: u64) -> BlockEntry {
        BlockEntry {
            offset,
            count: self.count,
            first: self.first,
            last: self.last,
            stored_len: self.stored_len,
            raw_len: self.raw_len,
        }
    }
}

// === frames around a map ===

/// The bytes that begin a segment: magic, version, header map, checksum.
pub(super) fn segment_head(header: &impl Serialize) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let map = rmp_serde::to_vec_named(header)?;
    let mut bytes = SEGMENT_MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.0.to_le_bytes());
    bytes.extend_from_slice(&VERSION.1.to_le_bytes());
    Ok(sealed(bytes, &map))
}

/// A checkpoint or footer: magic, length, map, checksum.
pub(super) fn map_frame(magic: [u8; 8], value: &impl Serialize) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    Ok(sealed(magic.to_vec(), &rmp_serde::to_vec_named(value)?))
}

/// Whether the checksum at the end of a frame around a map is right.
pub(super) fn is_whole(frame: &[u8]) -> bool {
    frame
        .split_last_chunk::<CRC_LEN>()
        .is_some_and(|(body, crc)| crc32fast::hash(body) == u32::from_le_bytes(*crc))
}

/// The map of a whole frame whose checksum is right and which holds nothing else; `head` is the length of what
/// precedes the map.
pub(super) fn open_map<T: DeserializeOwned>(frame: &[u8], head: usize) -> Option<T> {
    is_whole(frame).then_some(())?;
    from_map(frame.get(head..frame.len() - CRC_LEN)?).ok()
}

/// Deserializes the one value that `bytes` must be: `rmp_serde::from_slice` accepts trailing bytes in silence.
pub(super) fn from_map<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut deserializer)?;
    match serde::de::IgnoredAny::deserialize(&mut deserializer) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err(rmp_serde::decode::Error::LengthMismatch(bytes.len().try_into().unwrap_or(u32::MAX))),
    }
}

fn sealed(mut head: Vec<u8>, map: &[u8]) -> Vec<u8> {
    // A header or footer of 4 GiB would take a hundred million blocks in one segment.
    let len = u32::try_from(map.len()).unwrap_or(u32::MAX);
    head.extend_from_slice(&len.to_le_bytes());
    head.extend_from_slice(map);
    let crc = crc32fast::hash(&head);
    head.extend_from_slice(&crc.to_le_bytes());
    head
}

/// What follows the footer's frame, so that it is found from the end of the file.
pub(super) fn trailer(footer_offset: u64) -> [u8; TRAILER_LEN] {
    let mut bytes = [0; TRAILER_LEN];
    bytes[..8].copy_from_slice(&footer_offset.to_le_bytes());
    bytes[8..].copy_from_slice(&END_MAGIC);
    bytes
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
