//! One `*.ucap` file: header, frames, footer. Documented to the byte in `docs/capture-format.md`.
//!
//! A segment is written front to back and never rewritten, so whatever a killed recorder had flushed is in the file.
//! Everything in it is covered by a checksum of its own: a block's *header* apart from its *payload*, so that a
//! flipped bit in the payload still leaves the block's place, length and instants known.
//!
//! - `frame`: the bytes around everything: magics, lengths, checksums.
//! - `block`: records of one block, encoded and compressed, and back.
//! - `tables`: what the records of a block have in common: header fields, redactions.
//! - `wire`: one record, to and from an [`Exchange`](crate::Exchange).
//! - `seal`: frames encrypted with a key, when one is given.
//! - [`Writer`]: begins, rotates and closes segments in a directory.
//! - `reader`: one segment opened for reading; `scan` rebuilds what a missing footer would have said.

pub(crate) mod block;
mod frame;
pub(crate) mod msgpack;
pub(crate) mod reader;
mod scan;
mod seal;
mod tables;
mod wire;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::conservation::{Conservation, Drop};
use crate::exchange::UnixNanos;

pub use frame::{MAX_BLOCK_BYTES, VERSION};
pub use seal::{CAPTURE_KEY_VARIABLE, CaptureKey, CaptureKeys};
pub use writer::Writer;

/// Who wrote a segment and how; the same for all segments of one recorder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Program and version, e.g. `understudy-proxy 0.1.0`.
    pub producer: String,
    /// Pod name, when known.
    pub pod: Option<String>,
    /// Node name, when known.
    pub node: Option<String>,
    /// Names one run of a recorder: random, drawn at its start.
    pub boot: u64,
    /// BLAKE3 of the canonical sanitizing policy, hex.
    pub policy: String,
    /// Names the sanitizing key without revealing it, hex.
    pub key_id: String,
    /// Share of connections recorded, (0, 1].
    pub sample: f64,
    /// What it was made of, when it was made of other captures.
    pub derived: Option<Derived>,
}

/// How a capture was made of others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Derived {
    /// `slice` or `merge`.
    pub by: String,
    /// What was asked for, for people.
    pub what: String,
    /// Dataset ids of what it was made of.
    pub from: Vec<String>,
    /// Nanoseconds that were added to the clocks of pods.
    pub corrections: std::collections::BTreeMap<String, i64>,
}

/// Where and how a [`Writer`] writes.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// Directory of the segments; created when missing.
    pub dir: PathBuf,
    /// A new segment is begun after this many bytes were written: with the block that reached them.
    pub max_bytes: u64,
    /// A new segment is begun at the first flush at this age, unless the current one holds nothing.
    pub max_age: Duration,
    /// A block is closed when its records reach this many bytes, uncompressed.
    pub block_bytes: usize,
    /// Goes into every segment header.
    pub origin: Origin,
    /// Encrypts everything but the headers.
    pub key: Option<CaptureKey>,
}

/// Why a segment could not be written; what was written before is safe.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}")]
pub struct WriteError {
    /// The file or directory.
    pub path: PathBuf,
    /// Exchanges of the unfinished block, which are lost.
    pub lost: u64,
    /// What the system said.
    pub source: std::io::Error,
}

/// What the records of a segment are, in its header.
const SCHEMA: &str = "exchange";

/// The map in a segment's header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Header {
    producer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    boot: u64,
    /// Position among the segments of one boot, from 0.
    seq: u32,
    /// Wall clock when the segment was begun, Unix nanoseconds.
    began: u64,
    policy: String,
    key_id: String,
    sample: f64,
    schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived: Option<Derived>,
    /// Of an encrypted segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    seal: Option<seal::SealHeader>,
}

/// The map in a checkpoint: the segment's counts up to here, all of whose exchanges are in blocks before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Checkpoint {
    /// Wall clock of the reading, Unix nanoseconds.
    at: u64,
    conservation: Conservation,
}

/// The map in a footer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Footer {
    /// Wall clock when the segment was closed, Unix nanoseconds.
    at: u64,
    conservation: Conservation,
    blocks: Vec<BlockEntry>,
    /// BLAKE3 over every byte before the footer's frame.
    #[serde(with = "serde_bytes")]
    digest: [u8; 32],
}

/// Where a block is and what it holds; in a footer, an array in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    /// Byte offset of the block's header.
    pub(crate) offset: u64,
    /// Records in it.
    pub(crate) count: u32,
    /// Earliest arrival.
    pub(crate) first: UnixNanos,
    /// Latest arrival.
    pub(crate) last: UnixNanos,
    /// Payload bytes in the file.
    pub(crate) stored_len: u32,
    /// Payload bytes after decompression.
    pub(crate) raw_len: u32,
}

// === impl Header ===

impl Header {
    fn new(origin: &Origin, seq: u32, began: UnixNanos) -> Self {
        let origin = origin.clone();
        Self {
            producer: origin.producer,
            pod: origin.pod,
            node: origin.node,
            boot: origin.boot,
            seq,
            began: began.0,
            policy: origin.policy,
            key_id: origin.key_id,
            sample: origin.sample,
            schema: SCHEMA.to_owned(),
            derived: origin.derived,
            seal: None,
        }
    }

    fn into_origin(self) -> Origin {
        Origin {
            producer: self.producer,
            pod: self.pod,
            node: self.node,
            boot: self.boot,
            policy: self.policy,
            key_id: self.key_id,
            sample: self.sample,
            derived: self.derived,
        }
    }
}

// === impl BlockEntry ===

type EntryTuple = (u64, u32, u64, u64, u32, u32);

impl Serialize for BlockEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tuple: EntryTuple =
            (self.offset, self.count, self.first.0, self.last.0, self.stored_len, self.raw_len);
        tuple.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlockEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (offset, count, first, last, stored_len, raw_len) = EntryTuple::deserialize(deserializer)?;
        Ok(Self { offset, count, first: UnixNanos(first), last: UnixNanos(last), stored_len, raw_len })
    }
}

/// More requests than a recorder can see in a thousand years; beyond it, a count is a hostile file's and would
/// overflow a sum.
const MAX_COUNT: u64 = 1 << 53;

/// Whether `counts` can be added up.
fn plausible(counts: &Conservation) -> bool {
    let Conservation { carried_in, seen, recorded, carried_out, .. } = *counts;
    let dropped = Drop::ALL.map(|reason| counts.count(reason));
    [carried_in, seen, recorded, carried_out].iter().chain(&dropped).all(|count| *count <= MAX_COUNT)
}

/// `counts` after `n` more exchanges were recorded of which nothing else is known. They were under way, or else seen
/// since. The writer (after a failed write) and the reader (of a segment without footer) must agree on this, or the
/// counts of neighbouring segments would not add up.
fn advanced(mut counts: Conservation, n: u64) -> Conservation {
    let carried = n.min(counts.carried_out);
    counts.recorded += n;
    counts.carried_out -= carried;
    counts.seen += n - carried;
    counts
}
