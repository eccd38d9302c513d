//! Closed while recording must not take more: requests are then let go by before anything of them is copied.

use std::sync::atomic::{AtomicU8, Ordering};

use understudy_captures::conservation::Drop;

/// What the sidecar has run out of; requests are recorded only while it has run out of nothing.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU8);

/// What the sidecar can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    /// Memory of the process, against `--memory-limit`.
    Memory,
    /// Room in the captures directory, against `--disk-limit`.
    Disk,
}

// === impl Gate ===

impl Gate {
    /// Notes whether there is too little of something; whether that is new.
    pub(crate) fn set(&self, scarce: Scarce, is_scarce: bool) -> bool {
        let before = if is_scarce {
            self.0.fetch_or(scarce.bit(), Ordering::Relaxed)
        } else {
            self.0.fetch_and(!scarce.bit(), Ordering::Relaxed)
        };
        (before & scarce.bit() != 0) != is_scarce
    }

    /// Whether there is too little of this.
    pub(crate) fn is_closed_for(&self, scarce: Scarce) -> bool {
        self.0.load(Ordering::Relaxed) & scarce.bit() != 0
    }

    /// What there is too little of.
    pub(crate) fn closed_for(&self) -> Option<Scarce> {
        let bits = self.0.load(Ordering::Relaxed);
        if bits == 0 { None } else { Scarce::ALL.into_iter().find(|scarce| bits & scarce.bit() != 0) }
    }
}

// === impl Scarce ===

impl Scarce {
    /// Everything.
    pub(crate) const ALL: [Scarce; 2] = [Scarce::Memory, Scarce::Disk];

    /// Name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scarce::Memory => "memory",
            Scarce::Disk => "disk",
        }
    }

    /// What becomes of a request that is let go by for it.
    pub(crate) fn fate(self) -> Drop {
        match self {
            Scarce::Memory => Drop::QueueFull,
            Scarce::Disk => Drop::IoError,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_when_nothing_is_scarce_any_more() {
        let gate = Gate::default();
        assert_eq!(gate.closed_for(), None);
        assert!(gate.set(Scarce::Disk, true) && !gate.set(Scarce::Disk, true));
        assert!(gate.set(Scarce::Memory, true));
        assert_eq!(gate.closed_for(), Some(Scarce::Memory));
        assert!(gate.set(Scarce::Memory, false));
        assert_eq!(gate.closed_for(), Some(Scarce::Disk));
        assert!(gate.set(Scarce::Disk, false) && !gate.set(Scarce::Disk, false));
        assert_eq!(gate.closed_for(), None);
    }
}
