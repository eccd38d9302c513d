//! The real binary: signals, exit codes, refusals.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use understudy_captures::Ending;

use crate::scene::{
    Binary, Service, admin, ask, connect, eventually, metric, post, read_back, read_message, segments,
};

#[test]
fn sigterm_lets_the_exchange_finish_writes_the_footer_and_exits_within_seconds() {
    for signal in ["TERM", "INT"] {
        let service = Service::start();
        let dir = tempfile::tempdir().unwrap();
        let mut sidecar = Binary::start(service.address, dir.path(), &["--drain", "15s"]);
        let mut idle = connect(sidecar.traffic);
        ask(&mut idle, "/predict", "{}");
        let mut busy = connect(sidecar.traffic);
        busy.write_all(post("/slow", "{}").as_bytes()).unwrap();
        eventually("both requests go by", || {
            metric(sidecar.admin, "understudy_proxy_requests_seen_total") == 2
        });

        sidecar.signal(signal);
        eventually("draining shows", || admin(sidecar.admin, "GET", "/readyz").0 == 503);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0, "an idle connection is closed");
        service.go.send(()).unwrap();
        assert_eq!(read_message(&mut busy).expect("the answer still comes").1, b"{\"label\":\"POSITIVE\"}");
        assert_eq!(busy.read(&mut [0]).unwrap(), 0, "then this one too");
        let (code, took) = sidecar.ended();
        assert_eq!(code, Some(0));
        assert!(
            took < Duration::from_secs(3),
            "it does not wait for the drain time when nothing is left: {took:?}"
        );

        let (capture, exchanges) = read_back(dir.path());
        assert_eq!(exchanges.len(), 2);
        let law = capture.stats().conservation;
        assert_eq!((law.seen, law.recorded, law.carried_out), (2, 2, 0));
        assert!(law.holds());
    }
}

#[test]
fn an_exchange_that_outlasts_the_drain_is_cut_and_recorded_so() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let mut sidecar = Binary::start(service.address, dir.path(), &["--drain", "200ms"]);
    let mut busy = connect(sidecar.traffic);
    busy.write_all(post("/slow", "{}").as_bytes()).unwrap();
    eventually("the request goes by", || metric(sidecar.admin, "understudy_proxy_requests_seen_total") == 1);
    sidecar.signal("TERM");
    let (code, took) = sidecar.ended();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let (capture, exchanges) = read_back(dir.path());
    assert_eq!(exchanges.iter().map(|e| e.ending).collect::<Vec<_>>(), [Ending::Shutdown]);
    assert!(capture.stats().conservation.holds());
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn refusals_are_one_clear_line_and_their_exit_code() {
    let upstream: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not: [a, policy").unwrap();
    let file = file.to_str().unwrap();
    for (captures, more, code, says) in [
        ("ok", vec!["--sample", "0"], 64, "--sample"),
        ("ok", vec!["--sample", "0.5", "--compat-metrics"], 64, "--sample-by"),
        ("ok", vec!["--freeze-when", "errors>5%"], 64, "--flight-recorder"),
        ("ok", vec!["--flight-recorder", "1m", "--freeze-when", "errors>5"], 64, "errors>5%"),
        ("ok", vec!["--include", "verb=GET"], 64, "method=GET,POST"),
        ("ok", vec!["--rules", "/nowhere/rules.yaml"], 66, "/nowhere/rules.yaml"),
        ("ok", vec!["--ship", "ftp://host/x"], 64, "--ship"),
        ("ok", vec!["--ship", "s3://a:hunter2@bucket/x"], 64, "environment"),
        ("ok", vec!["--linger", "10s", "--drain", "10s"], 64, "--shutdown-budget"),
        ("ok", vec!["--memory-limit", "8MiB"], 64, "--buffer"),
        ("ok", vec!["--recorder-cpu", "0"], 64, "--recorder-cpu"),
        ("ok", vec!["--listen", "nonsense"], 64, "--listen"),
        ("ok", vec!["--admin", "127.0.0.1:9"], 64, "--upstream"),
        ("ok", vec!["--exclude-path", "health"], 64, "--exclude-path"),
        ("ok", vec!["--policy", file], 64, "file"),
        ("ok", vec!["--policy", "/nowhere/policy.yaml"], 66, "/nowhere/policy.yaml"),
        ("ok", vec!["--key-file", file], 65, "file"),
        ("ok", vec!["--listen", &taken], 69, "--listen"),
        ("file", vec![], 73, "--captures"),
    ] {
        // Later flags win over those of `command`.
        let mut command = Command::new(env!("CARGO_BIN_EXE_understudy-proxy"));
        command.arg("--captures").arg(dir.path().join(captures)).args(["--upstream", &upstream.to_string()]);
        if !more.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if !more.contains(&"--admin") {
            command.args(["--admin", "127.0.0.1:0"]);
        }
        let output = command.args(&more).env("RUST_LOG", "off").output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {error}");
        assert!(error.contains(says) && !error.contains("hunter2"), "{more:?}: {error}");
        assert!(code == 64 || error.lines().count() == 1, "{more:?}: {error}");
    }
}
