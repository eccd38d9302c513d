use super::fixture::{LABELS, NO_GATES, answered, failed, stage};
use super::gate::Gate;
use super::latency::Figure;
use super::*;
use crate::outcome::{Answer, Kind, Outcome, Recorded};
use crate::plan::Gates;

const ERRORS: Gates = Gates { error_rate: Some(0.01), ..NO_GATES };
const AGREEMENT: Gates = Gates { label_agreement: Some(0.99), ..NO_GATES };
const REGRESSION: Gates = Gates { p95_regression: Some(0.10), ..NO_GATES };

/// Latencies of a service: 50 ms with a tail, the same for the same seed and exchange.
fn latencies(n: u32, seed: u64) -> impl Iterator<Item = f64> {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let mut rng = StdRng::seed_from_u64(seed);
    (0..n).map(move |_| 50.0 - 10.0 * (1.0 - rng.random::<f64>()).ln())
}

fn the_gate(judgement: &Judgement, candidate: usize, gate: Gate) -> GateResult {
    judgement.candidates[candidate].gates.iter().find(|g| g.gate == gate).unwrap().clone()
}

// Runs that prove nothing.

#[test]
fn a_run_without_requests_is_invalid() {
    let judgement = judge(&stage(&["base", "new"], Gates::default()));
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.reasons, ["no request was sent"]);
}

#[test]
fn a_run_of_warm_up_alone_is_invalid() {
    let warmup = |c, e| Outcome { warmup: true, ..answered(c, e, 10.0, Some((0, 0.9))) };
    let run =
        stage(&["base", "new"], Gates::default()).with(500, |e| warmup(0, e)).with(500, |e| warmup(1, e));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert!(judgement.reasons[0].contains("1,000 requests belong to the warm-up"), "{:?}", judgement.reasons);
}

#[test]
fn a_baseline_without_success_makes_the_run_invalid() {
    let run = stage(&["base", "new"], ERRORS).with(500, |e| failed(0, e)).latencies(1, latencies(500, 1));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Invalid);
    assert_eq!(judgement.reasons, ["the baseline base did not answer one request well"]);
    let alone = judge(&stage(&["base"], ERRORS).with(500, |e| failed(0, e)));
    assert_eq!(alone.verdict, Verdict::Invalid);
}

#[test]
fn a_candidate_without_success_fails_whatever_the_limits() {
    for gates in [NO_GATES, ERRORS, Gates { error_rate: Some(1.0), ..NO_GATES }] {
        let run = stage(&["base", "new"], gates).latencies(0, latencies(500, 1)).with(500, |e| failed(1, e));
        let judgement = judge(&run);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(judgement.reasons, ["new: not one of 500 requests was answered well"]);
    }
}

#[test]
fn a_broken_certificate_makes_the_run_invalid_whoever_has_it() {
    for broken in 0..2 {
        let mut run =
            stage(&["base", "new"], ERRORS).latencies(0, latencies(500, 1)).latencies(1, latencies(500, 1));
        assert_eq!(judge(&run).verdict, Verdict::Pass);
        run.certificates[broken].broken = vec!["lag p99 44 ms is over 10 ms".into()];
        let judgement = judge(&run);
        assert_eq!(judgement.verdict, Verdict::Invalid);
        // The candidate is compared with the baseline, so either certificate is its own.
        assert_eq!(judgement.candidates[1].verdict, Verdict::Invalid);
        assert!(judgement.reasons.iter().any(|r| r.contains("lag p99 44 ms")), "{:?}", judgement.reasons);
    }
}

#[test]
fn a_missing_certificate_makes_the_run_invalid() {
    let mut run =
        stage(&["base", "new"], ERRORS).latencies(0, latencies(500, 1)).latencies(1, latencies(500, 1));
    run.certificates.pop();
    assert_eq!(judge(&run).verdict, Verdict::Invalid);
}

