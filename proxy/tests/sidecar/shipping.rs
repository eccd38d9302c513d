//! Closed segments go to a store: one that works, one that fails and comes back, one that takes them without saying so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use understudy_captures::{Capture, CaptureKeys};

use crate::scene::{Binary, InProcess, Service, admin, ask, command, connect, eventually, metric, segments};

/// A store that speaks S3 and checks signatures (moto); `tests/run` installs it.
struct Store {
    child: Child,
    address: SocketAddr,
    key: String,
    secret: String,
}

impl Store {
    fn start() -> Store {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON")
            .map_or(root.join("target/python/bin/python"), PathBuf::from);
        let mut child = Command::new(python)
            .arg(root.join("tests/servers/s3_store.py"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests/run makes target/python");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.trim().split(' ').collect();
        let ["listening", "on", url, "key", key, "secret", secret] = words[..] else { panic!("{line}") };
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Store { child, address, key: key.to_owned(), secret: secret.to_owned() }
    }

    /// The variables of a client that goes through `line`.
    fn variables(&self, line: &Line) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", line.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret.clone()),
        ]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A line to the store that can be cut and mended.
struct Line {
    address: SocketAddr,
    state: Arc<AtomicU8>,
}

const OPEN: u8 = 0;
/// Connections end at once.
const CUT: u8 = 1;
/// Requests pass, their answers do not.
const MUTE: u8 = 2;

impl Line {
    fn to(store: SocketAddr, state: u8) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(AtomicU8::new(state));
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                std::thread::spawn(move || carry(&client, store, &state));
            }
        });
        Line { address, state }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

fn carry(client: &TcpStream, store: SocketAddr, state: &AtomicU8) {
    if state.load(Ordering::SeqCst) == CUT {
        return;
    }
    let Ok(server) = TcpStream::connect(store) else { return };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::copy(&mut &*client, &mut &server).ok();
            server.shutdown(std::net::Shutdown::Write).ok();
        });
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = (&server).read(&mut buffer) {
            if state.load(Ordering::SeqCst) == OPEN && (&mut &*client).write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        client.shutdown(std::net::Shutdown::Both).ok();
    });
}

const SHIP: [&str; 6] =
    ["--ship", "s3://captures/pods/", "--segment-age", "100ms", "--flush-interval", "50ms"];

fn start(service: &Service, captures: &Path, store: &Store, line: &Line) -> Binary {
    let mut command = command(service.address, captures);
    command.args(SHIP).envs(store.variables(line));
    Binary::start_command(command, service.address)
}

fn shipped(address: SocketAddr) -> u64 {
    metric(address, "understudy_proxy_shipped_segments_total")
}

/// Fetches all objects and reads them as one capture: its exchanges, whole and accounted for.
fn fetched(store: &Store, into: &Path) -> u64 {
    let script = "import boto3,os,sys\n\
        s=boto3.client('s3',endpoint_url=sys.argv[1])\n\
        for o in s.list_objects_v2(Bucket='captures').get('Contents',[]):\n  \
        s.download_file('captures',o['Key'],os.path.join(sys.argv[2],os.path.basename(o['Key'])))\n";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON")
        .map_or(root.join("target/python/bin/python"), PathBuf::from);
    std::fs::create_dir(into).unwrap();
    let status = Command::new(python)
        .args(["-c", script, &format!("http://{}", store.address)])
        .arg(into)
        .envs([("AWS_ACCESS_KEY_ID", &store.key), ("AWS_SECRET_ACCESS_KEY", &store.secret)])
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .status()
        .unwrap();
    assert!(status.success());
    let capture =
        Capture::open_found(understudy_captures::source::local(into).unwrap(), &CaptureKeys::none());
    let verification = capture.unwrap().verified().unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    assert!(verification.stats.conservation.holds());
    verification.read
}

#[test]
fn segments_arrive_whole_are_accounted_for_and_wait_out_a_store_that_is_gone() {
    let service = Service::start();
    let (store, dir) = (Store::start(), tempfile::tempdir().unwrap());
    let line = Line::to(store.address, CUT);
    let captures = dir.path().join("captures");
    let mut sidecar = start(&service, &captures, &store, &line);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    eventually("the failure shows", || metric(sidecar.admin, "understudy_proxy_ship_failures_total") > 0);
    let (status, page) = admin(sidecar.admin, "GET", "/recording");
    assert_eq!(status, 200, "a store that is gone is no failure of recording");
    assert!(
        page.contains("\"failing\":\"cannot connect") || page.contains("\"failing\":\"the connection"),
        "{page}"
    );
    assert!(!page.contains(&store.secret), "{page}");
    assert!(!segments(&captures).is_empty(), "nothing was deleted");

    line.set(OPEN);
    eventually("the store is tried again", || {
        ask(&mut client, "/predict", "{}");
        shipped(sidecar.admin) > 3
    });
    drop(client);
    let seen = metric(sidecar.admin, "understudy_proxy_requests_seen_total");
    sidecar.signal("TERM");
    assert_eq!(sidecar.ended().0, Some(0));
    let left: Vec<PathBuf> = segments(&captures).into_iter().filter(|path| path.ends_with(".ucap")).collect();
    assert!(left.is_empty(), "the last segment was shipped before the exit: {left:?}");
    assert_eq!(fetched(&store, &dir.path().join("fetched")), seen);
}

