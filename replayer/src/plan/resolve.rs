//! Settings to a plan: one validation, whatever they came from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use understudy_captures::capture::CaptureError;
use understudy_captures::{Capture, CaptureKeys};

use super::settings::Settings;
use super::values::{Limit, Millis, Positive, Share};
use super::{Candidate, Gates, Pace, Plan, Safety, file};
use crate::answers::Preset;
use crate::schedule::nanos;

/// Default of `timeout`: longer than any sane SLO, shorter than what a user waits for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Default of `block`: long enough for a queue to build up as in production, short enough for drift (a noisy
/// neighbour, a throttled disk) to hit all candidates alike.
const BLOCK: Duration = Duration::from_secs(10);

/// Default of `warmup`, for schedules long enough.
const WARMUP: Duration = Duration::from_secs(1);

/// Default of `connections`: a target that stands still for seconds at hundreds of requests a second does not make
/// the generator wait, and the ephemeral ports still suffice.
const CONNECTIONS: usize = 4096;

/// Most worker threads: beyond it the generator is not what limits a run.
const MAX_THREADS: usize = 256;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Settings are wrong; says which and what would be right.
    #[error("{0}")]
    Usage(String),
    /// The plan file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The plan file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key of the capture cannot be used.
    #[error("{0}")]
    Key(String),
    /// The capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
}

// === impl Plan ===

impl Plan {
    /// Validates settings, reading the plan file if they name one. Opens the capture's indexes, but no socket.
    pub fn resolve(settings: Settings) -> Result<Plan, PlanError> {
        let settings = with_file(settings)?;
        let Settings { candidates, captures, .. } = &settings;
        if captures.is_empty() {
            return usage("no capture: name one, or list it under `captures` in the plan file");
        }
        if candidates.is_empty() {
            return usage("no candidate: name at least one with --candidate NAME=URL");
        }
        let mut names = HashSet::new();
        if let Some(twice) = candidates.iter().find(|candidate| !names.insert(&candidate.name)) {
            return usage(format!("--candidate {}: two candidates have this name", twice.name));
        }
        let baseline = index("baseline", settings.baseline.as_deref(), candidates)?.unwrap_or(0);
        let twin = index("twin", settings.twin.as_deref(), candidates)?;
        if twin == Some(baseline) {
            return usage(
                "--twin names the baseline: a twin is a second deployment of it, as a candidate of its own",
            );
        }
        let threads = settings.threads.unwrap_or_else(default_threads);
        let max_connections = settings.connections.unwrap_or(CONNECTIONS);
        at_least_one("threads", threads)?;
        at_least_one("connections", max_connections)?;
        if threads > MAX_THREADS {
            return usage(format!("--threads {threads}: at most {MAX_THREADS}"));
        }
        if max_connections < threads {
            return usage(format!(
                "--connections {max_connections}: each of the {threads} threads needs at least one"
            ));
        }
        let iterations = settings.iterations.unwrap_or(2);
        at_least_one("iterations", usize::from(iterations))?;
        let timeout = settings.timeout.map_or(TIMEOUT, |span| span.0);
        let block = settings.block.map_or(BLOCK, |span| span.0);
        for (name, value) in [("timeout", timeout), ("block", block)] {
            if value < Duration::from_millis(1) {
                return usage(format!("--{name}: must be at least 1ms"));
            }
        }
        let pace = pace(&settings)?;
        let window = settings.window.map(|window| (window.start, window.end));
        // Read before the capture: a typing error should not wait for a disk.
        let preset = preset(&settings)?;
        let safety = safety(&settings)?;
        let headers = headers(&settings.header, &settings.header_env)?;
        let gates = gates(&settings);
        let capture_keys = CaptureKeys::find(&settings.capture_key_file)
            .map_err(|error| PlanError::Key(error.to_string()))?;
        let warmup = match settings.warmup {
            Some(span) => span.0,
            None => default_warmup(&understudy_store::open(captures, &capture_keys)?, pace, window),
        };
        Ok(Plan {
            captures: settings.captures,
            capture_keys,
            candidates: settings.candidates,
            baseline,
            twin,
            pace,
            window,
            warmup,
            iterations,
            block,
            timeout,
            max_connections,
            threads,
            seed: settings.seed.unwrap_or(1),
            preset,
            safety,
            headers,
            gates,
            fidelity: settings.fidelity.unwrap_or_default(),
            metrics: settings.metrics,
            out: settings.out.unwrap_or_else(|| PathBuf::from("runs")),
        })
    }
}

fn usage<T>(message: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::Usage(message.into()))
}

fn with_file(mut settings: Settings) -> Result<Settings, PlanError> {
    let Some(at) = settings.captures.iter().position(|path| file::is_plan(path)) else { return Ok(settings) };
    let plan = settings.captures.remove(at);
    if let Some(second) = settings.captures.iter().find(|path| file::is_plan(path)) {
        return usage(format!("{}: one plan file at a time", second.display()));
    }
    let file = file::read(&plan)?;
    Ok(settings.over(file))
}

fn index(flag: &str, name: Option<&str>, candidates: &[Candidate]) -> Result<Option<usize>, PlanError> {
    let Some(name) = name else { return Ok(None) };
    match candidates.iter().position(|candidate| candidate.name == name) {
        Some(index) => Ok(Some(index)),
        None => {
            let names: Vec<&str> = candidates.iter().map(|candidate| candidate.name.as_str()).collect();
            usage(format!("--{flag} {name}: no such candidate; there are: {}", names.join(", ")))
        }
    }
}

