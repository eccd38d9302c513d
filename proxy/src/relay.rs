//! Relays connections: bytes go on as they come, each direction on its own, and the tap sees them afterwards.
//!
//! There is one connection to the service for each client connection, so what a client sees is what the service
//! sent: keep-alive, half-close, resets, header bytes, trailers, WebSocket, TLS and unknown protocols alike.
//!
//! - [`wire`]: the two ends.
//! - [`flow`]: one direction.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use understudy_captures::Ending;

use crate::clock::Clock;
use crate::desk::Desk;
use crate::filter::threshold;
use crate::ledger::{LATENCY_SAMPLE, Ledger};
use crate::relay::flow::{Flow, Passed, Turn};
use crate::relay::wire::{Upstream, Wire};
use crate::tap::{Reason, Tap};

mod flow;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use wire::Client;

/// Largest read. Shared by all connections of a thread, so it costs once and stays in the cache.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Relays the connections of one data thread.
pub(crate) struct Relay {
    upstream: SocketAddr,
    clock: Clock,
    ledger: Arc<Ledger>,
    identity: Arc<Identity>,
    bench: Mutex<Bench>,
}

/// Names connections, and says which are recorded.
pub(crate) struct Identity {
    boot: u64,
    next: AtomicU64,
    /// Connections whose hash is below this are recorded.
    threshold: AtomicU64,
}

/// What the connections of one data thread share. Never contended: they all run on that thread.
struct Bench {
    desk: Desk,
    scratch: Box<[u8]>,
    /// Of every open connection, to be woken when draining begins.
    wakers: HashMap<u64, Waker>,
    draining: bool,
    forwards: u32,
}

/// One relayed connection.
struct Session {
    relay: Arc<Relay>,
    id: u64,
    registered: bool,
    tap: Tap,
    client: Client,
    upstream: Upstream,
    /// From client to service.
    up: Flow,
    /// From service to client.
    down: Flow,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

// === impl Identity ===

impl Identity {
    /// Names connections of one run of the sidecar; `sample` of them are recorded.
    pub(crate) fn new(boot: u64, sample: f64) -> Identity {
        Identity { boot, next: AtomicU64::new(0), threshold: AtomicU64::new(threshold(sample)) }
    }

    /// From now on, `sample` of the connections that begin are recorded.
    pub(crate) fn sample(&self, sample: f64) {
        self.threshold.store(threshold(sample), Ordering::Relaxed);
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn is_sampled(&self, connection: u64) -> bool {
        let threshold = self.threshold.load(Ordering::Relaxed);
        threshold == u64::MAX || mix(self.boot ^ connection) < threshold
    }
}

/// SplitMix64's finalizer: neighbouring numbers get unrelated hashes.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

// === impl Relay ===

impl Relay {
    /// A relay to `upstream` whose taps put their exchanges on `desk`.
    pub(crate) fn new(
        upstream: SocketAddr,
        clock: Clock,
        ledger: Arc<Ledger>,
        identity: Arc<Identity>,
        desk: Desk,
    ) -> Relay {
        Relay {
            upstream,
            clock,
            ledger,
            identity,
            bench: Mutex::new(Bench {
                desk,
                scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
                wakers: HashMap::new(),
                draining: false,
                forwards: 0,
            }),
        }
    }

    /// Hands over what was collected, however little.
    pub(crate) fn send_batch(&self) {
        self.bench().desk.send();
    }

    /// Lets every connection end as soon as no exchange is under way on it.
    pub(crate) fn drain(&self) {
        let mut bench = self.bench();
        bench.draining = true;
        for waker in bench.wakers.values() {
            waker.wake_by_ref();
        }
    }