#[test]
fn an_interrupted_run_is_invalid_however_good_it_looked() {
    let mut run =
        stage(&["base", "new"], ERRORS).latencies(0, latencies(500, 1)).latencies(1, latencies(500, 1));
    run.interrupted = true;
    let judgement = judge(&run);
    assert_eq!(
        (judgement.verdict, &judgement.reasons[0][..]),
        (Verdict::Invalid, "the run was stopped before its end")
    );
}

#[test]
fn a_candidate_that_was_sent_nothing_never_passes() {
    let not_sent = |e| Outcome { kind: Kind::NotSent, status: 0, ..failed(1, e) };
    let run = stage(&["base", "new"], ERRORS).latencies(0, latencies(500, 1)).with(500, not_sent);
    let judgement = judge(&run);
    assert_eq!(judgement.candidates[1].verdict, Verdict::Invalid);
    assert_eq!(judgement.candidates[1].counts.not_sent, 500);
    assert_ne!(judgement.verdict, Verdict::Pass);
}

#[test]
fn a_run_without_limits_decides_nothing() {
    let run =
        stage(&["base", "new"], NO_GATES).latencies(0, latencies(500, 1)).latencies(1, latencies(500, 1));
    assert_eq!(judge(&run).verdict, Verdict::Inconclusive);
}

// What a good judge must catch: regressions that rank tests are known to miss.

fn cycle(pattern: &[f64], n: usize) -> impl Iterator<Item = f64> {
    pattern.iter().copied().cycle().take(n)
}

#[test]
fn a_spread_that_grows_is_caught_though_ranks_look_alike() {
    let narrow: Vec<f64> =
        (0..7).map(|i| 10.0 + 0.1 * f64::from(i)).chain((0..8).map(|i| 17.0 + 0.1 * f64::from(i))).collect();
    let wide = [1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0, 17.0];
    let run =
        stage(&["base", "new"], REGRESSION).latencies(0, cycle(&narrow, 900)).latencies(1, cycle(&wide, 900));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Fail, "{:?}", judgement.reasons);
}

#[test]
fn seven_of_ten_a_hundred_times_worse_is_caught() {
    let worse = [100.0, 100.0, 1.0, 100.0, 100.0, 1.0, 100.0, 100.0, 1.0, 100.0];
    let run =
        stage(&["base", "new"], REGRESSION).latencies(0, cycle(&[1.0], 300)).latencies(1, cycle(&worse, 300));
    assert_eq!(judge(&run).verdict, Verdict::Fail);
}

#[test]
fn ten_samples_prove_nothing_either_way() {
    for worse in [[1.0; 10], [100.0; 10]] {
        let run = stage(&["base", "new"], REGRESSION).latencies(0, [1.0; 10]).latencies(1, worse);
        let judgement = judge(&run);
        assert_eq!(judgement.verdict, Verdict::Inconclusive);
        assert!(
            judgement.reasons[0].contains("needs 130 requests judged and there are 10"),
            "{:?}",
            judgement.reasons
        );
    }
}

#[test]
fn a_few_sparse_errors_are_never_a_pass() {
    // Three failures in six requests, none in the baseline: too little to condemn at a limit of 20 %, too much to pass.
    let gates = Gates { error_rate: Some(0.2), ..NO_GATES };
    let sparse = |e| if e < 3 { failed(1, e) } else { answered(1, e, 10.0, None) };
    let run = stage(&["base", "new"], gates).latencies(0, [10.0; 6]).with(6, sparse);
    assert_eq!(judge(&run).verdict, Verdict::Inconclusive);
    let at_the_usual_limit = Gates { error_rate: Some(0.01), ..NO_GATES };
    let run = stage(&["base", "new"], at_the_usual_limit).latencies(0, [10.0; 6]).with(6, sparse);
    assert_eq!(judge(&run).verdict, Verdict::Fail);
}

