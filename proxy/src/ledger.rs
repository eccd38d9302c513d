//! Accounts for every request and says what recording costs: the conservation counters and all other metrics.
//!
//! The counters *are* the metrics: each is one atomic that both `/metrics` and the segment footers read.

use prometheus::core::{AtomicU64, GenericCounter};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use understudy_captures::Conservation;
use understudy_captures::conservation::Drop;

use crate::filter::Exclusion;
use crate::gate::Scarce;
use crate::tap::Reason;

/// Counters of one sidecar, and the registry that exposes them.
pub(crate) struct Ledger {
    registry: Registry,
    /// Request heads that went by.
    pub(crate) seen: IntCounter,
    /// Requests written to a segment.
    pub(crate) recorded: IntCounter,
    drops: [IntCounter; Drop::ALL.len()],
    /// Client connections accepted.
    pub(crate) connections: IntCounter,
    /// Client connections open now.
    pub(crate) open_connections: IntGauge,
    /// Connections that sampling left out.
    pub(crate) sampled_out_connections: IntCounter,
    /// CPU time of the recorder's thread.
    pub(crate) recorder_cpu_seconds: Counter,
    /// Time that the recorder rested to stay within its share of a core.
    pub(crate) recorder_paused_seconds: Counter,
    /// Bytes in the captures directory, where there is a limit to them.
    pub(crate) captures_bytes: IntGauge,
    /// Freezes that were begun.
    pub(crate) freezes: IntCounter,
    /// Freezes whose span has not ended.
    pub(crate) frozen_open: IntGauge,
    /// Closed segments in the flight recorder's ring.
    pub(crate) ring_segments: IntGauge,
    /// Their bytes, with the open one's.
    pub(crate) ring_bytes: IntGauge,
    /// Segments that the ring gave up.
    pub(crate) ring_deleted: IntCounter,
    /// Segments shipped, and deleted here.
    pub(crate) shipped_segments: IntCounter,
    /// Their bytes.
    pub(crate) shipped_bytes: IntCounter,
    /// Attempts that failed.
    pub(crate) ship_failures: IntCounter,
    /// Closed segments that wait to be shipped.
    pub(crate) ship_waiting: IntGauge,
    excluded: IntCounterVec,
    shed: IntCounterVec,
    reloads: IntCounterVec,
    /// 1 when the last reload was applied, or none was asked for.
    pub(crate) reload_succeeded: IntGauge,
    given_up: IntCounterVec,
    /// Connections to the service that failed.
    pub(crate) connect_failures: IntCounter,
    /// Bytes passed from clients to the service.
    pub(crate) request_bytes: IntCounter,
    /// Bytes passed from the service to clients.
    pub(crate) response_bytes: IntCounter,
    /// From the end of a read to the end of the write that passes it on (one in [`LATENCY_SAMPLE`]).
    pub(crate) forward_seconds: Histogram,
    /// Work of the tap after a write (one in [`LATENCY_SAMPLE`]).
    pub(crate) tap_seconds: Histogram,
    /// Batches handed to the recorder.
    pub(crate) batches_queued: IntCounter,
    /// Batches for which the queue had no room.
    pub(crate) batches_dropped: IntCounter,
    /// Batches waiting for the recorder.
    pub(crate) queue_depth: IntGauge,
    /// Bytes waiting for the recorder.
    pub(crate) queue_bytes: IntGauge,
    /// Work of the sanitizer per exchange.
    pub(crate) sanitize_seconds: Histogram,
    redactions: IntCounterVec,
    /// Bytes of exchanges, sanitized and before compression, that reached a segment.
    pub(crate) recorded_bytes: IntCounter,
    /// Failures of the captures directory.
    pub(crate) write_errors: IntCounter,
    /// Panics that were contained: traffic went on.
    pub(crate) panics: IntCounter,
    /// 1 while recording is switched on.
    pub(crate) recording: IntGauge,
    /// 1 while the recorder can write.
    pub(crate) recorder_up: IntGauge,
}

/// Forwards of which one has its times taken: two clock reads cost as much as a small head's parse.
pub(crate) const LATENCY_SAMPLE: u32 = 32;

const FORWARD_BUCKETS: [f64; 12] = [2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1];
const TAP_BUCKETS: [f64; 10] = [2.5e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 5e-5, 2e-4, 1e-3, 1e-2];
const SANITIZE_BUCKETS: [f64; 9] = [5e-6, 1e-5, 2.5e-5, 1e-4, 5e-4, 2.5e-3, 1e-2, 0.1, 1.0];

/// The failures that a metric's declaration can have are constants of this file.
const DECLARED_WELL: &str = "metric names and labels are constants, valid and declared once";

// === impl Ledger ===

