//! Hands batches of exchanges to the recorder without ever waiting for it.
//!
//! The queue is bounded in batches and in bytes. When it is full the batch is dropped, its requests are counted
//! `queue_full`, and its memory serves the next one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use understudy_captures::conservation::Drop;

use crate::batch::Batch;
use crate::config::QueueLimits;
use crate::failure::Failure;
use crate::flight::{Asker, Note};
use crate::ledger::Ledger;
use crate::reload::Bylaws;

/// A batch goes when it holds this many exchanges,
const BATCH_EXCHANGES: usize = 128;
/// or this many bytes; the timer sends what is smaller.
const BATCH_BYTES: usize = 256 * 1024;
/// Emptied batches kept for use by others, so that steady traffic allocates nothing.
const SPARE_BATCHES: usize = 8;

/// What travels to the recorder.
pub(crate) enum Parcel {
    /// Exchanges to record.
    Batch(Batch),
    /// Something to do between two batches.
    Order(Order),
    /// Nothing comes after this: write what there is and end.
    Stop,
}

/// What the recorder can be asked for.
pub(crate) enum Order {
    /// To go by these from now on.
    Adopt(Box<Bylaws>),
    /// To freeze the flight recorder's ring.
    Freeze(FreezeRequest),
}

/// A freeze that somebody waits for.
pub(crate) struct FreezeRequest {
    /// Made up when none is given.
    pub(crate) name: Option<String>,
    pub(crate) asker: Asker,
    pub(crate) answer: std::sync::mpsc::Sender<Result<Note, Failure>>,
}

/// The queue's ends.
pub(crate) fn queue(limits: QueueLimits, ledger: &Arc<Ledger>) -> (Sender, Outlet) {
    let (out, inlet) = sync_channel(limits.batches);
    let shared = Arc::new(Shared {
        hurry: AtomicBool::new(false),
        bytes: AtomicUsize::new(0),
        bytes_limit: limits.bytes / 2,
        spare: Mutex::default(),
        ledger: ledger.clone(),
    });
    (Sender { out, shared: shared.clone() }, Outlet { inlet, shared })
}

/// The data threads' end.
#[derive(Clone)]
pub(crate) struct Sender {
    out: SyncSender<Parcel>,
    shared: Arc<Shared>,
}

/// The recorder's end.
pub(crate) struct Outlet {
    inlet: Receiver<Parcel>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Traffic is over: the recorder must not rest.
    hurry: AtomicBool,
    bytes: AtomicUsize,
    bytes_limit: usize,
    spare: Mutex<Vec<Batch>>,
    ledger: Arc<Ledger>,
}

// === impl Sender ===

impl Sender {
    /// Whether `batch` should go now rather than with the timer.
    pub(crate) fn is_due(&self, batch: &Batch) -> bool {
        batch.len() >= BATCH_EXCHANGES || batch.bytes() >= BATCH_BYTES
    }

    /// Hands `batch` over, or counts its exchanges `queue_full`; either way it is empty afterwards.
    pub(crate) fn send(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let bytes = batch.bytes();
        // A single exchange larger than the whole bound still goes when nothing else waits.
        let waiting = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting > 0 && waiting + bytes > self.shared.bytes_limit {
            self.refuse(batch, bytes);
            return;
        }
        let parcel = std::mem::replace(batch, self.shared.spare());
        // Before the send: the recorder may count it out at once.
        self.shared.ledger.queue_depth.inc();
        match self.out.try_send(Parcel::Batch(parcel)) {
            Ok(()) => {
                self.shared.ledger.batches_queued.inc();
                self.shared.ledger.queue_bytes.add(bytes as i64);
            }
            Err(TrySendError::Full(parcel) | TrySendError::Disconnected(parcel)) => {
                self.shared.ledger.queue_depth.dec();
                if let Parcel::Batch(refused) = parcel {
                    *batch = refused;
                }
                self.refuse(batch, bytes);
            }
        }
    }

