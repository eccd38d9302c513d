//! Begins, rotates and closes segments in a directory.
//!
//! A block goes into the file with one write, so a killed recorder leaves whole blocks and at most one torn one.
//! After a failed write the file is cut back to its last good byte and closed, and the next block begins a new
//! segment: a full disk costs the blocks that met it, not the recording.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::block::{BlockBuilder, MAX_OPEN_BYTES};
use super::frame::{self, CHECKPOINT_MAGIC, FOOTER_MAGIC};
use super::seal::{SealHeader, Sealer};
use super::{BlockEntry, Checkpoint, Footer, Header, Origin, WriteError, WriterConfig, advanced};
use crate::conservation::{Conservation, Drop};
use crate::exchange::UnixNanos;
use crate::sanitize::Sanitized;

/// Writes exchanges into segments of one directory.
///
/// The caller keeps running totals of the [`Conservation`] counters, from zero at the writer's creation; the writer
/// turns them into the counts of each segment.
pub struct Writer {
    config: WriterConfig,
    /// Sequence number of the next segment.
    seq: u32,
    /// `None` after a rotation or a failure, until there is something to write.
    segment: Option<OpenSegment>,
    block: BlockBuilder,
    /// The running totals that segments already closed have accounted for.
    accounted: Conservation,
    /// Bytes of closed segments.
    closed_bytes: u64,
    /// What went wrong after a block was safe; told by the next flush.
    deferred: Option<WriteError>,
}

/// A segment being written.
struct OpenSegment {
    path: PathBuf,
    file: File,
    /// Encrypts every frame after the head.
    sealer: Option<Sealer>,
    began: Instant,
    /// Length up to the last whole frame.
    len: u64,
    /// Length of the head alone: a segment of this length holds nothing.
    head_len: u64,
    hasher: blake3::Hasher,
    blocks: Vec<BlockEntry>,
    /// Counts of the segment at its last checkpoint.
    checkpoint: Conservation,
    /// Exchanges in blocks since then.
    since_checkpoint: u64,
}

// === impl Writer ===

impl Writer {
    /// Opens the first segment, so that an unwritable directory is found at once.
    pub fn create(config: WriterConfig) -> Result<Writer, WriteError> {
        let mut writer = Writer {
            config,
            seq: 0,
            segment: None,
            block: BlockBuilder::new(),
            accounted: Conservation::default(),
            closed_bytes: 0,
            deferred: None,
        };
        Self::opened(&mut writer.segment, &mut writer.seq, &writer.config, &writer.accounted)?;
        Ok(writer)
    }

    /// The segment being written, if one is open: it has no footer yet.
    pub fn current(&self) -> Option<&Path> {
        self.segment.as_ref().map(|segment| &*segment.path)
    }

    /// Adds an exchange to the open block. Returns how many exchanges reached the file by this call: 0 while the block
    /// is open, the block's count when it was closed.
    ///
    /// An exchange too large for the format is refused alone; the open block stays as it is.
    pub fn append(&mut self, exchange: &Sanitized) -> Result<u64, WriteError> {
        if let Err(source) = self.block.push(exchange) {
            let path = self.current().unwrap_or(&self.config.dir).to_owned();
            return Err(WriteError { path, lost: 1, source });
        }
        if self.block.raw_len() < self.config.block_bytes.min(MAX_OPEN_BYTES) {
            return Ok(0);
        }
        let written = self.close_block()?;
        if self.segment.as_ref().is_some_and(|segment| segment.len >= self.config.max_bytes) {
            // Between two flushes; what goes wrong now costs no exchange.
            self.deferred = self.rotate().err().or(self.deferred.take());
        }
        Ok(written)
    }

    /// Closes the open block, if it holds anything, with a checkpoint of the running totals. `totals` is called after
    /// the block's exchanges were written and receives their number, so that `recorded` can include them. Also closes
    /// the segment when it is due; the next block begins a new one. Returns the exchanges that reached the file.
    ///
    /// What goes wrong once the block is safe (checkpoint, footer) costs no exchange; the next flush says so.
    pub fn flush(&mut self, totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        let written = self.close_block()?;
        let totals = totals(written);
        self.deferred = self.account(&totals).err();
        Ok(written)
    }

    /// Flushes and closes the segment with its footer. A writer dropped without it leaves a segment like that of a
    /// killed recorder.
    pub fn finish(mut self, totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        self.close(totals)
    }

    /// Like [`Writer::finish`]; returns the bytes of all segments.
    pub fn finish_counted(mut self, totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        self.close(totals)?;
        Ok(self.bytes_written())
    }

