//! New captures made of old ones: a slice holds some of their exchanges, a merge all of them, in one order.
//!
//! Both read in order of arrival and write as they read, so memory is that of the open blocks. The conservation law
//! holds in what they write: what was not selected is `excluded`, what damage took is an `io_error`, and a duplicate was
//! seen once. What they were cut from stands in the header ([`Derived`](crate::segment::Derived)).

use std::collections::{BTreeMap, BTreeSet};

use super::ids::IdSet;
use super::{Capture, CaptureError, Damage, Exchanges};
use crate::conservation::{Conservation, Drop};
use crate::exchange::{Exchange, UnixNanos};
use crate::sanitize::Sanitized;
use crate::segment::reader::Segment;
use crate::segment::{Derived, Origin, WriteError, Writer, WriterConfig};

/// Blocks between two checkpoints of what is written.
const CHECKPOINT_BLOCKS: u32 = 16;

/// What becomes of an exchange of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is in the slice.
    Keep,
    /// It is not.
    Leave,
    /// It is not, and neither is any later one.
    Stop,
}

/// What was read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Exchanges in the capture that was read, by its index.
    pub exchanges: u64,
    /// Exchanges written.
    pub written: u64,
    /// Exchanges not selected.
    pub excluded: u64,
    /// Exchanges dropped because their id was written before.
    pub duplicates: u64,
    /// Exchanges that damage took.
    pub lost: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Counters of what was written.
    pub conservation: Conservation,
    /// What was damaged.
    pub damage: Vec<Damage>,
}

/// Why a capture could not be made of others.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// The old one cannot be read.
    #[error(transparent)]
    Read(#[from] CaptureError),
    /// The new one cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Where the exchanges of a new capture come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Pods of the segments, by name; a segment without one counts by its boot.
    pub pods: BTreeSet<String>,
    /// Digests of the sanitizing policies.
    pub policies: BTreeSet<String>,
    /// Ids of the sanitizing keys.
    pub key_ids: BTreeSet<String>,
}

/// Writes one new capture.
struct Press {
    writer: Writer,
    kept: u64,
    left: u64,
    duplicates: u64,
    recorded: u64,
    blocks: u32,
}

// === impl Capture ===

impl Capture {
    /// Where the exchanges come from.
    pub fn lineage(&self) -> Lineage {
        let mut lineage = Lineage::default();
        for segment in self.segments.iter() {
            lineage.pods.insert(pod_of(segment));
            if let Some(origin) = &segment.origin {
                lineage.policies.insert(origin.policy.clone());
                lineage.key_ids.insert(origin.key_id.clone());
            }
        }
        lineage
    }

    /// The header of a capture made of this one: its policy, key, node and pod as far as all segments agree (several
    /// digests are put one after the other with commas), and the dataset it comes from.
    pub fn derived_origin(&self, producer: &str, derived: Derived) -> Origin {
        let Lineage { pods, policies, key_ids } = self.lineage();
        let joined = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(",");
        let origins = || self.segments.iter().filter_map(|segment| segment.origin.as_ref());
        let nodes: BTreeSet<_> = origins().filter_map(|origin| origin.node.clone()).collect();
        let sample = origins().map(|origin| origin.sample).fold(1.0, f64::min);
        Origin {
            producer: producer.to_owned(),
            pod: (pods.len() == 1).then(|| joined(pods)),
            node: (nodes.len() == 1).then(|| joined(nodes)),
            boot: rand::random(),
            policy: joined(policies),
            key_id: joined(key_ids),
            sample,
            derived: Some(Derived { from: vec![self.stats().dataset_id], ..derived }),
        }
    }

    /// Writes the exchanges that arrived from `first` to `last` and that `choose` keeps, in order of arrival. Blocks
    /// outside these instants are not read.
    pub fn slice(
        &self,
        config: WriterConfig,
        first: UnixNanos,
        last: UnixNanos,
        choose: &mut dyn FnMut(&Exchange) -> Choice,
    ) -> Result<Outcome, DeriveError> {
        let mut press = Press::new(config)?;
        let mut exchanges = self.exchanges();
        exchanges.prune(first, last);
        for exchange in exchanges.by_ref() {
            let exchange = exchange?;
            let outside = exchange.arrival < first || exchange.arrival > last;
            match if outside { Choice::Leave } else { choose(&exchange) } {
                Choice::Keep => press.keep(exchange)?,
                Choice::Leave => press.left += 1,
                Choice::Stop => break,
            }
        }
        press.finish(self, &exchanges)
    }

