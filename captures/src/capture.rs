//! An ordered set of segments, read as one.

mod clocks;
mod derive;
mod ids;
mod merge;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::conservation::Conservation;
use crate::exchange::UnixNanos;
use crate::segment::reader::Segment;
use crate::segment::{CAPTURE_KEY_VARIABLE, CaptureKeys, Origin};
use crate::source::{self, Found};

pub use clocks::ClockEstimate;
pub use derive::{Choice, DeriveError, Lineage, Outcome};
pub use merge::Exchanges;
pub use verify::Verification;

/// Segments opened for reading: every block is known by place and instants, none is in memory.
#[derive(Clone, Debug)]
pub struct Capture {
    /// By boot, then by their order within it.
    segments: Arc<[Segment]>,
    damage: Vec<Damage>,
}

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
        source: io::Error,
    },
    /// A directory without segments.
    #[error("no *.ucap in {}: give the directory that the recorder writes to, or files", path.display())]
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// Something else than a segment.
    #[error("{} is not a capture: it does not begin like a *.ucap segment", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file that ends inside the header of a segment.
    #[error("{} ends after {len} bytes, inside its header, and holds nothing: leave it out", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// A segment that a newer understudy wrote.
    #[error("{} was written by format {found}, this program reads {known}: upgrade understudy", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Major version of the file.
        found: u16,
        /// Newest major version that can be read.
        known: u16,
    },
    /// A segment whose records are not exchanges.
    #[error("{} holds records of kind {found:?}, this program reads exchanges: upgrade understudy", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The kind its header names.
        found: String,
    },
    /// A segment encrypted in another way.
    #[error("{} is encrypted with {found:?}, unknown to this program: upgrade understudy", path.display())]
    Cipher {
        /// The file.
        path: PathBuf,
        /// The cipher its header names.
        found: String,
    },
    /// An encrypted segment without its key.
    #[error("{0}")]
    Locked(Box<Locked>),
}

/// All that an encrypted segment says without its key.
#[derive(Clone, Debug, PartialEq)]
pub struct Locked {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Who wrote it.
    pub origin: Origin,
    /// Position among the segments of one boot, from 0.
    pub seq: u32,
    /// Wall clock when it was begun.
    pub began: UnixNanos,
    /// Names the key that it needs.
    pub key_id: String,
    /// Names of the keys that were given, none of them this one.
    pub given: Vec<String>,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is encrypted under key {}", self.path.display(), self.key_id)?;
        match &self.given[..] {
            [] => write!(f, ": give --capture-key-file FILE or set {CAPTURE_KEY_VARIABLE}"),
            [given] => write!(f, ", and the key given is {given}: give the right one"),
            given => write!(f, ", and the keys given are {}: give the right one", given.join(", ")),
        }
    }
}

/// A part of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Byte offset where the damage begins.
    pub offset: u64,
    /// Exchanges lost by it, as far as that is known.
    pub lost: u64,
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
    /// Bytes of all segments in their files.
    pub bytes: u64,
    /// Bytes of the records as stored in blocks.
    pub stored_bytes: u64,
    /// Bytes of the records, uncompressed.
    pub raw_bytes: u64,
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentInfo<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its length in bytes.
    pub bytes: u64,
    /// Who wrote it; `None` when its header is damaged.
    pub origin: Option<&'a Origin>,
    /// Position among the segments of one boot, from 0.
    pub seq: u32,
    /// Wall clock when it was begun.
    pub began: UnixNanos,
    /// Whether it has a footer.
    pub closed: bool,
    /// Exchanges in its index.
    pub exchanges: u64,
    /// Its counters: from the footer, or as far as they are known without one.
    pub conservation: Conservation,
}

// === impl Capture ===