#[test]
fn constants_that_differ_are_significant() {
    let run = stage(&["base", "new"], REGRESSION)
        .latencies(0, cycle(&[303.0], 200))
        .latencies(1, cycle(&[310.0], 200));
    let judgement = judge(&run);
    let p95 = judgement.candidates[1].differences.iter().find(|d| d.q == 0.95).unwrap();
    assert!(p95.significant);
    assert!((p95.ms.unwrap() - 7.0).abs() < 1e-9);
    // Significant, but 2.3 % is not an effect that the limit of 10 % forbids.
    assert_eq!(judgement.verdict, Verdict::Pass);
    let strict = Gates { p95_regression: Some(0.02), ..NO_GATES };
    let run =
        stage(&["base", "new"], strict).latencies(0, cycle(&[303.0], 200)).latencies(1, cycle(&[310.0], 200));
    assert_eq!(judge(&run).verdict, Verdict::Fail);
}

#[test]
fn identical_runs_pass_every_limit() {
    let gates = Gates { p95_ms: Some(250.0), p99_ms: Some(400.0), ..Gates::default() };
    let run =
        stage(&["base", "new"], gates).latencies(0, latencies(1_000, 1)).latencies(1, latencies(1_000, 1));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    assert_eq!(judgement.candidates[1].gates.len(), 6);
    assert_eq!(judgement.reasons, ["new: all 6 limits are kept"]);
}

#[test]
fn missing_answers_and_scores_never_pass() {
    let silent = |c, e| answered(c, e, 10.0, None);
    let run =
        stage(&["base", "new"], Gates::default()).with(1_000, |e| silent(0, e)).with(1_000, |e| silent(1, e));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.reasons[0].contains("no pair of answers could be compared"), "{:?}", judgement.reasons);

    // The baseline speaks, the candidate does not: that is no agreement.
    let run = stage(&["base", "new"], AGREEMENT).latencies(0, [10.0; 1_000]).with(1_000, |e| silent(1, e));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(judgement.reasons[0].contains("1,000 of them had no answer"), "{:?}", judgement.reasons);
}

// Latency.

#[test]
fn an_objective_is_kept_broken_or_not_to_tell() {
    let run = |limit| {
        let gates = Gates { p95_ms: Some(limit), ..NO_GATES };
        judge(
            &stage(&["base", "new"], gates)
                .latencies(0, latencies(2_000, 1))
                .latencies(1, latencies(2_000, 2)),
        )
    };
    // p95 of 50 + Exp(10) is 50 + 10 ln 20 = 79.96 ms.
    assert_eq!(
        [run(100.0).verdict, run(60.0).verdict, run(80.0).verdict],
        [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]
    );
    assert!(run(60.0).reasons[0].starts_with("new: p95 "), "{:?}", run(60.0).reasons);
    assert!(run(60.0).reasons[0].contains("is over the limit of 60 ms"));
    let gate = the_gate(&run(80.0), 1, Gate::P95);
    assert!(gate.reason.contains("would decide") || gate.reason.contains("too close"), "{}", gate.reason);
}

#[test]
fn a_tail_below_its_floor_is_no_figure_and_no_verdict() {
    let gates = Gates { p99_ms: Some(1_000.0), ..NO_GATES };
    let run = |n| {
        judge(
            &stage(&["base", "new"], gates.clone())
                .latencies(0, latencies(n, 1))
                .latencies(1, latencies(n, 2)),
        )
    };
    let few = run(661);
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert_eq!(few.candidates[1].response[3].figure, Figure::TooFew(662));
    assert_eq!(the_gate(&few, 1, Gate::P99).more, Some(1));
    assert_eq!(run(662).verdict, Verdict::Pass);
}

#[test]
fn failing_fast_fails_the_latency_objective_too() {
    // One in ten is refused within half a millisecond; the rest answers in 10 ms.
    let gates = Gates { p95_ms: Some(100.0), ..NO_GATES };
    let refusing = |e: u32| if e.is_multiple_of(10) { failed(1, e) } else { answered(1, e, 10.0, None) };
    let run = stage(&["base", "new"], gates).latencies(0, [20.0; 1_000]).with(1_000, refusing);
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.reasons,
        ["new: p95 lies among the 10.0 % of requests that failed; the limit is 100 ms"]
    );
    let gates = Gates { p95_regression: Some(0.1), ..NO_GATES };
    let run = stage(&["base", "new"], gates).latencies(0, [20.0; 1_000]).with(1_000, refusing);
    assert_eq!(judge(&run).verdict, Verdict::Fail);
}

