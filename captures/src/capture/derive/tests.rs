//! The law in what is made of captures, duplicates, corrected clocks, rotation.

use std::path::Path;

use super::*;
use crate::exchange::ExchangeId;
use crate::segment::tests::{Totals, config, exchange, read, segments};

/// Exchanges `n` of boot `boot`, recorded by a pod of its name, every `step` from `from` on; blocks of three.
fn record(dir: &Path, boot: u64, from: u64, step: u64, count: u64) {
    let mut config = config(dir, boot);
    config.origin.pod = Some(format!("pod-{boot}"));
    config.origin.policy = "p".into();
    let mut writer = Writer::create(config).unwrap();
    let mut totals = Totals::default();
    totals.0.seen = 2;
    totals.0.queue_full = 2;
    for n in 0..count {
        let mut exchange = exchange(n, from + n * step);
        exchange.id = ExchangeId(u128::from(boot) << 64 | u128::from(n));
        // The inner half of a call of the pod before, as its clock has it.
        exchange.trace_id = Some(u128::from(n));
        exchange.timing.end = 1_000 / boot;
        writer.append(&Sanitized(exchange)).unwrap();
        if n % 3 == 2 {
            writer.flush(&mut |n| totals.record(n)).unwrap();
        }
    }
    writer.finish(&mut |n| totals.record(n)).unwrap();
}

#[test]
fn a_slice_holds_what_was_chosen_and_accounts_for_the_rest() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(old.path(), 1, 1_000, 10, 30);
    let capture = Capture::open(&[old.path()]).unwrap();
    let derived = Derived { by: "slice".into(), what: "even ones".into(), ..Derived::default() };
    let mut config = config(new.path(), 9);
    config.origin = capture.derived_origin("test 2", derived);
    let mut asked = 0;
    let outcome = capture
        .slice(config, UnixNanos(1_050), UnixNanos(1_200), &mut |exchange| {
            asked += 1;
            if exchange.id.0 % 2 == 0 { Choice::Keep } else { Choice::Leave }
        })
        .unwrap();
    assert_eq!((outcome.written, outcome.excluded, asked), (8, 22, 16));
    let kept: Vec<_> = read(old.path())
        .into_iter()
        .filter(|e| e.id.0 % 2 == 0 && (1_050..=1_200).contains(&e.arrival.0))
        .collect();
    assert_eq!(read(new.path()), kept);

    let verification = Capture::verify(&[new.path()]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    let counts = verification.stats.conservation;
    assert_eq!(counts, outcome.conservation);
    assert_eq!((counts.seen, counts.recorded, counts.excluded, counts.queue_full), (32, 8, 22, 2));
    let sliced = Capture::open(&[new.path()]).unwrap();
    let origin = sliced.segments().next().unwrap().origin.unwrap().clone();
    assert_eq!((origin.policy.as_str(), origin.pod.as_deref()), ("p", Some("pod-1")));
    assert_eq!(origin.derived.unwrap().from, [capture.stats().dataset_id]);
    assert_eq!(outcome.bytes, sliced.stats().bytes);
}

#[test]
fn what_damage_took_is_accounted_for_in_a_slice() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(old.path(), 1, 1_000, 10, 9);
    let path = &segments(old.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let block = Capture::open(&[path]).unwrap().segments[0].blocks[1];
    bytes[block.offset as usize + 60] ^= 1;
    std::fs::write(path, &bytes).unwrap();
    let capture = Capture::open(&[path]).unwrap();
    let all = (UnixNanos(0), UnixNanos(u64::MAX));
    let outcome = capture.slice(config(new.path(), 9), all.0, all.1, &mut |_| Choice::Keep).unwrap();
    assert_eq!((outcome.written, outcome.lost, outcome.damage.len()), (6, 3, 1));
    assert_eq!(outcome.conservation.io_error, 3);
    assert!(outcome.conservation.holds());
}

