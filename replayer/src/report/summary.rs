//! What was asked, in the words of the command line.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::{FidelityBounds, Gates, Pace, Plan};

/// The plan as the report shows it: everything that decides a run, and nothing secret (values of header fields that
/// were set stay out).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// The command that does it again.
    pub command: Vec<String>,
    /// Captures as they were named.
    pub captures: Vec<String>,
    /// Who was rehearsed.
    pub candidates: Vec<Place>,
    /// The candidate that the others are judged against.
    pub baseline: String,
    /// The baseline's twin.
    pub twin: Option<String>,
    /// `speed 2`, `rate 50/s`, `max 64`.
    pub pace: String,
    /// Part of the capture, when not all of it.
    pub window: Option<String>,
    /// Scheduled time whose requests are not judged, seconds.
    pub warmup_s: f64,
    /// Passes over the capture.
    pub iterations: u16,
    /// Scheduled time after which candidates take turns, seconds.
    pub block_s: f64,
    /// Deadline of a request, seconds.
    pub timeout_s: f64,
    /// Most connections to one candidate.
    pub connections: usize,
    /// Worker threads.
    pub threads: usize,
    /// Seed of resampling.
    pub seed: u64,
    /// Where label and score were looked for.
    pub preset: String,
    /// Names of the header fields that were set.
    pub headers: Vec<String>,
    /// Limits of candidates.
    pub gates: Gates,
    /// Limits of the generator.
    pub fidelity: FidelityBounds,
}

/// A candidate and where it listened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Name in the plan.
    pub name: String,
    /// `http://...`
    pub url: String,
}

// === impl PlanSummary ===

impl PlanSummary {
    /// Sums up a plan.
    pub fn of(plan: &Plan) -> Self {
        let name = |at: usize| plan.candidates.get(at).map(|c| c.name.clone()).unwrap_or_default();
        let place = |c: &crate::plan::Candidate| Place { name: c.name.clone(), url: c.target.to_string() };
        Self {
            command: command(plan),
            captures: plan.captures.iter().map(|c| c.display().to_string()).collect(),
            candidates: plan.candidates.iter().map(place).collect(),
            baseline: name(plan.baseline),
            twin: plan.twin.map(name),
            pace: match plan.pace {
                Pace::Speed(speed) => format!("speed {speed}"),
                Pace::Rate(rate) => format!("rate {rate}/s"),
                Pace::Max { in_flight } => format!("max {in_flight}"),
            },
            window: window(plan),
            warmup_s: plan.warmup.as_secs_f64(),
            iterations: plan.iterations,
            block_s: plan.block.as_secs_f64(),
            timeout_s: plan.timeout.as_secs_f64(),
            connections: plan.max_connections,
            threads: plan.threads,
            seed: plan.seed,
            preset: plan.preset.name().to_owned(),
            headers: plan.headers.iter().map(|(name, _)| name.to_string()).collect(),
            gates: plan.gates.clone(),
            fidelity: plan.fidelity.clone(),
        }
    }

    /// The command as one would type it, an option a line.
    pub fn command_line(&self) -> String {
        let mut line = String::new();
        for word in &self.command {
            if word.starts_with("--") {
                line.push_str(" \\\n ");
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&quoted(word));
        }
        line
    }
}