#[test]
fn a_slowdown_under_a_millisecond_is_no_regression() {
    let run = |base: f64, new: f64| {
        judge(&stage(&["base", "new"], REGRESSION).latencies(0, vec![base; 500]).latencies(1, vec![new; 500]))
            .verdict
    };
    assert_eq!(run(1.0, 1.9), Verdict::Pass);
    assert_eq!(run(1.0, 2.1), Verdict::Fail);
    assert_eq!(run(100.0, 109.0), Verdict::Pass);
    assert_eq!(run(100.0, 111.0), Verdict::Fail);
    assert_eq!(run(100.0, 50.0), Verdict::Pass);
}

#[test]
fn a_slowdown_that_the_twin_shows_as_well_is_noise() {
    let mut run = stage(&["base", "new", "again"], REGRESSION)
        .latencies(0, [100.0; 500])
        .latencies(1, [120.0; 500])
        .latencies(2, [125.0; 500]);
    assert_eq!(judge(&run).candidates[1].verdict, Verdict::Fail);
    run.plan.twin = Some(2);
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.reasons[0].contains("the baseline's own twin is 25.0 ms away"),
        "{:?}",
        judgement.reasons
    );
}

#[test]
fn without_intended_instants_there_is_no_latency_verdict() {
    let gates = Gates { p95_ms: Some(1_000.0), p95_regression: Some(0.1), ..NO_GATES };
    let mut run = stage(&["base", "new"], gates).latencies(0, [10.0; 500]).latencies(1, [10.0; 500]);
    run.plan.pace = crate::plan::Pace::Max { in_flight: 8 };
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.reasons.len(), 2);
}

// Errors.

#[test]
fn error_rates_are_judged_by_their_interval() {
    let run = |failures: u32, n: u32| {
        let outcome = |e| if e < failures { failed(1, e) } else { answered(1, e, 10.0, None) };
        judge(&stage(&["base", "new"], ERRORS).latencies(0, vec![10.0; n as usize]).with(n, outcome))
    };
    assert_eq!(run(0, 400).verdict, Verdict::Pass);
    assert_eq!(run(50, 1_000).verdict, Verdict::Fail);
    let few = run(0, 100);
    assert_eq!(few.verdict, Verdict::Inconclusive);
    assert_eq!(the_gate(&few, 1, Gate::ErrorRate).more, Some(270));
    assert_eq!(
        few.reasons,
        [
            "new: none of 100 requests failed, too uncertain to tell whether at most 1 % do; about 270 more requests \
          would decide"
        ]
    );
    assert_eq!(run(10, 1_000).verdict, Verdict::Inconclusive);
}

#[test]
fn a_limit_of_zero_is_judged_on_what_was_seen() {
    let gates = Gates { error_rate: Some(0.0), label_agreement: Some(1.0), ..NO_GATES };
    let run = |flips: u32, failures: u32| {
        let outcome = move |e| match e {
            e if e < failures => failed(1, e),
            e => answered(1, e, 10.0, Some((u16::from(e < failures + flips), 0.9))),
        };
        judge(&stage(&["base", "new"], gates.clone()).latencies(0, [10.0; 200]).with(200, outcome)).verdict
    };
    assert_eq!([run(0, 0), run(1, 0), run(0, 1)], [Verdict::Pass, Verdict::Fail, Verdict::Fail]);
}

// Answers.

/// Every `one_in`th label differs.
fn flipping(candidate: u16, one_in: u32) -> impl Fn(u32) -> Outcome {
    move |e| answered(candidate, e, 10.0, Some((u16::from(e.is_multiple_of(one_in)), 0.9)))
}

