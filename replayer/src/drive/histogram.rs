//! Histograms of nanoseconds.

use hdrhistogram::Histogram;

/// An hour, the most that is told apart. Timeouts are far below.
const MOST: u64 = 3_600 * 1_000_000_000;

/// Nothing below a microsecond is told apart: no network answers that fast, and it halves the memory.
const LEAST: u64 = 1_000;

/// Three digits: a quantile is exact to a thousandth of itself.
const DIGITS: u8 = 3;

/// A histogram of nanoseconds with fixed bounds, so that recording never allocates.
pub(crate) fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(LEAST, MOST, DIGITS)
        .expect("1 <= least, 2 * least <= most, and 3 digits are allowed")
}

/// Records a value; an hour stands for all that is longer.
pub(crate) fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos);
}
