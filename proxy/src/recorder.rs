//! The recorder's thread: takes batches, sanitizes, writes. Traffic never waits for it and survives its failures.
//!
//! A panic while sanitizing costs the exchange (`unsanitizable`), a failure of the disk costs the block that met it
//! (`io_error`); the thread goes on in either case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use understudy_captures::conservation::Drop;
use understudy_captures::segment::{WriteError, Writer};
use understudy_captures::{Conservation, ExchangeId, Sanitized, Sanitizer};

use crate::batch::{Batch, Observed};
use crate::clock::Clock;
use crate::handover::{Outlet, Parcel};
use crate::ledger::Ledger;
use crate::recorder::assemble::assemble;

mod assemble;

/// Turns batches into segments.
pub(crate) struct Recorder {
    outlet: Outlet,
    clock: Clock,
    /// Names this run of the recorder; the high half of every exchange id.
    boot: u64,
    /// The low half of the next exchange id.
    next_id: u64,
    sanitizer: Sanitizer,
    writer: Writer,
    /// Exchanges in the writer's open block.
    unwritten: u64,
    flush_interval: Duration,
    ledger: Arc<Ledger>,
}

// === impl Recorder ===

impl Recorder {
    /// A recorder that takes its batches from `outlet`.
    pub(crate) fn new(
        outlet: Outlet,
        clock: Clock,
        boot: u64,
        sanitizer: Sanitizer,
        writer: Writer,
        flush_interval: Duration,
        ledger: Arc<Ledger>,
    ) -> Recorder {
        ledger.recorder_up.set(1);
        Recorder { outlet, clock, boot, next_id: 0, sanitizer, writer, unwritten: 0, flush_interval, ledger }
    }

    /// Records until the queue says that nothing comes any more; then writes the footer.
    pub(crate) fn run(mut self) {
        let mut next_flush = Instant::now() + self.flush_interval;
        loop {
            match self.outlet.next(next_flush.saturating_duration_since(Instant::now())) {
                Some(Parcel::Batch(batch)) => {
                    self.record(&batch);
                    self.outlet.give_back(batch);
                }
                Some(Parcel::Stop) => break,
                None => {}
            }
            if Instant::now() >= next_flush {
                self.flush();
                next_flush = Instant::now() + self.flush_interval;
            }
        }
        self.finish();
    }

    fn record(&mut self, batch: &Batch) {
        for observed in batch.observed() {
            if let Some(sanitized) = self.sanitize(batch, observed) {
                self.append(&sanitized);
            }
        }
    }

    /// The sanitized exchange, or `None` when its fate was counted.
    fn sanitize(&mut self, batch: &Batch, observed: &Observed) -> Option<Sanitized> {
        let id = ExchangeId(u128::from(self.boot) << 64 | u128::from(self.next_id));
        self.next_id += 1;
        let Ok(exchange) = assemble(batch, observed, id, &self.clock) else {
            self.ledger.drop_requests(Drop::Unparseable, 1);
            return None;
        };
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
