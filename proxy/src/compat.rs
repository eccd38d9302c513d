//! Metrics under the names that alerts of the sentiment service ask for and nobody exports, made of what passes.
//!
//! Names, labels and meaning are those of its alert rules. A counter that the service itself has under another name is
//! not repeated.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts};
use serde::Deserialize;
use understudy_captures::Exchange;

use crate::ledger::Ledger;

/// Largest answer that is read for its score.
const LARGEST_ANSWER: usize = 64 * 1024;
/// Of a score.
const CONFIDENCE_BUCKETS: [f64; 8] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];
/// Methods that are told apart; a label must not have as many values as clients can invent.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The failures that a metric's declaration can have are constants of this file.
const DECLARED_WELL: &str = "metric names and labels are constants, valid and declared once";

/// Counters that follow exchanges, on the recorder's thread.
pub(crate) struct Compat {
    requests: IntCounterVec,
    duration: Histogram,
    inference: Histogram,
    confidence: Histogram,
    /// Without a value until an answer says something of it.
    loaded: IntGaugeVec,
}

/// The part of an answer that is looked at.
#[derive(Deserialize)]
struct Scored {
    score: f64,
}

// === impl Compat ===

impl Compat {
    /// Declares the metrics on the page of `ledger`.
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Compat {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            registered(ledger, Histogram::with_opts(options).expect(DECLARED_WELL))
        };
        let requests = Opts::new("http_requests_total", "Answered requests of the service, probes left out.");
        let loaded = Opts::new("mlops_model_loaded", "1 after an answer with a score, 0 after a 503.");
        Compat {
            requests: registered(
                ledger,
                IntCounterVec::new(requests, &["method", "status"]).expect(DECLARED_WELL),
            ),
            duration: histogram(
                "http_request_duration_seconds",
                "First byte of a request to the last of its answer.",
                prometheus::DEFAULT_BUCKETS,
            ),
            inference: histogram(
                "mlops_inference_duration_seconds",
                "Last byte of a request to the first of an answer with a score.",
                prometheus::DEFAULT_BUCKETS,
            ),
            confidence: histogram(
                "mlops_prediction_confidence",
                "Scores that the service answered with.",
                &CONFIDENCE_BUCKETS,
            ),
            loaded: registered(ledger, IntGaugeVec::new(loaded, &[]).expect(DECLARED_WELL)),
        }
    }

    /// Counts what was answered.
    pub(crate) fn note(&self, exchange: &Exchange) {
        let Some(response) = &exchange.response else { return };
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let method = METHODS.into_iter().find(|method| *method == exchange.request.method).unwrap_or("other");
        self.requests.with_label_values(&[method, &response.status.to_string()]).inc();
        self.duration.observe(seconds(exchange.timing.end));
        const NO_LABELS: &[&str] = &[];
        if response.status == 503 {
            self.loaded.with_label_values(NO_LABELS).set(0);
        }
        let Some(score) = score(exchange) else { return };
        self.loaded.with_label_values(NO_LABELS).set(1);
        self.confidence.observe(score);
        let timing = exchange.timing;
        if let (Some(asked), Some(answered)) = (timing.request_end, timing.response_start) {
            self.inference.observe(seconds(answered.saturating_sub(asked)));
        }
    }
}

/// The score of a good answer that has one.
fn score(exchange: &Exchange) -> Option<f64> {
    let response = exchange.response.as_ref().filter(|response| response.status / 100 == 2)?;
    let body = &response.body.bytes;
    if body.len() > LARGEST_ANSWER || body.first() != Some(&b'{') {
        return None;
    }
    let Scored { score } = serde_json::from_slice(body).ok()?;
    (0.0..=1.0).contains(&score).then_some(score)
}

fn registered<C: Collector + Clone + 'static>(ledger: &Ledger, collector: C) -> C {
    ledger.register(&collector);
    collector
}
