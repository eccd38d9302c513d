//! What a run will do, parsed and validated before any socket opens.
//!
//! [`Settings`] are what a user may say, on the command line or under the same names in a plan file; [`Plan::resolve`]
//! lays the flags over the file, fills in every default and refuses what makes no sense, naming the setting and the way
//! out. Nothing after it has to ask whether a field is valid.

mod file;
#[cfg(test)]
pub(crate) mod fixture;
mod resolve;
mod settings;
mod target;
#[cfg(test)]
mod tests;
mod values;

pub use resolve::PlanError;
pub(crate) use resolve::headers;
pub use settings::Settings;

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use understudy_captures::capture::CaptureError;
use understudy_captures::{Capture, CaptureKeys};

use crate::answers::Preset;

/// A validated run: every field has been checked, every default filled in.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Files, directories and URLs of the capture.
    pub captures: Vec<PathBuf>,
    /// What opens encrypted segments of it.
    pub capture_keys: CaptureKeys,
    /// Who is rehearsed, in the order of the plan. At least one.
    pub candidates: Vec<Candidate>,
    /// Index of the candidate that the others are judged against.
    pub baseline: usize,
    /// Index of a second deployment of the baseline, whose difference to it is noise.
    pub twin: Option<usize>,
    /// How recorded arrivals become intended instants.
    pub pace: Pace,
    /// The part of the capture to replay, as offsets from its first arrival.
    pub window: Option<(Duration, Duration)>,
    /// Scheduled time at the start of each iteration whose requests are sent and counted but not judged.
    pub warmup: Duration,
    /// Passes over the capture for each candidate. At least 1.
    pub iterations: u16,
    /// Scheduled length of the blocks in which candidates alternate.
    pub block: Duration,
    /// A request without a complete response by then, from its intended instant, is a `timeout`.
    pub timeout: Duration,
    /// Most connections to one candidate; beyond it a request waits and its lag shows it.
    pub max_connections: usize,
    /// Worker threads.
    pub threads: usize,
    /// Seed of everything random (bootstrap resampling).
    pub seed: u64,
    /// Where label and score are in a response.
    pub preset: Preset,
    /// Requests that may be sent.
    pub safety: Safety,
    /// Fields set on every request: credentials and the like. Values are marked sensitive, so `Debug` hides them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Limits that a candidate must keep.
    pub gates: Gates,
    /// Limits that the generator itself must keep.
    pub fidelity: FidelityBounds,
    /// Where `/metrics` is served while the run goes on.
    pub metrics: Option<std::net::SocketAddr>,
    /// The run directory is made below this one.
    pub out: PathBuf,
}

impl Plan {
    /// Opens the capture, wherever it is.
    pub fn open_capture(&self) -> Result<Capture, CaptureError> {
        understudy_store::open(&self.captures, &self.capture_keys)
    }
}

/// Something that may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Unique in the plan; letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Where it listens.
    pub target: Target,
}

/// An `http://` origin, with an optional path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Put before every recorded path; empty or `/...` without a trailing slash.
    pub prefix: String,
}

/// How recorded arrivals become intended instants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Recorded gaps divided by this factor: 2 is twice as fast.
    Speed(f64),
    /// One request every 1/rate seconds, whatever the recording.
    Rate(f64),
    /// As fast as answers come back, over this many connections. Measures the generator, not a candidate: no
    /// intended instants, so no response times.
    Max {
        /// Requests under way at any time.
        in_flight: usize,
    },
}

/// Which requests may be repeated against a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Send everything, whatever it does.
    pub allow_unsafe: bool,
    /// `METHOD:PATH` pairs declared safe beside those of the preset.
    pub allowed: Vec<(String, String)>,
}

/// Limits that a candidate must keep. `None` is no limit.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// Highest p95 response time, milliseconds.
    pub p95_ms: Option<f64>,
    /// Highest p99 response time, milliseconds.
    pub p99_ms: Option<f64>,
    /// Highest share of requests that failed.
    pub error_rate: Option<f64>,
    /// Highest increase of p95 over the baseline, as a share of it (0.1 is 10 %). Counts only when significant.
    pub p95_regression: Option<f64>,
    /// Lowest share of answers whose label equals the baseline's.
    pub label_agreement: Option<f64>,
    /// Highest mean absolute difference of scores to the baseline's.
    pub score_drift: Option<f64>,
}

/// Limits that the generator itself must keep, or the run is `INVALID`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FidelityBounds {
    /// Highest p50 of lag, milliseconds.
    pub lag_p50_ms: f64,
    /// Highest p99 of lag, milliseconds.
    pub lag_p99_ms: f64,
    /// Highest share of scheduled requests that were not sent.
    pub unsent: f64,
    /// Highest Kolmogorov-Smirnov distance between intended and actual gaps.
    pub arrival_ks: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            p95_ms: None,
            p99_ms: None,
            error_rate: Some(0.01),
            p95_regression: Some(0.10),
            label_agreement: Some(0.99),
            score_drift: Some(0.05),
        }
    }
}

impl Default for FidelityBounds {
    fn default() -> Self {
        Self { lag_p50_ms: 1.0, lag_p99_ms: 10.0, unsent: 0.0, arrival_ks: 0.1 }
    }
}
