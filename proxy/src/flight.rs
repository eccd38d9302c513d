//! The flight recorder: a bounded ring of segments that is always written, and captures frozen out of it.
//!
//! Segments of the ring lie in the captures directory; those that are too old, or too many, are deleted. A freeze links
//! those that reach into its span into a folder of its own, `frozen/NAME`, at once, and those that follow as they are
//! closed. A link is whole or not there, and a segment in two folders takes its room once. What a freeze still waits for
//! stands in a note in its folder, so that a restart goes on with it.
//!
//! - [`freeze`]: one frozen capture.
//! - [`trigger`]: rules that freeze by themselves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::failure::Failure;
use crate::flight::freeze::Freeze;
use crate::flight::trigger::Window;
use crate::inventory::{self, Kept};
use crate::ledger::Ledger;

mod flags;
mod freeze;
#[cfg(test)]
mod tests;
mod trigger;

pub use flags::FlightFlags;
pub(crate) use freeze::Note;
pub(crate) use trigger::Seen;
pub use trigger::Trigger;

/// Folder of frozen captures, in the captures directory.
pub(crate) const FROZEN: &str = "frozen";

/// What the flight recorder keeps; every value was checked.
#[derive(Clone, Debug)]
pub struct FlightPlan {
    /// How long before a freeze, and after it, is kept.
    pub span: Duration,
    /// Most bytes of the ring.
    pub bytes: u64,
    /// Most frozen captures that may lie there.
    pub frozen: usize,
    /// What freezes by itself.
    pub triggers: Vec<Trigger>,
    /// Over which time triggers look.
    pub window: Duration,
}

/// Who asked for a freeze, for the name when none was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A request to the admin address.
    Admin,
    /// A signal.
    Signal,
}

/// The ring of one captures directory, and what is being frozen out of it. On the recorder's thread.
pub(crate) struct Flight {
    plan: FlightPlan,
    dir: PathBuf,
    /// Freezes whose span has not ended.
    open: Vec<Freeze>,
    pub(crate) window: Window,
    ledger: Arc<Ledger>,
}

// === impl Asker ===

impl Asker {
    /// In names of captures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Asker::Admin => "admin",
            Asker::Signal => "signal",
        }
    }
}

// === impl Flight ===

impl Flight {
    /// Goes on with what a recorder before this one left in `dir`.
    pub(crate) fn resume(plan: FlightPlan, dir: PathBuf, ledger: Arc<Ledger>) -> Flight {
        let window = Window::new(plan.triggers.clone(), plan.window);
        let mut flight = Flight { plan, dir, open: Vec::new(), window, ledger };
        match freeze::all(&flight.dir.join(FROZEN)) {
            Ok(freezes) => flight.open = freezes.into_iter().filter(Freeze::is_open).collect(),
            Err(error) => flight.failed("frozen captures cannot be read", &error),
        }
        for freeze in &flight.open {
            tracing::info!(
                name = freeze.note.name,
                "goes on with a freeze that was begun before the restart"
            );
        }
        flight
    }

    /// Begins a freeze at `now`. The segment under way must have been closed just before.
    ///
    /// # Errors
    ///
    /// The name is none or is taken, there are too many already, the disk refuses.
    pub(crate) fn freeze(&mut self, name: &str, reason: &str, now: SystemTime) -> Result<Note, Failure> {
        if !is_name(name) {
            return Err(Failure::Usage(
                "a name has 1 to 64 letters, digits, dashes and underscores, and begins with a letter or digit"
                    .to_owned(),
            ));
        }
        let frozen = self.dir.join(FROZEN);
        let there = freeze::all(&frozen).map_err(|error| cannot(&error))?;
        if there.iter().any(|freeze| freeze.note.name == name) {
            return Err(Failure::Data(format!("{name} exists; choose another name")));
        }
        if there.len() >= self.plan.frozen {
            return Err(Failure::Data(format!(
                "there are {} frozen captures already: move one of {} elsewhere, or raise --frozen-limit",
                there.len(),
                frozen.display()
            )));
        }
        let mut freeze =
            Freeze::begin(&frozen, name, reason, now, self.plan.span).map_err(|error| cannot(&error))?;
        self.ledger.freezes.inc();
        tracing::warn!(name, reason, span = ?self.plan.span, "the flight recorder freezes");
        let linked = inventory::segments(&self.dir, None).and_then(|ring| freeze.link(&ring));
        if let Err(error) = linked {
            // Whatever is in the ring stays there for the next try.
            self.failed("cannot freeze all of the ring yet; it is tried again", &error);
        }
        let note = freeze.note.clone();
        self.open.push(freeze);
        Ok(note)
    }

    /// What a trigger says, unless a freeze under way covers it.
    pub(crate) fn triggered(&mut self) -> Option<String> {
        let what = self.window.fires()?;
        self.open.is_empty().then_some(what)
    }

    /// Whether a freeze waits for the segment under way, because its span has ended.
    pub(crate) fn wants_segment_closed(&self, now: SystemTime) -> bool {
        self.open.iter().any(|freeze| freeze.ends_by(now))
    }

    /// Links what was closed, ends freezes, deletes what is too old or too much. `open` is the segment being written.
    pub(crate) fn tend(&mut self, open: Option<&Path>, now: SystemTime) {
        let ring = match inventory::segments(&self.dir, open) {
            Ok(ring) => ring,
            Err(error) => return self.failed("the captures directory cannot be listed", &error),
        };
        for freeze in &mut self.open {
            let ended = freeze.ends_by(now);
            let linked = freeze.link(&ring).and_then(|()| if ended { freeze.close() } else { Ok(()) });
            if let Err(error) = linked {
                self.ledger.write_errors.inc();
                tracing::error!(%error, name = freeze.note.name, "cannot freeze yet; it is tried again");
            } else if ended {
                tracing::info!(name = freeze.note.name, "frozen");
            }
        }
        self.open.retain(Freeze::is_open);
        let under_way = open.and_then(|open| open.metadata().ok()).map_or(0, |metadata| metadata.len());
        self.prune(ring, under_way, now);
        self.ledger.frozen_open.set(self.open.len() as i64);
    }

    fn prune(&mut self, ring: Vec<Kept>, under_way: u64, now: SystemTime) {
        let mut bytes = under_way + ring.iter().map(|kept| kept.bytes).sum::<u64>();
        let mut left = ring.len();
        for kept in ring {
            let too_old = kept.ended + self.plan.span < now;
            // What a freeze could not link yet stays, however much there is.
            let wanted = self.open.iter().any(|freeze| freeze.lacks(&kept));
            if wanted || !(too_old || bytes > self.plan.bytes) {
                continue;
            }
            if let Err(error) = std::fs::remove_file(&kept.path) {
                self.failed("a segment of the ring cannot be deleted", &error);
                continue;
            }
            bytes -= kept.bytes;
            left -= 1;
            self.ledger.ring_deleted.inc();
        }
        self.ledger.ring_segments.set(left as i64);
        self.ledger.ring_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn failed(&self, what: &str, error: &io::Error) {
        self.ledger.write_errors.inc();
        tracing::error!(%error, "{what}");
    }
}

fn cannot(error: &io::Error) -> Failure {
    Failure::Output(format!("cannot freeze: {error}"))
}

/// Whether it can be a folder's name and says nothing to a shell.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(plain)
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// The frozen captures of a captures directory, for people and machines.
pub(crate) fn notes(dir: &Path) -> io::Result<Vec<Note>> {
    freeze::all(&dir.join(FROZEN)).map(|freezes| freezes.into_iter().map(|freeze| freeze.note).collect())
}
