//! Recorded arrivals to intended instants.
//!
//! A capture is read three ways here, always in order of arrival and never kept in memory:
//!
//! - [`Selection`] is the part of the capture that can be repeated: inside the window, and whole enough to be sent
//!   again. Everything that speaks of "exchange 17" (outcomes, recorded answers, the report) means its numbering.
//! - [`Survey`] is the first pass, before any socket opens: is everything safe to send, how many are there, how do they
//!   arrive, what did the service answer then.
//! - [`Blocks`] is every later pass: pieces of the schedule, small enough to be held in memory while each candidate
//!   takes its turn on them.
//!
//! [`Timeline`] is the transform itself: window, then speed or constant rate.

mod blocks;
#[cfg(test)]
pub(crate) mod fixture;
mod request;
mod selection;
mod shape;
mod survey;
#[cfg(test)]
mod tests;

pub use blocks::{Block, Blocks, Scheduled};
pub use request::{Preparation, Prepared, Unrepeatable};
pub use selection::{Selected, Selection};
pub use shape::{Arrivals, Shape, ShapeCounter};
pub use survey::{Survey, SurveyError};

use crate::plan::{Pace, Plan};

/// Turns recorded offsets into intended offsets, both in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeline {
    pace: Pace,
    /// Where the window begins, after the first arrival of the capture.
    origin: u64,
}

// === impl Timeline ===

impl Timeline {
    /// The timeline of a plan.
    pub fn of(plan: &Plan) -> Timeline {
        let origin = plan.window.map_or(0, |(start, _)| nanos(start));
        Timeline { pace: plan.pace, origin }
    }

    /// When the `index`th selected exchange, recorded `recorded` ns after the first arrival of the capture, is to start:
    /// nanoseconds after the beginning of the iteration. Never decreases when neither argument does. Without a
    /// schedule ([`Pace::Max`]) it is 0.
    pub fn offset(&self, index: u32, recorded: u64) -> u64 {
        match self.pace {
            // Exact to the nanosecond below 2^53 ns, which is 104 days.
            Pace::Speed(speed) => (recorded.saturating_sub(self.origin) as f64 / speed).round() as u64,
            Pace::Rate(rate) => (f64::from(index) * 1e9 / rate).round() as u64,
            Pace::Max { .. } => 0,
        }
    }
}

/// Nanoseconds of a duration; 584 years at most.
pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
