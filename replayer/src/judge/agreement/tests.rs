use proptest::prelude::*;

use super::*;
use crate::judge::fixture::{LABELS, answered, failed};

const PRECISION: Precision = Precision { level: 0.95, rate: 50.0, seed: 1 };

fn labels() -> Vec<String> {
    LABELS.map(str::to_owned).to_vec()
}

#[test]
fn flips_that_the_baseline_is_surest_of_come_first() {
    let baseline: Vec<Outcome> =
        (0..30).map(|e| answered(0, e, 10.0, Some((0, 0.5 + e as f32 / 100.0)))).collect();
    let candidate: Vec<Outcome> = (0..30).map(|e| answered(1, e, 10.0, Some((1, 0.9)))).collect();
    let answers = compare(&refs(&baseline), &refs(&candidate), &labels(), PRECISION).unwrap();
    let listed: Vec<u32> = answers.flips.iter().map(|f| f.exchange).collect();
    assert_eq!(listed, (10..30).rev().collect::<Vec<u32>>());
    assert_eq!((answers.flipped, answers.scores), (30, None));
}

#[test]
fn an_answer_without_label_differs_and_has_its_own_column() {
    let baseline = [answered(0, 0, 1.0, Some((0, 0.9))), answered(0, 1, 1.0, Some((1, 0.9)))];
    let candidate = [answered(1, 0, 1.0, None), answered(1, 1, 1.0, Some((1, 0.9)))];
    let answers = compare(&refs(&baseline), &refs(&candidate), &labels(), PRECISION).unwrap();
    assert_eq!((answers.disagreement.count, answers.missing), (1, 1));
    assert_eq!(answers.flips[0].candidate, None);
    assert_eq!(answers.confusion.labels, ["NEGATIVE", "POSITIVE", NO_ANSWER]);
    assert_eq!(answers.confusion.counts, [[1, 0, 0], [0, 0, 1], [0, 0, 0]]);
}

#[test]
fn a_confusion_matrix_stays_small_and_complete() {
    let names: Vec<String> = (0..40).map(|l| format!("L{l}")).collect();
    let baseline: Vec<Outcome> = (0..400).map(|e| answered(0, e, 1.0, Some((e as u16 % 40, 0.9)))).collect();
    let candidate: Vec<Outcome> = (0..400).map(|e| answered(1, e, 1.0, Some((e as u16 % 37, 0.9)))).collect();
    let confusion = compare(&refs(&baseline), &refs(&candidate), &names, PRECISION).unwrap().confusion;
    assert_eq!(confusion.labels.len(), MOST_LABELS + 1);
    assert_eq!(confusion.labels[MOST_LABELS], OTHER);
    assert_eq!(confusion.counts.iter().flatten().sum::<u64>(), 400);
}

#[test]
fn without_an_answer_of_the_baseline_there_is_nothing_to_compare() {
    let silent = [answered(0, 0, 1.0, None), failed(0, 1)];
    let speaking = [answered(1, 0, 1.0, Some((0, 0.9))), answered(1, 1, 1.0, Some((0, 0.9)))];
    assert_eq!(compare(&refs(&silent), &refs(&speaking), &labels(), PRECISION), None);
    assert_eq!(Share::new(0, 0, 0.95), Share { count: 0, of: 0, share: 0.0, low: 0.0, high: 1.0 });
}

#[test]
fn clusters_are_as_sure_as_their_number() {
    let independent = Share::new(10, 100, 0.95);
    let clustered = Share::clustered(100, 1_000, 100, 0.95);
    assert_eq!((independent.low, independent.high), (clustered.low, clustered.high));
    assert_eq!(clustered.share, 0.1);
}

fn refs(outcomes: &[Outcome]) -> Vec<&Outcome> {
    outcomes.iter().collect()
}

proptest! {
    #[test]
    fn pairs_are_exactly_the_positions_that_both_have(
        left in proptest::collection::btree_set((0u32..40, 0u16..3), 0..60),
        right in proptest::collection::btree_set((0u32..40, 0u16..3), 0..60),
    ) {
        let outcomes = |candidate, positions: &std::collections::BTreeSet<(u32, u16)>| -> Vec<Outcome> {
            let outcome = |(exchange, iteration): &(u32, u16)| {
                Outcome { iteration: *iteration, ..answered(candidate, *exchange, 1.0, None) }
            };
            positions.iter().map(outcome).collect()
        };
        let (l, r) = (outcomes(0, &left), outcomes(1, &right));
        let (l, r) = (refs(&l), refs(&r));
        let found: Vec<_> = paired(&l, &r).map(|(l, r)| (position(l), position(r))).collect();
        let expected: Vec<_> = left.intersection(&right).map(|p| (*p, *p)).collect();
        prop_assert_eq!(found, expected);
    }
}
