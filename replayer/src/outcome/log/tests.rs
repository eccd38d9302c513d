use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::answers::Preset;
use crate::outcome::{Answer, Kind, Labels, Outcome};

fn header() -> Header {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Header {
        run_id: "20261122T010203Z-abcd".into(),
        candidates: names(&["cpu", "gpu"]),
        kinds: Kind::ALL.iter().map(|kind| kind.name().to_owned()).collect(),
    }
}

/// Labels A, B and C.
fn labels() -> Labels {
    let mut labels = Labels::default();
    let preset = Preset::named("kubesentiment").unwrap();
    for name in ["A", "B", "C"] {
        labels.answer(&preset, format!(r#"{{"label":"{name}"}}"#).as_bytes()).unwrap();
    }
    labels
}

fn written(outcomes: &[Outcome]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = OutcomeLog::create(dir.path(), &header()).unwrap();
    let labels = labels();
    for outcome in outcomes {
        log.append(outcome, &labels).unwrap();
    }
    log.finish(&labels).unwrap();
    dir
}

fn read(dir: &TempDir) -> (Vec<Outcome>, Result<(), ReadError>) {
    let mut file = Outcomes::open(dir.path()).unwrap();
    let mut outcomes = Vec::new();
    loop {
        match file.block() {
            Ok(Some(block)) => outcomes.extend(block),
            Ok(None) => return (outcomes, Ok(())),
            Err(error) => return (outcomes, Err(error)),
        }
    }
}

/// In whole microseconds, as the file keeps them.
fn outcome() -> impl Strategy<Value = Outcome> {
    let instants = (0..1u64 << 40, 0..1u64 << 30, 0..1u64 << 30, 0..1u64 << 30, 0..1u64 << 30);
    let answer = prop::option::of((0u16..3, prop::option::of(0f32..1.0)));
    let place = (any::<u16>(), any::<u16>(), any::<u32>(), any::<bool>(), any::<bool>(), any::<u16>());
    (place, 0..Kind::ALL.len(), instants, any::<u32>(), any::<bool>(), answer).prop_map(
        |(place, kind, instants, received, seen, answer)| {
            let (candidate, iteration, exchange, warmup, reused, status) = place;
            let intended = instants.0 * UNIT;
            let dispatched = intended + instants.1 * UNIT;
            let sent = dispatched + instants.2 * UNIT;
            let first = sent + instants.3 * UNIT;
            Outcome {
                candidate,
                iteration,
                exchange,
                warmup,
                kind: Kind::ALL[kind],
                status,
                intended,
                dispatched,
                sent,
                first_byte: if seen && first > 0 { first } else { 0 },
                end: first + instants.4 * UNIT,
                received,
                reused,
                answer: answer.map(|(label, score)| Answer { label, score }),
            }
        },
    )
}

proptest! {
    #[test]
    fn what_was_written_is_read(outcomes in prop::collection::vec(outcome(), 0..200)) {
        let (found, ended) = read(&written(&outcomes));
        prop_assert!(ended.is_ok());
        prop_assert_eq!(found, outcomes);
    }
}

/// A hundred thousand predictions as a run at 500 a second has them.
fn typical() -> Vec<Outcome> {
    let mut chance = 1u64;
    let mut random = |below: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut now = 0;
    (0..100_000)
        .map(|exchange| {
            now += 1_000_000 + random(2_000_000);
            let dispatched = now + 20_000 + random(40_000);
            let sent = dispatched + random(1_000);
            let first_byte = sent + 4_000_000 + random(3_000_000);
            Outcome {
                candidate: (exchange / 5_000 % 2) as u16,
                iteration: 0,
                exchange,
                warmup: exchange < 1_000,
                kind: Kind::Ok,
                status: 200,
                intended: now,
                dispatched,
                sent,
                first_byte,
                end: first_byte + random(30_000),
                received: 110 + random(4) as u32,
                reused: true,
                answer: Some(Answer {
                    label: random(2) as u16,
                    score: Some(0.5 + random(5_000) as f32 / 10_000.0),
                }),
            }
        })
        .collect()
}

#[test]
fn an_outcome_takes_less_than_twelve_bytes() {
    let outcomes = typical();
    let dir = written(&outcomes);
    let size = fs::metadata(dir.path().join(FILE_NAME)).unwrap().len();
    assert!(size < 12 * outcomes.len() as u64, "{} bytes each", size as f64 / outcomes.len() as f64);
    let (found, ended) = read(&dir);
    assert!(ended.is_ok());
    assert_eq!(found.len(), outcomes.len());
}

#[test]
fn wherever_a_file_is_cut_its_whole_blocks_are_read_and_the_rest_is_told() {
    let outcomes = typical();
    let dir = written(&outcomes[..BLOCK + 10]);
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let whole_blocks: Vec<usize> = (0..whole.len())
        .step_by(997)
        .filter(|cut| *cut > 200)
        .map(|cut| {
            fs::write(&path, &whole[..cut]).unwrap();
            let (found, ended) = read(&dir);
            assert!(
                matches!(ended, Err(ReadError::Torn { read, .. }) if read == found.len() as u64),
                "cut at {cut}: {ended:?}"
            );
            found.len()
        })
        .collect();
    assert_eq!((whole_blocks[0], *whole_blocks.last().unwrap()), (0, BLOCK));
}

#[test]
fn no_flipped_bit_gives_another_outcome() {
    let outcomes = &typical()[..50];
    let dir = written(outcomes);
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let header = Outcomes::open(dir.path()).unwrap().header().clone();
    let (expected, _) = read(&dir);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            let Ok(mut file) = Outcomes::open(dir.path()) else { continue };
            let in_header = *file.header() != header;
            match file.block() {
                // A flip in the names of the header leaves the outcomes what they are.
                Ok(Some(found)) => assert!(found == expected || in_header, "byte {at} bit {bit}"),
                Ok(None) => panic!("byte {at} bit {bit}: the run had no outcome"),
                Err(_) => {}
            }
        }
    }
}
