//! The fidelity certificate, measure by measure, with what each means.

use super::NONE;
use crate::certificate::Certificate;
use crate::judge::words;
use crate::report::RunReport;

/// A number of the certificate and what it means.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) bound: String,
    pub(super) values: Vec<(String, bool)>,
}

/// Every measure of the certificate.
pub(super) fn measures(report: &RunReport) -> Vec<Measure> {
    let bounds = &report.plan.fidelity;
    let measure = |name,
                   meaning,
                   bound: Option<String>,
                   value: fn(&Certificate) -> String,
                   over: &dyn Fn(&Certificate) -> bool| Measure {
        name,
        meaning,
        bound: bound.map_or_else(|| NONE.to_owned(), |b| format!("at most {b}")),
        values: report.certificates.iter().map(|c| (value(c), over(c))).collect(),
    };
    let free = |_: &Certificate| false;
    let unsent = |c: &Certificate| c.scheduled.saturating_sub(c.sent) as f64 / c.scheduled.max(1) as f64;
    vec![
        measure(
            "scheduled",
            "requests that the schedule holds, warm-up included",
            None,
            |c| words::count(c.scheduled),
            &free,
        ),
        measure(
            "sent",
            "requests that were begun; the rest never left the generator",
            Some(format!("{} unsent", words::limit_percent(bounds.unsent))),
            |c| words::count(c.sent),
            &|c| unsent(c) > bounds.unsent,
        ),
        measure(
            "lag p50",
            "how late the usual request was begun",
            Some(words::limit_millis(bounds.lag_p50_ms)),
            |c| words::millis(c.lag_p50_ms),
            &|c| c.lag_p50_ms > bounds.lag_p50_ms,
        ),
        measure(
            "lag p99",
            "how late the latest hundredth was begun; it is part of the response time",
            Some(words::limit_millis(bounds.lag_p99_ms)),
            |c| words::millis(c.lag_p99_ms),
            &|c| c.lag_p99_ms > bounds.lag_p99_ms,
        ),
        measure("lag max", "the latest of all", None, |c| words::millis(c.lag_max_ms), &free),
        measure(
            "arrival distance",
            "largest difference between the distributions of asked and actual gaps (Kolmogorov-Smirnov); 0 is the same",
            Some(bounds.arrival_ks.to_string()),
            |c| format!("{:.3}", c.arrival_ks),
            &|c| c.arrival_ks > bounds.arrival_ks,
        ),
        measure(
            "rate",
            "requests begun a second, of those that the schedule asked",
            None,
            |c| format!("{:.1} of {:.1}", c.achieved_rate, c.asked_rate),
            &free,
        ),
        measure(
            "worst second",
            "largest relative difference between begun and asked in any second",
            None,
            |c| words::percent(c.worst_second),
            &free,
        ),
        measure(
            "queued",
            "requests that waited in the generator because every allowed connection was busy",
            None,
            |c| words::count(c.queued),
            &free,
        ),
        measure(
            "reuse",
            "requests on a connection that had served before",
            None,
            |c| words::percent(c.reuse),
            &free,
        ),
        measure(
            "generator CPU",
            "most that one worker thread used of its core",
            None,
            |c| words::percent(c.cpu),
            &free,
        ),
    ]
}

/// Bounds that were broken, by candidate.
pub(super) fn broken(report: &RunReport) -> Vec<String> {
    let named = report.judgement.candidates.iter().zip(&report.certificates);
    named.flat_map(|(candidate, c)| c.broken.iter().map(|b| format!("{}: {b}", candidate.name))).collect()
}