impl Ledger {
    /// Declares every metric.
    pub(crate) fn new() -> Ledger {
        let declare = Declare(Registry::new());
        let fates = declare.counters(
            "understudy_proxy_requests_total",
            "Requests by fate; over a drained sidecar their sum is understudy_proxy_requests_seen_total.",
            "fate",
        );
        let bytes = declare.counters(
            "understudy_proxy_forwarded_bytes_total",
            "Bytes passed on, by direction: request (client to service) or response.",
            "direction",
        );
        let batches = declare.counters(
            "understudy_proxy_batches_total",
            "Batches of exchanges by outcome: queued for the recorder or dropped because the queue was full.",
            "outcome",
        );
        let given_up = declare.counters(
            "understudy_proxy_connections_given_up_total",
            "Connections whose recording ended before they did, by reason; their traffic went on.",
            "reason",
        );
        for reason in Reason::ALL {
            given_up.with_label_values(&[reason.name()]);
        }
        let excluded = declare.counters(
            "understudy_proxy_excluded_total",
            "Requests counted `excluded`, by reason: recording was off, path, probe, rule, or no rule that includes.",
            "reason",
        );
        for reason in Exclusion::ALL {
            excluded.with_label_values(&[reason.name()]);
        }
        let shed = declare.counters(
            "understudy_proxy_shed_total",
            "Requests let go by unrecorded because memory or disk had reached its limit, by which.",
            "limit",
        );
        for scarce in Scarce::ALL {
            shed.with_label_values(&[scarce.name()]);
        }
        let reloads = declare.counters(
            "understudy_proxy_reloads_total",
            "Reloads of policy and rules, by outcome: applied, or refused so that the old ones stay.",
            "outcome",
        );
        for outcome in ["applied", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        let build = IntGaugeVec::new(
            Opts::new("understudy_proxy_build_info", "Always 1; says which version runs."),
            &["version"],
        )
        .expect(DECLARED_WELL);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        declare.register(&build);
        declare.register_process();
        Ledger {
            seen: declare
                .counter("understudy_proxy_requests_seen_total", "Requests whose head went by; each has one fate."),
            recorded: fates.with_label_values(&["recorded"]),
            drops: Drop::ALL.map(|reason| fates.with_label_values(&[reason.name()])),
            connections: declare.counter("understudy_proxy_connections_total", "Client connections accepted."),
            open_connections: declare
                .gauge("understudy_proxy_open_connections", "Client connections open now."),
            sampled_out_connections: declare
                .counter("understudy_proxy_connections_sampled_out_total", "Connections that sampling left out."),
            recorder_cpu_seconds: declare.seconds(
                "understudy_proxy_recorder_cpu_seconds_total",
                "CPU time of the recorder's thread; process_cpu_seconds_total holds it too.",
            ),
            recorder_paused_seconds: declare.seconds(
                "understudy_proxy_recorder_paused_seconds_total",
                "Time that the recorder rested to stay within --recorder-cpu; a full queue meanwhile drops batches.",
            ),
            captures_bytes: declare.gauge(
                "understudy_proxy_captures_bytes",
                "Bytes of all files in the captures directory; known when there is a --disk-limit.",
            ),
            freezes: declare.counter("understudy_proxy_freezes_total", "Captures frozen out of the flight recorder."),
            frozen_open: declare
                .gauge("understudy_proxy_freezes_under_way", "Freezes that wait for the end of their span."),
            ring_segments: declare
                .gauge("understudy_proxy_ring_segments", "Closed segments in the flight recorder's ring."),
            ring_bytes: declare.gauge("understudy_proxy_ring_bytes", "Bytes of the flight recorder's ring."),
            ring_deleted: declare.counter(
                "understudy_proxy_ring_deleted_total",
                "Segments deleted from the flight recorder's ring because it was too old or too large.",
            ),
            shipped_segments: declare.counter(
                "understudy_proxy_shipped_segments_total",
                "Segments that are safe in the store and were deleted here.",
            ),
            shipped_bytes: declare.counter("understudy_proxy_shipped_bytes_total", "Bytes of shipped segments."),
            ship_failures: declare.counter(
                "understudy_proxy_ship_failures_total",
                "Attempts to ship that failed; the segments wait, it is tried again after a pause.",
            ),
            ship_waiting: declare
                .gauge("understudy_proxy_ship_waiting_segments", "Closed segments that wait to be shipped."),
            excluded,
            shed,
            reloads,
            reload_succeeded: declare.gauge(
                "understudy_proxy_config_last_reload_successful",
                "1 when the last reload of policy and rules was applied, or none was asked for.",
            ),
            given_up,
            connect_failures: declare.counter(
                "understudy_proxy_upstream_connect_failures_total",
                "Connections to the service that failed; the client got the reset that it would get without the sidecar.",
            ),
            request_bytes: bytes.with_label_values(&["request"]),
            response_bytes: bytes.with_label_values(&["response"]),
            forward_seconds: declare.histogram(
                "understudy_proxy_forward_seconds",
                "Time from the end of a read to the end of the write that passes it on; one forward in 32.",
                &FORWARD_BUCKETS,
            ),
            tap_seconds: declare.histogram(
                "understudy_proxy_tap_seconds",
                "Work of the tap after a write, on the thread that moves traffic; one forward in 32.",
                &TAP_BUCKETS,
            ),
            batches_queued: batches.with_label_values(&["queued"]),
            batches_dropped: batches.with_label_values(&["dropped"]),
            queue_depth: declare.gauge("understudy_proxy_queue_batches", "Batches waiting for the recorder."),
            queue_bytes: declare
                .gauge("understudy_proxy_queue_bytes", "Bytes of exchanges waiting for the recorder."),
            sanitize_seconds: declare.histogram(
                "understudy_proxy_sanitize_seconds",
                "Work of the sanitizer for one exchange, on the recorder's thread.",
                &SANITIZE_BUCKETS,
            ),
            redactions: declare.counters(
                "understudy_proxy_redactions_total",
                "Values that sanitizing replaced or dropped, by class.",
                "class",
            ),
            recorded_bytes: declare.counter(
                "understudy_proxy_recorded_bytes_total",
                "Bytes of sanitized heads and bodies given to segments, before compression.",
            ),
            write_errors: declare.counter(
                "understudy_proxy_write_errors_total",
                "Failures of the captures directory; recording is tried again after a pause.",
            ),
            panics: declare.counter(
                "understudy_proxy_contained_panics_total",
                "Panics of tap or recorder; traffic went on. Always a bug, please report it.",
            ),
            recording: declare.gauge("understudy_proxy_recording", "1 while recording is switched on."),
            recorder_up: declare
                .gauge("understudy_proxy_recorder_up", "1 while the recorder can write to the captures directory."),
            registry: declare.0,
        }
    }

    /// Shows one more metric on the page.
    pub(crate) fn register<C: prometheus::core::Collector + Clone + 'static>(&self, collector: &C) {
        self.registry.register(Box::new(collector.clone())).expect(DECLARED_WELL);
    }