    /// Flushes and closes the open segment, so that what comes next begins another one; under `origin`, when one is
    /// given, also after a failure. Returns the exchanges that reached the file.
    pub fn begin_anew(
        &mut self,
        origin: Option<Origin>,
        totals: &mut dyn FnMut(u64) -> Conservation,
    ) -> Result<u64, WriteError> {
        let closed = self.close(totals);
        if let Some(origin) = origin {
            self.config.origin = origin;
        }
        closed
    }

    /// Bytes in the segments so far, closed or not.
    pub fn bytes_written(&self) -> u64 {
        self.closed_bytes + self.segment.as_ref().map_or(0, |segment| segment.len)
    }

    fn close(&mut self, totals: &mut dyn FnMut(u64) -> Conservation) -> Result<u64, WriteError> {
        let written = self.close_block();
        let totals = totals(*written.as_ref().unwrap_or(&0));
        let closed = self.close_segment(&totals);
        let written = written?;
        closed?;
        match self.deferred.take() {
            Some(error) => Err(error),
            None => Ok(written),
        }
    }

    /// Writes the open block, beginning a segment if there is none.
    fn close_block(&mut self) -> Result<u64, WriteError> {
        let count = u64::from(self.block.count());
        if count == 0 {
            return Ok(0);
        }
        let lost = |error: WriteError| WriteError { lost: count, ..error };
        let result = match Self::opened(&mut self.segment, &mut self.seq, &self.config, &self.accounted) {
            Ok(segment) => segment.write_block(&mut self.block).map_err(lost),
            Err(error) => Err(lost(error)),
        };
        self.block.clear();
        if result.is_err() {
            self.abandon();
        }
        result.map(|()| count)
    }

    /// Notes the counts at this instant, and closes the segment when it is due.
    fn account(&mut self, totals: &Conservation) -> Result<(), WriteError> {
        if self.segment.as_ref().is_some_and(|segment| segment.is_due(&self.config)) {
            return self.close_segment(totals);
        }
        let counts = totals.since(&self.accounted);
        let told = match &self.segment {
            Some(segment) => segment.since_checkpoint == 0 && segment.checkpoint == counts,
            None => at_begin(&self.accounted) == counts,
        };
        if told {
            return Ok(());
        }
        let segment = Self::opened(&mut self.segment, &mut self.seq, &self.config, &self.accounted)?;
        let result = segment.write_checkpoint(counts);
        if result.is_err() {
            self.abandon();
        }
        result
    }

    /// Closes the open segment; begins one for it when there are counts that no segment tells.
    fn close_segment(&mut self, totals: &Conservation) -> Result<(), WriteError> {
        let counts = totals.since(&self.accounted);
        if self.segment.is_none() && counts == at_begin(&self.accounted) {
            return Ok(());
        }
        Self::opened(&mut self.segment, &mut self.seq, &self.config, &self.accounted)?;
        self.accounted = *totals;
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let before = segment.len;
        let closed = segment.close(counts);
        self.closed_bytes += *closed.as_ref().unwrap_or(&before);
        closed.map(drop)
    }

    /// Gives up the segment after a failed write and closes it if the disk takes a footer, which is much smaller than
    /// a block.
    fn abandon(&mut self) {
        // Without a footer a reader finds the same counts from the last checkpoint.
        self.rotate().ok();
    }

    /// Closes the segment with what is known of it: its last checkpoint, and the blocks since.
    fn rotate(&mut self) -> Result<(), WriteError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        let counts = advanced(segment.checkpoint, segment.since_checkpoint);
        // The next segment accounts for everything that this one could not know.
        self.accounted.seen += counts.seen;
        self.accounted.recorded += counts.recorded;
        for reason in Drop::ALL {
            self.accounted.add(reason, counts.count(reason));
        }
        let before = segment.len;
        let closed = segment.close(counts);
        self.closed_bytes += *closed.as_ref().unwrap_or(&before);
        closed.map(drop)
    }

    /// The open segment, or a new one. Apart from `self`, so that the block can be borrowed beside it.
    fn opened<'a>(
        segment: &'a mut Option<OpenSegment>,
        seq: &mut u32,
        config: &WriterConfig,
        accounted: &Conservation,
    ) -> Result<&'a mut OpenSegment, WriteError> {
        match segment {
            Some(open) => Ok(open),
            none => {
                let begun = OpenSegment::begin(config, *seq, at_begin(accounted))?;
                *seq += 1;
                Ok(none.insert(begun))
            }
        }
    }
}

/// Counts of a segment that begins when the running totals are `accounted`: what is under way is carried in.
fn at_begin(accounted: &Conservation) -> Conservation {
    accounted.since(accounted)
}

