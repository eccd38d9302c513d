//! A service, a client, and the sidecar between them: in this process, or as the real binary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;
use understudy_captures::{Capture, Exchange};
use understudy_proxy::{Args, Config, Failure, Sockets, Summary};

/// Far more than anything here takes; only a lock-up reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const OK: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"label\":\"POSITIVE\"}";

/// A service that answers every request with [`OK`]; `/slow` waits until it is told, `/close`, `/reset` and `/half` (an
/// answer) end as they say.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) go: std::sync::mpsc::Sender<()>,
}

impl Service {
    pub(crate) fn start() -> Service {
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

pub(crate) fn serve(mut stream: TcpStream, gate: &std::sync::Mutex<std::sync::mpsc::Receiver<()>>) {
    while let Some((head, _)) = read_message(&mut stream) {
        if head.starts_with("POST /slow") {
            gate.lock().unwrap().recv().ok();
        }
        if head.starts_with("POST /close") {
            return;
        }
        if head.starts_with("POST /reset") {
            return rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
        if head.starts_with("POST /half") {
            return stream.write_all(&OK.as_bytes()[..OK.len() - 5]).unwrap();
        }
        if stream.write_all(OK.as_bytes()).is_err() {
            return;
        }
    }
}

/// One message framed by its length: head and body.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
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

pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: svc\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

pub(crate) fn ask(stream: &mut TcpStream, path: &str, body: &str) -> Vec<u8> {
    stream.write_all(post(path, body).as_bytes()).unwrap();
    read_message(stream).expect("an answer").1
}

/// One request to the admin address: status and body.
pub(crate) fn admin(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = connect(address);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer[9..12].parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

pub(crate) fn metric(address: SocketAddr, name: &str) -> u64 {
    let (_, text) = admin(address, "GET", "/metrics");
    let value =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("a known metric");
    value.parse().unwrap()
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A sidecar in this process.
pub(crate) struct InProcess {
    pub(crate) traffic: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) stop: tokio::sync::oneshot::Sender<()>,
    pub(crate) thread: JoinHandle<Result<Summary, Failure>>,
}

impl InProcess {
    pub(crate) fn start(upstream: SocketAddr, captures: &Path, more: &[&str]) -> InProcess {
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
            let until = |_| async {
                stopped.await.ok();
            };
            understudy_proxy::run(config, sockets, until, move || ready.send(()).unwrap())
        });
        is_ready.recv_timeout(PATIENCE).expect("ready");
        InProcess { traffic, admin, stop, thread }
    }

    pub(crate) fn stop(self) -> Summary {
        self.stop.send(()).unwrap();
        let summary = self.thread.join().unwrap().unwrap();
        assert!(summary.flushed);
        assert!(summary.conservation.holds(), "{:?}", summary.conservation);
        summary
    }
}

pub(crate) fn read_back(dir: &Path) -> (Capture, Vec<Exchange>) {
    let capture = Capture::open(&[dir]).unwrap();
    assert_eq!(capture.damage(), []);
    let exchanges = capture.exchanges().collect::<Result<Vec<_>, _>>().unwrap();
    (capture, exchanges)
}

/// The real binary; killed when the test fails.
pub(crate) struct Binary {
    pub(crate) child: Child,
    pub(crate) traffic: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Binary {
    pub(crate) fn start(upstream: SocketAddr, captures: &Path, more: &[&str]) -> Binary {
        let mut command = command(upstream, captures);
        command.args(more);
        Binary::start_command(command, upstream)
    }

    pub(crate) fn start_command(mut command: Command, upstream: SocketAddr) -> Binary {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let addresses: Vec<SocketAddr> =
            line.trim().split(", ").map(|part| part.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(line.starts_with("understudy-proxy: listening on "), "{line}");
        assert_eq!(addresses[1], upstream);
        Binary { child, traffic: addresses[0], admin: addresses[2] }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: exit code and how long that took.
    pub(crate) fn ended(&mut self) -> (Option<i32>, Duration) {
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

pub(crate) fn command(upstream: SocketAddr, captures: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy-proxy"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", &upstream.to_string()])
        .arg("--captures")
        .arg(captures)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}
