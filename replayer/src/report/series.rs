//! What the plots show, small enough for any run.

use serde::{Deserialize, Serialize};

use crate::judge::latency::{self, Sorted};
use crate::judge::sheet::Sheet;
use crate::outcome::{Outcome, Rehearsal};

/// Points of a curve for each factor of ten in `1 - q`.
const POINTS_PER_NINE: u32 = 10;
/// Pieces that the schedule is cut into, at most.
const MOST_WINDOWS: usize = 60;

/// What the plots show of one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateSeries {
    /// Name in the plan.
    pub name: String,
    /// Quantile and response time in milliseconds, ascending; ends where failed requests begin.
    pub percentiles: Vec<(f64, f64)>,
    /// By scheduled time, all iterations together.
    pub over_time: Vec<Window>,
    /// By iteration.
    pub iterations: Vec<Window>,
}

/// Response times in one piece of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Where it begins: seconds of scheduled time, or the number of the iteration.
    pub at: f64,
    /// Requests judged.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// p50 in milliseconds; `None` among failures.
    pub p50_ms: Option<f64>,
    /// p95 in milliseconds; `None` among failures.
    pub p95_ms: Option<f64>,
}

/// When each exchange was scheduled, in seconds from the start of an iteration.
#[derive(Clone, Debug, Default)]
pub struct Instants(pub Vec<f64>);

// === impl CandidateSeries ===

impl CandidateSeries {
    /// The series of every candidate.
    pub fn all(rehearsal: &Rehearsal, instants: &Instants) -> Vec<CandidateSeries> {
        let names = rehearsal.plan.candidates.iter().map(|c| c.name.clone());
        let end = instants.0.last().copied().unwrap_or(0.0);
        // A second is the least that has a p95 at usual rates, and whole seconds are what people read.
        let width = (end / MOST_WINDOWS as f64).ceil().max(1.0);
        let window = |o: &Outcome| instants.0.get(o.exchange as usize).map(|at| (at / width).floor() * width);
        names
            .zip(Sheet::all(rehearsal))
            .map(|(name, sheet)| CandidateSeries {
                name,
                percentiles: curve(&sheet.response),
                over_time: windows(&sheet.judged, window),
                iterations: windows(&sheet.judged, |o| Some(f64::from(o.iteration))),
            })
            .collect()
    }
}

/// Quantiles at even steps of `log(1 - q)`, up to the last that the samples tell.
fn curve(sorted: &Sorted) -> Vec<(f64, f64)> {
    if sorted.is_empty() {
        return Vec::new();
    }
    let nines = (sorted.len() as f64).log10();
    let steps = (nines * f64::from(POINTS_PER_NINE)).floor() as u32;
    let quantiles = (0..=steps).map(|step| 1.0 - 10f64.powf(-f64::from(step) / f64::from(POINTS_PER_NINE)));
    quantiles.filter_map(|q| Some((q, sorted.at(q).filter(|ms| ms.is_finite())?))).collect()
}

/// Response times by the window that `window` puts an outcome into, ascending.
fn windows(judged: &[&Outcome], window: impl Fn(&Outcome) -> Option<f64>) -> Vec<Window> {
    let mut placed: Vec<(f64, f64)> =
        judged.iter().filter_map(|o| Some((window(o)?, latency::response_ms(o)))).collect();
    placed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let of = |chunk: &[(f64, f64)]| {
        let sorted = Sorted::new(chunk.iter().map(|(_, ms)| *ms).collect());
        let at = |q| sorted.at(q).filter(|ms| ms.is_finite());
        Window {
            at: chunk[0].0,
            requests: sorted.len(),
            failed: chunk.iter().filter(|(_, ms)| ms.is_infinite()).count() as u64,
            p50_ms: at(0.5),
            p95_ms: at(0.95),
        }
    };
    placed.chunk_by(|a, b| a.0 == b.0).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{answered, failed, stage};
    use crate::plan::Gates;

    #[test]
    fn curves_rise_end_before_failures_and_stay_small() {
        let mut latencies: Vec<f64> = (1..=9_900).map(f64::from).collect();
        latencies.extend([f64::INFINITY; 100]);
        let points = curve(&Sorted::new(latencies));
        assert!(points.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        assert!(points.len() <= 41 && points.last().unwrap().0 <= 0.99);
        assert_eq!(curve(&Sorted::default()), []);
    }

    #[test]
    fn windows_count_everything_once() {
        let outcome = |e: u32| if e % 100 == 99 { failed(0, e) } else { answered(0, e, 10.0, None) };
        let run = stage(&["base"], Gates::default()).with(1_000, outcome).repeated(3);
        let instants = Instants((0..1_000).map(|e| f64::from(e) * 0.5).collect());
        let series = &CandidateSeries::all(&run, &instants)[0];
        assert!(series.over_time.len() <= MOST_WINDOWS + 1, "{}", series.over_time.len());
        assert_eq!(series.over_time.iter().map(|w| w.requests).sum::<u64>(), 3_000);
        assert_eq!(series.over_time.iter().map(|w| w.failed).sum::<u64>(), 30);
        assert_eq!(series.iterations.len(), 3);
        assert_eq!(series.iterations[1].p95_ms, Some(10.0));
    }
}