impl Capture {
    /// Opens files and directories (all `*.ucap` in a directory, not below it). A file given twice is read once.
    ///
    /// A file that ends inside its header is what a full disk or a kill leaves at the wrong moment: named, it is an
    /// error; beside readable segments in a directory, it is damage.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Capture, CaptureError> {
        let mut found = Vec::new();
        for path in paths {
            found.extend(source::local(path.as_ref())?);
        }
        Self::open_found(found, &CaptureKeys::none())
    }

    /// Opens segments wherever they are, as [`Capture::open`] does; encrypted ones with their keys.
    pub fn open_found(mut found: Vec<Found>, keys: &CaptureKeys) -> Result<Capture, CaptureError> {
        // The same segment under two names would count its requests twice.
        let mut known = BTreeSet::new();
        found.retain(|found| known.insert(found.source.identity()));
        let mut segments = Vec::new();
        let mut damage = Vec::new();
        let mut empty = None;
        for Found { source, named } in found {
            match Segment::open(source, keys) {
                Ok(segment) => segments.push(segment),
                Err(CaptureError::TooShort { path, len }) if !named => {
                    let what = "the file ends inside the segment's header: nothing was recorded in it";
                    damage.push(Damage { path: path.clone(), offset: len, lost: 0, what: what.to_owned() });
                    empty = Some(CaptureError::TooShort { path, len });
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = empty.filter(|_| segments.is_empty()) {
            return Err(error);
        }
        let boot = |segment: &Segment| segment.origin.as_ref().map(|origin| origin.boot);
        segments.sort_by(|a, b| (boot(a), a.seq, a.began, &a.path).cmp(&(boot(b), b.seq, b.began, &b.path)));
        damage.extend(segments.iter().flat_map(|segment| segment.damage.iter().cloned()));
        Ok(Capture { segments: segments.into(), damage })
    }

    /// Totals, from indexes alone.
    pub fn stats(&self) -> Stats {
        let blocks = || self.segments.iter().flat_map(|segment| &segment.blocks);
        Stats {
            exchanges: self.segments.iter().map(Segment::exchanges).sum(),
            first: blocks().map(|block| block.first).min(),
            last: blocks().map(|block| block.last).max(),
            conservation: self.conservation(),
            dataset_id: self.dataset_id(),
            segments: self.segments.len() as u64,
            bytes: self.segments.iter().map(|segment| segment.len).sum(),
            stored_bytes: blocks().map(|block| u64::from(block.stored_len)).sum(),
            raw_bytes: blocks().map(|block| u64::from(block.raw_len)).sum(),
        }
    }

    /// Exchanges in order of arrival, then of id, across all segments. Memory is bounded by the blocks that overlap
    /// in time. Damaged blocks are skipped, and named by [`Exchanges::damage`]; a read error ends the iteration with
    /// an error.
    pub fn exchanges(&self) -> Exchanges {
        Exchanges::new(Arc::clone(&self.segments), Vec::new())
    }

    /// Damage found by opening. Blocks are not read by that: see [`Exchanges::damage`] and [`Capture::verify`].
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The segments, by boot and then by their order within it.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo<'_>> {
        self.segments.iter().map(|segment| SegmentInfo {
            path: &segment.path,
            bytes: segment.len,
            origin: segment.origin.as_ref(),
            seq: segment.seq,
            began: segment.began,
            closed: segment.closed,
            exchanges: segment.exchanges(),
            conservation: segment.conservation,
        })
    }

    /// Opens files and directories, reads everything and says exactly what is wrong or missing.
    pub fn verify<P: AsRef<Path>>(paths: &[P]) -> Result<Verification, CaptureError> {
        Self::open(paths)?.verified()
    }

    /// Reads everything and says exactly what is wrong or missing.
    pub fn verified(&self) -> Result<Verification, CaptureError> {
        verify::verify(self)
    }

    /// Where its blocks begin, segment by segment.
    #[cfg(test)]
    pub(crate) fn block_offsets(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().flat_map(|segment| &segment.blocks).map(|block| block.offset)
    }

    /// The law over all segments: what one segment carried out and the next one of the same boot carried in is
    /// neither. Each request under way at the borders of the whole stays carried.
    fn conservation(&self) -> Conservation {
        let mut total = Conservation::default();
        let mut before: Option<&Segment> = None;
        for segment in self.segments.iter() {
            let counts = segment.conservation;
            let chained = match before.filter(|before| follows(before, segment)) {
                Some(before) => before.conservation.carried_out.min(counts.carried_in),
                None => 0,
            };
            let carried_out = total.carried_out + counts.carried_out - chained;
            total.carried_in += counts.carried_in - chained;
            total.join(&counts);
            total.carried_out = carried_out;
            before = Some(segment);
        }
        total
    }

    /// BLAKE3 over the sorted digests of the segments: the same exchanges in the same segments have the same id,
    /// wherever their files lie and whatever they are called.
    fn dataset_id(&self) -> String {
        let digests: BTreeSet<_> = self.segments.iter().map(|segment| segment.digest).collect();
        let mut hasher = blake3::Hasher::new();
        for digest in &digests {
            hasher.update(digest);
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// Whether `next` is the segment that its recorder wrote after `before`.
fn follows(before: &Segment, next: &Segment) -> bool {
    let same_boot = match (&before.origin, &next.origin) {
        (Some(before), Some(next)) => before.boot == next.boot,
        _ => false,
    };
    same_boot && before.seq.checked_add(1) == Some(next.seq)
}
