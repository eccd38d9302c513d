//! Runs that never were: rehearsals with known latencies and answers.

use std::time::Duration;

use understudy_captures::UnixNanos;

use crate::answers::Preset;
use crate::certificate::Certificate;
use crate::outcome::{Answer, Dataset, Kind, Outcome, Recorded, Rehearsal};
use crate::plan::{Candidate, FidelityBounds, Gates, Pace, Plan, Safety, Target};
use crate::schedule::{Arrivals, Shape};

/// Labels of every stage, by index.
pub(crate) const LABELS: [&str; 3] = ["POSITIVE", "NEGATIVE", "NEUTRAL"];

/// Limits that nothing is held to.
pub(crate) const NO_GATES: Gates = Gates {
    p95_ms: None,
    p99_ms: None,
    error_rate: None,
    p95_regression: None,
    label_agreement: None,
    score_drift: None,
};

/// A certificate of a generator that did what it was asked.
pub(crate) fn good_certificate(scheduled: u64) -> Certificate {
    Certificate {
        scheduled,
        sent: scheduled,
        queued: 0,
        lag_p50_ms: 0.08,
        lag_p99_ms: 0.9,
        lag_max_ms: 2.1,
        asked_rate: 50.0,
        achieved_rate: 50.0,
        worst_second: 0.02,
        arrival_ks: 0.01,
        reuse: 0.97,
        cpu: 0.12,
        broken: Vec::new(),
    }
}

/// A run of `names` (the first is the baseline) without any outcome yet.
pub(crate) fn stage(names: &[&str], gates: Gates) -> Rehearsal {
    let candidates = names.iter().zip(8001..).map(|(name, port)| Candidate {
        name: (*name).to_owned(),
        target: Target { host: "127.0.0.1".into(), port, prefix: String::new() },
    });
    let shape = Shape { count: 1_000, duration_s: 20.0, rate: 50.0, peak: 71, dispersion: Some(1.3) };
    let plan = Plan {
        capture_keys: understudy_captures::CaptureKeys::none(),
        captures: vec!["captures/monday".into()],
        candidates: candidates.collect(),
        baseline: 0,
        twin: None,
        pace: Pace::Speed(2.0),
        window: None,
        warmup: Duration::from_secs(1),
        iterations: 1,
        block: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        max_connections: 64,
        threads: 1,
        seed: 42,
        preset: Preset::named("kubesentiment").unwrap(),
        safety: Safety { allow_unsafe: false, allowed: Vec::new() },
        headers: Vec::new(),
        gates,
        fidelity: FidelityBounds::default(),
        metrics: None,
        out: "runs".into(),
    };
    Rehearsal {
        run_id: "20260821-101500-7f3a".into(),
        started: UnixNanos(1_787_307_300_000_000_000),
        took: Duration::from_secs(61),
        plan,
        dataset: Dataset {
            id: "b3:9f2c41d07be8a6".into(),
            exchanges: 1_000,
            scheduled: 1_000,
            first: "2026-08-20T08:00:00Z".into(),
            last: "2026-08-20T08:00:40Z".into(),
            damage: Vec::new(),
            left_out: Vec::new(),
        },
        labels: LABELS.map(str::to_owned).to_vec(),
        arrivals: Arrivals { recorded: shape, scheduled: shape },
        recorded: vec![Recorded { answer: None, input_changed: false }; 1_000],
        outcomes: Vec::new(),
        certificates: names.iter().map(|_| good_certificate(1_000)).collect(),
        interrupted: false,
    }
}

/// An answered request: 20 ms apart, sent 0.1 ms late, over after `ms` from its intended instant.
pub(crate) fn answered(candidate: u16, exchange: u32, ms: f64, answer: Option<(u16, f32)>) -> Outcome {
    let intended = u64::from(exchange) * 20_000_000;
    let sent = intended + 100_000;
    Outcome {
        candidate,
        iteration: 0,
        exchange,
        warmup: false,
        kind: Kind::Ok,
        status: 200,
        intended,
        dispatched: sent,
        sent,
        first_byte: sent,
        end: intended + (ms * 1e6) as u64,
        received: 100,
        reused: true,
        answer: answer.map(|(label, score)| Answer { label, score: Some(score) }),
    }
}

/// A request that was refused at once.
pub(crate) fn failed(candidate: u16, exchange: u32) -> Outcome {
    Outcome { kind: Kind::HttpError, status: 503, answer: None, ..answered(candidate, exchange, 0.5, None) }
}

impl Rehearsal {
    /// Adds what became of `exchanges` of `candidate`.
    pub(crate) fn with(mut self, exchanges: u32, outcome: impl Fn(u32) -> Outcome) -> Self {
        self.outcomes.extend((0..exchanges).map(outcome));
        self
    }

    /// Adds `latencies` in milliseconds of `candidate`, all answered alike.
    pub(crate) fn latencies(mut self, candidate: u16, latencies: impl IntoIterator<Item = f64>) -> Self {
        let outcomes = latencies.into_iter().zip(0..);
        self.outcomes
            .extend(outcomes.map(|(ms, exchange)| answered(candidate, exchange, ms, Some((0, 0.9)))));
        self
    }

    /// Repeats everything in further iterations.
    pub(crate) fn repeated(mut self, iterations: u16) -> Self {
        let once = self.outcomes.clone();
        for iteration in 1..iterations {
            self.outcomes.extend(once.iter().map(|o| Outcome { iteration, ..*o }));
        }
        self.plan.iterations = iterations;
        self
    }
}
