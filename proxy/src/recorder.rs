//! The recorder's thread: takes batches, sanitizes, writes. Traffic never waits for it and survives its failures.
//!
//! A panic while sanitizing costs the exchange (`unsanitizable`), a failure of the disk costs the block that met it
//! (`io_error`); the thread goes on in either case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use understudy_captures::conservation::Drop;
use understudy_captures::segment::{Origin, WriteError, Writer};
use understudy_captures::{Conservation, ExchangeId, Sanitized, Sanitizer};

use crate::batch::{Batch, Observed};
use crate::clock::Clock;
use crate::filter::Filter;
use crate::handover::{Order, Outlet, Parcel};
use crate::ledger::Ledger;
use crate::recorder::assemble::assemble;
use crate::recorder::house::House;
use crate::reload::Bylaws;

mod assemble;
mod house;

pub(crate) use house::Rooms;

/// Rests are cut into pieces of this length.
const REST_STEP: Duration = Duration::from_millis(50);

/// Turns batches into segments.
pub(crate) struct Recorder {
    outlet: Outlet,
    clock: Clock,
    /// Names this run of the recorder; the high half of every exchange id.
    boot: u64,
    /// The low half of the next exchange id.
    next_id: u64,
    filter: Filter,
    sanitizer: Sanitizer,
    writer: Writer,
    /// Exchanges in the writer's open block.
    unwritten: u64,
    flush_interval: Duration,
    ledger: Arc<Ledger>,
}

/// What a recorder works with.
pub(crate) struct Desk {
    pub(crate) outlet: Outlet,
    pub(crate) clock: Clock,
    pub(crate) boot: u64,
    pub(crate) writer: Writer,
    pub(crate) flush_interval: Duration,
    pub(crate) ledger: Arc<Ledger>,
}

// === impl Recorder ===

impl Recorder {
    /// A recorder that takes its batches from the outlet.
    pub(crate) fn new(desk: Desk, bylaws: Bylaws) -> Recorder {
        let Desk { outlet, clock, boot, writer, flush_interval, ledger } = desk;
        let Bylaws { filter, sanitizer, .. } = bylaws;
        ledger.recorder_up.set(1);
        Recorder {
            outlet,
            clock,
            boot,
            next_id: 0,
            filter,
            sanitizer,
            writer,
            unwritten: 0,
            flush_interval,
            ledger,
        }
    }

    /// Records until the queue says that nothing comes any more; then writes the footer.
    pub(crate) fn run(mut self, rooms: Rooms) {
        let mut house = House::new(rooms, self.ledger.clone());
        let mut next_flush = Instant::now() + self.flush_interval;
        loop {
            match self.outlet.next(next_flush.saturating_duration_since(Instant::now())) {
                Some(Parcel::Batch(batch)) => {
                    self.record(&batch, &mut house);
                    self.outlet.give_back(batch);
                }
                Some(Parcel::Order(order)) => self.obey(order, &mut house),
                Some(Parcel::Stop) => break,
                None => {}
            }
            if Instant::now() >= next_flush {
                self.tend(&mut house);
                next_flush = Instant::now() + self.flush_interval;
            }
            if let Some(pause) = house.thrift.pause() {
                self.rest(pause);
            }
        }
        self.finish();
        house.tend(None);
    }

    /// Flushes and looks after the segments.
    fn tend(&mut self, house: &mut House) {
        if house.wants_segment_closed() {
            self.begin_segment(None);
        } else {
            self.flush();
        }
        house.tend(self.writer.current());
        if let Some(rule) = house.triggered() {
            self.begin_segment(None);
            if let Err(error) = house.freeze(None, "rule", &rule) {
                tracing::error!(%error, rule, "a rule asked for a freeze that cannot be");
            }
        }
    }

