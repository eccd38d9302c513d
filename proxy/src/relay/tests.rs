//! The relay between real sockets: transparent to both ends, whatever they do.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::batch::Batch;
use crate::config::{QueueLimits, Scope};
use crate::handover::{Outlet, Parcel, queue};

mod pressure;

/// Far more than anything here takes; only a lock-up reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client, a service, and the relay between them.
struct Scene {
    client: TcpStream,
    service: TcpStream,
    relay: Arc<Relay>,
    outlet: Outlet,
    ledger: Arc<Ledger>,
    relayed: JoinHandle<()>,
}

// === impl Scene ===

impl Scene {
    async fn new() -> Scene {
        Scene::with(|_| {}).await
    }

    async fn with(prepare: impl FnOnce(&mut Desk)) -> Scene {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (relay, outlet, ledger) = relay_to(listener.local_addr().unwrap(), prepare);
        let (client, accepted) = connected().await;
        let relayed = tokio::spawn({
            let relay = relay.clone();
            async move { relay.relay(Client::new(accepted)).await }
        });
        let (service, _) = listener.accept().await.unwrap();
        Scene { client, service, relay, outlet, ledger, relayed }
    }

    /// Waits for the relay to end; the exchanges it recorded.
    async fn ended(self) -> (Vec<(Ending, String)>, Arc<Ledger>) {
        timeout(PATIENCE, self.relayed).await.expect("the relay ends").unwrap();
        self.relay.send_batch();
        let mut out = Vec::new();
        while let Some(Parcel::Batch(batch)) = self.outlet.next(Duration::ZERO) {
            out.extend(
                batch.observed().iter().map(|observed| (observed.ending, request_body(&batch, observed))),
            );
            self.ledger.recorded.inc_by(batch.len() as u64);
            self.outlet.give_back(batch);
        }
        assert!(self.ledger.totals().holds(), "{:?}", self.ledger.totals());
        assert_eq!(self.ledger.open_connections.get(), 0);
        (out, self.ledger)
    }
}

fn request_body(batch: &Batch, observed: &crate::batch::Observed) -> String {
    String::from_utf8_lossy(batch.request(observed).body).into_owned()
}

fn relay_to(service: SocketAddr, prepare: impl FnOnce(&mut Desk)) -> (Arc<Relay>, Outlet, Arc<Ledger>) {
    let ledger = Arc::new(Ledger::new());
    let limits = QueueLimits { batches: 64, bytes: 16 << 20 };
    let (sender, outlet) = queue(limits, &ledger);
    let scope = Arc::new(Scope { sample: 1.0, exclude: Vec::new(), max_body: 1 << 20 });
    let recording = Arc::new(AtomicBool::new(true));
    let mut desk = Desk::new(scope, ledger.clone(), recording, sender, limits, 1);
    prepare(&mut desk);
    let identity = Arc::new(Identity::new(1, 1.0));
    (Arc::new(Relay::new(service, Clock::start(), ledger.clone(), identity, desk)), outlet, ledger)
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}

async fn read_exactly(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("bytes come").unwrap();
    bytes
}

/// How a stream ends: the rest of its bytes, or the error.
async fn read_to_end(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the stream ends").map(|_| bytes)
}

const POST: &[u8] = b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

#[tokio::test]
async fn bytes_pass_unchanged_and_half_closes_pass_on() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    assert_eq!(read_exactly(&mut scene.service, POST.len()).await, POST);
    scene.client.shutdown().await.unwrap();
    assert_eq!(
        read_to_end(&mut scene.service).await.unwrap(),
        b"",
        "the service sees the client's half-close"
    );
    scene.service.write_all(OK).await.unwrap();
    assert_eq!(read_exactly(&mut scene.client, OK.len()).await, OK, "and can still answer");
    scene.service.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut scene.client).await.unwrap(), b"");
    let (out, _) = scene.ended().await;
    assert_eq!(out, [(Ending::Complete, "hello".to_owned())]);
}

