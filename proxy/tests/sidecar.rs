//! The sidecar from socket to capture: in this process on ports of its own, and as the real binary under signals.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;
use understudy_captures::{Capture, Ending, Exchange};
use understudy_proxy::{Args, Config, Failure, Sockets, Summary};

/// Far more than anything here takes; only a lock-up reaches it.
const PATIENCE: Duration = Duration::from_secs(20);
const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"label\":\"POSITIVE\"}";

/// A service that answers every request with [`OK`]; `/slow` waits until it is told.
struct Service {
    address: SocketAddr,
    go: std::sync::mpsc::Sender<()>,
}

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go, gate) = std::sync::mpsc::channel();
        let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let gate = gate.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &gate));
            }
        });
        Service { address, go }
    }
}

fn serve(mut stream: TcpStream, gate: &std::sync::Mutex<std::sync::mpsc::Receiver<()>>) {
    while let Some((head, _)) = read_message(&mut stream) {
        if head.starts_with("POST /slow") {
            gate.lock().unwrap().recv().ok();
        }
        if stream.write_all(OK.as_bytes()).is_err() {
            return;
        }
    }
}

/// One message framed by its length: head and body.
fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: svc\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, path: &str, body: &str) -> Vec<u8> {
    stream.write_all(post(path, body).as_bytes()).unwrap();
    read_message(stream).expect("an answer").1
}

/// One request to the admin address: status and body.
fn admin(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = connect(address);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn metric(address: SocketAddr, name: &str) -> u64 {
    let (_, text) = admin(address, "GET", "/metrics");
    let value =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("a known metric");
    value.parse().unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A sidecar in this process.
struct InProcess {
    traffic: SocketAddr,
    admin: SocketAddr,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<Result<Summary, Failure>>,
}

impl InProcess {
    fn start(upstream: SocketAddr, captures: &Path, more: &[&str]) -> InProcess {
        let upstream = upstream.to_string();
        let base = [
            "understudy-proxy",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--upstream",
            &upstream,
        ];
        let dir = ["--captures", captures.to_str().unwrap()];
        let args = Args::try_parse_from(base.iter().chain(&dir).chain(more)).unwrap();
        let config = Config::from_args(args).unwrap();
        let sockets = Sockets::bind(&config).unwrap();
        let (traffic, admin) = (sockets.traffic_addr().unwrap(), sockets.admin_addr().unwrap());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let shutdown = async {
                stopped.await.ok();
            };
            understudy_proxy::run(config, sockets, shutdown, move || ready.send(()).unwrap())
        });
        is_ready.recv_timeout(PATIENCE).expect("ready");
        InProcess { traffic, admin, stop, thread }
    }

    fn stop(self) -> Summary {
        self.stop.send(()).unwrap();
        let summary = self.thread.join().unwrap().unwrap();
        assert!(summary.flushed);
        assert!(summary.conservation.holds(), "{:?}", summary.conservation);
        summary
    }
}

fn read_back(dir: &Path) -> (Capture, Vec<Exchange>) {
    let capture = Capture::open(&[dir]).unwrap();
    assert_eq!(capture.damage(), []);
    let exchanges = capture.exchanges().collect::<Result<Vec<_>, _>>().unwrap();
    (capture, exchanges)
}

#[test]
fn what_passed_is_in_the_capture_exchange_by_exchange() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &["--threads", "2"]);
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(sidecar.traffic)).collect();
    for round in 0..50 {
        for client in &mut clients {
            let answer = ask(client, "/predict", &format!("{{\"text\":\"good film\",\"n\":{round}}}"));
            assert_eq!(answer, b"{\"label\":\"POSITIVE\"}");
        }
    }
    assert_eq!(ask(&mut clients[0], "/health", ""), b"{\"label\":\"POSITIVE\"}");
    drop(clients);
    let summary = sidecar.stop();
    assert_eq!((summary.conservation.seen, summary.conservation.recorded), (201, 200));
    assert_eq!(summary.conservation.excluded, 1);

    let (capture, exchanges) = read_back(dir.path());
    let stats = capture.stats();
    assert_eq!(stats.conservation, summary.conservation, "the footer says what the metrics said");
    assert_eq!(exchanges.len(), 200);
    let mut connections: Vec<(u64, u32)> = exchanges.iter().map(|e| (e.connection, e.index)).collect();
    connections.sort_unstable();
    let wanted: Vec<(u64, u32)> = connections
        .iter()
        .map(|c| c.0)
        .step_by(50)
        .flat_map(|c| (0..50).map(move |index| (c, index)))
        .collect();
    assert_eq!(connections, wanted, "each connection's exchanges, none missing");
    for exchange in &exchanges {
        assert_eq!(exchange.ending, Ending::Complete);
        assert_eq!(exchange.request.target, "/predict");
        let response = exchange.response.as_ref().unwrap();
        assert_eq!((response.status, response.body.original_len), (200, 20));
        let timing = exchange.timing;
        assert!(timing.request_end <= timing.response_start && timing.response_start <= Some(timing.end));
    }
}

