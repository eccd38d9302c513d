//! How arrivals are distributed in time.

use serde::{Deserialize, Serialize};

const SECOND: u64 = 1_000_000_000;

/// What the schedule made of the recorded arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// As recorded, inside the window.
    pub recorded: Shape,
    /// As scheduled, for one iteration. Of a run without a schedule (`max`) only the count is known.
    pub scheduled: Shape,
}

/// The shape of a series of arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Arrivals.
    pub count: u64,
    /// From the first to the last, seconds.
    pub duration_s: f64,
    /// Arrivals per second over that time; 0 for fewer than two arrivals.
    pub rate: f64,
    /// Most arrivals in any one second, counted from the first arrival.
    pub peak: u64,
    /// Index of dispersion: variance over mean of the arrivals in each full second. 0 is a metronome, 1 a Poisson
    /// process, more is bursty. `None` for less than two full seconds.
    pub dispersion: Option<f64>,
}

/// Finds the [`Shape`] of arrivals that come in order, in constant memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShapeCounter {
    first: u64,
    last: u64,
    count: u64,
    /// Seconds that are over, idle ones included.
    seconds: u64,
    /// Arrivals in the second that is not over.
    current: u64,
    peak: u64,
    sum: f64,
    sum_of_squares: f64,
}

// === impl ShapeCounter ===

impl ShapeCounter {
    /// Counts an arrival at `instant` (nanoseconds), which is not before the last one.
    pub fn arrive(&mut self, instant: u64) {
        if self.count == 0 {
            self.first = instant;
        }
        let second = instant.saturating_sub(self.first) / SECOND;
        if second > self.seconds {
            self.sum += self.current as f64;
            self.sum_of_squares += (self.current as f64).powi(2);
            self.current = 0;
            // The idle seconds between add nothing to the sums but count as seconds.
            self.seconds = second;
        }
        self.current += 1;
        self.count += 1;
        self.peak = self.peak.max(self.current);
        self.last = instant;
    }

    /// The shape of what arrived so far.
    pub fn shape(&self) -> Shape {
        let duration_s = self.last.saturating_sub(self.first) as f64 / SECOND as f64;
        let rate = if duration_s > 0.0 { (self.count - 1) as f64 / duration_s } else { 0.0 };
        let dispersion = (self.seconds >= 2).then(|| {
            let n = self.seconds as f64;
            let mean = self.sum / n;
            (self.sum_of_squares / n - mean * mean).max(0.0) / mean
        });
        Shape { count: self.count, duration_s, rate, peak: self.peak, dispersion }
    }
}
