//! `latency.hlog`: latency over time, in the log format of the HdrHistogram tools.
//!
//! One line for each second in which requests ended and each tag; compressed histograms (V2 deflate) of nanoseconds,
//! three significant digits; times are seconds since `BaseTime`. The plain-text maximum of a line is in milliseconds.
//! Tags of a candidate `NAME`, warm-up excluded:
//!
//! - `NAME`: response time (completion minus intended instant) of good responses;
//! - `NAME.service`: service time (completion minus actual send) of the same;
//! - `NAME.failed`: from the intended instant to the failure, so that a candidate that fails fast does not look fast.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};

use super::histogram;
use crate::outcome::{Kind, Outcome};
use crate::plan::Plan;

/// Name in the run directory.
pub(super) const FILE_NAME: &str = "latency.hlog";

const SECOND: u64 = 1_000_000_000;

/// Seconds that are kept open for outcomes that arrive late. Workers hand theirs on within 50 ms.
const OPEN: u64 = 2;

/// Histograms of one candidate: response, service, failed.
const KINDS: usize = 3;

/// Writes intervals as they are over.
pub(super) struct LatencyLog<'w> {
    writer: IntervalLogWriter<'w, 'w, BufWriter<File>, V2DeflateSerializer>,
    /// By candidate and kind.
    tags: Vec<String>,
    /// By second, then by tag.
    open: BTreeMap<u64, Vec<Option<Histogram<u64>>>>,
    newest: u64,
}

// === impl LatencyLog ===

impl<'w> LatencyLog<'w> {
    /// Begins a log on `file`, for a run that began at `started`.
    pub(super) fn begin(
        file: &'w mut BufWriter<File>,
        serializer: &'w mut V2DeflateSerializer,
        plan: &Plan,
        run_id: &str,
        started: SystemTime,
    ) -> io::Result<LatencyLog<'w>> {
        let writer = IntervalLogWriterBuilder::new()
            .add_comment(&format!("[understudy run {run_id}; nanoseconds]"))
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(started)
            .with_base_time(started)
            .with_max_value_divisor(1e6)
            .begin_log_with(file, serializer)?;
        let tags = plan
            .candidates
            .iter()
            .flat_map(|candidate| ["", ".service", ".failed"].map(|kind| format!("{}{kind}", candidate.name)))
            .collect();
        Ok(LatencyLog { writer, tags, open: BTreeMap::new(), newest: 0 })
    }

    /// Notes an outcome; writes the seconds that are over.
    pub(super) fn note(&mut self, outcome: &Outcome) -> io::Result<()> {
        if outcome.warmup || outcome.kind == Kind::NotSent {
            return Ok(());
        }
        let second = outcome.end / SECOND;
        if second > self.newest {
            self.newest = second;
            self.write_before(second.saturating_sub(OPEN))?;
        }
        let tag = usize::from(outcome.candidate) * KINDS;
        if outcome.is_ok() {
            self.record(second, tag, outcome.response_time());
            self.record(second, tag + 1, outcome.service_time());
        } else {
            self.record(second, tag + 2, outcome.response_time());
        }
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write_before(u64::MAX)
    }

    fn record(&mut self, second: u64, tag: usize, nanos: u64) {
        let second = second.max(self.newest.saturating_sub(OPEN));
        let tags = self.tags.len();
        let histograms = self.open.entry(second).or_insert_with(|| vec![None; tags]);
        histogram::record(histograms[tag].get_or_insert_with(histogram::empty), nanos);
    }

    fn write_before(&mut self, end: u64) -> io::Result<()> {
        while let Some(interval) = self.open.first_entry().filter(|interval| *interval.key() < end) {
            let (second, histograms) = interval.remove_entry();
            for (tag, histogram) in self.tags.iter().zip(histograms) {
                let Some(histogram) = histogram else { continue };
                let start = Duration::from_secs(second);
                self.writer
                    .write_histogram(&histogram, start, Duration::from_secs(1), Tag::new(tag))
                    .map_err(|error| io::Error::other(error.to_string()))?;
            }
        }
        Ok(())
    }
}