    /// Stays within its share of a core; ends early when traffic is over.
    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.outlet.must_hurry() && Instant::now() < until {
            std::thread::sleep(REST_STEP.min(until.saturating_duration_since(Instant::now())));
        }
    }

    fn record(&mut self, batch: &Batch, house: &mut House) {
        for observed in batch.observed() {
            if let Some(sanitized) = self.sanitize(batch, observed, house) {
                self.append(&sanitized);
            }
        }
    }

    fn obey(&mut self, order: Order, house: &mut House) {
        match order {
            Order::Freeze(request) => {
                self.begin_segment(None);
                let reason = format!("asked for by {}", request.asker.name());
                let frozen = house.freeze(request.name, request.asker.name(), &reason);
                // Who asked may have stopped waiting.
                request.answer.send(frozen).ok();
            }
            Order::Adopt(bylaws) => {
                let Bylaws { sanitizer, filter, origin } = *bylaws;
                self.begin_segment(Some(origin));
                self.sanitizer = sanitizer;
                self.filter = filter;
            }
        }
    }

    /// The sanitized exchange, or `None` when its fate was counted.
    fn sanitize(&mut self, batch: &Batch, observed: &Observed, house: &mut House) -> Option<Sanitized> {
        let id = ExchangeId(u128::from(self.boot) << 64 | u128::from(self.next_id));
        self.next_id += 1;
        let Ok(exchange) = assemble(batch, observed, id, &self.clock) else {
            self.ledger.drop_requests(Drop::Unparseable, 1);
            return None;
        };
        house.note(&exchange);
        if let Some((fate, why)) = self.filter.leaves_out(&exchange) {
            self.ledger.drop_requests(fate, 1);
            if let Some(why) = why {
                self.ledger.exclude(why);
            }
            return None;
        }
        let began = Instant::now();
        // The sanitizer keeps nothing of an exchange between calls that a panic could leave half done: at worst
        // later exchanges are refused.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.sanitizer.sanitize(exchange)));
        self.ledger.sanitize_seconds.observe(began.elapsed().as_secs_f64());
        match outcome {
            Ok(Ok(sanitized)) => {
                for redaction in &sanitized.redactions {
                    self.ledger.redact(&redaction.class, redaction.count);
                }
                return Some(sanitized);
            }
            Ok(Err(refusal)) => {
                tracing::debug!(%refusal, "an exchange cannot be sanitized with certainty and is not written");
            }
            Err(_) => {
                self.ledger.panics.inc();
                tracing::error!("the sanitizer panicked; the exchange is not written");
            }
        }
        self.ledger.drop_requests(Drop::Unsanitizable, 1);
        None
    }

    fn append(&mut self, exchange: &Sanitized) {
        self.unwritten += 1;
        let bytes = recorded_bytes(exchange);
        let result = catch_unwind(AssertUnwindSafe(|| self.writer.append(exchange)));
        match result {
            Ok(Ok(reached)) => {
                self.unwritten -= reached;
                self.ledger.recorded.inc_by(reached);
                self.ledger.recorded_bytes.inc_by(bytes);
                if reached > 0 {
                    self.writes_again();
                }
            }
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.panicked(),
        }
    }

    fn flush(&mut self) {
        let Recorder { writer, ledger, unwritten, .. } = self;
        let mut written = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            writer.flush(&mut |reached| {
                written += reached;
                totals_with(ledger, unwritten, reached)
            })
        }));
        match result {
            Ok(Ok(_)) if written > 0 => self.writes_again(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.panicked(),
        }
    }

    /// Closes the open segment; the next exchange begins another one.
    fn begin_segment(&mut self, origin: Option<Origin>) {
        let Recorder { writer, ledger, unwritten, .. } = self;
        let result = catch_unwind(AssertUnwindSafe(|| {
            writer.begin_anew(origin, &mut |reached| totals_with(ledger, unwritten, reached))
        }));
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.failed(&error),
            Err(_) => self.panicked(),
        }
    }

    fn finish(mut self) {
        self.flush();
        let Recorder { writer, ledger, mut unwritten, .. } = self;
        let result = catch_unwind(AssertUnwindSafe(|| {
            writer.finish(&mut |reached| totals_with(&ledger, &mut unwritten, reached))
        }));
        ledger.recorder_up.set(0);
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                ledger.write_errors.inc();
                ledger.drop_requests(Drop::IoError, unwritten);
                tracing::error!(%error, "the last segment has no footer; its whole blocks can be read");
            }
            Err(_) => {
                ledger.panics.inc();
                ledger.drop_requests(Drop::IoError, unwritten);
                tracing::error!("the writer panicked; the last segment has no footer");
            }
        }
    }

    fn failed(&mut self, error: &WriteError) {
        let lost = error.lost.min(self.unwritten);
        self.unwritten -= lost;
        self.ledger.drop_requests(Drop::IoError, lost);
        self.ledger.write_errors.inc();
        if self.ledger.recorder_up.get() == 1 {
            self.ledger.recorder_up.set(0);
            tracing::error!(%error, lost, "recording fails, traffic goes on; it is tried again with each block");
        }
    }

    /// What the writer held open is not known any more; what it wrote is safe.
    fn panicked(&mut self) {
        self.ledger.panics.inc();
        self.ledger.drop_requests(Drop::IoError, std::mem::take(&mut self.unwritten));
        tracing::error!("the segment writer panicked; the open block is counted as lost, traffic goes on");
    }

    fn writes_again(&mut self) {
        if self.ledger.recorder_up.get() == 0 {
            self.ledger.recorder_up.set(1);
            tracing::info!("recording works again");
        }
    }
}

/// The running totals when `reached` more exchanges are in the file.
fn totals_with(ledger: &Ledger, unwritten: &mut u64, reached: u64) -> Conservation {
    *unwritten -= reached;
    ledger.recorded.inc_by(reached);
    ledger.totals()
}

/// Bytes of the values that go into a segment.
fn recorded_bytes(exchange: &Sanitized) -> u64 {
    let request = &exchange.request;
    let mut bytes = request.method.len() + request.target.len() + request.body.bytes.len();
    let mut headers = vec![&request.headers, &request.trailers];
    if let Some(response) = &exchange.response {
        bytes += response.body.bytes.len();
        headers.extend([&response.headers, &response.trailers]);
    }
    let fields = headers.into_iter().flat_map(|fields| fields.iter());
    bytes += fields.map(|(name, value)| name.len() + value.len()).sum::<usize>();
    bytes as u64
}
