//! In a pod: ready when it can record, gone within its budget, as any user, without a word of what passed.

use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::scene::{
    Binary, Service, admin, ask, command, connect, eventually, metric, post, read_back, read_message,
};

#[test]
fn told_to_stop_it_serves_on_while_endpoints_forget_it_and_ends_within_its_budget() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let farewell = ["--linger", "1500ms", "--drain", "500ms", "--shutdown-budget", "4s"];
    let mut sidecar = Binary::start(service.address, dir.path(), &farewell);
    assert_eq!(admin(sidecar.admin, "GET", "/readyz"), (200, "ready\n".to_owned()));
    sidecar.signal("TERM");
    let told = Instant::now();
    eventually("it is not ready any more", || admin(sidecar.admin, "GET", "/readyz").0 == 503);
    assert_eq!(admin(sidecar.admin, "GET", "/readyz").1, "leaving\n");
    let mut late = connect(sidecar.traffic);
    assert_eq!(ask(&mut late, "/late", "{}"), b"{\"label\":\"POSITIVE\"}", "a new connection is served");
    // This one outlasts the drain.
    let mut slow = connect(sidecar.traffic);
    slow.write_all(post("/slow", "{}").as_bytes()).unwrap();
    assert_eq!(sidecar.ended().0, Some(0));
    let took = told.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(5)).contains(&took), "{took:?}");
    let (capture, exchanges) = read_back(dir.path());
    assert!(capture.stats().conservation.holds());
    assert!(exchanges.iter().any(|e| e.request.target == "/late"), "and recorded");
}

#[test]
fn it_runs_as_nobody_and_writes_only_into_its_captures_directory() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let open_to_all = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open_to_all(dir.path(), 0o755);
    let captures = dir.path().join("captures");
    std::fs::create_dir(&captures).unwrap();
    let program = dir.path().join("understudy-proxy");
    std::fs::copy(env!("CARGO_BIN_EXE_understudy-proxy"), &program).unwrap();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    open_to_all(&closed, 0o555);

    let usual = command(service.address, &captures);
    let is_root = rustix::process::getuid().is_root();
    let mut nobody = if is_root {
        chown(&captures, Some(65534), Some(65534)).unwrap();
        let mut nobody = Command::new("setpriv");
        nobody.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]);
        nobody.arg(&program);
        nobody
    } else {
        Command::new(&program)
    };
    nobody.args(usual.get_args()).args(["--flight-recorder", "1m", "--flush-interval", "50ms"]);
    nobody.env_clear().env("HOME", &closed).env("TMPDIR", &closed).current_dir(&closed);
    nobody.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut sidecar = Binary::start_command(nobody, service.address);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    assert_eq!(admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=one").0, 202);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", sidecar.child.id())).unwrap();
    for fd in fds {
        let Ok(target) = std::fs::read_link(fd.unwrap().path()) else { continue };
        let harmless = !target.is_absolute() || target.starts_with("/dev") || target.starts_with("/proc");
        assert!(harmless || target.starts_with(&captures), "it holds {} open", target.display());
    }
    drop(client);
    sidecar.signal("TERM");
    assert_eq!(sidecar.ended().0, Some(0));
    assert_eq!(read_back(&captures).1.len(), 1);
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0);
}

#[test]
fn logs_at_their_loudest_hold_nothing_of_what_passed() {
    const CANARY: &str = "canary7f3a";
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let mut loud = command(service.address, dir.path());
    loud.env("RUST_LOG", "trace").args(["--log-format", "json"]).args([
        "--flight-recorder",
        "1m",
        "--freeze-when",
        "2xx>1",
    ]);
    let mut sidecar = Binary::start_command(loud, service.address);
    let mut errors = sidecar.child.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let mut client = connect(sidecar.traffic);
    for body in ["{\"text\":\"canary7f3a\"}", "{\"canary7f3a", "canary7f3a"] {
        let request = format!(
            "POST /{CANARY}?q={CANARY} HTTP/1.1\r\nHost: {CANARY}\r\nX-{CANARY}: {CANARY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(request.as_bytes()).unwrap();
        read_message(&mut client).expect("an answer");
    }
    for nonsense in
        ["canary7f3a\r\n\r\n", "POST /canary7f3a HTTP/1.1\r\ncanary7f3a\r\n\r\n", "\u{16}canary7f3a"]
    {
        let mut stranger = connect(sidecar.traffic);
        stranger.write_all(nonsense.as_bytes()).unwrap();
        stranger.shutdown(std::net::Shutdown::Write).unwrap();
        stranger.read_to_end(&mut Vec::new()).ok();
    }
    eventually("all was seen and sanitized or refused", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}")
            + metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"unsanitizable\"}")
            >= 3
    });
    drop(client);
    sidecar.signal("TERM");
    assert_eq!(sidecar.ended().0, Some(0));
    let log = reading.join().unwrap();
    assert!(log.lines().count() > 5, "it did log: {log}");
    for line in log.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["level"].is_string()),
            "{line}"
        );
    }
    assert!(!log.to_lowercase().contains(CANARY), "{log}");
}

#[test]
fn it_is_ready_in_a_moment() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    // The best of a few, since other tests run beside this one.
    let best = (0..5)
        .map(|n| {
            let began = Instant::now();
            let sidecar = Binary::start(service.address, &dir.path().join(n.to_string()), &[]);
            assert_eq!(admin(sidecar.admin, "GET", "/readyz").0, 200);
            began.elapsed()
        })
        .min()
        .unwrap();
    println!("started and ready after {best:?}");
    assert!(best < Duration::from_millis(500), "{best:?}");
}
