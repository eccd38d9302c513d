//! Runs a sidecar from its sockets to its last footer.
//!
//! ```text
//! start     open the first segment -> recorder thread -> data threads accept -> ready
//! stop      stop accepting -> exchanges under way finish, at most `drain` -> the rest is ended `shutdown`
//!           -> queue drained -> footer -> return
//! ```
//!
//! pingora owns threads and runtimes; the waiting is done here, since its own grace period is a fixed sleep.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use tokio::sync::{mpsc, watch};
use understudy_captures::segment::{Origin, Writer, WriterConfig};
use understudy_captures::{Conservation, Sanitizer};

use crate::admin::Admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::data::DataThread;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::handover::queue;
use crate::ledger::Ledger;
use crate::recorder::Recorder;
use crate::relay::{Identity, Relay};

/// Uncompressed size of a block: large enough to compress well, small beside the memory that is allowed.
const BLOCK_BYTES: usize = 256 * 1024;
/// After the drain: for handing over the last batches and for ending runtimes.
const HANDOVER_GRACE: Duration = Duration::from_secs(3);
/// For sanitizing and writing what waits once traffic is over; a disk that hangs must not hold the pod.
const RECORDER_GRACE: Duration = Duration::from_secs(10);

/// Sockets of a sidecar, bound before anything else happens so that a taken port is an error and not a log line.
#[derive(Debug)]
pub struct Sockets {
    traffic: TcpListener,
    admin: TcpListener,
}

/// What a sidecar did in its life.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Every request by fate.
    pub conservation: Conservation,
    /// Whether the last segment was written out in time.
    pub flushed: bool,
}

// === impl Sockets ===

impl Sockets {
    /// Binds both addresses.
    pub fn bind(config: &Config) -> Result<Sockets, Failure> {
        Ok(Sockets { traffic: bind("--listen", config.listen)?, admin: bind("--admin", config.admin)? })
    }

    /// Where clients connect.
    pub fn traffic_addr(&self) -> std::io::Result<SocketAddr> {
        self.traffic.local_addr()
    }

    /// Where metrics, health and the recording switch are.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }
}

fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let refused = |error: std::io::Error| {
        Failure::Unavailable(format!(
            "cannot listen on {flag} {address}: {error}; free the port or choose another"
        ))
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// Runs a sidecar until `shutdown` is ready, then drains and flushes it. Blocks; not to be called inside a runtime.
/// `ready` is called once, when a signal would be noticed and clients are accepted.
pub fn run(
    config: Config,
    sockets: Sockets,
    shutdown: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce() + Send + 'static,
) -> Result<Summary, Failure> {
    let clock = Clock::start();
    let boot: u64 = rand::random();
    let ledger = Arc::new(Ledger::new());
    let recording = Arc::new(AtomicBool::new(config.record));
    ledger.recording.set(config.record.into());

    let writer = Writer::create(WriterConfig {
        dir: config.store.dir.clone(),
        max_bytes: config.store.segment_bytes,
        max_age: config.store.segment_age,
        block_bytes: BLOCK_BYTES,
        origin: Origin {
            producer: concat!("understudy-proxy ", env!("CARGO_PKG_VERSION")).to_owned(),
            pod: config.store.pod.clone(),
            node: config.store.node.clone(),
            boot,
            policy: config.policy.digest(),
            key_id: config.key.id(),
            sample: config.scope.sample,
            derived: None,
        },
        key: config.capture_key.clone(),
    })
    .map_err(|error| Failure::Output(format!("--captures: {error}")))?;
    let (sender, outlet) = queue(config.queue, &ledger);
    let sanitizer = Sanitizer::new(config.policy, config.key);
    let recorder =
        Recorder::new(outlet, clock, boot, sanitizer, writer, config.store.flush_interval, ledger.clone());
    let (recorder_ended, recorder_end) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("recorder".to_owned())
        .spawn(move || {
            recorder.run();
            // Nobody waits any more when the grace is over.
            recorder_ended.send(()).ok();
        })
        .map_err(|error| Failure::Bug(format!("cannot start the recorder's thread: {error}")))?;

    let (drain, draining) = watch::channel(false);
    let (holding, drained) = mpsc::channel::<Infallible>(1);
    let mut server = Server::new_with_opt_and_conf(None, server_conf());
    let identity = Arc::new(Identity::new(boot, config.scope.sample));
    let scope = Arc::new(config.scope);
    for n in 0..config.threads {
        let listener = sockets
            .traffic
            .try_clone()
            .map_err(|error| Failure::Unavailable(format!("cannot share the listening socket: {error}")))?;
        let desk = Desk::new(
            scope.clone(),
            ledger.clone(),
            recording.clone(),
            sender.clone(),
            config.queue,
            config.threads,
        );
        let relay = Arc::new(Relay::new(config.upstream, clock, ledger.clone(), identity.clone(), desk));
        server.add_service(DataThread::new(
            n,
            listener,
            relay,
            sender.clone(),
            draining.clone(),
            config.drain,
            holding.clone(),
        ));
    }
    server.add_service(Admin::new(sockets.admin, ledger.clone(), recording, draining));
    // Only the data threads hold on to it now.
    drop((sockets.traffic, holding));

    server.run(RunArgs {
        shutdown_signal: Box::new(Lifecycle {
            shutdown: Mutex::new(Some(Box::pin(shutdown))),
            ready: Mutex::new(Some(Box::new(ready))),
            drain,
            drained: tokio::sync::Mutex::new(drained),
            patience: config.drain + HANDOVER_GRACE,
        }),
    });

    sender.stop();
    let flushed = recorder_end.recv_timeout(RECORDER_GRACE).is_ok();
    if !flushed {
        tracing::error!(grace = ?RECORDER_GRACE, "the captures directory does not take the last exchanges in time");
    }
    Ok(Summary { conservation: ledger.totals(), flushed })
}

/// Threads of their own per service, no sleeping on the way out, nothing in `/tmp`.
fn server_conf() -> ServerConf {
    ServerConf {
        work_stealing: false,
        threads: 1,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}

/// Tells pingora to stop only when the data threads have drained.
struct Lifecycle {
    shutdown: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    ready: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    drain: watch::Sender<bool>,
    /// Closed when every data thread has drained.
    drained: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
    patience: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Lifecycle {
    async fn recv(&self) -> ShutdownSignal {
        let take = |slot: &Mutex<Option<Box<dyn FnOnce() + Send>>>| {
            slot.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let shutdown = self.shutdown.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut shutdown) = shutdown {
            // The first poll installs signal handlers: before it, a signal would kill the process.
            let early = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
            if let Some(ready) = take(&self.ready) {
                ready();
            }
            if !early {
                shutdown.await;
            }
        }
        tracing::info!("stopping: no more connections are accepted, exchanges under way may finish");
        self.drain.send_replace(true);
        let mut drained = self.drained.lock().await;
        if tokio::time::timeout(self.patience, drained.recv()).await.is_err() {
            tracing::warn!("a data thread did not drain in time");
        }
        ShutdownSignal::GracefulTerminate
    }
}
