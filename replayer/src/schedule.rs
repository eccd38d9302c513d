//! Recorded arrivals to intended instants.

use serde::{Deserialize, Serialize};

/// What the schedule made of the recorded arrivals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// As recorded, inside the window.
    pub recorded: Shape,
    /// As scheduled, for one iteration.
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
