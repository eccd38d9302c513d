//! What is done about segments once a flush: limits, the ring, freezes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use understudy_captures::{Ending, Exchange, UnixNanos};

use crate::compat::Compat;
use crate::failure::Failure;
use crate::flight::Seen;
use crate::flight::{Flight, FlightPlan, Note};
use crate::gate::{Gate, Scarce};
use crate::inventory::{self, Kept};
use crate::ledger::Ledger;
use crate::shipper::Dock;
use crate::thrift::{Limits, Thrift};

/// What a recorder does with its segments.
pub(crate) struct Rooms {
    pub(crate) dir: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) flight: Option<FlightPlan>,
    pub(crate) gate: Arc<Gate>,
    /// Where closed segments are shipped from.
    pub(crate) dock: Option<Dock>,
    pub(crate) compat_metrics: bool,
}

/// Looks after a captures directory, on the recorder's thread.
pub(super) struct House {
    pub(super) thrift: Thrift,
    dir: PathBuf,
    gate: Arc<Gate>,
    flight: Option<Flight>,
    dock: Option<Dock>,
    compat: Option<Compat>,
    /// The disk is full: what can be shipped must be closed for it.
    disk_is_new_full: bool,
}

// === impl House ===

impl House {
    /// To be called on the recorder's thread, whose CPU time it watches.
    pub(super) fn new(rooms: Rooms, ledger: Arc<Ledger>) -> House {
        let Rooms { dir, limits, flight, gate, dock, compat_metrics } = rooms;
        let compat = compat_metrics.then(|| Compat::new(&ledger));
        let flight = flight.map(|plan| Flight::resume(plan, dir.clone(), ledger.clone()));
        let mut thrift = Thrift::new(limits, dir.clone(), gate.clone(), ledger);
        thrift.tend();
        House { thrift, dir, gate, flight, dock, compat, disk_is_new_full: false }
    }

    /// Notes what triggers and compatibility metrics look at.
    pub(super) fn note(&mut self, exchange: &Exchange) {
        if let Some(compat) = &self.compat {
            compat.note(exchange);
        }
        let Some(flight) = &mut self.flight else { return };
        let seen = Seen {
            status: exchange.response.as_ref().map_or(0, |response| response.status),
            failed: matches!(exchange.ending, Ending::UpstreamClosed | Ending::UpstreamReset),
            latency: Duration::from_nanos(exchange.timing.end),
        };
        flight.window.note(seen, Instant::now());
    }

    /// Whether the segment under way should be closed before [`House::tend`].
    pub(super) fn wants_segment_closed(&mut self) -> bool {
        std::mem::take(&mut self.disk_is_new_full)
            || self.flight.as_ref().is_some_and(|flight| flight.wants_segment_closed(SystemTime::now()))
    }

    /// Once a flush. `open` is the segment being written.
    pub(super) fn tend(&mut self, open: Option<&Path>) {
        let was_full = self.gate.is_closed_for(Scarce::Disk);
        self.thrift.tend();
        self.disk_is_new_full = self.dock.is_some() && !was_full && self.gate.is_closed_for(Scarce::Disk);
        if let Some(flight) = &mut self.flight {
            flight.tend(open, SystemTime::now());
        }
        if let Some(dock) = &self.dock {
            // Of a flight recorder only frozen captures are shipped, which the shipper finds by itself. A directory that
            // cannot be listed is told by whoever writes to it; the next flush offers again.
            let closed = if self.flight.is_some() { Vec::new() } else { self.closed(open) };
            dock.offer(closed);
        }
    }

    fn closed(&self, open: Option<&Path>) -> Vec<Kept> {
        inventory::segments(&self.dir, open).unwrap_or_default()
    }

    /// The rule that asks for a freeze now.
    pub(super) fn triggered(&mut self) -> Option<String> {
        self.flight.as_mut()?.triggered()
    }

    /// Begins a freeze; the segment under way must have been closed just before.
    pub(super) fn freeze(
        &mut self,
        name: Option<String>,
        asker: &str,
        reason: &str,
    ) -> Result<Note, Failure> {
        let Some(flight) = &mut self.flight else {
            return Err(Failure::Usage(
                "there is nothing to freeze: start the sidecar with --flight-recorder 10m".to_owned(),
            ));
        };
        let name = name.unwrap_or_else(|| {
            let second = UnixNanos::now().to_string();
            format!("{asker}-{}", second.get(..19).unwrap_or("now").replace(':', "-"))
        });
        flight.freeze(&name, reason, SystemTime::now())
    }
}
