//! Chaos on both sides of the sidecar: services that restart, reset, stall and dawdle; clients that vanish, crawl, pipeline
//! and talk nonsense. Polite clients between them must not notice, and nothing may be lost from the books or leak.
//!
//! `UNDERSTUDY_SOAK_SECONDS` makes it last longer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::peers::{Nginx, free_address};
use understudy_tests::process::PATIENCE;
use understudy_tests::programs::{Sentiment, Sidecar, metrics, understudy, understudy_json};

const SECONDS: u64 = 20;
/// Services restart so often.
const CALM: Duration = Duration::from_millis(1_500);
/// A polite client's requests on one connection.
const KEPT: usize = 40;
/// What a process may hold more after the chaos than after a quarter of it.
const DESCRIPTORS: f64 = 4.0;
const MEMORY: f64 = 12.0 * 1024.0 * 1024.0;
const FATES: [&str; 8] = [
    "recorded",
    "sampled_out",
    "excluded",
    "over_limit",
    "unparseable",
    "unsanitizable",
    "queue_full",
    "io_error",
];

const PREDICT: &str = "POST /predict HTTP/1.1\r\nhost: svc\r\ncontent-type: application/json\r\n";
const TEXT: &str = r#"{"text":"the lens is sharp, but the menu is a maze"}"#;
const NONSENSE: [&[u8]; 7] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a greeting of TLS",
    b"GET /predict HTTP/1.1\n\n",
    b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"\0\xff\xfe no protocol at all \r\n\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x09\x63\x63\x63\x63\x63\x63",
];
const FAULTS: [&str; 5] = ["reset", "truncate", "stall:60ms", "slow-body:200ms", "status:503"];

/// A sidecar before a service.
struct Scene {
    sidecar: Sidecar,
    captures: tempfile::TempDir,
    script: Script,
    /// What the sidecar held after the first chaos.
    held: Option<Held>,
}

/// What clients of a sidecar ask, and the answer, which is always the same.
struct Script {
    listen: String,
    request: String,
    answer: Answer,
}

/// An answer without what changes by itself.
#[derive(Debug, PartialEq)]
struct Answer {
    head: Vec<String>,
    body: Vec<u8>,
}

/// Descriptors and bytes.
#[derive(Clone, Copy, Debug)]
struct Held(f64, f64);

/// When services were down: from before the signal until they listened again.
#[derive(Default)]
struct Downs(Mutex<Vec<(Instant, Option<Instant>)>>);

/// What polite clients lived through.
#[derive(Default)]
struct Polite {
    answers: AtomicUsize,
    /// Errors on connections that a restart cut: a direct connection has them, too.
    excused: AtomicUsize,
    harmed: Mutex<Vec<String>>,
}

#[test]
fn chaos_on_both_sides_harms_no_one_loses_no_count_and_leaks_nothing() -> Result<()> {
    let seconds = std::env::var("UNDERSTUDY_SOAK_SECONDS").map_or(Ok(SECONDS), |n| n.parse())?;
    let files = tempfile::tempdir()?;
    let noise: Vec<u8> = (0..400_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(files.path().join("noise.bin"), noise)?;
    let nginx = Nginx::files(files.path())?;
    let address = free_address()?;
    let mut sentiment = Some(start_sentiment(&address)?);
    let predict = format!("{PREDICT}content-length: {}\r\n\r\n{TEXT}", TEXT.len());
    let mut scenes = [
        Scene::before(&nginx.listen, "GET /noise.bin HTTP/1.1\r\nhost: svc\r\n\r\n".to_owned())?,
        Scene::before(&address, predict)?,
    ];

    let (downs, polite) = (Downs::default(), Polite::default());
    for (part, quarters) in [("the first quarter", 1), ("the rest", 3)] {
        let until = Instant::now() + Duration::from_secs(seconds) * quarters / 4;
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| -> Result<()> {
            for script in scenes.iter().map(|scene| &scene.script) {
                for _ in 0..2 {
                    scope.spawn(|| script.polite_client(&over, &downs, &polite));
                }
                for chaos in [vanishing, crawling, pipelining, babbling, provoking] {
                    let over = &over;
                    scope.spawn(move || script.chaotic_client(over, chaos));
                }
            }
            let mut restart = || -> Result<()> {
                // Calm is time without a restart, so time is what is waited for.
                while Instant::now() + CALM < until {
                    std::thread::park_timeout(CALM);
                    downs.during(|| nginx.restart())?;
                    downs.during(|| {
                        // Killed, and gone, before the next one takes its address.
                        drop(sentiment.take());
                        sentiment = Some(start_sentiment(&address)?);
                        Ok(())
                    })?;
                }
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                Ok(())
            };
            let restarted = restart();
            over.store(true, Ordering::Relaxed);
            restarted
        })?;
        for scene in &mut scenes {
            println!("after {part}: {:?}", scene.settle(part)?);
        }
    }

    let harmed = polite.harmed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(harmed.is_empty(), "{} polite requests were harmed, as: {}", harmed.len(), harmed[0]);
    let (answers, excused) = (polite.answers.into_inner(), polite.excused.into_inner());
    println!("{answers} polite answers, {excused} errors by restarts");
    assert!(answers > 500, "{answers}");
    for scene in scenes {
        scene.close()?;
    }
    Ok(())
}

