//! Paired moving-block bootstrap: how far a difference of quantiles would move if the traffic were another sample of
//! the same kind.
//!
//! What is resampled are exchanges, in blocks of neighbours in schedule order (Künsch 1989), because requests that
//! wait in the same queue share their latency. Every candidate is resampled at the same exchanges, so that what an
//! exchange costs everywhere (a long text) cancels out of the difference, and an exchange comes with all its
//! iterations, because repeating an exchange is not new traffic. Intervals are percentiles of the resampled values.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Resamples for small runs; more change the third digit of an interval.
const MOST_RESAMPLES: usize = 2_000;
/// Resamples for the largest runs, whose intervals are narrow anyway.
const FEWEST_RESAMPLES: usize = 200;
/// Values drawn in all, which bounds the time: about half a second on one core. With the 500 resamples that this leaves
/// to 200,000 requests, chance moves the end of an interval by a sixteenth of its half width.
const WORK: usize = 100_000_000;
/// Least number of blocks that a series must be cut into, for the blocks to differ.
const LEAST_BLOCKS: usize = 30;

/// How a series of exchanges is resampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// Exchanges in the series.
    pub exchanges: usize,
    /// Exchanges in a block.
    pub block: usize,
    /// Times that the series is resampled.
    pub resamples: usize,
    /// Seed of the choice of blocks.
    pub seed: u64,
}

/// Values of several candidates over the same exchanges: `values[candidate][exchange * iterations + iteration]`.
#[derive(Clone, Debug)]
pub struct Series {
    /// By candidate; failed requests are infinite.
    pub values: Vec<Vec<f64>>,
    /// Values of one exchange, next to each other.
    pub iterations: usize,
}

/// Quantiles of every resample.
#[derive(Clone, Debug)]
pub struct Draws {
    /// `quantiles[candidate][quantile][resample]`.
    quantiles: Vec<Vec<Vec<f64>>>,
}

// === impl Design ===

impl Design {
    /// Blocks as long as the cube root of the series (the rate at which the optimum grows), but no shorter than a
    /// second of the schedule where the series has enough of those: a stall or a queue lasts about that long.
    pub fn new(exchanges: usize, values_per_exchange: usize, rate: f64, seed: u64) -> Self {
        let root = (exchanges as f64).cbrt().ceil() as usize;
        let second = (rate.max(0.0) as usize).min(exchanges / LEAST_BLOCKS);
        let block = root.max(second).clamp(1, exchanges.max(1));
        let per_resample = (exchanges * values_per_exchange).max(1);
        let resamples = (WORK / per_resample).clamp(FEWEST_RESAMPLES, MOST_RESAMPLES);
        Self { exchanges, block, resamples, seed }
    }

    /// Calls `visit` for each resample with the first exchange of each of its blocks and the block's length.
    fn each(&self, mut visit: impl FnMut(&[(usize, usize)])) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let last_start = self.exchanges - self.block;
        let mut blocks = Vec::with_capacity(self.exchanges / self.block + 1);
        for _ in 0..self.resamples {
            blocks.clear();
            let mut missing = self.exchanges;
            while missing > 0 {
                let len = self.block.min(missing);
                blocks.push((rng.random_range(0..=last_start), len));
                missing -= len;
            }
            visit(&blocks);
        }
    }

    /// Interval of the mean of `values`, one for each exchange.
    pub fn mean_interval(&self, values: &[f64], level: f64) -> (f64, f64) {
        let mut sums = Vec::with_capacity(values.len() + 1);
        sums.push(0.0);
        sums.extend(values.iter().scan(0.0, |sum, value| {
            *sum += value;
            Some(*sum)
        }));
        let mut means = Vec::with_capacity(self.resamples);
        self.each(|blocks| {
            let total: f64 = blocks.iter().map(|(start, len)| sums[start + len] - sums[*start]).sum();
            // The difference of running sums of non-negative values can be a rounding error below zero.
            means.push(total / values.len() as f64);
        });
        percentile_interval(means, level)
    }
}

// === impl Draws ===

impl Draws {
    /// Resamples `series` and takes `quantiles` of every resample. The series must not be empty.
    pub fn new(design: &Design, series: &Series, quantiles: &[f64]) -> Self {
        let length = design.exchanges * series.iterations;
        let ranked: Vec<(Vec<u32>, Vec<f64>)> = series.values.iter().map(|v| ranks(v)).collect();
        let mut counts = vec![0u32; length];
        let mut drawn = vec![vec![Vec::with_capacity(design.resamples); quantiles.len()]; ranked.len()];
        design.each(|blocks| {
            for ((ranks, sorted), drawn) in ranked.iter().zip(&mut drawn) {
                counts.fill(0);
                for (start, len) in blocks {
                    let values = start * series.iterations..(start + len) * series.iterations;
                    for rank in &ranks[values] {
                        counts[*rank as usize] += 1;
                    }
                }
                for (at, value) in at_quantiles(&counts, quantiles).into_iter().enumerate() {
                    drawn[at].push(sorted[value]);
                }
            }
        });
        Self { quantiles: drawn }
    }

    /// Interval of a candidate's own quantile.
    pub fn interval(&self, candidate: usize, quantile: usize, level: f64) -> (f64, f64) {
        percentile_interval(self.quantiles[candidate][quantile].clone(), level)
    }

    /// Interval of the difference of a quantile between two candidates. Two quantiles that both lie among failed
    /// requests do not differ.
    pub fn difference(&self, candidate: usize, baseline: usize, quantile: usize, level: f64) -> (f64, f64) {
        let pairs = self.quantiles[candidate][quantile].iter().zip(&self.quantiles[baseline][quantile]);
        percentile_interval(pairs.map(|(c, b)| if c == b { 0.0 } else { c - b }).collect(), level)
    }
}

/// Rank of every value, and the values in order.
fn ranks(values: &[f64]) -> (Vec<u32>, Vec<f64>) {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]).then(a.cmp(b)));
    let mut ranks = vec![0; values.len()];
    for (rank, at) in order.iter().enumerate() {
        ranks[*at as usize] = rank as u32;
    }
    (ranks, order.iter().map(|at| values[*at as usize]).collect())
}

/// Ranks of the values at `quantiles` (ascending) of a sample given as the count of each rank.
fn at_quantiles(counts: &[u32], quantiles: &[f64]) -> Vec<usize> {
    let total: u64 = counts.iter().map(|c| u64::from(*c)).sum();
    let mut found = Vec::with_capacity(quantiles.len());
    let (mut seen, mut rank) = (0, 0);
    for q in quantiles {
        let wanted = super::latency::nearest_rank(total, *q) + 1;
        while seen + u64::from(counts[rank]) < wanted {
            seen += u64::from(counts[rank]);
            rank += 1;
        }
        found.push(rank);
    }
    found
}

/// The middle `level` of resampled values.
fn percentile_interval(mut values: Vec<f64>, level: f64) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len() - 1;
    // Rounded outwards: an interval is rather too wide than too narrow.
    let tail = ((1.0 - level) / 2.0 * values.len() as f64).floor() as usize;
    let tail = tail.min(last / 2);
    (values[tail], values[last - tail])
}

#[cfg(test)]
mod tests;