#[test]
fn a_kill_between_upload_and_delete_ends_with_one_copy_in_the_store() {
    let service = Service::start();
    let (store, dir) = (Store::start(), tempfile::tempdir().unwrap());
    let line = Line::to(store.address, MUTE);
    let captures = dir.path().join("captures");
    let mut sidecar = start(&service, &captures, &store, &line);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    eventually("the store has what the sidecar does not know of", || store_holds(&store));
    assert_eq!(shipped(sidecar.admin), 0);
    sidecar.child.kill().unwrap();
    sidecar.child.wait().unwrap();
    let before = segments(&captures).len();
    assert!(before >= 2, "the segment is still here, beside the journal");

    line.set(OPEN);
    let mut sidecar = start(&service, &captures, &store, &line);
    eventually("it is found there, compared and deleted", || shipped(sidecar.admin) >= 1);
    sidecar.signal("TERM");
    assert_eq!(sidecar.ended().0, Some(0));
    let journal = std::fs::read_to_string(captures.join("shipped.jsonl")).unwrap();
    let names: Vec<&str> = journal.lines().filter_map(|line| line.split("\"segment\":").nth(1)).collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), distinct.len(), "each is noted once: {journal}");
    assert_eq!(fetched(&store, &dir.path().join("fetched")), 1);
}

/// Asks past the line.
fn store_holds(store: &Store) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON")
        .map_or(root.join("target/python/bin/python"), PathBuf::from);
    let script = "import boto3,sys\n\
        s=boto3.client('s3',endpoint_url=sys.argv[1])\n\
        sys.exit(0 if s.list_objects_v2(Bucket='captures').get('KeyCount') else 1)\n";
    let status = Command::new(python)
        .args(["-c", script, &format!("http://{}", store.address)])
        .envs([("AWS_ACCESS_KEY_ID", &store.key), ("AWS_SECRET_ACCESS_KEY", &store.secret)])
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .status();
    status.unwrap().success()
}

#[test]
fn a_full_disk_sheds_recording_while_the_store_is_gone_and_traffic_goes_on() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let (captures, shelf) = (dir.path().join("captures"), dir.path().join("shelf"));
    std::fs::write(&shelf, "no directory").unwrap();
    let flags = [
        "--ship",
        shelf.to_str().unwrap(),
        "--disk-limit",
        "64KiB",
        "--segment-bytes",
        "16KiB",
        // Little waits at the end, however slow the sanitizer is here.
        "--queue",
        "2",
        "--flush-interval",
        "30ms",
    ];
    let sidecar = InProcess::start(service.address, &captures, &flags);
    let mut client = connect(sidecar.traffic);
    let mut n = 0_u64;
    eventually("the disk bound is reached", || {
        for _ in 0..20 {
            n += 1;
            // Texts that do not compress to nothing.
            let text: String = (0..200).map(|k| format!("{:x} ", (n * 7919 + k) * 2_654_435_761)).collect();
            assert_eq!(ask(&mut client, "/predict", &format!("{{\"text\":\"{text}\"}}")).len(), 20);
        }
        metric(sidecar.admin, "understudy_proxy_shed_total{limit=\"disk\"}") > 0
    });
    std::fs::remove_file(&shelf).unwrap();
    let recorded = || metric(sidecar.admin, "understudy_proxy_requests_total{fate=\"recorded\"}");
    let before = recorded();
    eventually("recording goes on once there is room", || {
        ask(&mut client, "/predict", "{}");
        recorded() > before
    });
    drop(client);
    let totals = sidecar.stop().conservation;
    assert!(totals.io_error > 0 && totals.holds(), "{totals:?}");
    let verification = Capture::verify(&[&shelf]).unwrap();
    assert!(verification.is_whole(), "{:?}", verification.findings);
    assert_eq!(verification.read, totals.recorded, "all that was recorded was shipped");
    assert_eq!(verification.stats.conservation.io_error, totals.io_error);
}

#[test]
fn of_a_flight_recorder_frozen_captures_are_shipped_and_the_ring_is_not() {
    let service = Service::start();
    let dir = tempfile::tempdir().unwrap();
    let (captures, shelf) = (dir.path().join("captures"), dir.path().join("shelf"));
    let flags = ["--flight-recorder", "1s", "--flush-interval", "30ms", "--ship", shelf.to_str().unwrap()];
    let sidecar = InProcess::start(service.address, &captures, &flags);
    let mut client = connect(sidecar.traffic);
    ask(&mut client, "/predict", "{}");
    assert_eq!(admin(sidecar.admin, "POST", "/flight-recorder/freeze?name=outage").0, 202);
    eventually("the frozen capture is shipped and gone from here", || {
        ask(&mut client, "/predict", "{}");
        shelf.join("outage").is_dir() && !captures.join("frozen/outage").exists()
    });
    drop(client);
    sidecar.stop();
    let verification = Capture::verify(&[shelf.join("outage")]).unwrap();
    assert!(verification.is_whole() && verification.read > 0, "{verification:?}");
    assert!(Capture::open(&[&shelf]).is_err(), "nothing of the ring is there");
}
