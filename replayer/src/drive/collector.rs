//! Takes in what became of every request: finds answers, keeps the outcomes, writes the run's files, counts metrics.
//!
//! One thread, beside those that send: none of this may delay a request.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use hdrhistogram::serialization::V2DeflateSerializer;

use super::DriveError;
use super::latency_log::{self, LatencyLog};
use super::progress::{Progress, Standing};
use super::wire::Coding;
use super::worker::{Message, Turn};
use crate::metrics::Metrics;
use crate::outcome::log::{self as outcome_log, Header, OutcomeLog};
use crate::outcome::{Answer, Kind, Labels, Outcome};
use crate::plan::Plan;

/// How often progress is shown when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// Longest decoded body in which an answer is looked for; a hostile one must not expand without limit.
const MAX_DECODED: u64 = 1 << 20;

/// What the collector works with.
pub(super) struct Collector<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run_id: &'a str,
    pub(super) dir: &'a Path,
    pub(super) started: SystemTime,
    /// Requests of the whole run.
    pub(super) total: u64,
    pub(super) labels: Labels,
    pub(super) metrics: Metrics,
    pub(super) progress: Progress,
    /// Gets a message when a turn is over.
    pub(super) turn_over: Sender<()>,
}

/// What it has when the run is over.
pub(super) struct Collected {
    pub(super) labels: Labels,
    pub(super) outcomes: Vec<Outcome>,
    /// By candidate.
    pub(super) tallies: Vec<Tally>,
}

/// What the outcomes of a candidate do not say.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Scheduled time of its turns, nanoseconds; without a schedule, the time they took.
    pub(super) span: u64,
    /// Requests that waited for a connection.
    pub(super) queued: u64,
    /// Largest share of a core that one worker used in one turn.
    pub(super) cpu: f64,
}

/// The turn that goes on.
struct Current {
    turn: Turn,
    /// Requests that are over.
    over: usize,
    /// Workers that are done with it.
    ended: usize,
    /// Longest time a worker took, nanoseconds.
    wall: u64,
}

/// Everything that changes while messages come in.
struct State<'a, 'w> {
    collector: Collector<'a>,
    outcome_log: OutcomeLog,
    latency_log: LatencyLog<'w>,
    outcomes: Vec<Outcome>,
    tallies: Vec<Tally>,
    failed: u64,
    current: Option<Current>,
}

// === impl Collector ===