#[test]
fn a_tiny_queue_costs_exchanges_and_never_answers() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    // One batch may wait, and half a mebibyte of exchanges may be under way.
    let sidecar = InProcess::start(service.address, dir.path(), &["--queue", "1", "--buffer", "1MiB"]);
    let mut client = connect(sidecar.traffic);
    let larger_than_the_room = "a fine word ".repeat(60_000);
    assert_eq!(ask(&mut client, "/predict", &larger_than_the_room), b"{\"label\":\"POSITIVE\"}");
    let body = format!("{{\"text\":\"{}\"}}", "a fine word ".repeat(2000));
    const REQUESTS: usize = 400;
    let mut writer = client.try_clone().unwrap();
    let request = post("/predict", &body);
    let writing = std::thread::spawn(move || {
        for _ in 0..REQUESTS {
            writer.write_all(request.as_bytes()).unwrap();
        }
    });
    for _ in 0..REQUESTS {
        assert_eq!(
            read_message(&mut client).expect("every request is answered").1,
            b"{\"label\":\"POSITIVE\"}"
        );
    }
    writing.join().unwrap();
    drop(client);
    let totals = sidecar.stop().conservation;
    assert!(totals.queue_full >= 1, "{totals:?}");
    assert_eq!(totals.seen, totals.recorded + totals.dropped());
}

#[test]
fn the_recording_switch_works_and_the_admin_pages_answer() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &["--no-record"]);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    assert_eq!(
        admin(sidecar.admin, "GET", "/recording"),
        (200, "{\"recording\":false,\"recorder_up\":true}\n".into())
    );
    assert_eq!(admin(sidecar.admin, "POST", "/recording/on").0, 200);
    ask(&mut client, "/predict", "{}");
    assert_eq!(admin(sidecar.admin, "GET", "/recording/off").0, 405);
    assert_eq!(admin(sidecar.admin, "POST", "/recording/off").0, 200);
    ask(&mut client, "/predict", "{}");
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/nothing", 404)] {
        assert_eq!(admin(sidecar.admin, "GET", path).0, status, "{path}");
    }
    eventually("the exchange is written within the flush interval", || {
        metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}") == 1
    });
    assert_eq!(metric(sidecar.admin, "understudy_proxy_requests_seen_total"), 3);
    assert_eq!(metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"excluded\"}"), 2);
    drop(client);
    assert_eq!(sidecar.stop().conservation.recorded, 1);
}

#[test]
fn an_aborted_request_is_recorded_as_aborted() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let sidecar = InProcess::start(service.address, dir.path(), &[]);
    let mut client = connect(sidecar.traffic);
    client.write_all(post("/slow", "{}").as_bytes()).unwrap();
    eventually("the request goes by", || metric(sidecar.admin, "understudy_proxy_requests_seen_total") == 1);
    drop(client);
    service.go.send(()).unwrap();
    eventually("the connection ends", || metric(sidecar.admin, "understudy_proxy_open_connections") == 0);
    sidecar.stop();
    let (_, exchanges) = read_back(dir.path());
    assert_eq!(exchanges.len(), 1);
    // The answer met a closed client, or passed into its buffer just before.
    assert!(matches!(exchanges[0].ending, Ending::ClientAbort | Ending::Complete));
}

// === the binary ===

/// The real binary; killed when the test fails.
struct Binary {
    child: Child,
    traffic: SocketAddr,
    admin: SocketAddr,
}

impl Binary {
    fn start(upstream: SocketAddr, captures: &Path, more: &[&str]) -> Binary {
        let mut child = command(upstream, captures).args(more).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addresses: Vec<SocketAddr> =
            line.trim().split(", ").map(|part| part.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(line.starts_with("understudy-proxy: listening on "), "{line}");
        assert_eq!(addresses[1], upstream);
        Binary { child, traffic: addresses[0], admin: addresses[2] }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: exit code and how long that took.
    fn ended(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        eventually("the process ends", || self.child.try_wait().unwrap().is_some());
        (self.child.wait().unwrap().code(), began.elapsed())
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // Already ended is fine.
        self.child.kill().ok();
    }
}

fn command(upstream: SocketAddr, captures: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy-proxy"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", &upstream.to_string()])
        .arg("--captures")
        .arg(captures)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

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
        assert!(error.contains(says), "{more:?}: {error}");
        assert!(code == 64 || error.lines().count() == 1, "{more:?}: {error}");
    }
}