#[test]
fn flips_are_counted_listed_and_decide() {
    let run = stage(&["base", "new"], AGREEMENT).latencies(0, [10.0; 1_000]).with(1_000, flipping(1, 20));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(
        judgement.reasons[0]
            .starts_with("new: 5.0 % of the labels differ from the baseline's in 1,000 compared")
    );
    let answers = judgement.candidates[1].answers.as_ref().unwrap();
    assert_eq!((answers.disagreement.count, answers.disagreement.of, answers.flipped), (50, 1_000, 50));
    assert_eq!(answers.flips.len(), agreement::MOST_FLIPS);
    let first = &answers.flips[0];
    assert_eq!((first.exchange, &first.baseline.label[..]), (0, LABELS[0]));
    assert_eq!(first.candidate.as_ref().unwrap().label, LABELS[1]);
    assert_eq!(answers.confusion.labels, ["POSITIVE", "NEGATIVE"]);
    assert_eq!(answers.confusion.counts, [[950, 50], [0, 0]]);
}

#[test]
fn what_the_twin_flips_as_well_is_not_held_against_a_candidate() {
    let mut run = stage(&["base", "new", "again"], AGREEMENT)
        .latencies(0, [10.0; 3_000])
        .with(3_000, flipping(1, 20))
        .with(3_000, flipping(2, 20));
    assert_eq!(judge(&run).candidates[1].verdict, Verdict::Fail);
    run.plan.twin = Some(2);
    let noisy = judge(&run);
    let gate = the_gate(&noisy, 1, Gate::LabelAgreement);
    assert_eq!(gate.observed, Some(1.0));
    assert_ne!(gate.verdict, Verdict::Fail);
    assert!(gate.reason.contains("twin: 5.0 %"), "{}", gate.reason);

    let mut quiet = stage(&["base", "new", "again"], AGREEMENT)
        .latencies(0, [10.0; 3_000])
        .with(3_000, flipping(1, 20))
        .latencies(2, [10.0; 3_000]);
    quiet.plan.twin = Some(2);
    assert_eq!(judge(&quiet).verdict, Verdict::Fail);
}

#[test]
fn repeating_the_same_texts_makes_nobody_surer_of_other_texts() {
    let once = stage(&["base", "new"], AGREEMENT).latencies(0, [10.0; 200]).latencies(1, [10.0; 200]);
    let often = once.clone().repeated(10);
    assert_eq!(judge(&once).verdict, Verdict::Inconclusive);
    let judgement = judge(&often);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    let answers = judgement.candidates[1].answers.as_ref().unwrap();
    assert_eq!((answers.disagreement.of, answers.exchanges), (2_000, 200));
    assert_eq!(the_gate(&judgement, 1, Gate::LabelAgreement).more, Some(170));
}

#[test]
fn scores_are_compared_where_labels_agree() {
    let gates = Gates { score_drift: Some(0.05), ..NO_GATES };
    let run = |drift: f32| {
        let drifted = move |e: u32| match e {
            e if e.is_multiple_of(10) => answered(1, e, 10.0, Some((1, 0.1))),
            e => answered(1, e, 10.0, Some((0, 0.9 - drift))),
        };
        judge(&stage(&["base", "new"], gates.clone()).latencies(0, [10.0; 1_000]).with(1_000, drifted))
    };
    assert_eq!(run(0.01).verdict, Verdict::Pass);
    assert_eq!(run(0.20).verdict, Verdict::Fail);
    let scores = run(0.2).candidates[1].answers.as_ref().unwrap().scores.unwrap();
    assert_eq!(scores.pairs, 900);
    assert!(
        (scores.mean + 0.2).abs() < 1e-6 && (scores.mean_abs - 0.2).abs() < 1e-6 && scores.max_abs < 0.2001
    );
}