fn pattern(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[tokio::test]
async fn a_service_that_writes_all_before_it_reads_does_not_lock_up_with_a_client_that_writes_too() {
    const LENGTH: usize = 32 << 20;
    let Scene { mut client, mut service, relayed, ledger, .. } = Scene::new().await;
    let (upload, answer) = (pattern(1, LENGTH), pattern(2, LENGTH));
    let at_client = async {
        let (mut read, mut write) = client.split();
        let mut received = Vec::new();
        let writing = async {
            write.write_all(&upload).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((), result) = tokio::join!(writing, read.read_to_end(&mut received));
        result.map(|_| received).unwrap()
    };
    let at_service = async {
        // The upload fills every buffer meanwhile; a relay that waits for it to go on never takes this answer.
        service.write_all(&answer).await.unwrap();
        service.shutdown().await.unwrap();
        let mut received = Vec::new();
        service.read_to_end(&mut received).await.unwrap();
        received
    };
    let both = async { tokio::join!(at_client, at_service) };
    let (at_client, at_service) = timeout(PATIENCE, both).await.expect("no lock-up");
    assert!(at_client == answer && at_service == upload, "every byte in its order");
    timeout(PATIENCE, relayed).await.expect("the relay ends").unwrap();
    assert_eq!((ledger.request_bytes.get(), ledger.response_bytes.get()), (LENGTH as u64, LENGTH as u64));
}

#[tokio::test]
async fn an_end_that_does_not_read_holds_the_other_back_and_not_the_memory() {
    let mut scene = Scene::new().await;
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // Until every buffer on the way is full; the relay keeps at most one read of it.
    while timeout(Duration::from_millis(300), scene.client.write_all(&piece)).await.is_ok() {
        sent += piece.len();
        assert!(sent < 1 << 30, "the relay takes without end");
    }
    assert!(scene.ledger.request_bytes.get() > 0);
    drop(scene.client);
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match timeout(PATIENCE, scene.service.read(&mut buffer)).await.expect("bytes come").unwrap() {
            0 => break,
            n => received += n,
        }
    }
    assert!(received >= sent);
}

#[tokio::test]
async fn a_reset_by_the_client_reaches_the_service_as_a_reset() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    let (client, unused) = connected().await;
    reset(std::mem::replace(&mut scene.client, client));
    drop(unused);
    let error = read_to_end(&mut scene.service).await.expect_err("a reset, not an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let (out, _) = scene.ended().await;
    assert_eq!(out, [(Ending::ClientAbort, "hello".to_owned())]);
}

#[tokio::test]
async fn a_reset_by_the_service_reaches_the_client_as_a_reset() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    let (service, unused) = connected().await;
    reset(std::mem::replace(&mut scene.service, service));
    drop(unused);
    let error = read_to_end(&mut scene.client).await.expect_err("a reset, not an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let (out, _) = scene.ended().await;
    assert_eq!(out, [(Ending::UpstreamReset, "hello".to_owned())]);
}

#[tokio::test]
async fn a_close_in_the_middle_of_a_body_passes_as_a_close() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    scene.service.write_all(&OK[..OK.len() - 1]).await.unwrap();
    drop(std::mem::replace(&mut scene.service, connected().await.0));
    assert_eq!(read_to_end(&mut scene.client).await.unwrap(), &OK[..OK.len() - 1]);
    drop(std::mem::replace(&mut scene.client, connected().await.0));
    let (out, _) = scene.ended().await;
    assert_eq!(out, [(Ending::UpstreamClosed, "hello".to_owned())]);
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_uploads() {
    let mut scene = Scene::new().await;
    let head = b"POST /p HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    scene.client.write_all(head).await.unwrap();
    read_exactly(&mut scene.service, head.len()).await;
    scene.service.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let answer = read_exactly(&mut scene.client, 12).await;
    assert_eq!(answer, b"HTTP/1.1 413");
    // The service hangs up on an upload that it will not read: without the sidecar, a reset.
    scene.client.write_all(&[0; 1000]).await.unwrap();
    scene.service.readable().await.unwrap();
    drop(std::mem::replace(&mut scene.service, connected().await.0));
    let mut client = std::mem::replace(&mut scene.client, connected().await.0);
    let upload = async {
        let piece = [0; 4096];
        while client.write_all(&piece).await.is_ok() {}
    };
    timeout(PATIENCE, upload).await.expect("the upload is broken off");
    let (out, _) = scene.ended().await;
    assert_eq!(out.len(), 1);
}

#[tokio::test]
async fn a_service_that_does_not_listen_is_a_reset_for_the_client() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (relay, _outlet, ledger) = relay_to(nobody, |_| {});
    let (mut client, accepted) = connected().await;
    relay.relay(Client::new(accepted)).await;
    let error = read_to_end(&mut client).await.expect_err("a reset, not an end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!((ledger.connect_failures.get(), ledger.totals().seen), (1, 0));
}

#[tokio::test]
async fn a_panic_of_the_tap_ends_recording_and_not_the_traffic() {
    let mut scene = Scene::with(|desk| desk.panic_on = Some(b"bad")).await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    scene.client.write_all(b"bad").await.unwrap();
    assert_eq!(read_exactly(&mut scene.service, 3).await, b"bad");
    scene.service.write_all(OK).await.unwrap();
    assert_eq!(read_exactly(&mut scene.client, OK.len()).await, OK);
    drop(std::mem::replace(&mut scene.client, connected().await.0));
    drop(std::mem::replace(&mut scene.service, connected().await.0));
    let (out, ledger) = scene.ended().await;
    assert_eq!(out, []);
    assert_eq!((ledger.panics.get(), ledger.totals().seen, ledger.totals().unparseable), (1, 1, 1));
}

#[tokio::test]
async fn draining_ends_idle_connections_and_lets_exchanges_finish() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    scene.relay.drain();
    scene.service.write_all(OK).await.unwrap();
    assert_eq!(read_to_end(&mut scene.client).await.unwrap(), OK, "the answer, then the close");
    let (out, _) = scene.ended().await;
    assert_eq!(out, [(Ending::Complete, "hello".to_owned())]);

    let idle = Scene::new().await;
    // A byte through and back shows that the relay waits on both ends.
    let Scene { mut client, mut service, relay, relayed, .. } = idle;
    client.write_all(POST).await.unwrap();
    read_exactly(&mut service, POST.len()).await;
    service.write_all(OK).await.unwrap();
    read_exactly(&mut client, OK.len()).await;
    relay.drain();
    timeout(PATIENCE, relayed).await.expect("an idle connection ends").unwrap();
}

