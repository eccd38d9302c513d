//! The schedule, in pieces that fit in memory.

use std::sync::Arc;

use understudy_captures::Capture;
use understudy_captures::capture::CaptureError;

use super::request::Prepared;
use super::selection::{Selected, Selection};
use super::{Timeline, nanos};
use crate::plan::{Pace, Plan};

/// Most requests in a block. A second of a hundred thousand arrivals is still one block; a day of recording replayed at
/// speed 10,000 is not.
const MAX_REQUESTS: usize = 100_000;

/// Most body bytes in a block. Two blocks are held at a time: the one that is driven and the next one.
const MAX_BYTES: usize = 128 << 20;

/// A request and when it starts.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// The number of the exchange.
    pub exchange: u32,
    /// Nanoseconds after the beginning of the iteration.
    pub offset: u64,
    /// What is sent.
    pub request: Prepared,
}

/// Consecutive requests of the schedule: what one candidate is driven with before the next one takes its turn.
#[derive(Clone, Debug)]
pub struct Block {
    /// Position in the iteration, from 0.
    pub index: u32,
    /// In order of their offsets; never empty.
    pub requests: Arc<[Scheduled]>,
}

/// Cuts one pass over a capture into blocks: at multiples of the plan's block length, and earlier where a block would
/// not fit in memory. Stretches without arrivals make no block.
pub struct Blocks {
    selection: Selection,
    timeline: Timeline,
    /// Scheduled length of a block.
    length: u64,
    index: u32,
    /// The first request of the next block.
    waiting: Option<Scheduled>,
}

// === impl Block ===

impl Block {
    /// When the block's first request starts, nanoseconds after the beginning of the iteration.
    pub fn start(&self) -> u64 {
        self.requests.first().map_or(0, |first| first.offset)
    }

    /// Scheduled time the block stands for, nanoseconds: one mean gap for each request, so that rates are not
    /// overstated by the gap that the last request has no part in.
    pub fn span(&self) -> u64 {
        let (Some(first), Some(last)) = (self.requests.first(), self.requests.last()) else { return 0 };
        let n = self.requests.len() as u64;
        let between = last.offset - first.offset;
        if n < 2 { between } else { (u128::from(between) * u128::from(n) / u128::from(n - 1)) as u64 }
    }
}

// === impl Blocks ===

impl Blocks {
    /// One pass over `capture`, from its beginning.
    pub fn of(capture: &Capture, plan: &Plan) -> Blocks {
        Blocks::over(Selection::of(capture, plan), plan)
    }

    pub(super) fn over(selection: Selection, plan: &Plan) -> Blocks {
        let length = match plan.pace {
            // There is no scheduled time to cut at.
            Pace::Max { .. } => u64::MAX,
            Pace::Speed(_) | Pace::Rate(_) => nanos(plan.block).max(1),
        };
        Blocks { selection, timeline: Timeline::of(plan), length, index: 0, waiting: None }
    }

    fn schedule(&mut self) -> Option<Result<Scheduled, CaptureError>> {
        if let Some(waiting) = self.waiting.take() {
            return Some(Ok(waiting));
        }
        let selected = self.selection.next()?;
        Some(selected.map(|Selected { index, recorded, prepared, .. }| Scheduled {
            exchange: index,
            offset: self.timeline.offset(index, recorded),
            request: prepared,
        }))
    }
}

impl Iterator for Blocks {
    type Item = Result<Block, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut requests: Vec<Scheduled> = Vec::new();
        let mut bytes = 0;
        let mut end = 0;
        while let Some(next) = self.schedule() {
            let next = match next {
                Ok(next) => next,
                Err(error) => return Some(Err(error)),
            };
            if requests.is_empty() {
                end = (next.offset / self.length).saturating_add(1).saturating_mul(self.length);
            } else if next.offset >= end || requests.len() >= MAX_REQUESTS || bytes >= MAX_BYTES {
                self.waiting = Some(next);
                break;
            }
            bytes += next.request.body.len();
            requests.push(next);
        }
        if requests.is_empty() {
            return None;
        }
        let index = self.index;
        self.index += 1;
        Some(Ok(Block { index, requests: requests.into() }))
    }
}
