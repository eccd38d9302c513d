//! Quantiles of latency with failed requests folded in.
//!
//! A request that failed never gave its user an answer: it counts as slower than every request that did. So a
//! candidate that fails fast never looks fast, and a quantile that lies among failures says so instead of a figure.

use serde::{Deserialize, Serialize};

use super::binomial;
use crate::outcome::Outcome;

/// The quantiles that are reported.
pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

/// A quantile, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Milliseconds.
    Ms(f64),
    /// It lies among failed requests.
    Failed,
    /// Fewer requests than this were judged, so the tail may have been missed.
    TooFew(u64),
}

/// One quantile of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileEstimate {
    /// 0.95 is p95.
    pub q: f64,
    /// What was seen.
    pub figure: Figure,
    /// Confidence interval; the wider of order statistics and block bootstrap on each side.
    pub interval: Interval,
    /// Milliseconds that the quantile is below with 99 % confidence (MLPerf's early-stopping estimate); `None` when
    /// too few requests were judged or too many failed.
    pub at_most_ms: Option<f64>,
}

/// A confidence interval. An open end is `None`: the samples do not bound it, or the bound lies among failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Latencies of judged requests in milliseconds, ascending, failures last as infinities.
#[derive(Clone, Debug, Default)]
pub struct Sorted(Vec<f64>);

// === impl Sorted ===

impl Sorted {
    /// Sorts `latencies`.
    pub fn new(mut latencies: Vec<f64>) -> Self {
        latencies.sort_unstable_by(f64::total_cmp);
        Self(latencies)
    }

    /// The value at quantile `q` by nearest rank; infinite among failures, `None` without samples.
    pub fn at(&self, q: f64) -> Option<f64> {
        let n = self.0.len() as u64;
        (n > 0).then(|| self.0[nearest_rank(n, q) as usize])
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Share of samples over `limit`.
    pub fn share_over(&self, limit: f64) -> f64 {
        let within = self.0.partition_point(|v| *v <= limit);
        (self.0.len() - within) as f64 / self.0.len().max(1) as f64
    }

    /// Estimate of quantile `q`, with `resampled` as the interval by bootstrap.
    pub fn estimate(&self, q: f64, level: f64, resampled: Option<(f64, f64)>) -> QuantileEstimate {
        let n = self.len();
        let floor = binomial::floor(q);
        let figure = match self.at(q) {
            Some(value) if n >= floor && value.is_finite() => Figure::Ms(value),
            Some(_) if n >= floor => Figure::Failed,
            _ => Figure::TooFew(floor),
        };
        let (low, high) = if n == 0 { (None, None) } else { binomial::quantile_ranks(n, q, level) };
        let rank = |rank: Option<u64>, open: f64| rank.map_or(open, |r| self.0[r as usize]);
        let (mut low, mut high) = (rank(low, f64::NEG_INFINITY), rank(high, f64::INFINITY));
        if let Some((resampled_low, resampled_high)) = resampled {
            low = low.min(resampled_low);
            high = high.max(resampled_high);
        }
        let at_most = binomial::early_stopping_rank(n, q).map(|r| self.0[r as usize]);
        QuantileEstimate {
            q,
            figure,
            interval: Interval::new(low, high),
            at_most_ms: at_most.filter(|v| v.is_finite()),
        }
    }
}

// === impl Figure ===

impl Figure {
    /// Milliseconds, when there are.
    pub fn ms(self) -> Option<f64> {
        match self {
            Figure::Ms(ms) => Some(ms),
            Figure::Failed | Figure::TooFew(_) => None,
        }
    }
}

// === impl Interval ===

impl Interval {
    /// An interval whose infinite ends are open.
    pub fn new(low: f64, high: f64) -> Self {
        let finite = |v: f64| v.is_finite().then_some(v);
        Self { low: finite(low), high: finite(high) }
    }
}

/// Response time in milliseconds; infinite when the request failed.
pub fn response_ms(outcome: &Outcome) -> f64 {
    folded(outcome, outcome.response_time())
}

/// Service time in milliseconds; infinite when the request failed.
pub fn service_ms(outcome: &Outcome) -> f64 {
    folded(outcome, outcome.service_time())
}

/// Rank (from 0) of quantile `q` of `n` sorted samples: the first sample that a share of `q` is at or below.
pub fn nearest_rank(n: u64, q: f64) -> u64 {
    // 0.95 * 20 is 19.000000000000004 or so in binary: without slack the rank would be one too high.
    let rank = (q * n as f64 - 1e-9).ceil() as u64;
    rank.clamp(1, n.max(1)) - 1
}

fn folded(outcome: &Outcome, nanos: u64) -> f64 {
    if outcome.is_ok() { nanos as f64 / 1e6 } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(n: u32, failures: usize) -> Sorted {
        let answered = (1..=n).map(f64::from);
        Sorted::new(std::iter::repeat_n(f64::INFINITY, failures).chain(answered).collect())
    }

    #[test]
    fn quantiles_are_those_of_nearest_rank() {
        let hundred = sorted(100, 0);
        for (q, value) in [(0.5, 50.0), (0.9, 90.0), (0.95, 95.0), (0.99, 99.0), (0.999, 100.0)] {
            assert_eq!(hundred.at(q), Some(value), "{q}");
        }
        assert_eq!(sorted(0, 0).at(0.5), None);
        assert_eq!(sorted(1, 0).at(0.999), Some(1.0));
    }

    #[test]
    fn failing_fast_never_looks_fast() {
        // 900 answered and 100 failed at once: p50 moves up, p95 is a failure.
        let failing = sorted(900, 100);
        assert_eq!(failing.estimate(0.5, 0.95, None).figure, Figure::Ms(500.0));
        let p95 = failing.estimate(0.95, 0.95, None);
        assert_eq!((p95.figure, p95.interval, p95.at_most_ms), (Figure::Failed, Interval::default(), None));
        assert_eq!(failing.share_over(450.0), 0.55);
    }

    #[test]
    fn a_tail_without_enough_samples_is_no_figure() {
        assert_eq!(sorted(661, 0).estimate(0.99, 0.95, None).figure, Figure::TooFew(662));
        let enough = sorted(662, 0).estimate(0.99, 0.95, None);
        assert_eq!((enough.figure, enough.at_most_ms), (Figure::Ms(656.0), Some(662.0)));
        assert_eq!(sorted(0, 0).estimate(0.5, 0.95, None).figure, Figure::TooFew(11));
    }

    #[test]
    fn the_wider_interval_counts_on_each_side() {
        let thousand = sorted(1_000, 0);
        let exact = thousand.estimate(0.5, 0.95, None).interval;
        assert_eq!(exact, Interval { low: Some(469.0), high: Some(532.0) });
        let hull = thousand.estimate(0.5, 0.95, Some((400.0, 510.0))).interval;
        assert_eq!(hull, Interval { low: Some(400.0), high: Some(532.0) });
    }
}
