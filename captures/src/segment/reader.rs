//! One segment opened for reading: what it says of itself and where its blocks are; no block is in memory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{Inflater, OpenBlock};
use super::frame::{
    self, BLOCK_HEADER_LEN, BlockHeader, CRC_LEN, END_MAGIC, HEAD_LEN, SEGMENT_MAGIC, TRAILER_LEN, VERSION,
    u16_at, u32_at, u64_at,
};
use super::scan::{self, Scan};
use super::seal::{CaptureKeys, Opener, sealed_len};
use super::{BlockEntry, Footer, Header, Origin, SCHEMA};
use crate::capture::{CaptureError, Damage, Locked};
use crate::conservation::Conservation;
use crate::exchange::{Stamp, UnixNanos};
use crate::source::{ReadAt, Source};

/// A header map longer than this is damage, not a header.
const MAX_HEADER_MAP: u32 = 1 << 20;

/// A segment opened for reading.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Its name, for people.
    pub(crate) path: PathBuf,
    /// Where its bytes are.
    pub(crate) source: Arc<dyn Source>,
    /// Opens its frames, when it is encrypted.
    opener: Option<Opener>,
    /// Length of the file in bytes.
    pub(crate) len: u64,
    /// Who wrote it; `None` when the header is damaged.
    pub(crate) origin: Option<Origin>,
    /// The policy and key that its header names.
    stamp: Stamp,
    /// Position among the segments of one boot, from 0.
    pub(crate) seq: u32,
    /// Wall clock when it was begun.
    pub(crate) began: UnixNanos,
    /// Every block that its index names, or without an index, every block found whole.
    pub(crate) blocks: Vec<BlockEntry>,
    /// From the footer, or from the last checkpoint and the blocks after it.
    pub(crate) conservation: Conservation,
    /// From the footer, or computed over what can be read.
    pub(crate) digest: [u8; 32],
    /// Whether it has a footer.
    pub(crate) closed: bool,
    /// Where the footer begins, or the end of what was looked at.
    pub(crate) body_end: u64,
    /// What opening found wrong.
    pub(crate) damage: Vec<Damage>,
}

/// Room and context for opening one block after the other.
#[derive(Default)]
pub(crate) struct Workspace {
    /// A block as it stands in the file.
    bytes: Vec<u8>,
    inflater: Inflater,
}

/// What the first bytes of a file say.
enum Head {
    /// The header, and the bytes that it was read from.
    Whole(Box<Header>, Vec<u8>),
    Damaged,
}

// === impl Segment ===

impl Segment {
    /// Reads header and index; scans the blocks when there is no index. An encrypted segment needs its key.
    pub(crate) fn open(source: Arc<dyn Source>, keys: &CaptureKeys) -> Result<Self, CaptureError> {
        let path = source.name().to_owned();
        let failed = |source| CaptureError::Io { path: path.clone(), source };
        let file = source.open().map_err(failed)?;
        let (file, len) = (&*file, file.len());
        let mut segment = Self {
            path: path.clone(),
            source,
            opener: None,
            len,
            origin: None,
            stamp: Stamp::default(),
            seq: 0,
            began: UnixNanos(0),
            blocks: Vec::new(),
            conservation: Conservation::default(),
            digest: [0; 32],
            closed: false,
            body_end: len,
            damage: Vec::new(),
        };
        let begin = match read_head(&path, file, len)? {
            Head::Whole(header, head) => {
                segment.seq = header.seq;
                segment.began = UnixNanos(header.began);
                let seal = header.seal.clone();
                let origin = header.into_origin();
                segment.stamp = Stamp::of(&origin.policy, &origin.key_id);
                segment.origin = Some(origin);
                if let Some(seal) = seal {
                    if let Some(cipher) = seal.unknown_cipher() {
                        return Err(CaptureError::Cipher { path, found: cipher.to_owned() });
                    }
                    segment.opener = keys.opener(&seal, &head);
                    if segment.opener.is_none() {
                        return Err(segment.locked(seal.key_id, keys));
                    }
                }
                head.len() as u64
            }
            Head::Damaged => {
                segment.damaged(0, "the header is damaged: who wrote the segment is unknown".into());
                SEGMENT_MAGIC.len() as u64
            }
        };
        let opener = segment.opener.clone();
        let opener = opener.as_ref();
        match find_footer(file, opener, len).map_err(failed)? {
            Some((footer, at)) => segment.closed_by(footer, at),
            None => segment.rebuilt_by(scan::scan(file, opener, begin, len).map_err(failed)?),
        }
        Ok(segment)
    }

