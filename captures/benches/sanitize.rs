//! What sanitizing costs, piece by piece: `cargo bench -p understudy-captures --bench sanitize`.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use understudy_captures::samples::{self, traffic};
use understudy_captures::sanitize::detect::{Detectors, Scope};
use understudy_captures::{Body, Exchange, Key, Policy, Sanitizer};

/// Whole exchanges of the sample traffic, in detector mode.
fn exchanges(c: &mut Criterion) {
    let samples = traffic::of(samples::texts());
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let mut group = c.benchmark_group("exchange");
    group.throughput(Throughput::Bytes(samples.iter().map(|sample| sample.wire_bytes as u64).sum()));
    group.bench_function("sample traffic", |bencher| {
        bencher.iter_batched(
            || samples.iter().map(|sample| sample.exchange.clone()).collect::<Vec<_>>(),
            |exchanges| {
                exchanges.into_iter().map(|exchange| sanitizer.sanitize(exchange)).collect::<Vec<_>>()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// All detectors over texts: those of the samples, in which there is next to nothing, and sentences full of findings.
fn texts(c: &mut Criterion) {
    let detectors = Detectors::all();
    let clean: Vec<String> = samples::texts().map(|text| text.text.to_owned()).collect();
    let personal: Vec<String> = samples::pii_sentences().map(|sentence| sentence.text).collect();
    let mut group = c.benchmark_group("texts");
    for (name, texts) in [("clean", clean), ("with findings", personal)] {
        group.throughput(Throughput::Bytes(texts.iter().map(|text| text.len() as u64).sum()));
        let mut findings = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for text in &texts {
                    detectors.scan(black_box(text), Scope::Prose, &mut findings);
                    black_box(&findings);
                }
            });
        });
    }
    group.finish();
}

/// Strings that are replaced whole.
fn leaves(c: &mut Criterion) {
    let ids: Vec<String> = (0..64).map(|n| format!("\"customer-{n:04}-Ada-Lovelace\"")).collect();
    let document = format!("{{\"users\":[{}]}}", ids.join(","));
    let mut exchange: Exchange = traffic::of(samples::texts().take(1)).remove(0).exchange;
    exchange.request.body =
        Body { original_len: document.len() as u64, bytes: document.into(), ..Body::default() };
    let mut sanitizer = Sanitizer::new(Policy::builtin(), Key::random());
    let mut group = c.benchmark_group("leaves");
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 of 26 letters", |bencher| {
        bencher.iter_batched(
            || exchange.clone(),
            |exchange| sanitizer.sanitize(exchange),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, exchanges, texts, leaves);
criterion_main!(benches);