#[tokio::test]
async fn a_connection_cut_by_the_end_of_draining_is_recorded_as_such() {
    let mut scene = Scene::new().await;
    scene.client.write_all(POST).await.unwrap();
    read_exactly(&mut scene.service, POST.len()).await;
    scene.relayed.abort();
    let Scene { relay, outlet, relayed, .. } = scene;
    assert!(timeout(PATIENCE, relayed).await.expect("the relay ends").unwrap_err().is_cancelled());
    relay.send_batch();
    let Some(Parcel::Batch(batch)) = outlet.next(Duration::ZERO) else { panic!("one exchange came out") };
    assert_eq!(batch.observed()[0].ending, Ending::Shutdown);
}

#[test]
fn sampling_takes_its_share_of_connections_and_always_the_same_ones() {
    let identity = Identity::new(42, 0.25);
    let taken = |identity: &Identity| (0..10_000).filter(|id| identity.is_sampled(*id)).collect::<Vec<u64>>();
    let sampled = taken(&identity);
    assert!((2300..2700).contains(&sampled.len()), "{}", sampled.len());
    assert_eq!(taken(&Identity::new(42, 0.25)), sampled);
    assert_ne!(taken(&Identity::new(43, 0.25)), sampled);
    assert_eq!(taken(&Identity::new(42, 1.0)).len(), 10_000);
    let wider = taken(&Identity::new(42, 0.5));
    assert!(sampled.iter().all(|id| wider.contains(id)), "a larger share contains the smaller one");
}
