//! Where the taps of one data thread put their exchanges: the open batch, and buffers for what is still under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use understudy_captures::conservation::Drop;

use crate::batch::Batch;
use crate::config::{QueueLimits, Scope};
use crate::filter::Exclusion;
use crate::gate::Gate;
use crate::handover::Sender;
use crate::ledger::Ledger;

/// Buffers kept for the next exchanges, and the largest that is kept.
const SPARE_BUFFERS: usize = 64;
const SPARE_BUFFER_BYTES: usize = 16 * 1024;

/// Shared by the taps of one data thread.
pub(crate) struct Desk {
    /// Exchanges that ended since the last hand-over.
    pub(crate) batch: Batch,
    /// What taps keep.
    pub(crate) scope: Arc<Scope>,
    /// Counters of the sidecar.
    pub(crate) ledger: Arc<Ledger>,
    recording: Arc<AtomicBool>,
    gate: Arc<Gate>,
    /// Where a changed scope comes from.
    scopes: Option<watch::Receiver<Arc<Scope>>>,
    sender: Sender,
    spare: Vec<Vec<u8>>,
    /// Bytes of exchanges under way, and how many there may be.
    held: usize,
    held_limit: usize,
    /// Bytes that make the tap panic, to prove that a panic ends recording and nothing else.
    #[cfg(test)]
    pub(crate) panic_on: Option<&'static [u8]>,
}

// === impl Desk ===

impl Desk {
    /// A desk for one of `threads` data threads.
    pub(crate) fn new(
        scope: Arc<Scope>,
        ledger: Arc<Ledger>,
        recording: Arc<AtomicBool>,
        sender: Sender,
        limits: QueueLimits,
        threads: usize,
    ) -> Desk {
        Desk {
            batch: Batch::default(),
            scope,
            ledger,
            recording,
            gate: Arc::default(),
            scopes: None,
            sender,
            spare: Vec::new(),
            held: 0,
            held_limit: limits.bytes / 2 / threads,
            #[cfg(test)]
            panic_on: None,
        }
    }

    /// Takes nothing while `gate` is closed, and changes its scope with `scopes`.
    pub(crate) fn governed_by(self, gate: Arc<Gate>, scopes: watch::Receiver<Arc<Scope>>) -> Desk {
        Desk { gate, scopes: Some(scopes), ..self }
    }

    /// The fate of a request of which nothing is to be copied, its reason counted.
    pub(crate) fn leaves_out(&self, path_excluded: bool) -> Option<Drop> {
        if !self.recording.load(Ordering::Relaxed) {
            self.ledger.exclude(Exclusion::SwitchedOff);
            return Some(Drop::Excluded);
        }
        if path_excluded {
            self.ledger.exclude(Exclusion::Path);
            return Some(Drop::Excluded);
        }
        self.gate.closed_for().map(|scarce| {
            self.ledger.shed(scarce);
            scarce.fate()
        })
    }

    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Appends to a buffer of this desk; `false`, and nothing appended, when there is no room for exchanges under way.
    pub(crate) fn keep(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
        if self.held + bytes.len() > self.held_limit {
            return false;
        }
        self.held += bytes.len();
        buffer.extend_from_slice(bytes);
        true
    }

    /// Takes a buffer back.
    pub(crate) fn release(&mut self, mut buffer: Vec<u8>) {
        self.held = self.held.saturating_sub(buffer.len());
        if buffer.capacity() > 0
            && buffer.capacity() <= SPARE_BUFFER_BYTES
            && self.spare.len() < SPARE_BUFFERS
        {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Hands the batch over when it is large enough.
    pub(crate) fn send_if_due(&mut self) {
        if self.sender.is_due(&self.batch) {
            self.send();
        }
    }

    /// Hands the batch over as it is.
    pub(crate) fn send(&mut self) {
        if let Some(scopes) = &mut self.scopes
            && scopes.has_changed().unwrap_or(false)
        {
            self.scope = scopes.borrow_and_update().clone();
        }
        self.sender.send(&mut self.batch);
    }

    /// Bytes of exchanges under way.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}
