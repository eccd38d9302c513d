//! One wall-clock anchor and a monotonic clock: differences between instants are exact even when the wall clock steps.

use std::time::Instant;

use understudy_captures::UnixNanos;

/// Nanoseconds since the anchor of the process's [`Clock`].
pub(crate) type Nanos = u64;

/// The time of one sidecar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    wall: UnixNanos,
}

// === impl Clock ===

impl Clock {
    /// Anchors the clock at the present.
    pub(crate) fn start() -> Clock {
        Clock { anchor: Instant::now(), wall: UnixNanos::now() }
    }

    /// The present.
    pub(crate) fn now(&self) -> Nanos {
        // 2^64 ns are 584 years.
        self.anchor.elapsed().as_nanos() as Nanos
    }

    /// The wall-clock instant of `nanos`.
    pub(crate) fn wall(&self, nanos: Nanos) -> UnixNanos {
        UnixNanos(self.wall.0.saturating_add(nanos))
    }
}
