//! `outcomes.uout`: what became of every request of a run, written while the run goes on.
//!
//! # Layout of the file
//!
//! Numbers are little-endian; a *varint* is LEB128, a *signed* one zigzag-coded first.
//!
//! 1. `UOUT`, a byte 1 (the version), then `u32` length and that many bytes of a MessagePack map: `run_id`,
//!    `candidates` and `kinds` (the names behind the numbers below).
//! 2. Blocks: `u32` records, `u32` bytes before compression, `u32` bytes stored, `u32` CRC-32 of what is stored, and
//!    the stored bytes: a zstd frame of columns. Each column is a varint length in bytes and then its values:
//!    `names` (a MessagePack list of labels seen for the first time, numbered on from those before), `flags` (a byte:
//!    kind in the low three bits, then warm-up, reused, has a first byte, has a label, has a score), `candidate`,
//!    `iteration` and `status` (varints), `exchange` (signed, from one more than the record before), `intended` (signed,
//!    from the record before), `dispatched` (signed, from `intended`), `sent` (from `dispatched`), `first_byte` (from
//!    `sent`, of those that have one), `end` (from `first_byte`, else from `sent`), `received` (signed, from the record
//!    before), `label` (varint, of those that have one), `score` (of those that have one: the first bytes of all their
//!    `f32`, then the second ones, and so on). In each block the records before begin from 0.
//!    Instants are microseconds since the run began.
//! 3. A block of 0 records whose stored bytes are a `u64`: how many records the file has. A file without it belongs to
//!    a run that was killed; what its whole blocks hold is good.

mod columns;
mod reader;
mod writer;

pub use reader::{Outcomes, ReadError};
pub use writer::OutcomeLog;

/// Name in the run directory.
pub const FILE_NAME: &str = "outcomes.uout";

const MAGIC: [u8; 5] = *b"UOUT\x01";

/// Records in a block, at most.
const BLOCK: usize = 16_384;

/// Longest block before compression that is read: three times what the largest columns can take.
const MAX_RAW: usize = 8 << 20;

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Names the run.
    pub run_id: String,
    /// Names behind [`Outcome::candidate`](super::Outcome::candidate).
    pub candidates: Vec<String>,
    /// Names behind the kinds.
    pub kinds: Vec<String>,
}

/// Nanoseconds in the unit of the file.
const UNIT: u64 = 1_000;

#[cfg(test)]
mod tests;
