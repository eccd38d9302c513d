//! An ordered set of segments, read as one.

use std::path::{Path, PathBuf};

use crate::conservation::Conservation;
use crate::exchange::{Exchange, UnixNanos};

/// Segments opened for reading: every block is known by place and instants, none is in memory.
#[derive(Debug)]
pub struct Capture;

/// Something that cannot be read as a capture at all; damage inside a segment is not an error but is reported by
/// [`Capture::damage`].
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No such file, no permission, ...
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Placeholder for the rest.
    #[error("{0}")]
    Other(String),
}

/// A part of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Byte offset where the damage begins.
    pub offset: u64,
    /// What is wrong and what is lost, for people.
    pub what: String,
}

/// What a capture holds, from its indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Exchanges that can be read.
    pub exchanges: u64,
    /// First arrival.
    pub first: Option<UnixNanos>,
    /// Last arrival.
    pub last: Option<UnixNanos>,
    /// The law over all segments.
    pub conservation: Conservation,
    /// Content digest that names the capture.
    pub dataset_id: String,
    /// Number of segments.
    pub segments: u64,
}

impl Capture {
    /// Opens files and directories (all `*.ucap` below a directory, not recursive).
    pub fn open<P: AsRef<Path>>(_paths: &[P]) -> Result<Capture, CaptureError> {
        todo!()
    }
    /// Totals, from indexes alone.
    pub fn stats(&self) -> Stats {
        todo!()
    }
    /// Exchanges in order of arrival, across all segments. Memory is bounded by the blocks that overlap in time.
    /// Damaged blocks are skipped; a read error ends the iteration with an error.
    pub fn exchanges(&self) -> impl Iterator<Item = Result<Exchange, CaptureError>> + Send + 'static {
        std::iter::empty()
    }
    /// Damage found so far by opening.
    pub fn damage(&self) -> &[Damage] {
        todo!()
    }
}