    /// Writes every exchange once, in order of corrected arrival: `corrections` are added to the clocks of pods, in
    /// nanoseconds, by the names of [`Lineage::pods`]. A segment given twice counts once.
    pub fn merge(
        &self,
        config: WriterConfig,
        corrections: &BTreeMap<String, i64>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Outcome, DeriveError> {
        let mut known = BTreeSet::new();
        let fresh = self.segments.iter().filter(|segment| known.insert(segment.digest)).cloned();
        let once = Capture { segments: fresh.collect(), damage: self.damage.clone() };
        let correction = |segment: &Segment| corrections.get(&pod_of(segment)).copied().unwrap_or(0);
        let mut exchanges =
            Exchanges::new(once.segments.clone(), once.segments.iter().map(correction).collect());
        let mut press = Press::new(config)?;
        // Duplicates may be far apart: their clocks may have been corrected differently.
        let mut written = IdSet::default();
        for exchange in exchanges.by_ref() {
            let exchange = exchange?;
            match written.insert(exchange.id) {
                true => press.keep(exchange)?,
                false => press.duplicates += 1,
            }
            progress(1);
        }
        let mut outcome = press.finish(&once, &exchanges)?;
        let repeated = self.stats().exchanges - once.stats().exchanges;
        outcome.exchanges += repeated;
        outcome.duplicates += repeated;
        Ok(outcome)
    }
}

/// The name of the pod that wrote a segment, or of its boot.
pub(super) fn pod_of(segment: &Segment) -> String {
    match &segment.origin {
        Some(Origin { pod: Some(pod), .. }) => pod.clone(),
        Some(origin) => format!("boot-{:016x}", origin.boot),
        None => "unknown".to_owned(),
    }
}

// === impl Press ===

impl Press {
    fn new(config: WriterConfig) -> Result<Self, WriteError> {
        Ok(Self { writer: Writer::create(config)?, kept: 0, left: 0, duplicates: 0, recorded: 0, blocks: 0 })
    }

    fn keep(&mut self, exchange: Exchange) -> Result<(), WriteError> {
        self.kept += 1;
        // It was sanitized when it was recorded, under the policy that the header names.
        let written = self.writer.append(&Sanitized(exchange))?;
        self.recorded += written;
        self.blocks += u32::from(written > 0);
        if self.blocks >= CHECKPOINT_BLOCKS {
            self.blocks = 0;
            let (kept, left) = (self.kept, self.left);
            self.writer.flush(&mut |_| Conservation {
                seen: kept + left,
                recorded: kept,
                excluded: left,
                ..Conservation::default()
            })?;
        }
        Ok(())
    }

    fn finish(self, capture: &Capture, exchanges: &Exchanges) -> Result<Outcome, DeriveError> {
        let stats = capture.stats();
        let lost = exchanges.damage().iter().map(|damage| damage.lost).sum::<u64>().min(stats.exchanges);
        let excluded = stats.exchanges.saturating_sub(lost + self.kept + self.duplicates);
        let before = stats.conservation;
        let mut totals = Conservation { recorded: self.kept, ..Conservation::default() };
        for reason in Drop::ALL {
            totals.add(reason, before.count(reason));
        }
        totals.excluded += excluded;
        totals.io_error += lost + before.recorded.saturating_sub(stats.exchanges);
        totals.seen = totals.recorded + totals.dropped() + before.carried_out;
        let bytes = self.writer.finish_counted(&mut |_| totals)?;
        let damage = capture.damage().iter().chain(exchanges.damage()).cloned().collect();
        Ok(Outcome {
            exchanges: stats.exchanges,
            written: self.kept,
            excluded,
            duplicates: self.duplicates,
            lost,
            bytes,
            conservation: Conservation { carried_out: before.carried_out, ..totals },
            damage,
        })
    }
}

#[cfg(test)]
mod tests;
