//! Beyond its limits the sidecar sheds recording, counts it, and serves all the same.

use std::path::Path;

use crate::scene::{InProcess, Service, admin, ask, connect, eventually, metric, read_back};

fn fate(admin: std::net::SocketAddr, fate: &str) -> u64 {
    metric(admin, &format!("understudy_proxy_requests_total{{fate=\"{fate}\"}}"))
}

fn shed(admin: std::net::SocketAddr, limit: &str) -> u64 {
    metric(admin, &format!("understudy_proxy_shed_total{{limit=\"{limit}\"}}"))
}

#[test]
fn a_full_captures_directory_stops_recording_until_there_is_room() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let limits = ["--disk-limit", "1MiB", "--flush-interval", "20ms"];
    let sidecar = InProcess::start(service.address, dir.path(), &limits);
    let mut client = connect(sidecar.traffic);
    eventually("the gate closes", || {
        assert_eq!(ask(&mut client, "/predict", "{}"), b"{\"label\":\"POSITIVE\"}");
        shed(sidecar.admin, "disk") > 0
    });
    assert_eq!(fate(sidecar.admin, "io_error"), shed(sidecar.admin, "disk"));
    assert_eq!(admin(sidecar.admin, "GET", "/readyz").0, 200, "the pod keeps its traffic");
    std::fs::remove_file(ballast).unwrap();
    let recorded = fate(sidecar.admin, "recorded");
    eventually("recording goes on", || {
        ask(&mut client, "/predict", "{}");
        fate(sidecar.admin, "recorded") > recorded
    });
    drop(client);
    let totals = sidecar.stop().conservation;
    assert_eq!(read_back(dir.path()).1.len() as u64, totals.recorded);
}

#[test]
fn too_much_memory_stops_recording_and_nothing_else() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    // Less than a process of tests takes.
    let limits = ["--buffer", "1MiB", "--memory-limit", "17MiB", "--flush-interval", "20ms"];
    let sidecar = InProcess::start(service.address, dir.path(), &limits);
    let mut client = connect(sidecar.traffic);
    let ballast = vec![1_u8; 24 << 20];
    eventually("the gate closes", || {
        assert_eq!(ask(&mut client, "/predict", "{}"), b"{\"label\":\"POSITIVE\"}");
        shed(sidecar.admin, "memory") > 0
    });
    drop((client, std::hint::black_box(ballast)));
    let totals = sidecar.stop().conservation;
    assert!(totals.queue_full > 0, "{totals:?}");
}

#[test]
fn a_recorder_with_little_cpu_rests_and_the_service_answers() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &["--recorder-cpu", "0.01", "--queue", "2"]);
    let mut client = connect(sidecar.traffic);
    let body = format!("{{\"text\":\"{}\"}}", "a fine word ".repeat(2000));
    eventually("the recorder rests", || {
        assert_eq!(ask(&mut client, "/predict", &body), b"{\"label\":\"POSITIVE\"}");
        let (_, page) = admin(sidecar.admin, "GET", "/metrics");
        let paused = page.lines().find_map(|line| {
            line.strip_prefix("understudy_proxy_recorder_paused_seconds_total ")?.parse::<f64>().ok()
        });
        paused.unwrap() > 0.0
    });
    drop(client);
    sidecar.stop();
    assert!(Path::new(dir.path()).is_dir());
}
