//! Exchanges of many segments in order of arrival.
//!
//! A recorder writes an exchange when it ends, so within a block and between blocks they are out of order; the index
//! says from when to when a block's exchanges arrived. A block is decoded when the next exchange to emit may lie in
//! it, and let go with its last exchange.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fmt;
use std::sync::Arc;

use super::{CaptureError, Damage};
use crate::exchange::{Exchange, ExchangeId, UnixNanos};
use crate::segment::block::OpenBlock;
use crate::segment::reader::{Segment, Workspace};

/// Where a block is: segment and position in its index.
type Place = (usize, usize);

/// Iterator over the exchanges of a capture, by [`Capture::exchanges`](super::Capture::exchanges).
pub struct Exchanges {
    segments: Arc<[Segment]>,
    /// Blocks not yet opened, the next to open last.
    unopened: Vec<(UnixNanos, Place)>,
    /// Next exchange of each open block, the earliest on top.
    next: BinaryHeap<Reverse<(UnixNanos, ExchangeId, usize)>>,
    /// Open blocks, in order of arrival; a slot is used again when its block is exhausted.
    open: Vec<(Place, OpenBlock)>,
    free: Vec<usize>,
    /// What is added to the arrivals of each segment, in nanoseconds; nothing where there is none.
    corrections: Vec<i64>,
    workspace: Workspace,
    damage: Vec<Damage>,
    failed: bool,
}

// === impl Exchanges ===

impl Exchanges {
    pub(super) fn new(segments: Arc<[Segment]>, corrections: Vec<i64>) -> Self {
        let correction = |s: usize| corrections.get(s).copied().unwrap_or(0);
        let mut unopened: Vec<_> = segments
            .iter()
            .enumerate()
            .flat_map(|(s, segment)| {
                segment
                    .blocks
                    .iter()
                    .enumerate()
                    .map(move |(b, block)| (block.first.shifted(correction(s)), (s, b)))
            })
            .collect();
        unopened.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            segments,
            unopened,
            next: BinaryHeap::new(),
            open: Vec::new(),
            free: Vec::new(),
            corrections,
            workspace: Workspace::default(),
            damage: Vec::new(),
            failed: false,
        }
    }

    /// Leaves out the blocks all of whose exchanges arrived before `first` or after `last`.
    pub(super) fn prune(&mut self, first: UnixNanos, last: UnixNanos) {
        let segments = &self.segments;
        self.unopened.retain(|(begin, (s, b))| *begin <= last && segments[*s].blocks[*b].last >= first);
    }

    /// Damage met so far: what it names was skipped.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    #[cfg(test)]
    pub(super) fn open_blocks(&self) -> usize {
        self.next.len()
    }

    /// Opens every block that may hold an exchange as early as the earliest of the open ones.
    fn fill(&mut self) -> Result<(), CaptureError> {
        while let Some((first, (s, b))) = self.unopened.last().copied() {
            if self.next.peek().is_some_and(|Reverse((arrival, ..))| *arrival < first) {
                break;
            }
            self.unopened.pop();
            let segment = &self.segments[s];
            let (mut block, damage) = segment.open_block(&segment.blocks[b], &mut self.workspace)?;
            self.damage.extend(damage);
            block.shift(self.corrections.get(s).copied().unwrap_or(0));
            block.sort();
            self.admit((s, b), block);
        }
        Ok(())
    }

    fn admit(&mut self, place: Place, block: OpenBlock) {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.open[slot] = (place, block);
                slot
            }
            None => {
                self.open.push((place, block));
                self.open.len() - 1
            }
        };
        match self.open[slot].1.next_key() {
            Some((arrival, id)) => self.next.push(Reverse((arrival, id, slot))),
            None => self.release(slot),
        }
    }

    /// Lets an exhausted block go.
    fn release(&mut self, slot: usize) {
        let ((s, b), block) = &mut self.open[slot];
        let segment = &self.segments[*s];
        self.damage.extend(segment.damage_of(&segment.blocks[*b], block));
        *block = OpenBlock::default();
        self.free.push(slot);
    }
}

impl fmt::Debug for Exchanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchanges").field("unopened", &self.unopened.len()).finish_non_exhaustive()
    }
}

impl Iterator for Exchanges {
    type Item = Result<Exchange, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        loop {
            if let Err(error) = self.fill() {
                self.failed = true;
                return Some(Err(error));
            }
            // Changed in its place: of one recorder's blocks, the next one to come is mostly in the same.
            let mut earliest = self.next.peek_mut()?;
            let Reverse((_, _, slot)) = *earliest;
            let block = &mut self.open[slot].1;
            let exchange = block.pop();
            match block.next_key() {
                Some((arrival, id)) => *earliest = Reverse((arrival, id, slot)),
                None => {
                    PeekMut::pop(earliest);
                    self.release(slot);
                }
            }
            // A record that cannot be read is counted by its block.
            if let Some(exchange) = exchange {
                return Some(Ok(exchange));
            }
        }
    }
}
