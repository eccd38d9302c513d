//! Many connections, and small writes on one: what each costs, and what is given back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Far more than anything here takes; only a lock-up reaches it.
const PATIENCE: Duration = Duration::from_secs(60);
const ASK: &[u8] = b"GET /predict HTTP/1.1\r\nHost: svc\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

/// Connections of the test, if there are descriptors for them: the sidecar needs two for each.
const WANTED: usize = 10_000;
/// Descriptors of a process besides those of its connections.
const OTHERS: usize = 64;
/// What they may cost, everything included.
const MEMORY: usize = 100 << 20;

/// A process that is killed when the test is over.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Already ended is fine.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts a process and returns the first line that begins so.
fn start(command: &mut Command, mark: &str) -> (Kept, String) {
    let mut kept = Kept(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(kept.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains(mark)).expect("it says that it is ready");
    // It may say more later (a test that takes long does), and must not die of nobody's listening.
    std::thread::spawn(move || lines.for_each(drop));
    (kept, line)
}

/// A sidecar in front of `upstream`: its traffic and admin addresses.
fn sidecar(upstream: SocketAddr, captures: &std::path::Path) -> (Kept, SocketAddr, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_understudy-proxy"));
    command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--upstream", &upstream.to_string()]);
    let (kept, line) = start(command.arg("--captures").arg(captures), "listening on ");
    let address = |part: &str| part.rsplit(' ').next().unwrap().parse().unwrap();
    let addresses: Vec<SocketAddr> = line.trim().split(", ").map(address).collect();
    (kept, addresses[0], addresses[2])
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn ask(stream: &mut TcpStream) {
    stream.write_all(ASK).unwrap();
    let mut answer = vec![0; ANSWER.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
}

fn metric(admin: SocketAddr, name: &str) -> usize {
    let mut stream = connect(admin);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.expect("a known metric").parse().unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// As many descriptors as this process may have.
fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.map_or(usize::MAX, |most| most as usize)
}

/// Not a test: the service of the next one, which needs descriptors of its own.
#[test]
#[ignore = "a process of the test below"]
fn service_for_many() {
    raise_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("serving at {}", listener.local_addr().unwrap());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; ASK.len()];
                while stream.read_exact(&mut request).await.is_ok() {
                    if stream.write_all(ANSWER).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn ten_thousand_connections_cost_two_descriptors_and_some_kilobytes_each() {
    let count = WANTED.min((raise_limit() - OTHERS) / 2);
    let mut service = Command::new(std::env::current_exe().unwrap());
    service.args(["--exact", "service_for_many", "--ignored", "--nocapture"]);
    let (_service, line) = start(&mut service, "serving at ");
    let upstream = line.rsplit(' ').next().unwrap().parse().unwrap();
    let captures = tempfile::tempdir().unwrap();
    let (_sidecar, traffic, admin) = sidecar(upstream, captures.path());
    let before = metric(admin, "process_resident_memory_bytes");

    let mut clients: Vec<TcpStream> = (0..count).map(|_| connect(traffic)).collect();
    clients.iter_mut().for_each(ask);
    assert_eq!(metric(admin, "understudy_proxy_open_connections"), count);
    let (open, memory) = (metric(admin, "process_open_fds"), metric(admin, "process_resident_memory_bytes"));
    println!("{count} connections: {open} descriptors, {} KiB, {} KiB before", memory / 1024, before / 1024);
    assert!(open <= 2 * count + OTHERS, "{open} descriptors");
    assert!(memory < MEMORY, "{memory} bytes");

    // They still work, each of them, after all of them were idle.
    clients.iter_mut().rev().for_each(ask);
    drop(clients);
    eventually("every connection ends", || metric(admin, "understudy_proxy_open_connections") == 0);
    assert!(metric(admin, "process_open_fds") <= OTHERS, "descriptors are given back");
    let seen = metric(admin, "understudy_proxy_requests_seen_total");
    assert_eq!(seen, 2 * count);
    eventually("every request is written or counted", || {
        let fates = ["recorded", "queue_full", "unsanitizable"];
        let counted =
            fates.map(|fate| metric(admin, &format!("understudy_proxy_requests_total{{fate=\"{fate}\"}}")));
        counted.iter().sum::<usize>() == seen
    });
}

#[test]
fn small_writes_are_not_held_back() {
    const ROUNDS: u32 = 100;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let captures = tempfile::tempdir().unwrap();
    let (_sidecar, traffic, _) = sidecar(listener.local_addr().unwrap(), captures.path());
    let mut client = connect(traffic);
    let (mut service, _) = listener.accept().unwrap();
    service.set_nodelay(true).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut pair = [0; 2];
    let began = Instant::now();
    for round in 0..ROUNDS {
        // The second write of a pair waits for the first's acknowledgement, some 40 ms, where Nagle's algorithm is on.
        client.write_all(&[round as u8]).unwrap();
        client.write_all(&[7]).unwrap();
        service.read_exact(&mut pair).unwrap();
        assert_eq!(pair, [round as u8, 7]);
        service.write_all(&pair[..1]).unwrap();
        service.write_all(&pair[1..]).unwrap();
        client.read_exact(&mut pair).unwrap();
    }
    let held_back = Duration::from_millis(40) * 2 * ROUNDS;
    assert!(began.elapsed() < held_back / 4, "{:?} for {ROUNDS} rounds", began.elapsed());
}
