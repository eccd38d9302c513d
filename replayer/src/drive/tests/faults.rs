//! Candidates that fail, and runs that are stopped.

use super::*;

#[test]
fn each_way_to_fail_has_its_own_outcome() {
    let server = Server::start(Manner::AsAsked);
    let paths = ["/ok", "/overloaded", "/missing", "/reset", "/hang", "/gzip", "/moved"];
    let exchanges =
        (0u64..).zip(paths).map(|(i, path)| exchange(Duration::from_millis(i * 20), "GET", path, b""));
    let mut stage = Stage::new(&[&server], exchanges);
    stage.plan.timeout = Duration::from_millis(300);
    let rehearsal = stage.run().unwrap();
    let of = |path: &str| {
        let exchange = paths.iter().position(|p| *p == path).unwrap() as u32;
        *rehearsal.outcomes.iter().find(|outcome| outcome.exchange == exchange).unwrap()
    };
    assert_eq!((of("/ok").kind, of("/ok").status), (Kind::Ok, 200));
    assert_eq!((of("/overloaded").kind, of("/overloaded").status), (Kind::HttpError, 503));
    assert_eq!((of("/missing").kind, of("/missing").answer), (Kind::HttpError, None));
    assert_eq!((of("/moved").kind, of("/moved").status), (Kind::Ok, 302));
    assert_eq!((of("/reset").kind, of("/reset").first_byte), (Kind::Reset, 0));
    assert_eq!((of("/hang").kind, of("/hang").status), (Kind::Timeout, 0));
    let waited = Duration::from_nanos(of("/hang").response_time());
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_millis(600), "{waited:?}");
    assert!(of("/gzip").answer.is_some(), "the answer is found in a compressed body");
    assert_eq!(server.log().len(), paths.len(), "nothing was sent twice");
}

#[test]
fn a_candidate_that_goes_away_is_a_connect_error_and_the_run_goes_on() {
    let (gone, stays) = (Server::start(Manner::CloseSilently), Server::start(Manner::Answer));
    // Accepts the probe, and nothing after it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(gone);
    let mut stage = Stage::new(&[&stays], every(Duration::from_millis(5), 20));
    stage.plan.candidates.push(Candidate {
        name: "b".into(),
        target: crate::plan::Target {
            host: address.ip().to_string(),
            port: address.port(),
            prefix: String::new(),
        },
    });
    let closing = std::thread::spawn(move || {
        listener.accept().unwrap();
    });
    let rehearsal = stage.run().unwrap();
    closing.join().unwrap();
    assert_eq!(kinds(&rehearsal), HashMap::from([(Kind::Ok, 20), (Kind::ConnectError, 20)]));
    assert!(rehearsal.outcomes.iter().all(|outcome| outcome.candidate == 0 || outcome.sent == outcome.end));
}

#[test]
fn connections_that_the_candidate_closes_while_idle_cost_no_request() {
    let server = Server::start(Manner::CloseSilently);
    let stage = Stage::new(&[&server], every(Duration::from_millis(10), 60));
    let rehearsal = stage.run().unwrap();
    let resets = rehearsal.outcomes.iter().filter(|outcome| outcome.kind == Kind::Reset).count();
    // The server closes 3 ms after it accepted; a request that comes in that very moment may be lost with it.
    assert!(resets <= 3, "{resets} of 60 were reset");
    assert!(server.connections() > 50);
}

#[test]
fn a_dead_candidate_is_one_line_and_leaves_nothing_behind() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    let server = Server::start(Manner::Answer);
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(5), 20));
    drop(port);
    stage.plan.candidates[0].target.port = address.port();
    let refusal = stage.run().unwrap_err();
    assert!(matches!(refusal, DriveError::Unavailable(_)));
    assert_eq!(refusal.to_string(), format!("candidate a (http://{address}): connection refused"));
    assert_eq!(std::fs::read_dir(&stage.plan.out).unwrap().count(), 0);
    assert!(server.log().is_empty());
}

#[test]
fn what_is_missing_is_found_before_a_candidate_is_bothered() {
    let server = Server::start(Manner::Answer);
    let mut stage = Stage::new(&[&server], every(Duration::from_millis(5), 20));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    stage.plan.metrics = Some(taken.local_addr().unwrap());
    let refusal = stage.run().unwrap_err();
    assert!(
        matches!(refusal, DriveError::Unavailable(_))
            && refusal.to_string().contains("address already in use")
    );

    stage.plan.metrics = None;
    let file = tempfile::NamedTempFile::new().unwrap();
    stage.plan.out = file.path().join("runs");
    let refusal = stage.run().unwrap_err();
    assert!(matches!(refusal, DriveError::Unwritable { .. }), "{refusal}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_stopped_run_accounts_for_every_request() {
    let (one, two) = (Server::start(Manner::Answer), Server::start(Manner::Answer));
    let mut stage = Stage::new(&[&one, &two], every(Duration::from_millis(10), 500));
    stage.plan.iterations = 2;
    stage.plan.block = Duration::from_secs(1);
    let stop = Stop::new();
    let thrower = stop.clone();
    let (watched, log) = (stage.plan.clone(), one);
    let watcher = std::thread::spawn(move || {
        while log.log().len() < 20 {
            std::thread::yield_now();
        }
        thrower.request();
        log
    });
    let began = Instant::now();
    let rehearsal = rehearse(&watched, Progress::silent(), &stop).unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "5 s of schedule were cut short");
    let one = watcher.join().unwrap();
    assert!(rehearsal.interrupted);
    assert_eq!(rehearsal.outcomes.len(), 2000);
    let sent = one.log().len() + two.log().len();
    let kinds = kinds(&rehearsal);
    assert_eq!((kinds[&Kind::Ok], kinds[&Kind::NotSent]), (sent, 2000 - sent));
    assert!(rehearsal.certificates.iter().all(|c| c.broken.iter().any(|reason| reason.contains("not sent"))));
}
