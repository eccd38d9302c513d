//! What a user may say: one list of names for the command line and the plan file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::values::{self, Limit, Millis, Positive, Share, Span, Window};
use super::{Candidate, FidelityBounds};

/// Settings of a run. Each is a flag, and a key of the plan file under the same name without dashes in front; what may be
/// given several times is a list there, `candidates` is a map of names to URLs, and `fidelity` holds the generator's
/// own limits. A flag overrides the file.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Segments, directories and URLs (s3://, gs://, az://BUCKET/PREFIX/) of the capture, or one plan file (*.yaml, *.yml)
    #[arg(value_name = "CAPTURE|PLAN.yaml", required = true)]
    pub captures: Vec<PathBuf>,
    /// Key of an encrypted capture, instead of UNDERSTUDY_CAPTURE_KEY (repeat for several)
    #[arg(long, value_name = "FILE")]
    pub capture_key_file: Vec<PathBuf>,

    /// Who is rehearsed, e.g. small=http://10.0.0.7:8000 (repeat for each)
    #[arg(long = "candidate", value_name = "NAME=URL", help_heading = "Candidates")]
    #[serde(deserialize_with = "values::candidates")]
    pub candidates: Vec<Candidate>,
    /// The candidate that the others are judged against [default: the first]
    #[arg(long, value_name = "NAME", help_heading = "Candidates")]
    pub baseline: Option<String>,
    /// A second deployment of the baseline: what differs between the two is noise
    #[arg(long, value_name = "NAME", help_heading = "Candidates")]
    pub twin: Option<String>,

    /// Recorded gaps divided by this: 2 is twice as fast [default: 1]
    #[arg(long, value_name = "FACTOR", help_heading = "Schedule")]
    #[serde(deserialize_with = "values::scalar")]
    pub speed: Option<Positive>,
    /// This many requests a second, evenly spaced, whatever the recording
    #[arg(long, value_name = "PER_SECOND", help_heading = "Schedule")]
    #[serde(deserialize_with = "values::scalar")]
    pub rate: Option<Positive>,
    /// As fast as answers come back, with N requests under way: measures the generator, not the candidates
    #[arg(long, value_name = "N", help_heading = "Schedule")]
    pub max: Option<usize>,
    /// Part of the capture, after its first arrival, e.g. 30s..2m or 5m.. [default: all]
    #[arg(long, value_name = "START..END", help_heading = "Schedule")]
    #[serde(deserialize_with = "values::scalar")]
    pub window: Option<Window>,
    /// Scheduled time at the start of each iteration that is sent but not judged [default: 1s, at most a tenth of the
    /// schedule]
    #[arg(long, value_name = "DURATION", help_heading = "Schedule")]
    #[serde(deserialize_with = "values::scalar")]
    pub warmup: Option<Span>,
    /// Passes over the capture for each candidate [default: 2]
    #[arg(long, value_name = "N", help_heading = "Schedule")]
    pub iterations: Option<u16>,
    /// Candidates take turns after this much scheduled time [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "Schedule")]
    #[serde(deserialize_with = "values::scalar")]
    pub block: Option<Span>,

    /// A request not answered by then, counted from its intended instant, is a timeout [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "Sending")]
    #[serde(deserialize_with = "values::scalar")]
    pub timeout: Option<Span>,
    /// Most connections to one candidate; beyond it requests wait and their lag shows it [default: 4096]
    #[arg(long, value_name = "N", help_heading = "Sending")]
    pub connections: Option<usize>,
    /// Worker threads [default: 1 on one or two cores, else up to 4]
    #[arg(long, value_name = "N", help_heading = "Sending")]
    pub threads: Option<usize>,
    /// A field set on every request, e.g. 'X-Shadow: 1' (repeat for each)
    #[arg(long, value_name = "NAME: VALUE", help_heading = "Sending")]
    pub header: Vec<String>,
    /// A field set on every request from the environment, for credentials, e.g. X-API-Key=API_KEY (repeat for each)
    #[arg(long, value_name = "NAME=VARIABLE", help_heading = "Sending")]
    pub header_env: Vec<String>,
    /// Requests that may be sent beside GET, HEAD and the preset's, e.g. POST:/rank or POST:/models/* (repeat for each)
    #[arg(long, value_name = "METHOD:PATH", help_heading = "Sending")]
    pub allow: Vec<String>,
    /// Send every request of the capture, whatever it changes
    #[arg(long, help_heading = "Sending")]
    pub allow_unsafe: bool,

    /// Where label and score of a response are [default: kubesentiment]
    #[arg(long, value_name = "NAME", help_heading = "Judging")]
    pub preset: Option<String>,
    /// JSON pointer to the label, instead of a preset, e.g. /result/0/label
    #[arg(long, value_name = "POINTER", help_heading = "Judging")]
    pub label: Option<String>,
    /// JSON pointer to the score, beside --label
    #[arg(long, value_name = "POINTER", help_heading = "Judging")]
    pub score: Option<String>,
    /// Highest p95 response time, e.g. 250ms
    #[arg(long, value_name = "DURATION", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub slo_p95: Option<Limit<Millis>>,
    /// Highest p99 response time, e.g. 500ms
    #[arg(long, value_name = "DURATION", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub slo_p99: Option<Limit<Millis>>,
    /// Highest share of failed requests, or none [default: 1%]
    #[arg(long, value_name = "SHARE", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub max_error_rate: Option<Limit<Share>>,
    /// Lowest share of labels that agree with the baseline's, or none [default: 99%]
    #[arg(long, value_name = "SHARE", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub min_agreement: Option<Limit<Share>>,
    /// Highest mean absolute difference of scores to the baseline's, or none [default: 0.05]
    #[arg(long, value_name = "DIFFERENCE", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub max_score_drift: Option<Limit<Positive>>,
    /// Highest increase of p95 over the baseline's, as a share of it, or none [default: 10%]
    #[arg(long, value_name = "SHARE", help_heading = "Judging")]
    #[serde(deserialize_with = "values::scalar")]
    pub max_p95_regression: Option<Limit<Share>>,
    /// Seed of the resampling behind confidence intervals [default: 1]
    #[arg(long, value_name = "N", help_heading = "Judging")]
    pub seed: Option<u64>,

    /// Directory that run directories are made in [default: runs]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Serve Prometheus metrics there while the run goes on, e.g. 127.0.0.1:9464
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub metrics: Option<SocketAddr>,

    /// Limits that the generator itself must keep.
    #[arg(skip)]
    pub fidelity: Option<FidelityBounds>,
}

