//! Ships closed segments to a directory or an object store, and deletes them here once they are safe there.
//!
//! A thread of its own, which the recorder never waits for. A segment is deleted only after the store has shown it
//! whole, and after the journal says so. A kill at any moment leaves a segment in both places at worst: it is then
//! delivered again, found there, compared and deleted.
//!
//! - [`journal`]: the account of what was shipped.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use understudy_captures::UnixNanos;
use understudy_store::Shelf;

use crate::flight;
use crate::inventory::{self, Kept};
use crate::ledger::Ledger;
use crate::shipper::journal::{Entry, Journal, Totals};

mod journal;
#[cfg(test)]
mod tests;

/// First pause after a failure, doubled with each further one,
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Hands closed segments to the shipper's thread, and shows its account.
#[derive(Clone)]
pub(crate) struct Dock(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Closed segments of the captures directory.
    waiting: Vec<Kept>,
    /// Traffic is over: what cannot be shipped now stays for the next start.
    last_call: bool,
    account: Account,
}

/// What was shipped and what waits, for people and machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    /// Where to.
    pub(crate) to: PathBuf,
    /// Since the journal was begun, also before this process.
    #[serde(flatten)]
    pub(crate) shipped: Totals,
    /// Closed segments that are not there yet.
    pub(crate) waiting: usize,
    /// Why the last attempt failed; none when it succeeded.
    pub(crate) failing: Option<String>,
}

/// Ships, on a thread of its own.
pub(crate) struct Shipper {
    shelf: Shelf,
    dir: PathBuf,
    /// Only frozen captures are shipped: the ring is not.
    only_frozen: bool,
    dock: Dock,
    journal: Journal,
    /// Names under which something else is there.
    refused: BTreeSet<String>,
    failures: u32,
    ledger: Arc<Ledger>,
}

/// Something to ship.
struct Item {
    path: PathBuf,
    /// Its name on the shelf.
    name: String,
}

// === impl Dock ===

impl Dock {
    /// For a shipper to `to`.
    pub(crate) fn new(to: PathBuf) -> Dock {
        let account = Account { to, ..Account::default() };
        let state = Mutex::new(State { account, ..State::default() });
        Dock(Arc::new(Shared { state, changed: Condvar::new() }))
    }

    /// Says which segments are closed now.
    pub(crate) fn offer(&self, closed: Vec<Kept>) {
        self.state().waiting = closed;
        self.0.changed.notify_all();
    }

    /// Says that nothing comes any more.
    pub(crate) fn last_call(&self) {
        self.state().last_call = true;
        self.0.changed.notify_all();
    }

    /// What was shipped and what waits.
    pub(crate) fn account(&self) -> Account {
        self.state().account.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for news, at most until `deadline`; whether it is the last call.
    fn wait(&self, deadline: Instant) -> bool {
        let state = self.state();
        if state.last_call {
            return true;
        }
        let patience = deadline.saturating_duration_since(Instant::now());
        let waited = self.0.changed.wait_timeout(state, patience);
        waited.unwrap_or_else(PoisonError::into_inner).0.last_call
    }
}

// === impl Shipper ===

impl Shipper {
    /// A shipper that goes on with the journal in `dir`.
    ///
    /// # Errors
    ///
    /// The journal cannot be read or written.
    pub(crate) fn new(
        shelf: Shelf,
        dir: PathBuf,
        only_frozen: bool,
        dock: Dock,
        ledger: Arc<Ledger>,
    ) -> io::Result<Shipper> {
        let journal = Journal::open(&dir)?;
        dock.state().account.shipped = journal.totals();
        Ok(Shipper { shelf, dir, only_frozen, dock, journal, refused: BTreeSet::new(), failures: 0, ledger })
    }

    /// Ships until the last call, and then as long as it goes well.
    pub(crate) fn run(mut self) {
        loop {
            // Before looking: what is offered meanwhile is not missed.
            let last_call = self.dock.state().last_call;
            let shipped = self.ship_waiting();
            let pause = match &shipped {
                Ok(()) => {
                    self.failures = 0;
                    LONGEST_PAUSE
                }
                Err(_) => {
                    self.failures += 1;
                    pause_after(self.failures, rand::random())
                }
            };
            self.tell(shipped);
            if last_call {
                return;
            }
            let deadline = Instant::now() + pause;
            // After a failure news change nothing: the store is given time.
            while !self.dock.wait(deadline) && self.failures > 0 && Instant::now() < deadline {}
        }
    }

    /// Ships what waits, oldest first, until something fails.
    fn ship_waiting(&mut self) -> io::Result<()> {
        let items = self.items()?;
        self.dock.state().account.waiting = items.len();
        for (n, item) in items.iter().enumerate() {
            let left = items.len() - n;
            self.ledger.ship_waiting.set(left as i64);
            self.ship(item)?;
            let mut state = self.dock.state();
            state.account.waiting = left - 1;
            state.account.shipped = self.journal.totals();
        }
        self.ledger.ship_waiting.set(0);
        if self.only_frozen {
            self.clear_folders()?;
        }
        Ok(())
    }

    /// What waits: closed segments, or those of frozen captures that are done.
    fn items(&self) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        if self.only_frozen {
            for note in flight::notes(&self.dir)?.into_iter().filter(|note| note.done) {
                let folder = self.dir.join(flight::FROZEN).join(&note.name);
                for kept in inventory::segments(&folder, None)? {
                    items.push(Item { path: kept.path, name: format!("{}/{}", note.name, kept.name) });
                }
            }
        } else {
            let waiting = self.dock.state().waiting.clone();
            items.extend(waiting.into_iter().map(|kept| Item { path: kept.path, name: kept.name }));
        }
        // Shipped since they were offered, or not to be shipped at all.
        items.retain(|item| item.path.exists() && !self.refused.contains(&item.name));
        Ok(items)
    }

    fn ship(&mut self, item: &Item) -> io::Result<()> {
        let receipt = match self.shelf.deliver(&item.path, &item.name) {
            Ok(receipt) => receipt,
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.ledger.ship_failures.inc();
                tracing::error!(%error, name = item.name, "a segment is not shipped; it stays here");
                self.refused.insert(item.name.clone());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.journal.note(Entry {
            at: UnixNanos::now().to_string(),
            segment: item.name.clone(),
            object: receipt.object,
            bytes: receipt.bytes,
            blake3: receipt.digest,
        })?;
        fs::remove_file(&item.path)?;
        self.ledger.shipped_segments.inc();
        self.ledger.shipped_bytes.inc_by(receipt.bytes);
        Ok(())
    }

    /// Frozen captures whose segments are all there have nothing to stay for.
    fn clear_folders(&self) -> io::Result<()> {
        for note in flight::notes(&self.dir)?.into_iter().filter(|note| note.done) {
            let folder = self.dir.join(flight::FROZEN).join(&note.name);
            if inventory::segments(&folder, None)?.is_empty() {
                fs::remove_dir_all(folder)?;
                tracing::info!(name = note.name, "a frozen capture was shipped");
            }
        }
        Ok(())
    }

    fn tell(&self, shipped: io::Result<()>) {
        let failing = shipped.as_ref().err().map(io::Error::to_string);
        if let Err(error) = &shipped {
            self.ledger.ship_failures.inc();
            tracing::warn!(
                %error,
                failures = self.failures,
                to = %self.shelf.name().display(),
                "segments cannot be shipped; they wait here, it is tried again"
            );
        }
        self.dock.state().account.failing = failing;
    }
}

/// Between half and all of a time that doubles: many recorders whose store comes back do not all knock at once.
fn pause_after(failures: u32, chance: f64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}
