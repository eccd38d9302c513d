//! The flight recorder: keeps the last of it, and a freeze keeps it for good.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use understudy_captures::Capture;

use crate::scene::{
    Binary, InProcess, Service, admin, ask, connect, eventually, metric, read_back, segments,
};

const RING: [&str; 4] = ["--flight-recorder", "2s", "--flush-interval", "50ms"];

/// Asks `path` until `holds`.
fn ask_until(client: &mut TcpStream, path: &str, what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || {
        ask(client, path, "{}");
        holds()
    });
}

fn is_done(address: SocketAddr, name: &str) -> bool {
    let (status, page) = admin(address, "GET", "/flight-recorder");
    assert_eq!(status, 200);
    page.contains(&format!("\"name\":\"{name}\"")) && page.contains("\"done\":true")
}

/// A frozen capture is whole, its counters hold, and these paths are in it.
fn assert_holds(folder: &Path, paths: &[&str]) {
    let verification = Capture::verify(&[folder]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    assert!(verification.stats.conservation.holds(), "{:?}", verification.stats.conservation);
    let (_, exchanges) = read_back(folder);
    for path in paths {
        assert!(exchanges.iter().any(|e| e.request.target == path.as_bytes()), "{path} is not in it");
    }
}

#[test]
fn a_freeze_covers_the_time_before_and_after_and_the_ring_forgets_the_rest() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &RING);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/long-ago", "{}");
    ask_until(&mut client, "/quiet", "the ring forgets", || {
        metric(sidecar.admin, "understudy_proxy_ring_deleted_total") > 2
    });
    ask(&mut client, "/just-before", "{}");
    // In the ring with the next hand-over.
    eventually("it is written", || {
        let fates = metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}");
        fates == metric(sidecar.admin, "understudy_proxy_requests_seen_total")
    });

    let began = Instant::now();
    let (status, page) = admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=outage-7");
    assert_eq!(status, 202, "{page}");
    assert!(page.contains("\"done\":false"), "{page}");
    assert_eq!(admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=outage-7").0, 409);
    assert_eq!(admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=../x").0, 422);
    ask(&mut client, "/just-after", "{}");
    ask_until(&mut client, "/quiet", "the freeze ends", || is_done(sidecar.admin, "outage-7"));
    assert!(began.elapsed() >= Duration::from_secs(2), "it covers the time after");
    let deleted = metric(sidecar.admin, "understudy_proxy_ring_deleted_total");
    ask_until(&mut client, "/much-later", "the ring goes on", || {
        metric(sidecar.admin, "understudy_proxy_ring_deleted_total") > deleted + 4
    });
    drop(client);
    sidecar.stop();

    let frozen = dir.path().join("frozen/outage-7");
    assert_holds(&frozen, &["/just-before", "/just-after", "/quiet"]);
    let (_, exchanges) = read_back(&frozen);
    assert!(exchanges.iter().all(|e| e.request.target != "/long-ago" && e.request.target != "/much-later"));
}

#[test]
fn a_freeze_survives_a_kill_and_goes_on_after_the_restart() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let ring = ["--flight-recorder", "4s", "--flush-interval", "50ms"];
    let mut sidecar = Binary::start(service.address, dir.path(), &ring);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/before-the-kill", "{}");
    eventually("it is written", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 1
    });
    sidecar.signal("USR1");
    eventually("the signal freezes", || metric(sidecar.admin, "understudy_proxy_freezes_total") == 1);
    sidecar.child.kill().unwrap();
    sidecar.child.wait().unwrap();

    let sidecar = Binary::start(service.address, dir.path(), &ring);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/after-the-restart", "{}");
    let name = std::fs::read_dir(dir.path().join("frozen")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.into_string().unwrap();
    assert!(name.starts_with("signal-"), "{name}");
    ask_until(&mut client, "/quiet", "the freeze ends", || is_done(sidecar.admin, &name));
    drop(client);
    let frozen = dir.path().join("frozen").join(name);
    let (capture, exchanges) = (Capture::open(&[&frozen]).unwrap(), read_exchanges(&frozen));
    for path in ["/before-the-kill", "/after-the-restart"] {
        assert!(exchanges.iter().any(|target| target == path), "{path}: {exchanges:?}");
    }
    assert!(capture.stats().conservation.holds());
}

/// Targets, also of a capture whose recorder was killed.
fn read_exchanges(dir: &Path) -> Vec<String> {
    let capture = Capture::open(&[dir]).unwrap();
    capture.exchanges().map(|e| String::from_utf8_lossy(&e.unwrap().request.target).into_owned()).collect()
}

#[test]
fn a_rule_freezes_by_itself_once_while_it_holds() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let rule = ["--freeze-when", "2xx>30", "--freeze-window", "5s"];
    let sidecar = InProcess::start(service.address, dir.path(), &[&RING[..], &rule].concat());
    let mut client = connect(sidecar.traffic);
    for _ in 0..30 {
        ask(&mut client, "/predict", "{}");
    }
    eventually("all are written", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 30
    });
    assert_eq!(metric(sidecar.admin, "understudy_proxy_freezes_total"), 0, "thirty are not more than thirty");
    ask(&mut client, "/the-last-straw", "{}");
    eventually("the rule freezes", || metric(sidecar.admin, "understudy_proxy_freezes_total") == 1);
    ask(&mut client, "/predict", "{}");
    let (_, page) = admin(sidecar.admin, "GET", "/flight-recorder");
    assert!(page.contains("\"name\":\"rule-") && page.contains("2xx>30"), "{page}");
    drop(client);
    sidecar.stop();
    let frozen = std::fs::read_dir(dir.path().join("frozen")).unwrap().next().unwrap().unwrap().path();
    assert_holds(&frozen, &["/the-last-straw"]);
    assert!(!segments(&frozen).is_empty());
}

#[test]
fn without_a_ring_there_is_nothing_to_freeze() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &[]);
    let (status, says) = admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=x");
    assert_eq!(status, 422);
    assert!(says.contains("--flight-recorder"), "{says}");
    let (_, page) = admin(sidecar.admin, "GET", "/flight-recorder");
    assert_eq!(page.trim(), "{\"flight_recorder\":false,\"frozen\":[]}");
    sidecar.stop();
}
