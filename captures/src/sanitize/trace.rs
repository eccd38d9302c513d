//! Which pieces of an exchange were treated how, for those who ask.

use std::ops::Range;

use super::encoded::Encoding;
use super::paths::Treatment;
use crate::exchange::Place;

/// One piece of text that was treated.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) place: Place,
    /// Where in its part: the target, one header value, or the decoded body.
    pub(super) range: Range<usize>,
    pub(super) encoding: Encoding,
    pub(super) treatment: Treatment,
    /// What a replacement of the whole counts as.
    pub(super) class: &'static str,
}

/// The pieces so far, in the order in which they were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    steps: Vec<Step>,
    /// Nothing is replaced.
    pub(super) only: bool,
}

// === impl Trace ===

impl Trace {
    /// Remembers what is met and lets nothing be replaced.
    pub(super) fn only() -> Self {
        Self { steps: Vec::new(), only: true }
    }

    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The pieces since the last call.
    pub(super) fn take(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// What was met since `steps` within `from` stands at `to` in truth.
    pub(super) fn moved(&mut self, steps: usize, from: Range<usize>, to: usize) {
        for step in self.steps.iter_mut().skip(steps).filter(|step| from.contains(&step.range.start)) {
            step.range = to + step.range.start - from.start..to + step.range.end - from.start;
        }
    }
}
