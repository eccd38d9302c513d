//! `/metrics` while a run goes on.
//!
//! | metric | what |
//! | --- | --- |
//! | `understudy_replay_requests_total{candidate,outcome}` | requests that are over, warm-up included |
//! | `understudy_replay_in_flight{candidate}` | requests begun and not over, those that wait for a connection included |
//! | `understudy_replay_lag_seconds{candidate}` | actual start minus intended |
//! | `understudy_replay_response_seconds{candidate}` | completion minus intended start, of complete responses |
//! | `understudy_replay_service_seconds{candidate}` | completion minus actual send, of complete responses |
//! | `understudy_replay_progress_ratio` | requests that are over, of all that are scheduled |
//! | `understudy_replay_run_info{run_id}` | 1 |
//! | `process_*` | of the generator |
//!
//! Buckets are coarse: they show how a run goes. The figures that decide come from every single outcome.

mod server;

use prometheus::core::Collector as Metric;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

pub use server::Server;

use crate::outcome::{Kind, Outcome};
use crate::plan::Plan;

/// Seconds; from a fast CPU model to a timeout.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// The metrics of one run, in a registry of their own.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    candidates: Vec<OfCandidate>,
    progress: Gauge,
}

/// Counts the requests under way to one candidate. Cheap enough for the thread that sends them.
#[derive(Clone)]
pub struct InFlight(IntGauge);

#[derive(Clone)]
struct OfCandidate {
    /// By position in [`Kind::ALL`].
    requests: Vec<IntCounter>,
    in_flight: IntGauge,
    lag: Histogram,
    response: Histogram,
    service: Histogram,
}

// === impl Metrics ===

impl Metrics {
    /// Metrics for the candidates of a plan, all at 0.
    ///
    /// # Errors
    ///
    /// Only when two metrics have one name, which is a bug.
    pub fn new(plan: &Plan, run_id: &str) -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("understudy_replay_requests_total", "Requests that are over, warm-up included."),
            &["candidate", "outcome"],
        )?;
        let in_flight = IntGaugeVec::new(
            Opts::new(
                "understudy_replay_in_flight",
                "Requests begun and not over, waiting for a connection included.",
            ),
            &["candidate"],
        )?;
        let histogram = |name: &str, help: &str| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), &["candidate"])
        };
        let lag = histogram("understudy_replay_lag_seconds", "Actual start minus intended start.")?;
        let response = histogram(
            "understudy_replay_response_seconds",
            "Completion minus intended start, of complete responses.",
        )?;
        let service = histogram(
            "understudy_replay_service_seconds",
            "Completion minus actual send, of complete responses.",
        )?;
        let progress = Gauge::new(
            "understudy_replay_progress_ratio",
            "Requests that are over, of all that are scheduled.",
        )?;
        let info =
            IntGaugeVec::new(Opts::new("understudy_replay_run_info", "The run that goes on."), &["run_id"])?;
        info.with_label_values(&[run_id]).set(1);

        let metrics: [Box<dyn Metric>; 7] = [
            Box::new(requests.clone()),
            Box::new(in_flight.clone()),
            Box::new(lag.clone()),
            Box::new(response.clone()),
            Box::new(service.clone()),
            Box::new(progress.clone()),
            Box::new(info),
        ];
        for metric in metrics {
            registry.register(metric)?;
        }
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

        // Looked up once: a lookup hashes and locks.
        let candidates = plan
            .candidates
            .iter()
            .map(|candidate| {
                let name = [candidate.name.as_str()];
                OfCandidate {
                    requests: Kind::ALL
                        .iter()
                        .map(|kind| requests.with_label_values(&[name[0], kind.name()]))
                        .collect(),
                    in_flight: in_flight.with_label_values(&name),
                    lag: lag.with_label_values(&name),
                    response: response.with_label_values(&name),
                    service: service.with_label_values(&name),
                }
            })
            .collect();
        Ok(Metrics { registry, candidates, progress })
    }

    /// Counters of requests under way, by candidate.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.candidates.iter().map(|candidate| InFlight(candidate.in_flight.clone())).collect()
    }

    /// Counts a request that is over.
    pub fn observe(&self, outcome: &Outcome) {
        let candidate = &self.candidates[usize::from(outcome.candidate)];
        candidate.requests[outcome.kind as usize].inc();
        if outcome.kind == Kind::NotSent {
            return;
        }
        candidate.lag.observe(seconds(outcome.lag()));
        if matches!(outcome.kind, Kind::Ok | Kind::HttpError) {
            candidate.response.observe(seconds(outcome.response_time()));
            candidate.service.observe(seconds(outcome.service_time()));
        }
    }

    /// Notes how far the run is.
    pub fn progress(&self, done: u64, total: u64) {
        self.progress.set(done as f64 / total.max(1) as f64);
    }

    /// The text that Prometheus scrapes.
    ///
    /// # Errors
    ///
    /// When a metric cannot be encoded, which is a bug.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

// === impl InFlight ===

impl InFlight {
    /// One more.
    pub fn up(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn down(&self) {
        self.0.dec();
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
