//! A worker thread: starts its share of a turn's requests at their instants and hands on what became of them.
//!
//! Everything of a worker lives on its thread, in a current-thread runtime, so nothing here is locked. What costs time
//! and can wait (finding answers, histograms, files) is left to the collector, which gets outcomes in batches.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, timeout_at};

use super::attempt::{Label, Marks, Reply, attempt};
use super::clock::{Clock, Pacer, prefer_this_thread, thread_cpu};
use super::lane::{Lane, Route};
use super::stop::Stop;
use super::wire::Coding;
use crate::metrics::InFlight;
use crate::outcome::{Kind, Outcome};
use crate::plan::Pace;
use crate::schedule::{Block, nanos};

/// Outcomes in a batch, at most.
const BATCH: usize = 128;

/// Body bytes after which a batch is handed on, however few outcomes it has.
const BATCH_BYTES: usize = 1 << 20;

/// Longest that an outcome stays with its worker.
const FLUSH: Duration = Duration::from_millis(50);

/// Requests started without letting responses be read in between. A longer burst (or a backlog) would delay the instants
/// at which responses are seen.
const BURST: usize = 32;

/// Tasks that run between two looks at timers and sockets; tokio's default of 61 would let a burst of completions delay
/// the next start.
const EVENT_INTERVAL: u32 = 13;

/// What all workers share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) routes: Vec<Route>,
    pub(super) label: Label,
    pub(super) pace: Pace,
    pub(super) timeout: Duration,
    pub(super) warmup: Duration,
    pub(super) threads: usize,
    /// For each candidate, over all workers.
    pub(super) max_connections: usize,
    /// Requests under way, by candidate.
    pub(super) in_flight: Vec<InFlight>,
    pub(super) stop: Stop,
}

/// One candidate's go at one block.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) candidate: u16,
    pub(super) iteration: u16,
    pub(super) block: Block,
    /// When the block's first request is to start, nanoseconds since the run began.
    pub(super) anchor: u64,
    /// Scheduled offset at which the iteration's warm-up is over.
    pub(super) warm: u64,
}

/// What a worker tells the collector.
pub(super) enum Message {
    /// A turn begins, of so many requests.
    Begin(Turn),
    /// What became of requests.
    Batch(Batch),
    /// A worker's share of a turn is over.
    Ended {
        /// CPU time it took, nanoseconds.
        cpu: u64,
        /// How long it took, nanoseconds.
        wall: u64,
    },
    /// A worker cannot go on.
    Failed(String),
}

/// Requests that are over.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) done: Vec<Done>,
    /// Bodies in which there may be an answer, one after another.
    bodies: Vec<u8>,
}

/// One request that is over.
pub(super) struct Done {
    /// Without its answer.
    pub(super) outcome: Outcome,
    pub(super) queued: bool,
    answer: Option<(Range<usize>, Coding)>,
}

struct Worker {
    shared: Arc<Shared>,
    index: usize,
    lanes: Vec<Rc<Lane>>,
    pending: Cell<usize>,
    none_pending: Notify,
    batch: RefCell<Batch>,
    collector: Sender<Message>,
}

/// A request that was begun and has no outcome yet.
struct Ticket {
    worker: Rc<Worker>,
    turn: Rc<Turn>,
    /// Index in the block.
    request: usize,
    intended: u64,
    finished: bool,
}

/// Runs a worker until there are no more turns.
pub(super) fn work(
    shared: Arc<Shared>,
    index: usize,
    turns: mpsc::UnboundedReceiver<Turn>,
    collector: Sender<Message>,
) {
    if let Err(error) = run(shared, index, turns, collector.clone()) {
        // With the collector gone the run is over anyway.
        collector.send(Message::Failed(format!("worker {index} cannot wait for its instants: {error}"))).ok();
    }
}

fn run(
    shared: Arc<Shared>,
    index: usize,
    mut turns: mpsc::UnboundedReceiver<Turn>,
    collector: Sender<Message>,
) -> io::Result<()> {
    prefer_this_thread();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
    LocalSet::new().block_on(&runtime, async {
        let pacer = Pacer::new(shared.clock)?;
        let worker = Rc::new(Worker::new(shared, index, collector));
        let flusher = spawn_local(flush_now_and_then(Rc::clone(&worker)));
        while let Some(turn) = turns.recv().await {
            worker.take_turn(Rc::new(turn), &pacer).await?;
        }
        flusher.abort();
        for lane in &worker.lanes {
            lane.close();
        }
        Ok(())
    })
}