// === impl OpenSegment ===

impl OpenSegment {
    fn begin(config: &WriterConfig, seq: u32, counts: Conservation) -> Result<Self, WriteError> {
        let failed = |source| WriteError { path: config.dir.clone(), lost: 0, source };
        let began = UnixNanos::now();
        let mut header = Header::new(&config.origin, seq, began);
        header.seal = config.key.as_ref().map(SealHeader::new);
        let mut head = frame::segment_head(&header).map_err(encoding).map_err(failed)?;
        let mut sealer = match (&config.key, &header.seal) {
            (Some(key), Some(seal)) => Some(Sealer::new(key, seal, &head)),
            _ => None,
        };
        if counts != Conservation::default() {
            let checkpoint = Checkpoint { at: began.0, conservation: counts };
            let frame = frame::map_frame(CHECKPOINT_MAGIC, &checkpoint).map_err(encoding).map_err(failed)?;
            head.extend(stored(&mut sealer, frame, head.len() as u64).map_err(failed)?);
        }
        let path = config.dir.join(format!("{:020}-{:016x}-{seq:06}.ucap", began.0, config.origin.boot));
        fs::create_dir_all(&config.dir).map_err(failed)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let head_len = head.len() as u64;
        let mut segment = Self {
            path,
            file,
            sealer,
            began: Instant::now(),
            len: 0,
            head_len,
            hasher: blake3::Hasher::new(),
            blocks: Vec::new(),
            checkpoint: counts,
            since_checkpoint: 0,
        };
        match segment.write(&head) {
            Ok(()) => Ok(segment),
            Err(error) => {
                // A full disk still has room for names: without this it would gather empty files.
                fs::remove_file(&segment.path).ok();
                Err(error)
            }
        }
    }

    fn is_due(&self, config: &WriterConfig) -> bool {
        let holds_something = self.len > self.head_len;
        holds_something && (self.len >= config.max_bytes || self.began.elapsed() >= config.max_age)
    }

    fn write_block(&mut self, block: &mut BlockBuilder) -> Result<(), WriteError> {
        let offset = self.len;
        let (bytes, header) = block.seal().map_err(|source| self.failed(source))?;
        self.write_frame(bytes)?;
        self.blocks.push(header.entry(offset));
        self.since_checkpoint += u64::from(header.count);
        Ok(())
    }

    fn write_checkpoint(&mut self, counts: Conservation) -> Result<(), WriteError> {
        let checkpoint = Checkpoint { at: UnixNanos::now().0, conservation: counts };
        let frame = frame::map_frame(CHECKPOINT_MAGIC, &checkpoint).map_err(|e| self.failed(encoding(e)))?;
        self.write_frame(&frame)?;
        self.checkpoint = counts;
        self.since_checkpoint = 0;
        Ok(())
    }

    /// Appends a frame, sealed when there is a key.
    fn write_frame(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        match &mut self.sealer {
            None => self.write(frame),
            Some(sealer) => {
                let sealed = sealer.seal(frame, self.len);
                let sealed = sealed.map_err(|source| self.failed(source))?;
                self.write(&sealed)
            }
        }
    }

    /// Appends with one write; cuts off what a failed write left.
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if let Err(source) = self.file.write_all_at(bytes, self.len) {
            // When even this fails the reader finds the torn frame and skips it.
            self.file.set_len(self.len).ok();
            return Err(self.failed(source));
        }
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn close(mut self, conservation: Conservation) -> Result<u64, WriteError> {
        let footer = Footer {
            at: UnixNanos::now().0,
            conservation,
            blocks: std::mem::take(&mut self.blocks),
            digest: *self.hasher.finalize().as_bytes(),
        };
        let frame = frame::map_frame(FOOTER_MAGIC, &footer).map_err(|e| self.failed(encoding(e)))?;
        let mut frame = stored(&mut self.sealer, frame, self.len).map_err(|e| self.failed(e))?;
        frame.extend_from_slice(&frame::trailer(self.len));
        self.write(&frame)?;
        self.file.sync_data().map_err(|source| self.failed(source))?;
        Ok(self.len)
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError { path: self.path.clone(), lost: 0, source }
    }
}

/// `frame` as it stands in the file at `offset`.
fn stored(sealer: &mut Option<Sealer>, frame: Vec<u8>, offset: u64) -> io::Result<Vec<u8>> {
    match sealer {
        Some(sealer) => sealer.seal(&frame, offset),
        None => Ok(frame),
    }
}

fn encoding(error: rmp_serde::encode::Error) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests;