#[test]
fn a_merge_drops_duplicates_and_counts_them() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(old.path(), 1, 1_000, 10, 30);
    record(old.path(), 2, 1_005, 10, 30);
    let half = tempfile::tempdir().unwrap();
    let capture = Capture::open(&[old.path()]).unwrap();
    let keep = &mut |_: &Exchange| Choice::Keep;
    capture.slice(config(half.path(), 9), UnixNanos(0), UnixNanos(1_100), keep).unwrap();
    // A copy of one segment under another name, and a slice of both.
    let copy = half.path().join("copy.ucap");
    std::fs::copy(&segments(old.path())[0], &copy).unwrap();

    let all = Capture::open(&[old.path(), half.path()]).unwrap();
    let mut merged = config(new.path(), 10);
    merged.max_bytes = 2_000;
    merged.block_bytes = 200;
    let outcome = all.merge(merged, &BTreeMap::new(), &mut |_| ()).unwrap();
    assert_eq!((outcome.written, outcome.duplicates), (60, 30 + 21));
    assert_eq!(read(new.path()), read(old.path()));
    assert!(segments(new.path()).len() > 1, "rotated");
    let verification = Capture::verify(&[new.path()]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    assert_eq!(verification.stats.conservation, outcome.conservation);
    assert_eq!(outcome.bytes, verification.stats.bytes);
    assert!(
        std::fs::metadata(&segments(new.path())[0]).unwrap().len() < 4_000,
        "a batch overshoots by one block"
    );
}

#[test]
fn clocks_are_compared_by_trace_and_corrected() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(old.path(), 1, 100_000, 5_000, 20);
    // Half as long, begun 250 later in truth, by a clock that is 3000 ahead.
    record(old.path(), 2, 100_000 + 250 + 3_000, 5_000, 20);
    let capture = Capture::open(&[old.path()]).unwrap();
    let estimates = capture.clock_estimates(&mut |_| ()).unwrap();
    let [estimate] = &estimates[..] else { panic!("{estimates:?}") };
    assert_eq!((estimate.pairs, estimate.agreeing, estimate.ahead), (20, 20, Some((2_750, 3_250))));
    let corrections = BTreeMap::from([(estimate.pod.clone(), estimate.correction())]);
    capture.merge(config(new.path(), 3), &corrections, &mut |_| ()).unwrap();
    let order: Vec<_> =
        read(new.path()).iter().take(4).map(|e| (e.arrival.0, (e.id.0 >> 64) as u64)).collect();
    assert_eq!(order, [(100_000, 1), (100_250, 2), (105_000, 1), (105_250, 2)]);
}

#[test]
fn a_slice_given_beside_its_origin_hides_no_clock_and_doubles_nothing() {
    let (old, slices, new) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    record(old.path(), 1, 100_000, 5_000, 20);
    record(old.path(), 2, 100_000 + 250 + 3_000, 5_000, 20);
    let both = Capture::open(&[old.path()]).unwrap();
    let derived = || Derived { by: "slice".into(), ..Derived::default() };
    let all = (UnixNanos(0), UnixNanos(u64::MAX));
    let keep = &mut |_: &Exchange| Choice::Keep;
    // Of both pods, which has no clock of its own, and of the second pod alone, whose name it keeps.
    for (name, capture) in [("both", both), ("second", Capture::open(&[&segments(old.path())[1]]).unwrap())] {
        let mut config = config(&slices.path().join(name), 9);
        config.origin = capture.derived_origin("test 2", derived());
        capture.slice(config, all.0, all.1, keep).unwrap();
    }
    let dirs = [old.path().to_owned(), slices.path().join("both"), slices.path().join("second")];
    let capture = Capture::open(&dirs).unwrap();
    let estimates = capture.clock_estimates(&mut |_| ()).unwrap();
    let [estimate] = &estimates[..] else { panic!("{estimates:?}") };
    assert_eq!((estimate.pod.as_str(), estimate.pairs, estimate.ahead), ("pod-2", 20, Some((2_750, 3_250))));
    let corrections = BTreeMap::from([(estimate.pod.clone(), estimate.correction())]);
    let outcome = capture.merge(config(new.path(), 3), &corrections, &mut |_| ()).unwrap();
    assert_eq!((outcome.written, outcome.duplicates), (40, 60));

    let slices = [segments(old.path())[0].clone(), slices.path().join("second")];
    let capture = Capture::open(&slices).unwrap();
    assert_eq!(capture.clock_estimates(&mut |_| ()).unwrap(), estimates, "a slice has its pod's clock");
}
