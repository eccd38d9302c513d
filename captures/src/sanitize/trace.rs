//! Which pieces of an exchange were treated how, for those who ask.

use std::collections::BTreeMap;
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

/// What says of a piece in bytes that are no text where it is and what it says.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// A path.
    pub(super) at: String,
    /// Of a number, its digits before and after.
    pub(super) number: Option<(String, String)>,
}

/// The pieces so far, in the order in which they were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    steps: Vec<Step>,
    /// Of pieces by their first byte.
    names: BTreeMap<(Place, usize), Named>,
    /// What was taken out of bodies: where, and why.
    dropped: Vec<(Place, String, &'static str)>,
    /// Nothing is replaced.
    pub(super) only: bool,
}

// === impl Trace ===

impl Trace {
    /// Remembers what is met and lets nothing be replaced.
    pub(super) fn only() -> Self {
        Self { only: true, ..Self::default() }
    }

    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The pieces so far.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Says of the piece that begins at `start` where that is.
    pub(super) fn name(&mut self, place: Place, start: usize, named: Named) {
        self.names.insert((place, start), named);
    }

    /// What was said of the piece that begins at `start`.
    pub(super) fn named(&self, place: Place, start: usize) -> Option<&Named> {
        self.names.get(&(place, start))
    }

    /// Remembers what is taken out of a body.
    pub(super) fn drop(&mut self, place: Place, dropped: impl IntoIterator<Item = (String, &'static str)>) {
        self.dropped.extend(dropped.into_iter().map(|(at, why)| (place, at, why)));
    }

    /// What was taken out of a body.
    pub(super) fn dropped(&self, place: Place) -> impl Iterator<Item = (&str, &'static str)> {
        self.dropped.iter().filter(move |(p, ..)| *p == place).map(|(_, at, why)| (at.as_str(), *why))
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