async fn flush_now_and_then(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(FLUSH);
    loop {
        ticks.tick().await;
        worker.flush();
    }
}

/// This worker's part of something that is split among all, at least 1.
fn share(whole: usize, workers: usize, index: usize) -> usize {
    (whole / workers + usize::from(index < whole % workers)).max(1)
}

// === impl Worker ===

impl Worker {
    fn new(shared: Arc<Shared>, index: usize, collector: Sender<Message>) -> Worker {
        let most = match shared.pace {
            Pace::Max { in_flight } => shared.max_connections.max(in_flight),
            Pace::Speed(_) | Pace::Rate(_) => shared.max_connections,
        };
        let most = share(most, shared.threads, index);
        let lanes = shared.routes.iter().map(|route| Lane::new(route.clone(), most)).collect();
        Worker {
            shared,
            index,
            lanes,
            pending: Cell::new(0),
            none_pending: Notify::new(),
            batch: RefCell::default(),
            collector,
        }
    }

    async fn take_turn(self: &Rc<Self>, turn: Rc<Turn>, pacer: &Pacer) -> io::Result<()> {
        let (cpu, wall) = (thread_cpu(), self.shared.clock.now());
        match self.shared.pace {
            Pace::Speed(_) | Pace::Rate(_) => self.follow_schedule(&turn, pacer).await?,
            Pace::Max { in_flight } => self.saturate(&turn, in_flight),
        }
        while self.pending.get() > 0 {
            self.none_pending.notified().await;
        }
        self.flush();
        let ended = Message::Ended { cpu: thread_cpu() - cpu, wall: self.shared.clock.now() - wall };
        self.send(ended);
        Ok(())
    }

    /// Open loop: every request starts at its instant, whatever became of those before.
    async fn follow_schedule(self: &Rc<Self>, turn: &Rc<Turn>, pacer: &Pacer) -> io::Result<()> {
        let requests = &turn.block.requests;
        let start = turn.block.start();
        let intended = |request: usize| turn.anchor + (requests[request].offset - start);
        let mut stopped = self.shared.stop.subscribe();
        let mut next = self.index;
        while next < requests.len() {
            tokio::select! {
                biased;
                () = stopped.requested() => break,
                waited = pacer.until(intended(next)) => waited?,
            }
            let now = self.shared.clock.now();
            for _ in 0..BURST {
                if next >= requests.len() || intended(next) > now {
                    break;
                }
                let ticket = self.ticket(turn, next, intended(next));
                spawn_local(perform(ticket));
                next += self.shared.threads;
            }
        }
        for request in (next..requests.len()).step_by(self.shared.threads) {
            self.ticket(turn, request, intended(request)).finish(Kind::NotSent, Marks::default(), None);
        }
        Ok(())
    }

    /// Closed loop: a number of users, each of which starts its next request when its last one is over.
    fn saturate(self: &Rc<Self>, turn: &Rc<Turn>, in_flight: usize) {
        let next = Rc::new(Cell::new(self.index));
        // Counted as one pending thing each, so that the turn is not over between two requests of a user.
        for _ in 0..share(in_flight, self.shared.threads, self.index) {
            let (worker, turn, next) = (Rc::clone(self), Rc::clone(turn), Rc::clone(&next));
            self.pending.set(self.pending.get() + 1);
            spawn_local(async move {
                while next.get() < turn.block.requests.len() {
                    let request = next.get();
                    next.set(request + worker.shared.threads);
                    let ticket = worker.ticket(&turn, request, worker.shared.clock.now());
                    if worker.shared.stop.is_requested() {
                        ticket.finish(Kind::NotSent, Marks::default(), None);
                    } else {
                        perform(ticket).await;
                    }
                }
                worker.settle();
            });
        }
    }

    fn ticket(self: &Rc<Self>, turn: &Rc<Turn>, request: usize, intended: u64) -> Ticket {
        self.pending.set(self.pending.get() + 1);
        self.shared.in_flight[usize::from(turn.candidate)].up();
        Ticket { worker: Rc::clone(self), turn: Rc::clone(turn), request, intended, finished: false }
    }

    fn settle(&self) {
        self.pending.set(self.pending.get() - 1);
        if self.pending.get() == 0 {
            self.none_pending.notify_one();
        }
    }

