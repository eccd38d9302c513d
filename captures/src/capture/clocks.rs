//! How far apart the clocks of pods are, as far as the traffic itself shows it.
//!
//! When one pod calls another, both record an exchange with the trace id of the same request, and the inner one lies
//! within the outer one. Each such pair bounds the difference of the two clocks; the difference that most pairs allow is
//! the estimate (Marzullo's algorithm). Without such pairs, or when they contradict each other, nothing is said.

use std::collections::BTreeMap;

use super::derive::pod_of;
use super::{Capture, CaptureError, Exchanges};
use crate::exchange::Exchange;
use crate::segment::reader::Segment;

/// Trace ids looked at; of more, those with the smallest numbers, which are the same on every pod.
const MAX_TRACES: usize = 1 << 16;
/// Exchanges remembered of one trace.
const MAX_SIGHTINGS: usize = 8;
/// Fewer pairs than this are no evidence.
const MIN_PAIRS: usize = 3;
/// Pairs that must allow the estimate, of all.
const MIN_AGREEING: f64 = 0.8;

/// What the traffic says of the clock of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockEstimate {
    /// The pod.
    pub pod: String,
    /// The pod it is compared with.
    pub against: String,
    /// Pairs of exchanges with one trace id.
    pub pairs: usize,
    /// Pairs that allow the estimate.
    pub agreeing: usize,
    /// How far its clock is ahead: least and most, in nanoseconds; `None` without sound evidence.
    pub ahead: Option<(i64, i64)>,
}

/// An exchange with a trace id: pod, begin and end.
type Sighting = (usize, i64, i64);

impl ClockEstimate {
    /// What to add to the pod's instants, in nanoseconds: nothing while its clock may be right.
    pub fn correction(&self) -> i64 {
        match self.ahead {
            Some((least, most)) if least > 0 || most < 0 => -(least + (most - least) / 2),
            _ => 0,
        }
    }
}

impl Capture {
    /// Compares the clocks of every pod with that of the first one, by name. Reads the whole capture when it comes from
    /// several pods.
    pub fn clock_estimates(&self, progress: &mut dyn FnMut(u64)) -> Result<Vec<ClockEstimate>, CaptureError> {
        let mut pods: BTreeMap<String, Vec<Segment>> = BTreeMap::new();
        for segment in self.segments.iter().filter(|segment| is_of_one_clock(segment)) {
            pods.entry(pod_of(segment)).or_default().push(segment.clone());
        }
        if pods.len() < 2 {
            return Ok(Vec::new());
        }
        let mut traces: BTreeMap<u128, Vec<Sighting>> = BTreeMap::new();
        let (names, segments): (Vec<_>, Vec<_>) = pods.into_iter().unzip();
        for (pod, segments) in segments.into_iter().enumerate() {
            for exchange in Exchanges::new(segments.into(), Vec::new()) {
                let exchange = exchange?;
                progress(1);
                let Some(trace) = exchange.trace_id else { continue };
                let sightings = traces.entry(trace).or_default();
                let sighting = sighting(pod, &exchange);
                // A segment and a slice of it show the same exchange.
                if sightings.len() < MAX_SIGHTINGS && !sightings.contains(&sighting) {
                    sightings.push(sighting);
                }
                if traces.len() > MAX_TRACES {
                    traces.pop_last();
                }
            }
        }
        let pods = names;
        let against = |pod: usize| estimate(&pods, pod, &traces);
        Ok((1..pods.len()).map(against).collect())
    }
}

/// Whether all of a segment was told by one clock: not so when it was made of what several pods recorded.
fn is_of_one_clock(segment: &Segment) -> bool {
    segment.origin.as_ref().is_some_and(|origin| origin.pod.is_some() || origin.derived.is_none())
}

fn sighting(pod: usize, exchange: &Exchange) -> Sighting {
    let begin = exchange.arrival.0 as i64;
    (pod, begin, begin.saturating_add_unsigned(exchange.timing.end))
}

fn estimate(pods: &[String], pod: usize, traces: &BTreeMap<u128, Vec<Sighting>>) -> ClockEstimate {
    let of = |sightings: &[Sighting], pod: usize| {
        let mut found = sightings.iter().filter(|sighting| sighting.0 == pod);
        // Two on one pod: which of them is the partner cannot be told.
        found.next().filter(|_| found.next().is_none()).copied()
    };
    let bounds: Vec<(i64, i64)> = traces
        .values()
        .filter_map(|sightings| {
            let ((_, begin, end), (_, other_begin, other_end)) = (of(sightings, 0)?, of(sightings, pod)?);
            let (a, b) = (other_begin.saturating_sub(begin), other_end.saturating_sub(end));
            Some((a.min(b), a.max(b)))
        })
        .collect();
    let (agreeing, ahead) = most_allowed(&bounds);
    let sound = bounds.len() >= MIN_PAIRS && agreeing as f64 >= MIN_AGREEING * bounds.len() as f64;
    ClockEstimate {
        pod: pods[pod].clone(),
        against: pods[0].clone(),
        pairs: bounds.len(),
        agreeing,
        ahead: ahead.filter(|_| sound),
    }
}

/// The interval that lies in the most of `bounds`, and in how many.
fn most_allowed(bounds: &[(i64, i64)]) -> (usize, Option<(i64, i64)>) {
    let mut edges: Vec<(i64, i32)> = bounds.iter().flat_map(|(low, high)| [(*low, -1), (*high, 1)]).collect();
    edges.sort_unstable();
    let (mut depth, mut best, mut found) = (0_usize, 0, None);
    for (at, (edge, kind)) in edges.iter().enumerate() {
        if *kind > 0 {
            depth -= 1;
            continue;
        }
        depth += 1;
        if depth > best {
            best = depth;
            found = edges.get(at + 1).map(|(next, _)| (*edge, *next));
        }
    }
    (best, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_that_most_pairs_allow_is_found() {
        assert_eq!(most_allowed(&[(8, 12), (11, 13), (10, 12), (-50, -40)]), (3, Some((11, 12))));
        assert_eq!(most_allowed(&[]), (0, None));
    }

    #[test]
    fn few_or_contradicting_pairs_are_no_evidence() {
        let pods = ["a".to_owned(), "b".to_owned()];
        let traces = |bounds: &[(i64, i64)]| -> BTreeMap<u128, Vec<Sighting>> {
            // On pod 0 from 0 to 100, on pod 1 from `low` to `100 + high`.
            let pair = |(n, (low, high)): (usize, &(i64, i64))| {
                (n as u128, vec![(0, 0, 100), (1, *low, 100 + *high)])
            };
            bounds.iter().enumerate().map(pair).collect()
        };
        let told = |bounds: &[(i64, i64)]| estimate(&pods, 1, &traces(bounds));
        assert_eq!(told(&[(10, 20), (10, 20)]).ahead, None);
        assert_eq!(told(&[(10, 20), (30, 40), (50, 60)]).ahead, None);
        let sound = told(&[(10, 20), (12, 30), (14, 18), (15, 40), (90, 91)]);
        assert_eq!((sound.ahead, sound.agreeing, sound.correction()), (Some((15, 18)), 4, -16));
        // A clock that may be right is left alone.
        assert_eq!(told(&[(-10, 20), (-12, 30), (-14, 18)]).correction(), 0);
    }
}
