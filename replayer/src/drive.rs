//! Sends each scheduled request at its instant and notes exactly one outcome for it.
//!
//! # Layout
//!
//! One coordinator (the calling thread) reads the capture in blocks and lets the candidates take turns on each, in an
//! order that rotates, so that whatever drifts on the machines or the network hits all alike. A *turn* is one candidate
//! and one block: it begins at an anchor a moment ahead, every request's intended instant is the anchor plus its offset,
//! and it is over when every request has its outcome.
//!
//! - [`rehearse`] is the whole of it.
//! - `clock`: the monotonic clock of the run, and waking at an instant.
//! - `worker`: threads that start requests and hand on outcomes in batches.
//! - `lane`: a worker's connections to a candidate; `wire`: one of them; `attempt`: one request on it.
//! - `collector`: answers, files, metrics, progress.
//! - `preflight`: what must hold before anything is sent.

mod attempt;
mod clock;
mod collector;
pub(crate) mod histogram;
mod lane;
mod latency_log;
mod preflight;
mod progress;
mod stop;
#[cfg(test)]
mod tests;
mod wire;
mod worker;

pub use progress::{Progress, Standing};
pub use stop::Stop;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc as turns;
use understudy_captures::capture::CaptureError;
use understudy_captures::{Capture, UnixNanos};

use self::attempt::Label;
use self::clock::Clock;
use self::collector::{Collected, Collector};
use self::worker::{Message, Shared, Turn, work};
use crate::certificate::{Certificate, Evidence};
use crate::metrics::{Metrics, Server};
use crate::outcome::{Labels, Outcome, Rehearsal};
use crate::plan::{Pace, Plan};
use crate::schedule::{Block, Blocks, Survey, SurveyError, nanos};

/// From giving a turn to the workers to its first intended instant: they must be awake by then.
const LEAD: Duration = Duration::from_millis(20);

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The capture cannot be replayed under the plan.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The capture could be read at first, and then no more.
    #[error("the capture cannot be read as it was at first: {0}")]
    Capture(String),
    /// A candidate does not answer, a port is taken, the system gives no thread.
    #[error("{0}")]
    Unavailable(String),
    /// The run directory or a file in it cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A bug of ours.
    #[error("{0}")]
    Bug(String),
}

/// Carries out a plan. Blocks until every request has its outcome, or `stop` is thrown and those under way have theirs.
/// The run's directory, `plan.out` and the run id, then holds the outcomes and the latency log.
///
/// # Errors
///
/// When the run cannot begin (nothing is sent then) or its record cannot be kept. A candidate that fails is no error.
pub fn rehearse(plan: &Plan, progress: Progress, stop: &Stop) -> Result<Rehearsal, DriveError> {
    let run_id = preflight::run_id();
    let dir = preflight::run_dir(&plan.out, &run_id)?;
    let result = Run::prepare(plan, &run_id, &dir).and_then(|run| run.carry_out(progress, stop));
    if result.is_err() {
        // Leaves nothing behind when nothing was written; a directory with something in it stays.
        std::fs::remove_dir(&dir).ok();
    }
    result
}

impl Rehearsal {
    /// The run's directory.
    pub fn dir(&self) -> PathBuf {
        self.plan.out.join(&self.run_id)
    }
}

/// A run that may begin.
struct Run<'a> {
    plan: &'a Plan,
    run_id: &'a str,
    dir: &'a Path,
    capture: Capture,
    survey: Survey,
    labels: Labels,
    routes: Vec<lane::Route>,
    metrics: Metrics,
    /// Serves metrics until the run is over.
    _server: Option<Server>,
}

// === impl Run ===