fn start_sentiment(address: &str) -> Result<Sentiment> {
    Sentiment::start(&["--profile=gpu", "--faults-by-header", "--listen", address])
}

// === impl Scene ===

impl Scene {
    fn before(upstream: &str, request: String) -> Result<Scene> {
        let captures = tempfile::tempdir()?;
        let sidecar = Sidecar::start(upstream, captures.path(), &[])?;
        let direct = &mut BufReader::new(connect(upstream)?);
        direct.get_mut().write_all(request.as_bytes())?;
        let answer = Answer::read(direct)?;
        let script = Script { listen: sidecar.listen.clone(), request, answer };
        Ok(Scene { sidecar, captures, script, held: None })
    }

    /// Once all clients are gone every request has its fate, and what the sidecar holds is what it held before.
    fn settle(&mut self, part: &str) -> Result<Held> {
        let deadline = Instant::now() + PATIENCE;
        let page = loop {
            let page = metrics(&self.sidecar.admin)?;
            let fates: f64 =
                FATES.iter().map(|f| page[&format!("understudy_proxy_requests_total{{fate=\"{f}\"}}")]).sum();
            if page["understudy_proxy_open_connections"] == 0.0
                && page["understudy_proxy_requests_seen_total"] == fates
            {
                break page;
            }
            ensure!(Instant::now() < deadline, "after {part} something stays under way: {page:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        };
        let held = Held(page["process_open_fds"], page["process_resident_memory_bytes"]);
        if let Some(first) = self.held {
            assert!(held.0 <= first.0 + DESCRIPTORS, "descriptors leak: {first:?}, then {held:?}");
            assert!(held.1 <= first.1 + MEMORY, "memory leaks: {first:?}, then {held:?}");
        }
        self.held = self.held.or(Some(held));
        let sum = |prefix: &str| -> f64 {
            page.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, value)| value).sum()
        };
        assert!(sum("understudy_proxy_connections_given_up_total") > 0.0, "nonsense was noticed");
        assert_eq!(sum("understudy_proxy_contained_panics_total"), 0.0);
        Ok(held)
    }

    /// The capture's own books agree.
    fn close(self) -> Result<()> {
        let seen = metrics(&self.sidecar.admin)?["understudy_proxy_requests_seen_total"];
        self.sidecar.process.signal(Signal::TERM)?;
        let (status, printed) = self.sidecar.process.wait()?;
        assert!(status.success(), "{status}: {printed:?}");
        let dir = self.captures.path().to_string_lossy().into_owned();
        let verify = understudy(&["capture", "verify", &dir])?;
        assert_eq!(verify.code, 0, "{}{}", verify.stdout, verify.stderr);
        let stats = understudy_json(&["capture", "stats", "--json", &dir])?;
        let count = |key: &str| stats[key].as_u64().with_context(|| format!("no {key} in {stats}"));
        let fates: u64 = FATES.iter().map(|fate| count(fate)).sum::<Result<u64>>()?;
        assert_eq!((count("seen")?, fates), (seen as u64, seen as u64), "the conservation law: {stats}");
        assert_eq!((count("carried_in")?, count("carried_out")?), (0, 0), "{stats}");
        Ok(())
    }
}

// === impl Script ===

