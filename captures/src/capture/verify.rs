//! Reads a whole capture and says exactly what is wrong or missing.

use std::io;

use super::{Capture, CaptureError, Damage, Stats, follows};
use crate::segment::reader::{Segment, Workspace};

/// Bytes read at a time for a digest.
const DIGEST_STEP: usize = 1 << 18;

/// The outcome of a full read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What the indexes say.
    pub stats: Stats,
    /// Exchanges that were read.
    pub read: u64,
    /// Everything wrong or missing; empty when the capture is whole.
    pub findings: Vec<Damage>,
    /// What is worth knowing and no damage: earlier segments that are not here, requests under way at the borders.
    pub notes: Vec<String>,
}

// === impl Verification ===

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, segment: &Segment, offset: u64, lost: u64, what: String) {
        self.findings.push(Damage { path: segment.path.clone(), offset, lost, what });
    }

    /// Blocks: checksums, counts and instants against the index.
    fn check_blocks(&mut self, segment: &Segment) -> Result<(), CaptureError> {
        let mut workspace = Workspace::default();
        for entry in &segment.blocks {
            let (mut block, damage) = segment.open_block(entry, &mut workspace)?;
            block.reverse();
            let (mut read, mut outside) = (0, 0);
            while !block.is_exhausted() {
                let Some(exchange) = block.pop() else { continue };
                read += 1;
                outside += u64::from(exchange.arrival < entry.first || exchange.arrival > entry.last);
            }
            if outside > 0 {
                let what =
                    format!("{outside} exchanges of this block arrived outside the span its header names");
                self.find(segment, entry.offset, 0, what);
            }
            self.read += read;
            self.findings.extend(damage.or_else(|| segment.damage_of(entry, &block)));
        }
        Ok(())
    }

    /// What the footer says of the rest.
    fn check_footer(&mut self, segment: &Segment) -> Result<(), CaptureError> {
        let counts = segment.conservation;
        if !counts.holds() {
            let what = format!(
                "the counters do not add up: {} carried in + {} seen, but {} recorded + {} dropped + {} carried out",
                counts.carried_in,
                counts.seen,
                counts.recorded,
                counts.dropped(),
                counts.carried_out
            );
            self.find(segment, segment.body_end, 0, what);
        }
        if !segment.closed {
            return Ok(());
        }
        let indexed = segment.exchanges();
        if counts.recorded != indexed {
            let what = format!("the footer counts {} recorded, its blocks hold {indexed}", counts.recorded);
            self.find(segment, segment.body_end, counts.recorded.saturating_sub(indexed), what);
        }
        let digest =
            digest(segment).map_err(|source| CaptureError::Io { path: segment.path.clone(), source })?;
        if digest != segment.digest {
            let what =
                format!("the bytes before byte {} are not those its digest was made of", segment.body_end);
            self.find(segment, 0, 0, what);
        }
        Ok(())
    }

    /// That nothing is missing between two segments of one boot.
    fn check_chain(&mut self, before: &Segment, next: &Segment) {
        let (Some(origin), Some(next_origin)) = (&before.origin, &next.origin) else { return };
        if origin.boot != next_origin.boot {
            return;
        }
        if before.seq == next.seq {
            let what = format!("{} is segment {} of the same boot too", before.path.display(), before.seq);
            return self.find(next, 0, 0, what);
        }
        if !follows(before, next) {
            let missing = match (before.seq + 1, next.seq - 1) {
                (first, last) if first == last => format!("segment {first} is"),
                (first, last) => format!("segments {first} to {last} are"),
            };
            let what = format!(
                "{missing} missing before this one (segment {} of boot {:016x})",
                next.seq, origin.boot
            );
            return self.find(next, 0, 0, what);
        }
        let (out, carried) = (before.conservation.carried_out, next.conservation.carried_in);
        if out != carried {
            let what = format!("it carried in {carried} requests, segment {} carried out {out}", before.seq);
            self.find(next, next.body_end, 0, what);
        }
    }

    fn note_borders(&mut self, segments: &[Segment]) {
        let mut boot = None;
        for segment in segments {
            let Some(origin) = &segment.origin else { continue };
            if boot.replace(origin.boot) != Some(origin.boot) && segment.seq > 0 {
                let what = format!(
                    "boot {:016x} begins with segment {}: the earlier ones are not here",
                    origin.boot, segment.seq
                );
                self.notes.push(what);
            }
        }
        let total = self.stats.conservation;
        if total.carried_in + total.carried_out > 0 {
            self.notes.push(format!(
                "{} requests were under way when the capture begins, {} when it ends",
                total.carried_in, total.carried_out
            ));
        }
    }
}

pub(super) fn verify(capture: &Capture) -> Result<Verification, CaptureError> {
    let mut verification =
        Verification { stats: capture.stats(), read: 0, findings: capture.damage.clone(), notes: Vec::new() };
    let mut before: Option<&Segment> = None;
    for segment in capture.segments.iter() {
        verification.check_blocks(segment)?;
        verification.check_footer(segment)?;
        if let Some(before) = before.replace(segment) {
            verification.check_chain(before, segment);
        }
    }
    verification.note_borders(&capture.segments);
    Ok(verification)
}

/// BLAKE3 over the bytes before the footer.
fn digest(segment: &Segment) -> io::Result<[u8; 32]> {
    let file = segment.source.open()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; DIGEST_STEP];
    let mut at = 0;
    while at < segment.body_end {
        let step = (segment.body_end - at).min(DIGEST_STEP as u64) as usize;
        file.read_exact_at(&mut buffer[..step], at)?;
        hasher.update(&buffer[..step]);
        at += step as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}