impl Collector<'_> {
    /// Collects until no one can send any more.
    pub(super) fn collect(self, messages: &Receiver<Message>) -> Result<Collected, DriveError> {
        let path = |name: &str| self.dir.join(name);
        let unwritable = |path: PathBuf| move |source| DriveError::Unwritable { path, source };
        let outcomes_path = path(outcome_log::FILE_NAME);
        let latency_path = path(latency_log::FILE_NAME);

        let header = Header {
            run_id: self.run_id.to_owned(),
            candidates: self.plan.candidates.iter().map(|candidate| candidate.name.clone()).collect(),
            kinds: Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect(),
        };
        let outcome_log = OutcomeLog::create(self.dir, &header).map_err(unwritable(outcomes_path.clone()))?;
        let file = File::create_new(&latency_path).map_err(unwritable(latency_path.clone()))?;
        let mut file = BufWriter::new(file);
        let mut serializer = V2DeflateSerializer::new();
        let latency_log = LatencyLog::begin(&mut file, &mut serializer, self.plan, self.run_id, self.started)
            .map_err(unwritable(latency_path.clone()))?;

        let mut state = State {
            outcomes: Vec::with_capacity(usize::try_from(self.total).unwrap_or(0)),
            tallies: vec![Tally::default(); self.plan.candidates.len()],
            failed: 0,
            current: None,
            collector: self,
            outcome_log,
            latency_log,
        };
        loop {
            match messages.recv_timeout(TICK) {
                Ok(message) => state.take(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            state.show();
        }
        let State { collector, outcome_log, latency_log, outcomes, tallies, .. } = state;
        let Collector { labels, mut progress, .. } = collector;
        progress.finish();
        outcome_log.finish(&labels).map_err(unwritable(outcomes_path))?;
        latency_log.finish().map_err(unwritable(latency_path.clone()))?;
        file.flush().map_err(unwritable(latency_path))?;
        Ok(Collected { labels, outcomes, tallies })
    }
}

// === impl State ===

impl State<'_, '_> {
    fn take(&mut self, message: Message) -> Result<(), DriveError> {
        match message {
            Message::Begin(turn) => self.current = Some(Current { turn, over: 0, ended: 0, wall: 0 }),
            Message::Batch(batch) => {
                for done in &batch.done {
                    self.note(done.outcome, done.queued, batch.body(done))?;
                }
                self.collector.metrics.progress(self.outcomes.len() as u64, self.collector.total);
            }
            Message::Ended { cpu, wall } => self.end(cpu, wall)?,
            Message::Failed(reason) => return Err(DriveError::Bug(reason)),
        }
        Ok(())
    }

    fn note(
        &mut self,
        mut outcome: Outcome,
        queued: bool,
        body: Option<(Coding, &[u8])>,
    ) -> Result<(), DriveError> {
        let (labels, plan) = (&mut self.collector.labels, self.collector.plan);
        outcome.answer = body.and_then(|(coding, bytes)| answer(labels, plan, coding, bytes));
        self.collector.metrics.observe(&outcome);
        let dir = self.collector.dir;
        let unwritable = |name: &str| {
            let path = dir.join(name);
            move |source: io::Error| DriveError::Unwritable { path, source }
        };
        self.outcome_log
            .append(&outcome, &self.collector.labels)
            .map_err(unwritable(outcome_log::FILE_NAME))?;
        self.latency_log.note(&outcome).map_err(unwritable(latency_log::FILE_NAME))?;
        self.tallies[usize::from(outcome.candidate)].queued += u64::from(queued);
        self.failed += u64::from(!outcome.is_ok());
        self.outcomes.push(outcome);
        if let Some(current) = &mut self.current {
            current.over += 1;
        }
        Ok(())
    }

    fn end(&mut self, cpu: u64, wall: u64) -> Result<(), DriveError> {
        let Some(current) = &mut self.current else {
            return Err(DriveError::Bug("a turn ended that did not begin".into()));
        };
        let tally = &mut self.tallies[usize::from(current.turn.candidate)];
        tally.cpu = tally.cpu.max(cpu as f64 / wall.max(1) as f64);
        current.ended += 1;
        current.wall = current.wall.max(wall);
        if current.ended < self.collector.plan.threads {
            return Ok(());
        }
        let scheduled = current.turn.block.requests.len();
        if current.over != scheduled {
            return Err(DriveError::Bug(format!(
                "{} outcomes came of {scheduled} scheduled requests",
                current.over
            )));
        }
        let span = match self.collector.plan.pace {
            crate::plan::Pace::Max { .. } => current.wall,
            _ => current.turn.block.span(),
        };
        tally.span += span;
        self.current = None;
        self.outcome_log.rest(&self.collector.labels).map_err(|source| DriveError::Unwritable {
            path: self.collector.dir.join(outcome_log::FILE_NAME),
            source,
        })?;
        // The coordinator only goes first when it has failed, which the run reports.
        self.collector.turn_over.send(()).ok();
        Ok(())
    }

    fn show(&mut self) {
        let Some(current) = &self.current else { return };
        self.collector.progress.show(Standing {
            total: self.collector.total,
            done: self.outcomes.len() as u64,
            failed: self.failed,
            candidate: &self.collector.plan.candidates[usize::from(current.turn.candidate)].name,
            iteration: current.turn.iteration + 1,
            iterations: self.collector.plan.iterations,
        });
    }
}

/// The answer in a body, decoded if need be.
fn answer(labels: &mut Labels, plan: &Plan, coding: Coding, bytes: &[u8]) -> Option<Answer> {
    let decoded = match coding {
        Coding::Identity => return labels.answer(&plan.preset, bytes),
        Coding::Gzip => decode(MultiGzDecoder::new(bytes)),
        // `deflate` is zlib by its definition, and raw in the habit of some servers.
        Coding::Deflate => decode(ZlibDecoder::new(bytes)).or_else(|| decode(DeflateDecoder::new(bytes))),
    };
    labels.answer(&plan.preset, &decoded?)
}

fn decode(reader: impl Read) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    reader.take(MAX_DECODED).read_to_end(&mut decoded).ok()?;
    Some(decoded)
}