impl<'a> Run<'a> {
    fn prepare(plan: &'a Plan, run_id: &'a str, dir: &'a Path) -> Result<Run<'a>, DriveError> {
        let metrics = Metrics::new(plan, run_id).map_err(|error| DriveError::Bug(error.to_string()))?;
        let port = plan.metrics.map(preflight::metrics_port).transpose()?;
        let capture = plan.open_capture().map_err(SurveyError::from)?;
        let mut labels = Labels::default();
        let survey = Survey::of(&capture, plan, &mut labels)?;
        let routes = plan.candidates.iter().map(preflight::probe).collect::<Result<_, _>>()?;
        preflight::raise_file_limit();
        let server = port
            .map(|port| Server::start(port, metrics.clone()))
            .transpose()
            .map_err(|error| DriveError::Unavailable(format!("metrics cannot be served: {error}")))?;
        Ok(Run { plan, run_id, dir, capture, survey, labels, routes, metrics, _server: server })
    }

    fn carry_out(self, progress: Progress, stop: &Stop) -> Result<Rehearsal, DriveError> {
        let plan = self.plan;
        let (started, began, clock) = (UnixNanos::now(), Instant::now(), Clock::start());
        let total = u64::from(plan.iterations) * plan.candidates.len() as u64 * self.survey.dataset.scheduled;
        let shared = Arc::new(Shared {
            clock,
            routes: self.routes,
            label: Label { run: self.run_id.to_owned(), trace: rand::random::<u64>() | 1 },
            pace: plan.pace,
            timeout: plan.timeout,
            warmup: plan.warmup,
            threads: plan.threads,
            max_connections: plan.max_connections,
            in_flight: self.metrics.in_flight(),
            stop: stop.clone(),
        });
        let (sender, messages) = mpsc::channel();
        let (turn_over, turns_over) = mpsc::channel();
        let collector = Collector {
            plan,
            run_id: self.run_id,
            dir: self.dir,
            started: SystemTime::now(),
            total,
            labels: self.labels,
            metrics: self.metrics,
            progress,
            turn_over,
        };
        let collected = std::thread::scope(|scope| {
            let collecting = spawn(scope, "collector", move || collector.collect(&messages))?;
            let mut workers = Vec::new();
            let mut handles = Vec::new();
            for index in 0..plan.threads {
                let (worker, turns) = turns::unbounded_channel();
                let (shared, sender) = (Arc::clone(&shared), sender.clone());
                handles.push(spawn(scope, &format!("worker-{index}"), move || {
                    work(shared, index, turns, sender)
                })?);
                workers.push(worker);
            }
            let coordinator = Coordinator { plan, clock, stop, workers, collector: sender, turns_over };
            let coordinated = coordinator.drive(scope, &self.capture, self.survey.dataset.scheduled);
            // The coordinator's channels are closed now, so workers come to their end, and then the collector.
            for handle in handles {
                joined(handle)?;
            }
            let collected = joined(collecting)?;
            // What the collector says comes first: the coordinator only sees that it is gone.
            let collected = collected?;
            coordinated?;
            Ok::<Collected, DriveError>(collected)
        })?;

        let Collected { labels, outcomes, tallies } = collected;
        check_exactly_once(plan, self.survey.dataset.scheduled, &outcomes)?;
        let certificates = (0u16..)
            .zip(&tallies)
            .map(|(candidate, tally)| {
                let evidence = Evidence {
                    outcomes: outcomes.iter().filter(|outcome| outcome.candidate == candidate).collect(),
                    span: tally.span,
                    queued: tally.queued,
                    cpu: tally.cpu,
                    paced: !matches!(plan.pace, Pace::Max { .. }),
                };
                Certificate::of(&evidence, &plan.fidelity)
            })
            .collect();
        Ok(Rehearsal {
            run_id: self.run_id.to_owned(),
            started,
            took: began.elapsed(),
            plan: plan.clone(),
            dataset: self.survey.dataset,
            labels: labels.into_names(),
            arrivals: self.survey.arrivals,
            recorded: self.survey.recorded,
            outcomes,
            certificates,
            interrupted: stop.is_requested(),
        })
    }
}

/// Reads blocks and gives turns.
struct Coordinator<'a> {
    plan: &'a Plan,
    clock: Clock,
    stop: &'a Stop,
    workers: Vec<turns::UnboundedSender<Turn>>,
    collector: mpsc::Sender<Message>,
    turns_over: Receiver<()>,
}

