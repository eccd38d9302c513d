//! The fidelity certificate: the numbers that say whether the generator did what the schedule asked.

use serde::{Deserialize, Serialize};

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
    /// Largest relative difference between begun and asked in any full second.
    pub worst_second: f64,
    /// Kolmogorov-Smirnov distance between intended and actual gaps.
    pub arrival_ks: f64,
    /// Share of requests on a connection that had served before.
    pub reuse: f64,
    /// Most of a core that one worker thread used (1 is saturated).
    pub cpu: f64,
    /// Bounds that were broken, each with the figure, the bound and the remedy; empty when the certificate is good.
    pub broken: Vec<String>,
}