// === impl Settings ===

impl Settings {
    /// These settings, and `file`'s where these say nothing. The three paces are one setting.
    pub(super) fn over(self, file: Settings) -> Settings {
        let paced = self.speed.is_some() || self.rate.is_some() || self.max.is_some();
        let (speed, rate, max) =
            if paced { (self.speed, self.rate, self.max) } else { (file.speed, file.rate, file.max) };
        let answers = self.preset.is_some() || self.label.is_some() || self.score.is_some();
        let (preset, label, score) = if answers {
            (self.preset, self.label, self.score)
        } else {
            (file.preset, file.label, file.score)
        };
        Settings {
            captures: or_list(self.captures, file.captures),
            capture_key_file: or_list(self.capture_key_file, file.capture_key_file),
            candidates: or_list(self.candidates, file.candidates),
            baseline: self.baseline.or(file.baseline),
            twin: self.twin.or(file.twin),
            speed,
            rate,
            max,
            window: self.window.or(file.window),
            warmup: self.warmup.or(file.warmup),
            iterations: self.iterations.or(file.iterations),
            block: self.block.or(file.block),
            timeout: self.timeout.or(file.timeout),
            connections: self.connections.or(file.connections),
            threads: self.threads.or(file.threads),
            header: or_list(self.header, file.header),
            header_env: or_list(self.header_env, file.header_env),
            allow: or_list(self.allow, file.allow),
            allow_unsafe: self.allow_unsafe || file.allow_unsafe,
            preset,
            label,
            score,
            slo_p95: self.slo_p95.or(file.slo_p95),
            slo_p99: self.slo_p99.or(file.slo_p99),
            max_error_rate: self.max_error_rate.or(file.max_error_rate),
            min_agreement: self.min_agreement.or(file.min_agreement),
            max_score_drift: self.max_score_drift.or(file.max_score_drift),
            max_p95_regression: self.max_p95_regression.or(file.max_p95_regression),
            seed: self.seed.or(file.seed),
            out: self.out.or(file.out),
            metrics: self.metrics.or(file.metrics),
            fidelity: self.fidelity.or(file.fidelity),
        }
    }
}

fn or_list<T>(flags: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flags.is_empty() { file } else { flags }
}