// === impl Coordinator ===

impl Coordinator<'_> {
    fn drive<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        capture: &Capture,
        scheduled: u64,
    ) -> Result<(), DriveError> {
        for iteration in 0..self.plan.iterations {
            // One block is read ahead, so that the disk is never waited for between turns.
            let (sender, blocks) = mpsc::sync_channel(1);
            let pass = Blocks::of(capture, self.plan);
            let reader = spawn(scope, "reader", move || {
                for block in pass {
                    if sender.send(block).is_err() {
                        break;
                    }
                }
            })?;
            let driven = self.iteration(iteration, &blocks);
            drop(blocks);
            joined(reader)?;
            let driven = driven?;
            if driven != scheduled {
                return Err(DriveError::Capture(format!(
                    "it held {scheduled} exchanges before, and {driven} now"
                )));
            }
        }
        Ok(())
    }

    /// One pass; returns how many exchanges it had.
    fn iteration(
        &self,
        iteration: u16,
        blocks: &Receiver<Result<Block, CaptureError>>,
    ) -> Result<u64, DriveError> {
        let candidates = self.plan.candidates.len();
        let mut driven = 0;
        let mut warm = None;
        for block in blocks {
            let block = block.map_err(|error| DriveError::Capture(error.to_string()))?;
            driven += block.requests.len() as u64;
            let warm = *warm.get_or_insert(block.start().saturating_add(nanos(self.plan.warmup)));
            for turn in 0..candidates {
                let candidate = (turn + block.index as usize + usize::from(iteration)) % candidates;
                let candidate = u16::try_from(candidate)
                    .map_err(|_| DriveError::Bug("too many candidates to count".into()))?;
                self.turn(candidate, iteration, block.clone(), warm)?;
            }
        }
        Ok(driven)
    }

    fn turn(&self, candidate: u16, iteration: u16, block: Block, warm: u64) -> Result<(), DriveError> {
        // Once stopped, a turn only notes that its requests were not sent, and needs no time to begin.
        let lead = if self.stop.is_requested() { 0 } else { nanos(LEAD) };
        let turn = Turn { candidate, iteration, block, anchor: self.clock.now() + lead, warm };
        let gone = || DriveError::Bug("a thread of the generator ended early".into());
        self.collector.send(Message::Begin(turn.clone())).map_err(|_| gone())?;
        for worker in &self.workers {
            worker.send(turn.clone()).map_err(|_| gone())?;
        }
        self.turns_over.recv().map_err(|_| gone())
    }
}

/// Every scheduled request has exactly one outcome, or the figures mean nothing.
fn check_exactly_once(plan: &Plan, scheduled: u64, outcomes: &[Outcome]) -> Result<(), DriveError> {
    let place = |outcome: &Outcome| {
        let pass = u64::from(outcome.iteration) * plan.candidates.len() as u64 + u64::from(outcome.candidate);
        pass * scheduled + u64::from(outcome.exchange)
    };
    let total = u64::from(plan.iterations) * plan.candidates.len() as u64 * scheduled;
    let mut seen = vec![0u64; usize::try_from(total.div_ceil(64)).unwrap_or(0)];
    let twice = outcomes.iter().map(place).find(|place| {
        let (word, bit) = ((place / 64) as usize, 1 << (place % 64));
        let known = seen.get(word).is_none_or(|word| word & bit != 0);
        if let Some(word) = seen.get_mut(word) {
            *word |= bit;
        }
        known
    });
    if twice.is_some() || outcomes.len() as u64 != total {
        return Err(DriveError::Bug(format!(
            "{} outcomes came of {total} scheduled requests",
            outcomes.len()
        )));
    }
    Ok(())
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, DriveError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map_err(|error| DriveError::Unavailable(format!("the system gives no thread: {error}")))
}

fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> Result<T, DriveError> {
    let name = handle.thread().name().unwrap_or("a thread").to_owned();
    handle.join().map_err(|_| DriveError::Bug(format!("{name} panicked")))
}
