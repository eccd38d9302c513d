//! The part of a capture that a run repeats.

use understudy_captures::capture::CaptureError;
use understudy_captures::{Capture, Exchange, UnixNanos};

use super::nanos;
use super::request::{Preparation, Prepared, Unrepeatable};
use crate::plan::Plan;

/// The exchanges of a capture that a run repeats, in order of arrival, numbered from 0. The numbers are those of
/// [`Outcome::exchange`](crate::outcome::Outcome::exchange).
pub struct Selection {
    exchanges: Box<dyn Iterator<Item = Result<Exchange, CaptureError>> + Send>,
    preparation: Preparation,
    /// First and last instant, after the first arrival of the capture.
    window: (u64, u64),
    first: Option<UnixNanos>,
    next: u32,
    /// How many were read, and how many of them could not be repeated, by [`Unrepeatable::ALL`].
    read: u64,
    left_out: [u64; Unrepeatable::ALL.len()],
}

/// An exchange to be repeated.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Its number.
    pub index: u32,
    /// Nanoseconds after the first arrival of the capture.
    pub recorded: u64,
    /// As recorded.
    pub exchange: Exchange,
    /// As it will be sent.
    pub prepared: Prepared,
}

// === impl Selection ===

impl Selection {
    /// Reads `capture` from its beginning.
    pub fn of(capture: &Capture, plan: &Plan) -> Selection {
        Selection::over(Box::new(capture.exchanges()), plan)
    }

    /// Selects from exchanges that come in order of arrival.
    pub(super) fn over(
        exchanges: Box<dyn Iterator<Item = Result<Exchange, CaptureError>> + Send>,
        plan: &Plan,
    ) -> Selection {
        Selection {
            exchanges,
            preparation: Preparation::of(plan),
            window: plan.window.map_or((0, u64::MAX), |(start, end)| (nanos(start), nanos(end))),
            first: None,
            next: 0,
            read: 0,
            left_out: [0; Unrepeatable::ALL.len()],
        }
    }

    /// Exchanges read so far, inside the window or not.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// What was left out so far though it is inside the window, with the number of exchanges.
    pub fn left_out(&self) -> impl Iterator<Item = (Unrepeatable, u64)> + '_ {
        Unrepeatable::ALL.into_iter().zip(self.left_out).filter(|(_, count)| *count > 0)
    }
}

impl Iterator for Selection {
    type Item = Result<Selected, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let exchange = match self.exchanges.next()? {
                Ok(exchange) => exchange,
                Err(error) => return Some(Err(error)),
            };
            self.read += 1;
            let first = *self.first.get_or_insert(exchange.arrival);
            let recorded = exchange.arrival.since(first);
            if recorded < self.window.0 || recorded >= self.window.1 {
                // The rest of the capture is still read, so that its exchanges are counted.
                continue;
            }
            match self.preparation.prepare(&exchange.request) {
                Ok(prepared) => {
                    let index = self.next;
                    self.next += 1;
                    return Some(Ok(Selected { index, recorded, exchange, prepared }));
                }
                Err(reason) => self.left_out[reason as usize] += 1,
            }
        }
    }
}
