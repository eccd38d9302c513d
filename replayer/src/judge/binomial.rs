//! Exact binomial statistics: intervals for shares, intervals for quantiles, minimum samples for tails.
//!
//! All three ask the same question (how many of `n` independent trials may succeed when each succeeds with
//! probability `p`?) and need no normal approximation, which fails where it matters here: few errors, far tails.

use statrs::function::beta::{beta_reg, inv_beta_reg};

/// Confidence of the minimum-sample rule, as in MLPerf's early stopping.
const FLOOR_CONFIDENCE: f64 = 0.99;

/// Clopper-Pearson interval of a share: `count` of `of`, at confidence `level`.
///
/// Neither needs to be whole: for clustered observations the caller gives the effective sample (Korn and Graubard
/// 1998). `of` must be positive and `count` within `0..=of`.
pub fn share_interval(count: f64, of: f64, level: f64) -> (f64, f64) {
    let alpha = 1.0 - level;
    let low = if count <= 0.0 { 0.0 } else { inv_beta_reg(count, of - count + 1.0, alpha / 2.0) };
    let high = if count >= of { 1.0 } else { inv_beta_reg(count + 1.0, of - count, 1.0 - alpha / 2.0) };
    (low, high)
}

/// Ranks (from 0) of the order statistics that enclose the `q` quantile of `n` independent samples with confidence
/// `level`, whatever their distribution. `None` where no sample bounds it on that side.
pub fn quantile_ranks(n: u64, q: f64, level: f64) -> (Option<u64>, Option<u64>) {
    let alpha = 1.0 - level;
    // The smallest k whose P(B <= k) reaches the target; B counts the samples at or below the quantile.
    let reach = |target: f64| first(n, |k| at_most(n, q, k) >= target);
    let below = first(n, |k| at_most(n, q, k) > alpha / 2.0);
    let above = reach(1.0 - alpha / 2.0);
    (below.checked_sub(1), (above < n).then_some(above))
}

/// Fewest samples that can say anything about the `q` quantile: MLPerf's early stopping with one sample above it.
///
/// p50 11, p90 64, p95 130, p99 662, p99.9 6,636.
pub fn floor(q: f64) -> u64 {
    min_passing(1, q, FLOOR_CONFIDENCE) + 1
}

/// MLPerf's early-stopping estimate: rank (from 0) of the smallest sample that the `q` quantile is below with 99 %
/// confidence. `None` under the [`floor`].
pub fn early_stopping_rank(n: u64, q: f64) -> Option<u64> {
    // The most samples over the estimate that n allows.
    let passes =
        |over: u64| over < n && beta_reg((n - over) as f64, over as f64 + 1.0, q) <= 1.0 - FLOOR_CONFIDENCE;
    let over = first(n, |over| !passes(over)).checked_sub(1)?;
    (over >= 1).then(|| n - over)
}

/// Fewest samples under a limit that, with `over` samples above it, show with `confidence` that the `q` quantile is
/// under the limit: the smallest `h` with `I_q(h, over + 1) <= 1 - confidence`.
pub fn min_passing(over: u64, q: f64, confidence: f64) -> u64 {
    let shown = |h: u64| h > 0 && beta_reg(h as f64, over as f64 + 1.0, q) <= 1.0 - confidence;
    let mut bound = 64;
    while !shown(bound) {
        bound *= 2;
    }
    first(bound, shown)
}

/// How many requests in all would show that a share seen as `share` is on its side of `limit`, at confidence `level`,
/// if it stays what it is. `None` when it sits on the limit.
pub fn requests_to_decide(share: f64, limit: f64, level: f64) -> Option<f64> {
    let alpha = 1.0 - level;
    if share <= 0.0 {
        // The upper Clopper-Pearson bound of zero in n is 1 - (alpha/2)^(1/n).
        return (limit > 0.0 && limit < 1.0).then(|| ((alpha / 2.0).ln() / (-limit).ln_1p()).ceil());
    }
    let z = normal_quantile(1.0 - alpha / 2.0);
    let distance = (share - limit).abs();
    (distance > 0.0).then(|| (z / distance).powi(2) * share * (1.0 - share)).filter(|n| n.is_finite())
}

/// Standard normal quantile.
fn normal_quantile(p: f64) -> f64 {
    std::f64::consts::SQRT_2 * statrs::function::erf::erf_inv(2.0 * p - 1.0)
}