/// Every setting by its flag, so that defaults that change later do not change the run.
fn command(plan: &Plan) -> Vec<String> {
    let mut words = vec!["understudy".to_owned(), "replay".to_owned()];
    words.extend(plan.captures.iter().map(|c| c.display().to_string()));
    let mut flag = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    for candidate in &plan.candidates {
        flag("candidate", format!("{}={}", candidate.name, candidate.target));
    }
    let name = |at: usize| plan.candidates.get(at).map(|c| c.name.clone()).unwrap_or_default();
    flag("baseline", name(plan.baseline));
    if let Some(twin) = plan.twin {
        flag("twin", name(twin));
    }
    match plan.pace {
        Pace::Speed(speed) => flag("speed", speed.to_string()),
        Pace::Rate(rate) => flag("rate", rate.to_string()),
        Pace::Max { in_flight } => flag("max", in_flight.to_string()),
    }
    if let Some(window) = window(plan) {
        flag("window", window);
    }
    flag("warmup", span(plan.warmup));
    flag("iterations", plan.iterations.to_string());
    flag("block", span(plan.block));
    flag("timeout", span(plan.timeout));
    flag("connections", plan.max_connections.to_string());
    flag("threads", plan.threads.to_string());
    for (name, _) in &plan.headers {
        flag("header-env", format!("{name}=VARIABLE"));
    }
    for (method, path) in &plan.safety.allowed {
        flag("allow", format!("{method}:{path}"));
    }
    match plan.preset.pointers() {
        Some((label, score)) => {
            flag("label", label.to_owned());
            score.into_iter().for_each(|score| flag("score", score.to_owned()));
        }
        None => flag("preset", plan.preset.name().to_owned()),
    }
    let mut limit =
        |name: &str, limit: Option<String>| flag(name, limit.unwrap_or_else(|| "none".to_owned()));
    let gates = &plan.gates;
    limit("slo-p95", gates.p95_ms.map(|ms| format!("{ms}ms")));
    limit("slo-p99", gates.p99_ms.map(|ms| format!("{ms}ms")));
    limit("max-error-rate", gates.error_rate.map(|share| share.to_string()));
    limit("min-agreement", gates.label_agreement.map(|share| share.to_string()));
    limit("max-score-drift", gates.score_drift.map(|drift| drift.to_string()));
    limit("max-p95-regression", gates.p95_regression.map(|share| share.to_string()));
    limit("seed", Some(plan.seed.to_string()));
    if plan.safety.allow_unsafe {
        words.push("--allow-unsafe".to_owned());
    }
    words
}

fn window(plan: &Plan) -> Option<String> {
    let (start, end) = plan.window?;
    let end = if end == Duration::MAX { String::new() } else { span(end) };
    Some(format!("{}..{end}", span(start)))
}

/// A duration as the command line reads it.
fn span(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        n if n.is_multiple_of(1_000_000_000) => format!("{}s", n / 1_000_000_000),
        n if n.is_multiple_of(1_000_000) => format!("{}ms", n / 1_000_000),
        n => format!("{n}ns"),
    }
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=%@,+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::stage;

    #[test]
    fn the_command_says_everything_and_can_be_pasted() {
        let mut plan = stage(&["base", "new"], Gates { p95_ms: Some(250.0), ..Gates::default() }).plan;
        plan.captures = vec!["captures/it's monday".into()];
        plan.window = Some((Duration::from_secs(30), Duration::MAX));
        plan.safety.allowed = vec![("POST".into(), "/models/*".into())];
        let summary = PlanSummary::of(&plan);
        let line = summary.command_line();
        assert!(
            line.starts_with("understudy replay 'captures/it'\\''s monday' \\\n  --candidate base=http://"),
            "{line}"
        );
        for flag in [
            "--candidate new=http://127.0.0.1:8002",
            "--speed 2",
            "--window 30s..",
            "--warmup 1s",
            "--allow 'POST:/models/*'",
            "--slo-p95 250ms",
            "--slo-p99 none",
            "--max-error-rate 0.01",
            "--seed 42",
        ] {
            assert!(line.contains(flag), "{flag} is not in {line}");
        }
    }

    #[test]
    fn values_of_header_fields_are_kept_out() {
        let mut plan = stage(&["base"], Gates::default()).plan;
        let value = hyper::header::HeaderValue::from_static("s3cr3t-value");
        plan.headers = vec![(hyper::header::HeaderName::from_static("x-api-key"), value)];
        let written = serde_json::to_string(&PlanSummary::of(&plan)).unwrap();
        assert!(written.contains("x-api-key=VARIABLE") && !written.contains("s3cr3t"), "{written}");
    }
}
