//! Walks a segment frame by frame, when its footer is missing or damaged, and rebuilds what it would have said.
//!
//! After damage the walk goes on at the next frame that is whole by its own checksum, so that a magic which happens to
//! occur in a payload is not taken for a frame.

use std::io;
use std::path::PathBuf;

use super::frame::{
    self, BLOCK_HEADER_LEN, BLOCK_MAGIC, BlockHeader, CHECKPOINT_MAGIC, CRC_LEN, FOOTER_MAGIC, FRAME_PREFIX,
    HEAD_LEN, MAP_FRAME_HEAD_LEN, u32_at,
};
use super::reader::block_trouble;
use super::seal::{self, Opener, Outer};
use super::{BlockEntry, Checkpoint, Footer, advanced, plausible};
use crate::capture::Damage;
use crate::conservation::Conservation;
use crate::exchange::UnixNanos;
use crate::source::ReadAt;

/// Bytes read at a time while looking for the next frame.
const SEARCH_WINDOW: usize = 1 << 16;

/// A checkpoint's map takes some 200 bytes; a longer one is damage.
const MAX_CHECKPOINT_MAP: u32 = 1 << 16;

/// What a walk found.
#[derive(Debug)]
pub(super) struct Scan {
    /// Blocks that are whole.
    pub(super) blocks: Vec<BlockEntry>,
    /// Counts of the segment, as far as they are known.
    pub(super) conservation: Conservation,
    /// BLAKE3 over the bytes of the head and of all whole frames.
    pub(super) digest: [u8; 32],
    /// The footer and its offset, when only the trailer behind it is damaged.
    pub(super) footer: Option<(Footer, u64)>,
    /// What is wrong; without a path.
    pub(super) damage: Vec<Damage>,
}

/// One frame at a place.
enum Frame {
    Block {
        entry: BlockEntry,
        bytes: Vec<u8>,
        intact: bool,
    },
    Checkpoint {
        checkpoint: Checkpoint,
        bytes: Vec<u8>,
    },
    Footer {
        footer: Footer,
        len: u64,
    },
    /// A block whose header is right but which runs past the end of the file.
    Torn {
        entry: BlockEntry,
    },
    /// A sealed frame that does not open.
    Sealed {
        len: u64,
    },
    /// A sealed frame that runs past the end of the file.
    TornSealed,
    /// No frame that can be trusted.
    Nothing,
}

/// Walks from `begin`, the end of the header, to `len`, the end of the file.
pub(super) fn scan(file: &dyn ReadAt, opener: Option<&Opener>, begin: u64, len: u64) -> io::Result<Scan> {
    let mut walk = Walk::new(file, begin, len)?;
    let mut budget = Budget::of(len);
    let mut at = begin;
    while at < len {
        match read_frame(file, opener, at, len)? {
            Frame::Block { entry, bytes, intact } => {
                walk.block(entry, &bytes, intact);
                at += bytes.len() as u64;
            }
            Frame::Checkpoint { checkpoint, bytes } => {
                walk.checkpoint(at, checkpoint, &bytes);
                at += bytes.len() as u64;
            }
            Frame::Footer { footer, .. } if !fits(&footer, at) => {
                let what = "the footer is whole, but its index does not fit the file: it was not used";
                walk.damage(at, 0, what.to_owned());
                return Ok(walk.unclosed(at));
            }
            Frame::Footer { footer, len: footer_len } => {
                return Ok(walk.footer(footer, at, at + footer_len));
            }
            Frame::Torn { entry } => {
                walk.torn(entry);
                return Ok(walk.unclosed(at));
            }
            Frame::Sealed { len } => {
                walk.sealed(at, len, opener.is_some());
                at += len;
            }
            Frame::TornSealed => {
                let what = "the segment ends in the middle of a sealed frame, whose exchanges are lost";
                walk.damage(at, 0, what.to_owned());
                return Ok(walk.unclosed(at));
            }
            Frame::Nothing => match next_frame(file, opener, at + 1, len, &mut budget)? {
                Some(next) => {
                    walk.skipped(at, next);
                    at = next;
                }
                None => {
                    let what = format!("the {} bytes from here to the end are no whole block", len - at);
                    walk.damage(at, 0, what);
                    return Ok(walk.unclosed(at));
                }
            },
        }
    }
    Ok(walk.unclosed(len))
}

