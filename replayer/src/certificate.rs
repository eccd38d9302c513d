//! The fidelity certificate: the numbers that say whether the generator did what the schedule asked.
//!
//! They are taken from the outcomes themselves, not from what the generator believes of itself. `docs/measurement.md` says
//! how each is measured and why its bound is where it is.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drive::histogram;
use crate::outcome::{Kind, Outcome};
use crate::plan::FidelityBounds;

/// What the generator did for one candidate, warm-up included, against what the schedule asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Requests scheduled.
    pub scheduled: u64,
    /// Requests that were begun.
    pub sent: u64,
    /// Requests that waited because every allowed connection was busy.
    pub queued: u64,
    /// p50 of lag, milliseconds.
    pub lag_p50_ms: f64,
    /// p99 of lag, milliseconds.
    pub lag_p99_ms: f64,
    /// Largest lag, milliseconds.
    pub lag_max_ms: f64,
    /// Requests per second that the schedule asked, over the scheduled time.
    pub asked_rate: f64,
    /// Requests per second that were begun, over the same time.
    pub achieved_rate: f64,
    /// Largest relative difference between begun and asked in any full second that asked for at least 20; 0 when none
    /// did.
    pub worst_second: f64,
    /// Kolmogorov-Smirnov distance between intended and actual gaps. Gaps that differ by less than the bound on the p50
    /// of lag count as equal.
    pub arrival_ks: f64,
    /// Share of requests on a connection that had served before.
    pub reuse: f64,
    /// Most of a core that one worker thread used (1 is saturated).
    pub cpu: f64,
    /// Bounds that were broken, each with the figure, the bound and the remedy; empty when the certificate is good.
    pub broken: Vec<String>,
}

/// What a certificate is made of.
pub struct Evidence<'a> {
    /// All of one candidate's outcomes, in any order.
    pub outcomes: Vec<&'a Outcome>,
    /// Scheduled time, over all the candidate's turns, nanoseconds.
    pub span: u64,
    /// Requests that waited because every allowed connection was busy.
    pub queued: u64,
    /// Most of a core that one worker thread used.
    pub cpu: f64,
    /// There was a schedule to keep.
    pub paced: bool,
}

const SECOND: u64 = 1_000_000_000;

/// Fewer requests in a second say nothing about its rate: one that slips over its end is more than 5 %.
const ENOUGH: u64 = 20;

/// CPU share from which a worker thread is named as the cause of lag.
const SATURATED: f64 = 0.85;

// === impl Certificate ===

impl Certificate {
    /// Certifies one candidate's part of a run.
    pub fn of(evidence: &Evidence<'_>, bounds: &FidelityBounds) -> Certificate {
        let sent: Vec<&Outcome> =
            evidence.outcomes.iter().copied().filter(|outcome| outcome.kind != Kind::NotSent).collect();
        let mut lag = histogram::empty();
        let mut late = 0;
        for outcome in &sent {
            histogram::record(&mut lag, outcome.lag());
            late = late.max(outcome.lag());
        }
        let scheduled = evidence.outcomes.len() as u64;
        // Sending took as long as the schedule, and what the last request was late.
        let seconds = evidence.span as f64 / SECOND as f64;
        let overrun = if evidence.paced { overrun(&sent) as f64 / SECOND as f64 } else { 0.0 };
        let rate = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let reused = sent.iter().filter(|outcome| outcome.reused).count();
        let tolerance = (bounds.lag_p50_ms * 1e6) as u64;
        let mut certificate = Certificate {
            scheduled,
            sent: sent.len() as u64,
            queued: evidence.queued,
            lag_p50_ms: millis(lag.value_at_quantile(0.50).min(late)),
            lag_p99_ms: millis(lag.value_at_quantile(0.99).min(late)),
            lag_max_ms: millis(late),
            asked_rate: rate(scheduled, seconds),
            achieved_rate: rate(sent.len() as u64, seconds + overrun),
            worst_second: if evidence.paced { worst_second(&evidence.outcomes) } else { 0.0 },
            arrival_ks: if evidence.paced {
                arrival_distance(&evidence.outcomes, &sent, tolerance)
            } else {
                0.0
            },
            reuse: if sent.is_empty() { 0.0 } else { reused as f64 / sent.len() as f64 },
            cpu: evidence.cpu,
            broken: Vec::new(),
        };
        certificate.broken = certificate.broken_bounds(bounds);
        certificate
    }