    fn flush(&self) {
        let batch = self.batch.take();
        if !batch.done.is_empty() {
            self.send(Message::Batch(batch));
        }
    }

    fn send(&self, message: Message) {
        // The collector only goes first when it has failed, which the run reports.
        self.collector.send(message).ok();
    }
}

// === impl Batch ===

impl Batch {
    /// The body of one of its requests in which there may be an answer.
    pub(super) fn body(&self, done: &Done) -> Option<(Coding, &[u8])> {
        done.answer.as_ref().map(|(place, coding)| (*coding, &self.bodies[place.clone()]))
    }

    /// Adds a request that is over; says whether the batch is full.
    fn add(&mut self, outcome: Outcome, queued: bool, body: Option<(Coding, &[u8])>) -> bool {
        let answer = body.map(|(coding, bytes)| {
            let from = self.bodies.len();
            self.bodies.extend_from_slice(bytes);
            (from..self.bodies.len(), coding)
        });
        if self.done.is_empty() {
            self.done.reserve(BATCH);
        }
        self.done.push(Done { outcome, queued, answer });
        self.done.len() >= BATCH || self.bodies.len() >= BATCH_BYTES
    }
}

// === impl Ticket ===

async fn perform(ticket: Ticket) {
    let shared = Arc::clone(&ticket.worker.shared);
    let Turn { candidate, iteration, ref block, .. } = *ticket.turn;
    let scheduled = &block.requests[ticket.request];
    let lane = Rc::clone(&ticket.worker.lanes[usize::from(candidate)]);
    let place = (candidate, iteration, scheduled.exchange);

    let now = shared.clock.now();
    let due = ticket.intended + nanos(shared.timeout);
    let deadline = Instant::now() + Duration::from_nanos(due.saturating_sub(now));
    let mut marks = Marks::default();
    let attempt = attempt(&lane, &shared.label, &scheduled.request, place, &shared.clock, &mut marks);
    match timeout_at(deadline, attempt).await {
        Ok(Ok(Reply { kept, connection, persistent })) => {
            let kind = if marks.status < 400 { Kind::Ok } else { Kind::HttpError };
            ticket.finish(kind, marks, kept.map(|coding| (coding, connection.wire.body())));
            if persistent {
                connection.give_back();
            }
        }
        Ok(Err(kind)) => ticket.finish(kind, marks, None),
        Err(_elapsed) => ticket.finish(Kind::Timeout, marks, None),
    }
}

impl Ticket {
    fn finish(mut self, kind: Kind, marks: Marks, body: Option<(Coding, &[u8])>) {
        self.finished = true;
        let worker = &self.worker;
        let shared = &worker.shared;
        let scheduled = &self.turn.block.requests[self.request];
        let now = shared.clock.now();
        // A request that was never taken up did not lag: it has no actual start. Without a schedule, intended is actual.
        let (intended, dispatched, end) = match (kind, shared.pace) {
            (Kind::NotSent, _) => (self.intended, self.intended, self.intended),
            (_, Pace::Max { .. }) => {
                let dispatched = if marks.dispatched == 0 { now } else { marks.dispatched };
                (dispatched, dispatched, now)
            }
            // Its deadline passed while it waited for a connection.
            _ if marks.dispatched == 0 => (self.intended, now, now),
            _ => (self.intended, marks.dispatched, now),
        };
        let warmup = match shared.pace {
            Pace::Max { .. } => {
                self.turn.block.index == 0 && intended < self.turn.anchor + nanos(shared.warmup)
            }
            Pace::Speed(_) | Pace::Rate(_) => scheduled.offset < self.turn.warm,
        };
        let outcome = Outcome {
            candidate: self.turn.candidate,
            iteration: self.turn.iteration,
            exchange: scheduled.exchange,
            warmup,
            kind,
            status: marks.status,
            intended,
            dispatched,
            sent: if marks.sent == 0 { end } else { marks.sent },
            first_byte: marks.first_byte,
            end,
            received: marks.received,
            reused: marks.reused,
            answer: None,
        };
        shared.in_flight[usize::from(self.turn.candidate)].down();
        let full = worker.batch.borrow_mut().add(outcome, marks.queued, body);
        if full {
            worker.flush();
        }
        worker.settle();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished {
            // Its task panicked. The run must not wait for it, nor report a result without it.
            self.worker.send(Message::Failed("a request ended without an outcome".into()));
            self.worker.settle();
        }
    }
}
