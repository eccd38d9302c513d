//! `outcomes.mpk.zst`: what became of every request of a run, one record each, written while the run goes on.
//!
//! A zstd stream (with checksum) of MessagePack values, one after another:
//!
//! 1. a map: `format` is `"understudy-outcomes"`, `version` is 1, `run_id`, and `candidates`, `kinds` and `fields`, the
//!    names behind the numbers and positions below;
//! 2. for each request an array, in the order in which the requests ended:
//!    `[candidate, iteration, exchange, warmup, kind, status, intended, dispatched, sent, first_byte, end, received,
//!    reused, label, score]`.
//!    `candidate` and `kind` are positions in the lists of the map. `intended` is in nanoseconds on the monotonic clock
//!    since the run began; `dispatched`, `sent`, `first_byte` and `end` are nanoseconds after `intended`. `first_byte` is
//!    nil without a response, `label` and `score` are nil where the preset found none;
//! 3. a map: `end` is the number of records. A file without it belongs to a run that was killed.
//!
//! Read it with any MessagePack library, e.g. `zstd -dc outcomes.mpk.zst` into Python's `msgpack.Unpacker`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::outcome::{Kind, Labels, Outcome};
use crate::plan::Plan;

/// Name in the run directory.
pub(super) const FILE_NAME: &str = "outcomes.mpk.zst";

/// Fast: on one core it compresses several million records a second.
const LEVEL: i32 = 1;

const FIELDS: [&str; 15] = [
    "candidate",
    "iteration",
    "exchange",
    "warmup",
    "kind",
    "status",
    "intended",
    "dispatched",
    "sent",
    "first_byte",
    "end",
    "received",
    "reused",
    "label",
    "score",
];

/// Writes outcomes to a file.
pub(super) struct OutcomeLog {
    out: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    record: Vec<u8>,
    written: u64,
}

#[derive(Serialize)]
struct Header<'a> {
    format: &'static str,
    version: u32,
    run_id: &'a str,
    candidates: Vec<&'a str>,
    kinds: Vec<&'static str>,
    fields: [&'static str; 15],
}

#[derive(Serialize)]
struct Footer {
    end: u64,
}

/// Written as an array, in this order.
#[derive(Serialize)]
struct Record<'a>(
    u16,
    u16,
    u32,
    bool,
    u8,
    u16,
    u64,
    u64,
    u64,
    Option<u64>,
    u64,
    u32,
    bool,
    Option<&'a str>,
    Option<f32>,
);

// === impl OutcomeLog ===

impl OutcomeLog {
    /// Creates the file in `dir`.
    pub(super) fn create(dir: &Path, plan: &Plan, run_id: &str) -> io::Result<OutcomeLog> {
        let file = BufWriter::new(File::create_new(dir.join(FILE_NAME))?);
        let mut out = zstd::stream::write::Encoder::new(file, LEVEL)?;
        out.include_checksum(true)?;
        let header = Header {
            format: "understudy-outcomes",
            version: 1,
            run_id,
            candidates: plan.candidates.iter().map(|candidate| candidate.name.as_str()).collect(),
            kinds: Kind::ALL.iter().map(|kind| kind.name()).collect(),
            fields: FIELDS,
        };
        let header = rmp_serde::to_vec_named(&header).map_err(io::Error::other)?;
        out.write_all(&header)?;
        Ok(OutcomeLog { out, record: Vec::with_capacity(128), written: 0 })
    }

    /// Adds a record.
    pub(super) fn append(&mut self, outcome: &Outcome, labels: &Labels) -> io::Result<()> {
        let after = |instant: u64| instant.saturating_sub(outcome.intended);
        let record = Record(
            outcome.candidate,
            outcome.iteration,
            outcome.exchange,
            outcome.warmup,
            outcome.kind as u8,
            outcome.status,
            outcome.intended,
            after(outcome.dispatched),
            after(outcome.sent),
            (outcome.first_byte > 0).then(|| after(outcome.first_byte)),
            after(outcome.end),
            outcome.received,
            outcome.reused,
            outcome.answer.map(|answer| labels.name(answer.label)),
            outcome.answer.and_then(|answer| answer.score),
        );
        self.record.clear();
        rmp_serde::encode::write(&mut self.record, &record).map_err(io::Error::other)?;
        self.written += 1;
        self.out.write_all(&self.record)
    }

    /// Makes what was appended readable, even if the run is killed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let footer = rmp_serde::to_vec_named(&Footer { end: self.written }).map_err(io::Error::other)?;
        self.out.write_all(&footer)?;
        self.out.finish()?.flush()
    }
}
