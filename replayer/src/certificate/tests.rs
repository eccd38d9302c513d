use super::*;

fn outcome(exchange: u32, intended: u64, lag: u64) -> Outcome {
    Outcome {
        candidate: 0,
        iteration: 0,
        exchange,
        warmup: false,
        kind: Kind::Ok,
        status: 200,
        intended,
        dispatched: intended + lag,
        sent: intended + lag,
        first_byte: intended + lag + 1,
        end: intended + lag + 2,
        received: 10,
        reused: exchange > 0,
        answer: None,
    }
}

fn certify(outcomes: &[Outcome], queued: u64, cpu: f64) -> Certificate {
    let span = outcomes.iter().map(|o| o.intended).max().unwrap_or(0);
    let evidence = Evidence { outcomes: outcomes.iter().collect(), span, queued, cpu, paced: true };
    Certificate::of(&evidence, &FidelityBounds::default())
}

const MS: u64 = 1_000_000;

#[test]
fn a_faithful_run_breaks_nothing() {
    let outcomes: Vec<Outcome> = (0..1000).map(|i| outcome(i, u64::from(i) * 10 * MS, 40_000)).collect();
    let certificate = certify(&outcomes, 0, 0.2);
    assert_eq!(certificate.broken, Vec::<String>::new());
    assert!((certificate.lag_p50_ms - 0.04).abs() < 0.001 && (certificate.reuse - 0.999).abs() < 1e-9);
    assert_eq!((certificate.arrival_ks, certificate.worst_second), (0.0, 0.0));
}

#[test]
fn each_bound_breaks_by_itself_and_says_what_to_do() {
    let late: Vec<Outcome> = (0..1000).map(|i| outcome(i, u64::from(i) * 10 * MS, 3 * MS)).collect();
    let certificate = certify(&late, 0, 0.97);
    assert_eq!(certificate.broken.len(), 1, "{:?}", certificate.broken);
    assert!(certificate.broken[0].contains("3.00 ms") && certificate.broken[0].contains("bound 1 ms"));
    assert!(certificate.broken[0].contains("97 % of a core; raise --threads"));

    let tail: Vec<Outcome> = (0..1000)
        .map(|i| outcome(i, u64::from(i) * 10 * MS, if i % 50 == 0 { 30 * MS } else { 0 }))
        .collect();
    let certificate = certify(&tail, 500, 0.1);
    assert!(certificate.broken[0].contains("one request in a hundred") && certificate.broken.len() == 1);
    assert!(certificate.broken[0].contains("raise --connections"));

    let mut unsent: Vec<Outcome> = (0..1000).map(|i| outcome(i, u64::from(i) * 10 * MS, 0)).collect();
    unsent[999].kind = Kind::NotSent;
    let certificate = certify(&unsent, 0, 0.1);
    assert_eq!((certificate.sent, certificate.broken.len()), (999, 1));
    assert!(certificate.broken[0].contains("1 of 1000"));
}

#[test]
fn bunched_arrivals_are_found_even_when_lag_is_within_its_bound() {
    // Every second request waits for the next one: 10 ms gaps become 0 and 20 ms, though nothing is late by more than
    // the p99 bound.
    let outcomes: Vec<Outcome> = (0..1000)
        .map(|i| outcome(i, u64::from(i) * 10 * MS, if i % 2 == 0 { 10 * MS - 1 } else { 0 }))
        .collect();
    let bounds = FidelityBounds { lag_p50_ms: 1.0, lag_p99_ms: 1000.0, ..FidelityBounds::default() };
    let span = 10_000 * MS;
    let evidence = Evidence { outcomes: outcomes.iter().collect(), span, queued: 0, cpu: 0.1, paced: true };
    let certificate = Certificate::of(&evidence, &bounds);
    assert!(certificate.arrival_ks > 0.4, "{certificate:?}");
    assert!(certificate.broken.iter().any(|reason| reason.contains("KS distance")));
}

#[test]
fn the_distance_is_the_textbook_one_without_tolerance() {
    // F of {1,2,3,4} against F of {3,4,5,6}: largest difference 1/2, at 2.
    assert!((distance(&[1, 2, 3, 4], &[3, 4, 5, 6], 0) - 0.5).abs() < 1e-12);
    assert_eq!(distance(&[3, 4, 5, 6], &[1, 2, 3, 4], 0), 0.0);
    assert_eq!(distance(&[1, 2, 3, 4], &[3, 4, 5, 6], 2), 0.0, "within the tolerance they are the same");
    assert_eq!(distance(&[], &[1], 0), 0.0);
}

#[test]
fn a_second_with_half_its_requests_is_the_worst() {
    let mut outcomes: Vec<Outcome> = (0..300).map(|i| outcome(i, u64::from(i) * 10 * MS, 0)).collect();
    for late in &mut outcomes[150..200] {
        late.dispatched = 2_000 * MS + 1;
    }
    assert!((certify(&outcomes, 0, 0.1).worst_second - 0.5).abs() < 1e-9);
}

#[test]
fn a_candidate_without_requests_is_certified_without_nonsense() {
    let certificate = certify(&[], 0, 0.0);
    assert_eq!((certificate.scheduled, certificate.asked_rate, certificate.reuse), (0, 0.0, 0.0));
    assert!(certificate.broken.is_empty());
}