fn at_least_one(flag: &str, value: usize) -> Result<(), PlanError> {
    if value == 0 { usage(format!("--{flag} 0: must be at least 1")) } else { Ok(()) }
}

/// One core is left to the rest of the system, where there are more than two.
fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores <= 2 { 1 } else { (cores - 1).min(4) }
}

fn pace(settings: &Settings) -> Result<Pace, PlanError> {
    match (settings.speed, settings.rate, settings.max) {
        (None, None, None) => Ok(Pace::Speed(1.0)),
        (Some(Positive(speed)), None, None) => Ok(Pace::Speed(speed)),
        (None, Some(Positive(rate)), None) => Ok(Pace::Rate(rate)),
        (None, None, Some(in_flight)) => {
            at_least_one("max", in_flight)?;
            Ok(Pace::Max { in_flight })
        }
        _ => usage("--speed, --rate and --max exclude each other: give one of them"),
    }
}

fn preset(settings: &Settings) -> Result<Preset, PlanError> {
    match (&settings.preset, &settings.label, &settings.score) {
        (Some(_), Some(_), _) => usage("--preset and --label exclude each other: give one of them"),
        (_, None, Some(_)) => usage("--score needs --label: there is no score without a label"),
        (None, Some(label), score) => {
            Preset::rules(label, score.as_deref()).map_err(|error| PlanError::Usage(error.to_string()))
        }
        (name, None, None) => Preset::named(name.as_deref().unwrap_or("kubesentiment"))
            .map_err(|error| PlanError::Usage(format!("--preset: {error}"))),
    }
}

fn safety(settings: &Settings) -> Result<Safety, PlanError> {
    let mut allowed = Vec::new();
    for entry in &settings.allow {
        match entry.split_once(':') {
            Some((method, path)) if !method.is_empty() && path.starts_with('/') => {
                allowed.push((method.to_ascii_uppercase(), path.to_owned()));
            }
            _ => {
                return usage(format!(
                    "--allow {entry}: write METHOD:PATH, as in POST:/rank or POST:/models/*"
                ));
            }
        }
    }
    Ok(Safety { allow_unsafe: settings.allow_unsafe, allowed })
}

/// Fields from `NAME: VALUE` and from `NAME=VARIABLE`.
pub(crate) fn headers(
    given: &[String],
    from_env: &[String],
) -> Result<Vec<(HeaderName, HeaderValue)>, PlanError> {
    let mut headers = Vec::new();
    for header in given {
        // The value may be a secret in spite of --header-env, so it is not repeated.
        let Some((name, value)) = header.split_once(':') else {
            return usage("--header: write 'NAME: VALUE', with a colon");
        };
        headers.push(field("--header", name, value)?);
    }
    for entry in from_env {
        let Some((name, variable)) = entry.split_once('=') else {
            return usage(format!("--header-env {entry}: write NAME=VARIABLE, as in X-API-Key=API_KEY"));
        };
        let Ok(value) = std::env::var(variable) else {
            return usage(format!("--header-env {name}: the environment variable {variable} is not set"));
        };
        headers.push(field("--header-env", name, &value)?);
    }
    Ok(headers)
}

fn field(flag: &str, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), PlanError> {
    let name = name.trim();
    let Ok(parsed) = name.parse::<HeaderName>() else {
        return usage(format!("{flag}: `{name}` is not a field name"));
    };
    let Ok(mut value) = value.trim().parse::<HeaderValue>() else {
        return usage(format!("{flag} {name}: the value holds characters that a field cannot"));
    };
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn gates(settings: &Settings) -> Gates {
    let default = Gates::default();
    let share = |limit: Option<Limit<Share>>, default: Option<f64>| match limit {
        Some(Limit(limit)) => limit.map(|Share(share)| share),
        None => default,
    };
    let millis = |limit: Option<Limit<Millis>>, default: Option<f64>| match limit {
        Some(Limit(limit)) => limit.map(|Millis(millis)| millis),
        None => default,
    };
    Gates {
        p95_ms: millis(settings.slo_p95, default.p95_ms),
        p99_ms: millis(settings.slo_p99, default.p99_ms),
        error_rate: share(settings.max_error_rate, default.error_rate),
        p95_regression: share(settings.max_p95_regression, default.p95_regression),
        label_agreement: share(settings.min_agreement, default.label_agreement),
        score_drift: match settings.max_score_drift {
            Some(Limit(limit)) => limit.map(|Positive(drift)| drift),
            None => default.score_drift,
        },
    }
}

/// A second, but never more than a tenth of the schedule: a short capture keeps what there is to judge.
fn default_warmup(capture: &Capture, pace: Pace, window: Option<(Duration, Duration)>) -> Duration {
    let stats = capture.stats();
    let recorded = match (stats.first, stats.last) {
        (Some(first), Some(last)) => last.since(first),
        _ => 0,
    };
    let (start, end) = window.map_or((0, u64::MAX), |(start, end)| (nanos(start), nanos(end)));
    let inside = recorded.min(end).saturating_sub(start);
    let scheduled = match pace {
        Pace::Speed(speed) => inside as f64 / speed,
        // Exchanges outside the window are few enough to ignore here: this bounds a default.
        Pace::Rate(rate) => stats.exchanges as f64 * 1e9 / rate * (inside as f64 / recorded.max(1) as f64),
        Pace::Max { .. } => 0.0,
    };
    WARMUP.min(Duration::from_nanos((scheduled / 10.0) as u64))
}