/// P(B <= k) for B binomial(n, q).
fn at_most(n: u64, q: f64, k: u64) -> f64 {
    if k >= n { 1.0 } else { beta_reg((n - k) as f64, k as f64 + 1.0, 1.0 - q) }
}

/// The first of `0..=end` for which a monotone condition holds; `end` when it holds for none below it.
fn first(end: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn minimum_samples_are_those_of_mlperf() {
        assert_eq!(min_passing(0, 0.99, 0.99), 459);
        assert_eq!(min_passing(0, 0.90, 0.99), 44);
        assert_eq!(min_passing(1, 0.99, 0.99), 661);
        let floors = [
            (0.50, 11),
            (0.75, 24),
            (0.80, 31),
            (0.90, 64),
            (0.95, 130),
            (0.97, 219),
            (0.99, 662),
            (0.999, 6_636),
            (0.9999, 66_381),
        ];
        for (q, samples) in floors {
            assert_eq!(floor(q), samples, "p{}", q * 100.0);
        }
    }

    #[test]
    fn early_stopping_estimates_are_those_of_mlperf() {
        assert_eq!(early_stopping_rank(10_000, 0.99), Some(9_923));
        assert_eq!(early_stopping_rank(662, 0.99), Some(661));
        assert_eq!(early_stopping_rank(661, 0.99), None);
        assert_eq!(early_stopping_rank(0, 0.99), None);
        assert_eq!(early_stopping_rank(1, 0.5), None);
    }

    #[test]
    fn share_intervals_are_those_of_r() {
        // binom.test(count, of, conf.level = level)$conf.int
        let known = [
            (682.0, 925.0, 0.95, 0.7076683, 0.7654066),
            (1.0, 10.0, 0.95, 0.002528579, 0.4450161),
            (5.0, 10.0, 0.95, 0.187086, 0.812914),
            (10.0, 100.0, 0.95, 0.04900469, 0.1762226),
            (0.0, 100.0, 0.95, 0.0, 0.03621669),
            (100.0, 100.0, 0.95, 0.9637833, 1.0),
        ];
        for (count, of, level, low, high) in known {
            let (l, h) = share_interval(count, of, level);
            assert!((l - low).abs() < 5e-7 && (h - high).abs() < 5e-7, "{count}/{of}: {l} {h}");
        }
    }

    #[test]
    fn quantile_ranks_cover_as_promised() {
        // The 95 % interval of the median of 10 is between the 2nd and the 9th (coverage 0.979).
        assert_eq!(quantile_ranks(10, 0.5, 0.95), (Some(1), Some(8)));
        // Five samples cannot bound the median on either side at 95 %: 2 / 2^5 = 0.0625.
        assert_eq!(quantile_ranks(5, 0.5, 0.95), (None, None));
        assert_eq!(quantile_ranks(100, 0.99, 0.95).1, None);
    }

    #[test]
    fn no_error_in_few_requests_needs_more_of_them() {
        let needed = requests_to_decide(0.0, 0.01, 0.95).unwrap();
        assert_eq!(needed, 368.0);
        assert!(share_interval(0.0, needed, 0.95).1 <= 0.01);
        assert!(share_interval(0.0, needed - 1.0, 0.95).1 > 0.01);
        assert_eq!(requests_to_decide(0.01, 0.01, 0.95), None);
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_share_and_inverts_the_binomial(of in 1u64..1_000_000, part in 0.0f64..=1.0) {
            let count = (of as f64 * part).round();
            let (low, high) = share_interval(count, of as f64, 0.95);
            let share = count / of as f64;
            prop_assert!((0.0..=share).contains(&low) && (share..=1.0).contains(&high), "{low} {share} {high}");
            if count > 0.0 {
                let tail = 1.0 - at_most(of, low, count as u64 - 1);
                prop_assert!((tail - 0.025).abs() < 1e-5, "{tail}");
            }
            if count < of as f64 {
                let tail = at_most(of, high, count as u64);
                prop_assert!((tail - 0.025).abs() < 1e-5, "{tail}");
            }
        }

        #[test]
        fn ranks_enclose_with_the_asked_probability(n in 1u64..20_000, q in 0.01f64..0.999) {
            let (low, high) = quantile_ranks(n, q, 0.95);
            if let Some(low) = low {
                prop_assert!(at_most(n, q, low) <= 0.025);
            }
            if let Some(high) = high {
                prop_assert!(at_most(n, q, high) >= 0.975);
                prop_assert!(low.is_none_or(|low| low < high));
            }
        }
    }
}
