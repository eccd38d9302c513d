//! Encoding and decoding exchanges of real traffic, on one core: `cargo bench -p understudy-captures --bench format`.

#[path = "format/traffic.rs"]
#[expect(dead_code, reason = "the wire length is for the programs that measure size")]
mod traffic;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use understudy_captures::Capture;
use understudy_captures::segment::Writer;

/// Enough for a few blocks.
const EXCHANGES: usize = 20_000;

fn format(c: &mut Criterion) {
    let exchanges = traffic::sanitized(7, EXCHANGES);
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut group = c.benchmark_group("format");
    group.throughput(Throughput::Elements(EXCHANGES as u64)).sample_size(20);
    let mut runs = 0;
    // With compression, checksums and digest, into files.
    group.bench_function("encode", |b| {
        b.iter(|| {
            runs += 1;
            let config = traffic::config(&dir.path().join(format!("{}", runs % 2)), runs, u64::MAX);
            traffic::write(Writer::create(config).expect("writable"), &exchanges);
        });
    });
    let read = dir.path().join("read");
    traffic::write(Writer::create(traffic::config(&read, 7, u64::MAX)).expect("writable"), &exchanges);
    // To whole exchanges in order of arrival, as a replay reads them.
    group.bench_function("decode", |b| {
        b.iter(|| {
            let capture = Capture::open(&[&read]).expect("readable");
            capture.exchanges().for_each(|exchange| drop(black_box(exchange.expect("readable"))));
        });
    });
    group.finish();
}

criterion_group!(benches, format);
criterion_main!(benches);