#[test]
fn the_recording_is_compared_only_where_the_input_is_what_it_was() {
    let mut run = stage(&["base"], ERRORS).latencies(0, [10.0; 400]);
    run.recorded = (0..400)
        .map(|e| Recorded {
            answer: Some(Answer { label: u16::from(e % 4 == 0), score: None }),
            input_changed: e % 2 == 0,
        })
        .collect();
    let recording = judge(&run).candidates[0].recording.unwrap();
    assert_eq!((recording.count, recording.of), (0, 200));
    run.recorded[1].answer = Some(Answer { label: 2, score: None });
    assert_eq!(judge(&run).candidates[0].recording.unwrap().count, 1);
}

#[test]
fn failed_requests_are_not_flips() {
    let half = |e: u32| if e.is_multiple_of(2) { failed(1, e) } else { answered(1, e, 10.0, Some((0, 0.9))) };
    let run = stage(&["base", "new"], AGREEMENT).latencies(0, [10.0; 1_000]).with(1_000, half);
    let answers = judge(&run).candidates[1].answers.clone().unwrap();
    assert_eq!((answers.disagreement.count, answers.disagreement.of), (0, 500));
}

// Several candidates.

#[test]
fn the_run_is_as_good_as_its_worst_candidate_and_intervals_widen_with_their_number() {
    let run = stage(&["base", "good", "bad"], REGRESSION)
        .latencies(0, [100.0; 500])
        .latencies(1, [90.0; 500])
        .latencies(2, [200.0; 500]);
    let judgement = judge(&run);
    assert!((judgement.confidence - 0.975).abs() < 1e-12);
    let verdicts: Vec<Verdict> = judgement.candidates.iter().map(|c| c.verdict).collect();
    assert_eq!(verdicts[1..], [Verdict::Pass, Verdict::Fail]);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(judgement.reasons.iter().all(|r| r.starts_with("bad: ")), "{:?}", judgement.reasons);
}

#[test]
fn a_baseline_alone_is_judged_on_its_own_limits() {
    let gates = Gates { p95_ms: Some(100.0), ..Gates::default() };
    let judgement = judge(&stage(&["base"], gates).latencies(0, [50.0; 1_000]));
    assert_eq!(judgement.verdict, Verdict::Pass);
    let kinds: Vec<Gate> = judgement.candidates[0].gates.iter().map(|g| g.gate).collect();
    assert_eq!(kinds, [Gate::P95, Gate::ErrorRate]);
}

#[test]
fn the_warm_up_is_not_judged() {
    let cold =
        |c, e: u32| Outcome { warmup: e < 50, ..answered(c, e, if e < 50 { 9_000.0 } else { 10.0 }, None) };
    let gates = Gates { p99_ms: Some(100.0), ..NO_GATES };
    let run = stage(&["base", "new"], gates).with(1_000, |e| cold(0, e)).with(1_000, |e| cold(1, e));
    let judgement = judge(&run);
    assert_eq!(judgement.verdict, Verdict::Pass);
    let counts = &judgement.candidates[1].counts;
    assert_eq!((counts.judged, counts.warmup), (950, 50));
}

#[test]
fn the_same_run_is_judged_the_same_in_any_order_of_outcomes() {
    let mut run = stage(&["base", "new"], Gates { p95_ms: Some(80.0), ..Gates::default() })
        .latencies(0, latencies(600, 1))
        .latencies(1, latencies(600, 2))
        .repeated(2);
    let forward = judge(&run);
    run.outcomes.reverse();
    assert_eq!(judge(&run), forward);
    run.plan.seed += 1;
    assert_ne!(judge(&run), forward);
}

#[test]
fn verdicts_have_their_exit_codes_and_names() {
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::Invalid];
    assert_eq!(verdicts.map(Verdict::exit_code), [0, 1, 2, 3]);
    assert_eq!(verdicts.map(|v| v.to_string()), ["PASS", "FAIL", "INCONCLUSIVE", "INVALID"]);
    assert_eq!(serde_json::to_string(&verdicts[2]).unwrap(), "\"INCONCLUSIVE\"");
}
