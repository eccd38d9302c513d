//! One `*.ucap` file: header, blocks, footer. Documented to the byte in `docs/capture-format.md`.

use std::path::PathBuf;
use std::time::Duration;

use crate::conservation::Conservation;
use crate::sanitize::Sanitized;

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
}

/// Where and how a [`Writer`] writes.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// Directory of the segments; created when missing.
    pub dir: PathBuf,
    /// A new segment is begun when this many bytes are written.
    pub max_bytes: u64,
    /// A new segment is begun at this age.
    pub max_age: Duration,
    /// A block is closed when its records reach this many bytes, uncompressed.
    pub block_bytes: usize,
    /// Goes into every segment header.
    pub origin: Origin,
}

/// Writes exchanges into segments of one directory.
pub struct Writer;

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

impl Writer {
    /// Opens the first segment, so that an unwritable directory is found at once.
    pub fn create(_config: WriterConfig) -> Result<Writer, WriteError> {
        todo!()
    }

    /// Adds an exchange to the open block. Returns how many exchanges reached the file by this call: 0 while the block
    /// is open, the block's count when it was closed.
    pub fn append(&mut self, _exchange: &Sanitized) -> Result<u64, WriteError> {
        todo!()
    }

    /// Closes the open block, if it holds anything, with a checkpoint of the running totals. `totals` is called after
    /// the block's exchanges were written and receives their number, so that `recorded` can include them. Also begins a new segment when the current one is due. Returns the exchanges that reached the file.
    pub fn flush(&mut self, _totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        todo!()
    }

    /// Flushes and closes the segment with its footer.
    pub fn finish(self, _totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        todo!()
    }
}