    fn broken_bounds(&self, bounds: &FidelityBounds) -> Vec<String> {
        let mut broken = Vec::new();
        let cause = self.likely_cause();
        if self.lag_p50_ms > bounds.lag_p50_ms {
            broken.push(format!(
                "half of the requests started {:.2} ms late or more (bound {} ms): {cause}",
                self.lag_p50_ms, bounds.lag_p50_ms
            ));
        }
        if self.lag_p99_ms > bounds.lag_p99_ms {
            broken.push(format!(
                "one request in a hundred started {:.2} ms late or more (bound {} ms): {cause}",
                self.lag_p99_ms, bounds.lag_p99_ms
            ));
        }
        let unsent = self.scheduled - self.sent;
        let share = if self.scheduled == 0 { 0.0 } else { unsent as f64 / self.scheduled as f64 };
        if share > bounds.unsent {
            broken.push(format!(
                "{unsent} of {} scheduled requests were not sent ({:.2} %, bound {:.2} %): let the run come to its end",
                self.scheduled,
                share * 100.0,
                bounds.unsent * 100.0
            ));
        }
        if self.arrival_ks > bounds.arrival_ks {
            broken.push(format!(
                "the gaps between requests were not the intended ones (KS distance {:.3}, bound {}): {cause}",
                self.arrival_ks, bounds.arrival_ks
            ));
        }
        broken
    }

    /// What to do about lag, judging by the other figures.
    fn likely_cause(&self) -> String {
        // Waiting for a connection is the candidate's slowness shown as ours; it explains lag only if it was common.
        if self.queued * 100 > self.sent {
            return format!(
                "{} requests waited because every connection was busy; raise --connections, or lower the rate",
                self.queued
            );
        }
        if self.cpu > SATURATED {
            return format!(
                "a worker thread used {:.0} % of a core; raise --threads, use a larger machine, or lower the rate",
                self.cpu * 100.0
            );
        }
        "the machine of the generator is too busy with other work; use a quieter one, not that of a candidate"
            .into()
    }
}

/// How much longer than scheduled it took to begin all requests, nanoseconds: the last request's lag.
fn overrun(sent: &[&Outcome]) -> u64 {
    let intended = sent.iter().map(|outcome| outcome.intended).max().unwrap_or(0);
    let dispatched = sent.iter().map(|outcome| outcome.dispatched).max().unwrap_or(0);
    dispatched.saturating_sub(intended)
}

fn worst_second(outcomes: &[&Outcome]) -> f64 {
    let mut seconds: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for outcome in outcomes {
        seconds.entry(outcome.intended / SECOND).or_default().0 += 1;
        if outcome.kind != Kind::NotSent {
            seconds.entry(outcome.dispatched / SECOND).or_default().1 += 1;
        }
    }
    seconds
        .values()
        .filter(|(asked, _)| *asked >= ENOUGH)
        .map(|(asked, begun)| asked.abs_diff(*begun) as f64 / *asked as f64)
        .fold(0.0, f64::max)
}

fn arrival_distance(scheduled: &[&Outcome], sent: &[&Outcome], tolerance: u64) -> f64 {
    let intended = gaps(scheduled.iter().map(|outcome| outcome.intended).collect());
    let actual = gaps(sent.iter().map(|outcome| outcome.dispatched).collect());
    distance(&intended, &actual, tolerance).max(distance(&actual, &intended, tolerance))
}

/// Gaps between instants, in order of length.
fn gaps(mut instants: Vec<u64>) -> Vec<u64> {
    instants.sort_unstable();
    let mut gaps: Vec<u64> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps
}

/// The largest `F_a(x) - F_b(x + tolerance)` of the distributions of two sorted samples.
fn distance(a: &[u64], b: &[u64], tolerance: u64) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let mut below = 0;
    let mut largest: f64 = 0.0;
    for (i, gap) in a.iter().enumerate() {
        while b.get(below).is_some_and(|other| *other <= gap.saturating_add(tolerance)) {
            below += 1;
        }
        largest = largest.max((i + 1) as f64 / a.len() as f64 - below as f64 / b.len() as f64);
    }
    largest
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