    async fn relay(self: &Arc<Self>, mut client: Client) {
        let _open = Open::count(&self.ledger);
        let upstream = match Upstream::connect(self.upstream).await {
            Ok(upstream) => upstream,
            Err(error) => {
                self.ledger.connect_failures.inc();
                tracing::debug!(%error, "the service cannot be reached");
                client.reset_on_close();
                return;
            }
        };
        let id = self.identity.next();
        let sampled = self.identity.is_sampled(id);
        if !sampled {
            self.ledger.sampled_out_connections.inc();
        }
        let mut session = Session {
            relay: self.clone(),
            id,
            registered: false,
            tap: Tap::new(id, sampled),
            client,
            upstream,
            up: Flow::default(),
            down: Flow::default(),
        };
        poll_fn(|cx| session.turn(cx)).await;
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        // Taps' panics are contained below the lock, so a poisoned one still holds what it should.
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection as open for as long as it lives, however it ends.
struct Open(Arc<Ledger>);

impl Open {
    fn count(ledger: &Arc<Ledger>) -> Open {
        ledger.connections.inc();
        ledger.open_connections.inc();
        Open(ledger.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open_connections.dec();
    }
}

#[async_trait]
impl ServerApp for Relay {
    async fn process_new(self: &Arc<Self>, session: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        // Not in one expression: a `dyn Any` must not live across the await.
        let Some(client) = session.into_any().downcast::<Client>().ok() else {
            tracing::error!("a stream that the sidecar did not accept; it is closed");
            return None;
        };
        self.relay(*client).await;
        None
    }
}

// === impl Session ===

impl Session {
    /// Moves what can be moved; ready when the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Session { relay, tap, client, upstream, up, down, .. } = self;
        let mut bench = relay.bench();
        if !self.registered {
            bench.wakers.insert(self.id, cx.waker().clone());
            self.registered = true;
        }
        let Bench { desk, scratch, forwards, draining, .. } = &mut *bench;
        let Relay { clock, ledger, .. } = &**relay;

        let mut observer = Observer { tap, desk, ledger, clock, forwards };
        let upward = up.turn(cx, client, upstream, down.is_broken(), scratch, clock, &mut |passed| {
            observer.passed(Direction::Request, passed);
        });
        if upward == Turn::SourceReset {
            upstream.reset_on_close();
            observer.end(Ending::ClientAbort);
            return Poll::Ready(());
        }
        if up.source_closed() {
            observer.tap.client_closed();
        }

        let downward = down.turn(cx, upstream, client, up.is_broken(), scratch, clock, &mut |passed| {
            observer.passed(Direction::Response, passed);
        });
        if downward == Turn::SourceReset {
            client.reset_on_close();
            observer.end(Ending::UpstreamReset);
            return Poll::Ready(());
        }
        if down.source_closed() && !up.is_broken() {
            observer.upstream_closed();
        }

        if upward == Turn::Over && downward == Turn::Over {
            // A write fails when the other end was reset; that is passed on once what it had sent is.
            if up.is_broken() {
                client.reset_on_close();
            }
            if down.is_broken() {
                upstream.reset_on_close();
            }
            observer.end(if down.is_broken() { Ending::ClientAbort } else { Ending::UpstreamReset });
            return Poll::Ready(());
        }
        if *draining && tap.is_idle() && up.is_empty() && down.is_empty() {
            return Poll::Ready(());
        }
        if upward == Turn::Yielding || downward == Turn::Yielding {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Session {
    /// A connection that is cut by the end of draining ends its exchanges so; one that is over has none left.
    fn drop(&mut self) {
        let mut bench = self.relay.bench();
        bench.wakers.remove(&self.id);
        let now = self.relay.clock.now();
        self.tap.end(Ending::Shutdown, now, &mut bench.desk);
    }
}

/// Shows a connection's tap what was passed on, and contains its panics.
struct Observer<'a> {
    tap: &'a mut Tap,
    desk: &'a mut Desk,
    ledger: &'a Ledger,
    clock: &'a Clock,
    forwards: &'a mut u32,
}

// === impl Observer ===

impl Observer<'_> {
    fn passed(&mut self, direction: Direction, passed: Passed<'_>) {
        let counter = match direction {
            Direction::Request => &self.ledger.request_bytes,
            Direction::Response => &self.ledger.response_bytes,
        };
        counter.inc_by(passed.bytes.len() as u64);
        *self.forwards = self.forwards.wrapping_add(1);
        let written_at = self.forwards.is_multiple_of(LATENCY_SAMPLE).then(|| self.clock.now());
        self.contained(|tap, desk| match direction {
            Direction::Request => tap.request(passed.bytes, passed.read_at, desk),
            Direction::Response => tap.response(passed.bytes, passed.read_at, desk),
        });
        if let Some(written_at) = written_at {
            let seconds = |nanos: u64| nanos as f64 / 1e9;
            self.ledger.forward_seconds.observe(seconds(written_at.saturating_sub(passed.read_at)));
            self.ledger.tap_seconds.observe(seconds(self.clock.now().saturating_sub(written_at)));
        }
    }

    fn upstream_closed(&mut self) {
        let now = self.clock.now();
        self.contained(|tap, desk| tap.upstream_closed(now, desk));
    }

    fn end(&mut self, ending: Ending) {
        let now = self.clock.now();
        self.contained(|tap, desk| tap.end(ending, now, desk));
    }

    /// A panic of the tap ends the recording of its connection and nothing else.
    fn contained(&mut self, work: impl FnOnce(&mut Tap, &mut Desk)) {
        let Observer { tap, desk, ledger, .. } = self;
        // What a panic leaves half done is the tap's own state, which is given up, and bytes at the end of the
        // batch's arena that no exchange refers to.
        if catch_unwind(AssertUnwindSafe(|| work(tap, desk))).is_err() {
            ledger.panics.inc();
            tap.give_up(Reason::Panic, desk);
        }
    }
}