/// Bytes that may be read to find out that what looks like a frame around a map is none. A file full of such beginnings
/// would otherwise be read once for each of them.
pub(super) struct Budget(u64);

// === impl Budget ===

impl Budget {
    /// For a file of `len` bytes.
    pub(super) fn of(len: u64) -> Self {
        Self(len.saturating_mul(2).saturating_add(1 << 20))
    }

    /// Whether the frame that `head` begins may be looked at.
    fn allows(&mut self, head: &[u8]) -> bool {
        let is_map = head.starts_with(&CHECKPOINT_MAGIC) || head.starts_with(&FOOTER_MAGIC);
        let Some(claimed) = u32_at(head, CHECKPOINT_MAGIC.len()).filter(|_| is_map) else { return true };
        let left = self.0.checked_sub(claimed.into());
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// Whether the blocks of an index stand one behind the other, all before the footer at `at`. A reader that followed
/// another index could give an exchange twice.
fn fits(footer: &Footer, at: u64) -> bool {
    let mut end = HEAD_LEN as u64;
    footer.blocks.iter().all(|block| {
        let begins = block.offset >= end;
        end = block.offset.saturating_add(BLOCK_HEADER_LEN as u64 + u64::from(block.stored_len));
        begins && end <= at
    })
}

/// What is known so far.
struct Walk {
    scan: Scan,
    hasher: blake3::Hasher,
    /// Latest arrival in a whole block.
    last: Option<UnixNanos>,
    checkpoint: Option<Checkpoint>,
    /// Exchanges in blocks since the checkpoint, readable or not.
    since_checkpoint: u64,
    /// Exchanges known so far: in blocks, readable or not, and those that only a checkpoint counts.
    known: u64,
}

// === impl Walk ===

impl Walk {
    fn new(file: &dyn ReadAt, begin: u64, len: u64) -> io::Result<Self> {
        let mut head = vec![0; begin.min(len) as usize];
        file.read_exact_at(&mut head, 0)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        let scan = Scan {
            blocks: Vec::new(),
            conservation: Conservation::default(),
            digest: [0; 32],
            footer: None,
            damage: Vec::new(),
        };
        Ok(Self { scan, hasher, last: None, checkpoint: None, since_checkpoint: 0, known: 0 })
    }

    fn block(&mut self, entry: BlockEntry, bytes: &[u8], intact: bool) {
        self.since_checkpoint += u64::from(entry.count);
        self.known += u64::from(entry.count);
        if intact {
            self.hasher.update(bytes);
            self.last = self.last.max(Some(entry.last));
            self.scan.blocks.push(entry);
        } else {
            let what = block_trouble(&entry, "its checksum does not match");
            self.damage(entry.offset, u64::from(entry.count), what);
        }
    }

    fn checkpoint(&mut self, at: u64, checkpoint: Checkpoint, bytes: &[u8]) {
        self.hasher.update(bytes);
        let lost = checkpoint.conservation.recorded.saturating_sub(self.known);
        if lost > 0 {
            self.known += lost;
            let what = format!(
                "the checkpoint here counts {lost} exchanges more than the blocks before it: they were in what was skipped"
            );
            self.damage(at, lost, what);
        }
        self.checkpoint = Some(checkpoint);
        self.since_checkpoint = 0;
    }

    fn torn(&mut self, entry: BlockEntry) {
        let what = format!(
            "the segment ends in the middle of a block: its {} exchanges, which arrived from {} to {}, are lost",
            entry.count, entry.first, entry.last
        );
        self.damage(entry.offset, u64::from(entry.count), what);
    }

    fn sealed(&mut self, at: u64, len: u64, opened: bool) {
        let why = match opened {
            true => "does not open: it was changed, moved, or cut out of another segment",
            false => "cannot be opened, because the header that says how is damaged",
        };
        self.damage(at, 0, format!("the sealed frame of {len} bytes {why}; what is in it is lost"));
    }

    fn skipped(&mut self, from: u64, to: u64) {
        let what = format!(
            "{} bytes up to byte {to} are damaged and were skipped, with the frames in them",
            to - from
        );
        self.damage(from, 0, what);
    }

    fn footer(mut self, footer: Footer, at: u64, end: u64) -> Scan {
        // The footer's index is better than what the walk saw, and reading its blocks finds the damage again.
        self.scan.damage.clear();
        let what = format!("what follows the footer of byte {at} is damaged; the footer itself is whole");
        self.damage(end, 0, what);
        self.scan.footer = Some((footer, at));
        self.scan
    }

    /// Ends the walk of a segment without footer, whose readable part ends at `end`.
    fn unclosed(mut self, end: u64) -> Scan {
        let after = match self.last {
            Some(last) => format!("at most exchanges that ended after {last} arrived"),
            None => "at most what it recorded in its first block".to_owned(),
        };
        let known = match &self.checkpoint {
            Some(Checkpoint { at, conservation: Conservation { seen, recorded, .. } }) => format!(
                "its last checkpoint, at {}, had seen {seen} requests and recorded {recorded}",
                UnixNanos(*at)
            ),
            None => "it has no checkpoint, so drops are not known".to_owned(),
        };
        let what = format!(
            "the segment was not closed (recorder killed, or still writing): {after} is missing; {known}"
        );
        self.damage(end, 0, what);
        let counts = self.checkpoint.map(|checkpoint| checkpoint.conservation).unwrap_or_default();
        self.scan.conservation = advanced(counts, self.since_checkpoint);
        self.scan.digest = *self.hasher.finalize().as_bytes();
        self.scan
    }

    fn damage(&mut self, offset: u64, lost: u64, what: String) {
        self.scan.damage.push(Damage { path: PathBuf::new(), offset, lost, what });
    }
}

// === frames ===

fn read_frame(file: &dyn ReadAt, opener: Option<&Opener>, at: u64, len: u64) -> io::Result<Frame> {
    let room = len - at;
    if let Some(opener) = opener {
        return read_sealed(file, opener, at, room);
    }
    if let Some((_, len)) = seal::outer(file, at, room)?.filter(|(_, len)| *len <= room) {
        return Ok(Frame::Sealed { len });
    }
    read_plain(file, at, room)
}

/// The footer that takes exactly the `room` bytes from `at` on.
pub(super) fn footer_at(
    file: &dyn ReadAt,
    opener: Option<&Opener>,
    at: u64,
    room: u64,
) -> io::Result<Option<Footer>> {
    Ok(match read_frame(file, opener, at, at + room)? {
        Frame::Footer { footer, len } if len == room && fits(&footer, at) => Some(footer),
        _ => None,
    })
}

/// In a sealed segment a frame in the clear is none: anybody could have put it there.
fn read_sealed(file: &dyn ReadAt, opener: &Opener, at: u64, room: u64) -> io::Result<Frame> {
    let (sealed, inner) = match opener.read(file, at, room)? {
        Outer::Nothing => return Ok(Frame::Nothing),
        Outer::Torn => return Ok(Frame::TornSealed),
        Outer::Frame { bytes, inner: None } => return Ok(Frame::Sealed { len: bytes.len() as u64 }),
        Outer::Frame { bytes, inner: Some(inner) } => (bytes, inner),
    };
    let (whole, len) = (inner.len() as u64, sealed.len() as u64);
    Ok(match read_plain(&inner, 0, whole)? {
        Frame::Block { entry, bytes, intact } if bytes.len() as u64 == whole => {
            Frame::Block { entry: BlockEntry { offset: at, ..entry }, bytes: sealed, intact }
        }
        Frame::Checkpoint { checkpoint, bytes } if bytes.len() as u64 == whole => {
            Frame::Checkpoint { checkpoint, bytes: sealed }
        }
        Frame::Footer { footer, len: inner_len } if inner_len == whole => Frame::Footer { footer, len },
        _ => Frame::Sealed { len },
    })
}

fn read_plain(file: &dyn ReadAt, at: u64, room: u64) -> io::Result<Frame> {
    let mut head = [0; BLOCK_HEADER_LEN];
    let available = (BLOCK_HEADER_LEN as u64).min(room) as usize;
    file.read_exact_at(&mut head[..available], at)?;
    let head = &head[..available];
    if head.starts_with(&BLOCK_MAGIC) {
        return read_block(file, at, room, head);
    }
    let is_checkpoint = head.starts_with(&CHECKPOINT_MAGIC);
    let Some(map_len) = u32_at(head, 8).filter(|_| is_checkpoint || head.starts_with(&FOOTER_MAGIC)) else {
        return Ok(Frame::Nothing);
    };
    let whole = (MAP_FRAME_HEAD_LEN + CRC_LEN) as u64 + u64::from(map_len);
    if whole > room || (is_checkpoint && map_len > MAX_CHECKPOINT_MAP) {
        return Ok(Frame::Nothing);
    }
    let mut bytes = vec![0; whole as usize];
    file.read_exact_at(&mut bytes, at)?;
    let frame = if is_checkpoint {
        frame::open_map::<Checkpoint>(&bytes, MAP_FRAME_HEAD_LEN)
            .filter(|checkpoint| plausible(&checkpoint.conservation))
            .map(|checkpoint| Frame::Checkpoint { checkpoint, bytes })
    } else {
        frame::open_map::<Footer>(&bytes, MAP_FRAME_HEAD_LEN)
            .filter(|footer| plausible(&footer.conservation))
            .map(|footer| Frame::Footer { footer, len: whole })
    };
    Ok(frame.unwrap_or(Frame::Nothing))
}

fn read_block(file: &dyn ReadAt, at: u64, room: u64, head: &[u8]) -> io::Result<Frame> {
    let Some(header) = (head.len() == BLOCK_HEADER_LEN).then(|| BlockHeader::parse(head)).flatten() else {
        return Ok(Frame::Nothing);
    };
    let entry = header.entry(at);
    let whole = BLOCK_HEADER_LEN as u64 + u64::from(header.stored_len);
    if whole > room {
        return Ok(Frame::Torn { entry });
    }
    let mut bytes = vec![0; whole as usize];
    file.read_exact_at(&mut bytes, at)?;
    let intact = crc32fast::hash(&bytes[BLOCK_HEADER_LEN..]) == header.payload_crc;
    Ok(Frame::Block { entry, bytes, intact })
}

/// Where the next frame begins whose checksum is right, from `from` on.
pub(super) fn next_frame(
    file: &dyn ReadAt,
    opener: Option<&Opener>,
    mut from: u64,
    len: u64,
    budget: &mut Budget,
) -> io::Result<Option<u64>> {
    let finder = memchr::memmem::Finder::new(FRAME_PREFIX);
    let mut window = vec![0; SEARCH_WINDOW];
    while from < len {
        let size = (SEARCH_WINDOW as u64).min(len - from) as usize;
        file.read_exact_at(&mut window[..size], from)?;
        for found in finder.find_iter(&window[..size]) {
            let at = from + found as u64;
            let mut head = [0; MAP_FRAME_HEAD_LEN];
            let available = (MAP_FRAME_HEAD_LEN as u64).min(len - at) as usize;
            file.read_exact_at(&mut head[..available], at)?;
            if budget.allows(&head[..available])
                && !matches!(read_frame(file, opener, at, len)?, Frame::Nothing)
            {
                return Ok(Some(at));
            }
        }
        // A prefix may lie across two windows.
        let step = size - (FRAME_PREFIX.len() - 1).min(size - 1);
        from += step as u64;
    }
    Ok(None)
}
