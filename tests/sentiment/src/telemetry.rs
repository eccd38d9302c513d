//! The metrics that the real service exports, under its names.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Counters of one stand-in.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    /// Requests being served.
    pub active: IntGauge,
    loaded: IntGauge,
    queued: IntGauge,
    inference: Histogram,
    score: Histogram,
    text_length: Histogram,
}

// === impl Telemetry ===

impl Telemetry {
    /// Everything at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            HistogramOpts::new(name, help).buckets(buckets.to_vec())
        };
        let telemetry = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new("sentiment_requests_total", "Requests by endpoint, method and status code"),
                &["endpoint", "method", "status_code"],
            )?,
            request_duration: HistogramVec::new(
                HistogramOpts::new("sentiment_request_duration_seconds", "Time to serve a request"),
                &["endpoint", "method"],
            )?,
            active: IntGauge::new("sentiment_active_requests", "Requests being served")?,
            loaded: IntGauge::new("sentiment_model_loaded", "Whether the model is loaded")?,
            queued: IntGauge::new("sentiment_queued_requests", "Requests that wait for a worker")?,
            inference: Histogram::with_opts(histogram(
                "sentiment_inference_duration_seconds",
                "Length of the model's calls",
                prometheus::DEFAULT_BUCKETS,
            ))?,
            score: Histogram::with_opts(histogram(
                "sentiment_prediction_score",
                "Scores",
                &[0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0],
            ))?,
            text_length: Histogram::with_opts(histogram(
                "sentiment_text_length_characters",
                "Lengths of texts",
                &[10.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0],
            ))?,
        };
        let registry = &telemetry.registry;
        registry.register(Box::new(telemetry.requests.clone()))?;
        registry.register(Box::new(telemetry.request_duration.clone()))?;
        registry.register(Box::new(telemetry.active.clone()))?;
        registry.register(Box::new(telemetry.loaded.clone()))?;
        registry.register(Box::new(telemetry.queued.clone()))?;
        registry.register(Box::new(telemetry.inference.clone()))?;
        registry.register(Box::new(telemetry.score.clone()))?;
        registry.register(Box::new(telemetry.text_length.clone()))?;
        Ok(telemetry)
    }

    /// Counts a request that was answered. `endpoint` is one of the service's paths, never the client's own.
    pub fn answered(&self, endpoint: &str, method: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[endpoint, method, &status.to_string()]).inc();
        self.request_duration.with_label_values(&[endpoint, method]).observe(took.as_secs_f64());
    }

    /// Counts a prediction.
    pub fn predicted(&self, score: f64, text_length: usize, inference: Duration) {
        self.score.observe(score);
        self.text_length.observe(text_length as f64);
        self.inference.observe(inference.as_secs_f64());
    }

    /// All metrics, in the text format.
    pub fn render(&self, loaded: bool, queued: usize) -> Result<Vec<u8>, prometheus::Error> {
        self.loaded.set(loaded.into());
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