    /// Tells the recorder that nothing comes any more. Waits for room; only to be called when traffic is over.
    pub(crate) fn stop(&self) {
        self.shared.hurry.store(true, Ordering::Relaxed);
        // Disconnected means that the recorder has ended already.
        self.out.send(Parcel::Stop).ok();
    }

    /// Puts an order behind the batches that wait, waiting for room itself; `false` when there was none for `patience`.
    /// Not for data threads.
    pub(crate) fn order(&self, order: Order, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut parcel = Parcel::Order(order);
        loop {
            parcel = match self.out.try_send(parcel) {
                Ok(()) => return true,
                Err(TrySendError::Full(refused)) if Instant::now() < deadline => refused,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return false,
            };
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the recorder has taken everything so far.
    pub(crate) fn is_drained(&self) -> bool {
        self.shared.bytes.load(Ordering::Relaxed) == 0
    }

    fn refuse(&self, batch: &mut Batch, bytes: usize) {
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.ledger.batches_dropped.inc();
        self.shared.ledger.drop_requests(Drop::QueueFull, batch.len() as u64);
        batch.clear(BATCH_BYTES);
    }
}

// === impl Outlet ===

impl Outlet {
    /// The next parcel, or `None` when there is none for `patience`. A queue without senders reads as `Stop`.
    pub(crate) fn next(&self, patience: Duration) -> Option<Parcel> {
        match self.inlet.recv_timeout(patience) {
            Ok(parcel) => Some(parcel),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Parcel::Stop),
        }
    }

    /// Whether traffic is over, and only writing is left.
    pub(crate) fn must_hurry(&self) -> bool {
        self.shared.hurry.load(Ordering::Relaxed)
    }

    /// Gives a batch back that was taken with [`Outlet::next`].
    pub(crate) fn give_back(&self, mut batch: Batch) {
        let bytes = batch.bytes();
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.ledger.queue_bytes.sub(bytes as i64);
        self.shared.ledger.queue_depth.dec();
        batch.clear(BATCH_BYTES);
        let mut spare = self.shared.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_BATCHES {
            spare.push(batch);
        }
    }
}

// === impl Shared ===

impl Shared {
    fn spare(&self) -> Batch {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use understudy_captures::Ending;

    use super::*;
    use crate::batch::{Facts, Part};

    fn batch_of(bytes: usize) -> Batch {
        let facts = Facts {
            connection: 1,
            index: 0,
            arrival: 0,
            request_end: None,
            response_start: None,
            end: 0,
            ending: Ending::Complete,
            http2: false,
        };
        let mut batch = Batch::default();
        batch.push(facts, (&vec![b'x'; bytes], Part { head: bytes, ..Part::default() }), None, &[]);
        batch
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let ledger = Arc::new(Ledger::new());
        let (sender, outlet) = queue(QueueLimits { batches: 1, bytes: 1 << 20 }, &ledger);
        sender.send(&mut batch_of(10));
        let mut second = batch_of(10);
        sender.send(&mut second);
        assert!(second.is_empty(), "the refused batch is ready for the next exchanges");
        assert_eq!(ledger.totals().queue_full, 1);
        assert_eq!(ledger.queue_depth.get(), 1);
        let Some(Parcel::Batch(first)) = outlet.next(Duration::ZERO) else { panic!("one batch waits") };
        outlet.give_back(first);
        assert_eq!((ledger.queue_depth.get(), ledger.queue_bytes.get()), (0, 0));
        assert!(sender.is_drained());
    }

    #[test]
    fn the_queue_is_bounded_in_bytes_but_takes_one_large_batch_when_idle() {
        let ledger = Arc::new(Ledger::new());
        let (sender, outlet) = queue(QueueLimits { batches: 8, bytes: 2000 }, &ledger);
        sender.send(&mut batch_of(5000));
        assert_eq!(ledger.totals().queue_full, 0);
        sender.send(&mut batch_of(1));
        assert_eq!(ledger.totals().queue_full, 1);
        let Some(Parcel::Batch(first)) = outlet.next(Duration::ZERO) else { panic!("one batch waits") };
        outlet.give_back(first);
        sender.send(&mut batch_of(1));
        assert_eq!(ledger.totals().queue_full, 1);
    }
}