impl Script {
    /// Asks and compares, over kept connections.
    fn polite_client(&self, over: &AtomicBool, downs: &Downs, polite: &Polite) {
        while !over.load(Ordering::Relaxed) {
            let opened = Instant::now();
            let ask = || -> Result<()> {
                let stream = &mut BufReader::new(connect(&self.listen)?);
                for _ in 0..KEPT {
                    stream.get_mut().write_all(self.request.as_bytes())?;
                    let answer = Answer::read(stream)?;
                    ensure!(answer == self.answer, "another answer than directly: {:?}", answer.head);
                    polite.answers.fetch_add(1, Ordering::Relaxed);
                    std::thread::park_timeout(Duration::from_millis(2));
                }
                Ok(())
            };
            let Err(error) = ask() else { continue };
            if downs.overlap(opened) {
                polite.excused.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(5));
            } else {
                polite.harmed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{error:#}"));
            }
        }
    }

    /// Errors are what these want.
    fn chaotic_client(&self, over: &AtomicBool, chaos: fn(&mut TcpStream, &str, usize) -> Result<()>) {
        for turn in 0.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let wild = connect(&self.listen).and_then(|mut s| chaos(&mut s, &self.request, turn));
            wild.ok();
            std::thread::park_timeout(Duration::from_millis(3));
        }
    }
}

// === impl Answer ===

impl Answer {
    fn read(stream: &mut BufReader<TcpStream>) -> Result<Answer> {
        let mut head = Vec::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            ensure!(stream.read_line(&mut line)? > 0, "the connection ended after {head:?}");
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("date" | "x-correlation-id" | "x-inference-time-ms", _)) => {}
                _ if line.is_empty() => break,
                _ => head.push(line),
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        // The time that a prediction took is another each time.
        if let Ok(mut json) = serde_json::from_slice::<BTreeMap<String, Value>>(&body) {
            json.remove("inference_time_ms");
            body = serde_json::to_vec(&json)?;
        }
        Ok(Answer { head, body })
    }
}

// === impl Downs ===

impl Downs {
    fn during(&self, restart: impl FnOnce() -> Result<()>) -> Result<()> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lock().push((Instant::now(), None));
        let restarted = restart();
        if let Some(last) = lock().last_mut() {
            last.1 = Some(Instant::now());
        }
        restarted
    }

    /// Whether something was down at any time since then.
    fn overlap(&self, since: Instant) -> bool {
        let downs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        downs.iter().any(|(_, up)| up.is_none_or(|up| up >= since))
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Leaves in the middle of a request, or of an answer, whose unread bytes make the end a reset.
fn vanishing(stream: &mut TcpStream, request: &str, turn: usize) -> Result<()> {
    if turn.is_multiple_of(2) {
        stream.write_all(format!("{PREDICT}content-length: 9000\r\n\r\nhalf").as_bytes())?;
    } else {
        stream.write_all(request.as_bytes())?;
        stream.read_exact(&mut [0; 20])?;
    }
    Ok(())
}

/// Sends a byte at a time and reads a few.
fn crawling(stream: &mut TcpStream, request: &str, _: usize) -> Result<()> {
    for byte in request.as_bytes().chunks(3) {
        stream.write_all(byte)?;
        std::thread::park_timeout(Duration::from_millis(1));
    }
    // A short answer is all there is to read.
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut some = [0; 4096];
    for _ in 0..50 {
        ensure!(stream.read(&mut some)? > 0, "it ended");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(())
}

/// Asks eight times at once, listens to some.
fn pipelining(stream: &mut TcpStream, request: &str, turn: usize) -> Result<()> {
    stream.write_all(request.repeat(8).as_bytes())?;
    let mut answers = BufReader::new(stream.try_clone()?);
    for _ in 0..turn % 9 {
        Answer::read(&mut answers)?;
    }
    Ok(())
}

fn babbling(stream: &mut TcpStream, _: &str, turn: usize) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(50)))?;
    stream.write_all(NONSENSE[turn % NONSENSE.len()])?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Asks the service to fail.
fn provoking(stream: &mut TcpStream, _: &str, turn: usize) -> Result<()> {
    let fault = FAULTS[turn % FAULTS.len()];
    stream.write_all(
        format!("{PREDICT}x-fault: {fault}\r\ncontent-length: {}\r\n\r\n{TEXT}", TEXT.len()).as_bytes(),
    )?;
    Answer::read(&mut BufReader::new(stream.try_clone()?))?;
    Ok(())
}
