//! What a run measures, and whether the generator did what it was asked.

use super::*;

#[test]
fn a_stall_counts_for_every_request_that_should_have_been_sent_in_it() {
    // 100 a second for 3 s; the server stands still for 1 s in the middle.
    let server = Server::start(Manner::FreezeAt(100, Duration::from_secs(1)));
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(10), 300));
    stage.plan.max_connections = 256;
    let rehearsal = stage.run().unwrap();
    assert_eq!(kinds(&rehearsal), HashMap::from([(Kind::Ok, 300)]));
    let slow = rehearsal.outcomes.iter().filter(|o| o.response_time() > 100_000_000).count();
    // Intended in the first 900 ms of the stall. A closed loop would count 1.
    assert!((85..=130).contains(&slow), "{slow} of 300 were slow");
    let stalled = quantile(rehearsal.outcomes.iter().map(Outcome::response_time), 0.99);
    assert!(stalled > Duration::from_millis(900), "{stalled:?}");
    let before = rehearsal.outcomes.iter().filter(|o| o.exchange < 90).map(Outcome::service_time);
    assert!(quantile(before, 0.5) < Duration::from_millis(20));
    // The requests of the stall were sent on time, each on a connection of its own.
    assert!(quantile(rehearsal.outcomes.iter().map(Outcome::lag), 0.9) < Duration::from_millis(50));
}

#[test]
fn waiting_for_a_connection_is_response_time_but_not_service_time() {
    let server = Server::start(Manner::Take(Duration::from_millis(20)));
    let mut stage = Stage::new(&[&server], every(Duration::ZERO, 25));
    stage.plan.max_connections = 1;
    let rehearsal = stage.run().unwrap();
    assert_eq!(kinds(&rehearsal), HashMap::from([(Kind::Ok, 25)]));
    assert_eq!((server.most_under_way(), server.connections()), (1, 2), "one connection, and the probe");
    let service = quantile(rehearsal.outcomes.iter().map(Outcome::service_time), 0.5);
    let response = quantile(rehearsal.outcomes.iter().map(Outcome::response_time), 0.5);
    assert!(service >= Duration::from_millis(20) && service < Duration::from_millis(60), "{service:?}");
    assert!(response >= Duration::from_millis(13 * 20), "{response:?}");
    let mut last = rehearsal.outcomes.clone();
    last.sort_by_key(|outcome| outcome.dispatched);
    assert!(last.is_sorted_by_key(|outcome| outcome.exchange), "first come, first served");
    let certificate = &rehearsal.certificates[0];
    assert_eq!(certificate.queued, 24);
    assert!(certificate.broken.iter().any(|reason| reason.contains("--connections")), "{certificate:?}");
}

#[test]
fn a_request_whose_deadline_passes_in_the_queue_is_a_timeout() {
    let server = Server::start(Manner::Take(Duration::from_millis(200)));
    let mut stage = Stage::new(&[&server], every(Duration::ZERO, 10));
    stage.plan.max_connections = 2;
    stage.plan.timeout = Duration::from_millis(500);
    let rehearsal = stage.run().unwrap();
    let kinds = kinds(&rehearsal);
    assert_eq!(kinds[&Kind::Ok] + kinds[&Kind::Timeout], 10);
    assert!((3..=4).contains(&kinds[&Kind::Ok]), "two connections, two answers each in time: {kinds:?}");
    assert!(server.most_under_way() <= 4, "a timeout closes its connection and makes room for one");
}

#[test]
fn an_unhurried_run_is_certified_and_reuses_its_connections() {
    let server = Server::start(Manner::Answer);
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(2), 500));
    // The bounds of a machine that other tests keep busy.
    stage.plan.fidelity =
        crate::plan::FidelityBounds { lag_p50_ms: 20.0, lag_p99_ms: 500.0, ..Default::default() };
    let rehearsal = stage.run().unwrap();
    let certificate = &rehearsal.certificates[0];
    assert!(certificate.broken.is_empty(), "{certificate:?}");
    assert_eq!((certificate.scheduled, certificate.sent), (500, 500));
    assert!((certificate.asked_rate - 500.0).abs() < 1.0, "{certificate:?}");
    assert!(certificate.achieved_rate > 400.0, "{certificate:?}");
    assert!(certificate.reuse > 0.9 && certificate.cpu > 0.0, "{certificate:?}");
}

#[test]
fn max_keeps_its_number_under_way_and_never_more() {
    let server = Server::start(Manner::Take(Duration::from_millis(2)));
    let mut stage = Stage::new(&[&server], every(Duration::from_secs(1), 400));
    stage.plan.pace = Pace::Max { in_flight: 8 };
    stage.plan.threads = 2;
    let began = Instant::now();
    let rehearsal = stage.run().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "the recorded 400 s are not waited for");
    assert_eq!(kinds(&rehearsal), HashMap::from([(Kind::Ok, 400)]));
    assert_eq!(server.most_under_way(), 8);
    assert!(rehearsal.outcomes.iter().all(|outcome| outcome.lag() == 0));
    let certificate = &rehearsal.certificates[0];
    assert!(certificate.broken.is_empty() && certificate.achieved_rate > 0.0, "{certificate:?}");
}