    /// Exchanges that its blocks hold.
    pub(crate) fn exchanges(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.count)).sum()
    }

    /// Reads one block, with what is wrong with all of it; what is wrong with single records is known when it is
    /// exhausted, by [`Segment::damage_of`].
    pub(crate) fn open_block(
        &self,
        entry: &BlockEntry,
        workspace: &mut Workspace,
    ) -> Result<(OpenBlock, Option<Damage>), CaptureError> {
        let failed = |source| CaptureError::Io { path: self.path.clone(), source };
        let lost = |fault| Ok((OpenBlock::default(), Some(self.block_damage(entry, fault))));
        // Opened each time: see `Source`.
        let file = self.source.open().map_err(failed)?;
        let len = BLOCK_HEADER_LEN as u64 + u64::from(entry.stored_len);
        let len = if self.opener.is_some() { sealed_len(len) } else { len };
        if entry.offset.saturating_add(len) > file.len() {
            return lost("the file ends before it");
        }
        let Workspace { bytes, inflater } = workspace;
        bytes.resize(len as usize, 0);
        file.read_exact_at(bytes, entry.offset).map_err(failed)?;
        let block = match &self.opener {
            None => &bytes[..],
            Some(opener) => match opener.open_frame(bytes, entry.offset) {
                Some(inner) => inner,
                None => return lost("its sealed frame does not open: it was changed or moved"),
            },
        };
        let header = match BlockHeader::parse(block) {
            Some(header) if header.entry(entry.offset) == *entry => header,
            _ => return lost("its header is damaged"),
        };
        Ok((OpenBlock::open(&header, &block[BLOCK_HEADER_LEN..], self.stamp, inflater), None))
    }

    /// What was wrong with the records of an exhausted block.
    pub(crate) fn damage_of(&self, entry: &BlockEntry, block: &OpenBlock) -> Option<Damage> {
        let (fault, lost) = block.fault()?;
        Some(Damage { lost, ..self.block_damage(entry, &fault.to_string()) })
    }

    /// All that can be said of an encrypted segment without its key.
    fn locked(self, key_id: String, keys: &CaptureKeys) -> CaptureError {
        CaptureError::Locked(Box::new(Locked {
            path: self.path,
            bytes: self.len,
            origin: self.origin.unwrap_or_default(),
            seq: self.seq,
            began: self.began,
            key_id,
            given: keys.ids(),
        }))
    }

    fn closed_by(&mut self, footer: Footer, at: u64) {
        self.closed = true;
        self.conservation = footer.conservation;
        self.digest = footer.digest;
        self.blocks = footer.blocks;
        self.body_end = at;
    }

    fn rebuilt_by(&mut self, scan: Scan) {
        for found in scan.damage {
            self.damage.push(Damage { path: self.path.clone(), ..found });
        }
        if let Some((footer, at)) = scan.footer {
            return self.closed_by(footer, at);
        }
        self.blocks = scan.blocks;
        self.conservation = scan.conservation;
        self.digest = scan.digest;
    }

    fn damaged(&mut self, offset: u64, what: String) {
        self.damage.push(Damage { path: self.path.clone(), offset, lost: 0, what });
    }

    fn block_damage(&self, entry: &BlockEntry, fault: &str) -> Damage {
        Damage {
            path: self.path.clone(),
            offset: entry.offset,
            lost: u64::from(entry.count),
            what: block_trouble(entry, fault),
        }
    }
}

/// Names a block and what is wrong with it.
pub(super) fn block_trouble(entry: &BlockEntry, fault: &str) -> String {
    let BlockEntry { count, first, last, .. } = entry;
    format!(
        "the block of {count} exchanges that arrived from {first} to {last} cannot be read whole: {fault}"
    )
}

fn read_head(path: &Path, file: &dyn ReadAt, len: u64) -> Result<Head, CaptureError> {
    let failed = |source| CaptureError::Io { path: path.to_owned(), source };
    let mut head = vec![0; HEAD_LEN.min(usize::try_from(len).unwrap_or(HEAD_LEN))];
    file.read_exact_at(&mut head, 0).map_err(failed)?;
    let known = head.len().min(SEGMENT_MAGIC.len());
    if head[..known] != SEGMENT_MAGIC[..known] {
        return Err(CaptureError::Foreign { path: path.to_owned() });
    }
    let too_short = || CaptureError::TooShort { path: path.to_owned(), len };
    let (Some(major), Some(map_len)) = (u16_at(&head, 8), u32_at(&head, 12)) else {
        return Err(too_short());
    };
    if major == 0 || map_len > MAX_HEADER_MAP {
        return Ok(Head::Damaged);
    }
    let whole = HEAD_LEN + map_len as usize + CRC_LEN;
    if len < whole as u64 {
        // Cut off, or a damaged length in front of blocks that are well.
        let frame =
            scan::next_frame(file, None, HEAD_LEN as u64, len, &mut scan::Budget::of(len)).map_err(failed)?;
        return frame.map(|_| Head::Damaged).ok_or_else(too_short);
    }
    head.resize(whole, 0);
    file.read_exact_at(&mut head, 0).map_err(failed)?;
    // A version is believed when the checksum over it is right: a flipped bit of it is damage.
    if major > VERSION.0 && frame::is_whole(&head) {
        return Err(CaptureError::Newer { path: path.to_owned(), found: major, known: VERSION.0 });
    }
    match frame::open_map::<Header>(&head, HEAD_LEN) {
        Some(header) if header.schema == SCHEMA => Ok(Head::Whole(Box::new(header), head)),
        Some(header) => Err(CaptureError::Schema { path: path.to_owned(), found: header.schema }),
        None => Ok(Head::Damaged),
    }
}

/// The footer and its offset, found from the end of the file; `None` unless all of it is right.
fn find_footer(file: &dyn ReadAt, opener: Option<&Opener>, len: u64) -> io::Result<Option<(Footer, u64)>> {
    let Some(end) = len.checked_sub(TRAILER_LEN as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, end)?;
    let at = u64_at(&trailer, 0).filter(|at| trailer.ends_with(&END_MAGIC) && *at < end);
    let Some(at) = at else { return Ok(None) };
    let footer = scan::footer_at(file, opener, at, end - at)?;
    Ok(footer.map(|footer| (footer, at)))
}