    /// Counts `n` requests that were seen and will not be written.
    pub(crate) fn drop_requests(&self, reason: Drop, n: u64) {
        self.drop_counter(reason).inc_by(n);
    }

    /// Says why a request was counted `excluded`.
    pub(crate) fn exclude(&self, reason: Exclusion) {
        self.excluded.with_label_values(&[reason.name()]).inc();
    }

    /// Says for want of what a request was not recorded.
    pub(crate) fn shed(&self, scarce: Scarce) {
        self.shed.with_label_values(&[scarce.name()]).inc();
    }

    /// Counts a reload.
    pub(crate) fn reloaded(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { "applied" } else { "refused" }]).inc();
    }

    /// Counts a connection whose recording ended before it did.
    pub(crate) fn give_up(&self, reason: Reason) {
        self.given_up.with_label_values(&[reason.name()]).inc();
    }

    /// Connections given up for `reason`.
    #[cfg(test)]
    pub(crate) fn given_up(&self, reason: Reason) -> u64 {
        self.given_up.with_label_values(&[reason.name()]).get()
    }

    /// Counts what sanitizing did.
    pub(crate) fn redact(&self, class: &str, n: u32) {
        self.redactions.with_label_values(&[class]).inc_by(n.into());
    }

    /// The running totals. Fates are read before `seen`, so that no fate is counted whose request is not.
    pub(crate) fn totals(&self) -> Conservation {
        let mut totals = Conservation { recorded: self.recorded.get(), ..Conservation::default() };
        for reason in Drop::ALL {
            totals.add(reason, self.drop_counter(reason).get());
        }
        totals.seen = self.seen.get();
        totals
    }

    /// Everything, in the Prometheus text format.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory fails only for a metric without samples, of which there are none.
        TextEncoder::new().encode(&self.registry.gather(), &mut text).ok();
        text
    }

    fn drop_counter(&self, reason: Drop) -> &GenericCounter<AtomicU64> {
        &self.drops[reason as usize]
    }
}

/// Registers metrics as it creates them.
struct Declare(Registry);

impl Declare {
    fn register<C: prometheus::core::Collector + Clone + 'static>(&self, collector: &C) {
        self.0.register(Box::new(collector.clone())).expect(DECLARED_WELL);
    }

    fn register_process(&self) {
        self.0.register(Box::new(ProcessCollector::for_self())).expect(DECLARED_WELL);
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).expect(DECLARED_WELL);
        self.register(&counter);
        counter
    }

    fn seconds(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::new(name, help).expect(DECLARED_WELL);
        self.register(&counter);
        counter
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> IntCounterVec {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label]).expect(DECLARED_WELL);
        self.register(&counters);
        counters
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).expect(DECLARED_WELL);
        self.register(&gauge);
        gauge
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(options).expect(DECLARED_WELL);
        self.register(&histogram);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fate_has_its_own_counter_and_the_totals_read_them_all() {
        let ledger = Ledger::new();
        for (n, reason) in (1..).zip(Drop::ALL) {
            ledger.drop_requests(reason, n);
        }
        ledger.recorded.inc_by(100);
        ledger.seen.inc_by(100 + (1..=7).sum::<u64>());
        let totals = ledger.totals();
        assert!(totals.holds());
        for (n, reason) in (1..).zip(Drop::ALL) {
            assert_eq!(totals.count(reason), n, "{}", reason.name());
            let line = format!("understudy_proxy_requests_total{{fate=\"{}\"}} {n}\n", reason.name());
            assert!(String::from_utf8(ledger.render()).unwrap().contains(&line));
        }
    }
}
