//! Runs a sidecar from its sockets to its last footer.
//!
//! ```text
//! start     open the first segment -> recorder thread -> data threads accept -> ready
//! stop      serve on for `linger` -> stop accepting -> exchanges under way finish, at most `drain`
//!           -> the rest is ended `shutdown` -> queue drained -> footer -> return
//! ```
//!
//! pingora owns threads and runtimes; the waiting is done here, since its own grace period is a fixed sleep.

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use tokio::sync::{mpsc, watch};
use understudy_captures::Conservation;
use understudy_captures::segment::{Origin, Writer, WriterConfig};

use crate::admin::Admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::controls::Controls;
use crate::data::DataThread;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::handover::queue;
use crate::ledger::Ledger;
use crate::lifecycle::{Lifecycle, Phase};
use crate::recorder::{self, Recorder, Rooms};
use crate::relay::{Identity, Relay};
use crate::reload::{Bylaws, Reach, Reloader};
use crate::shipper::{Dock, Shipper};

/// Uncompressed size of a block: large enough to compress well, small beside the memory that is allowed.
const BLOCK_BYTES: usize = 256 * 1024;
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

/// Runs a sidecar until the future that `until` makes is ready, then drains and flushes it. Blocks; not to be called
/// inside a runtime. `ready` is called once, when a signal would be noticed and clients are accepted.
pub fn run<U: Future<Output = ()> + Send + 'static>(
    config: Config,
    sockets: Sockets,
    until: impl FnOnce(Controls) -> U,
    ready: impl FnOnce() + Send + 'static,
) -> Result<Summary, Failure> {
    let clock = Clock::start();
    let boot: u64 = rand::random();
    let ledger = Arc::new(Ledger::new());
    let recording = Arc::new(AtomicBool::new(config.record));
    ledger.recording.set(config.record.into());

    let origin = Origin {
        producer: concat!("understudy-proxy ", env!("CARGO_PKG_VERSION")).to_owned(),
        pod: config.store.pod.clone(),
        node: config.store.node.clone(),
        boot,
        key_id: config.key.id(),
        ..Origin::default()
    };
    let (scopes, scope) = watch::channel(Arc::new(config.rules.scope(config.max_body)));
    let bylaws = Bylaws::new(config.policy, config.rules, &config.key, &origin);
    let writer = Writer::create(WriterConfig {
        dir: config.store.dir.clone(),
        max_bytes: config.store.segment_bytes,
        max_age: config.store.segment_age,
        block_bytes: BLOCK_BYTES,
        origin: bylaws.origin.clone(),
        key: config.capture_key.clone(),
    })
    .map_err(|error| Failure::Output(format!("--captures: {error}")))?;
    let (sender, outlet) = queue(config.queue, &ledger);
    let gate = Arc::new(Gate::default());
    let desk = recorder::Desk {
        outlet,
        clock,
        boot,
        writer,
        flush_interval: config.store.flush_interval,
        ledger: ledger.clone(),
    };
    let recorder = Recorder::new(desk, bylaws);
    let dock = config.ship.as_ref().map(|shelf| Dock::new(shelf.name()));
    let rooms = Rooms {
        dir: config.store.dir.clone(),
        limits: config.limits,
        flight: config.flight.clone(),
        gate: gate.clone(),
        dock: dock.clone(),
        compat_metrics: config.compat_metrics,
    };
    let recorder_end = thread("recorder", move || recorder.run(rooms))?;
    let shipper_end = match (config.ship, &dock) {
        (Some(shelf), Some(dock)) => {
            let (dir, only_frozen) = (config.store.dir.clone(), config.flight.is_some());
            let shipper = Shipper::new(shelf, dir, only_frozen, dock.clone(), ledger.clone())
                .map_err(|error| Failure::Output(format!("--captures: the account of --ship: {error}")))?;
            Some(thread("shipper", move || shipper.run())?)
        }
        _ => None,
    };

    let (phase, phases) = watch::channel(Phase::Starting);
    let (holding, drained) = mpsc::channel::<Infallible>(1);
    let mut server = Server::new_with_opt_and_conf(None, server_conf());
    let identity = Arc::new(Identity::new(boot, scope.borrow().sample));
    for n in 0..config.threads {
        let listener = sockets
            .traffic
            .try_clone()
            .map_err(|error| Failure::Unavailable(format!("cannot share the listening socket: {error}")))?;
        let first_scope = scope.borrow().clone();
        let desk = Desk::new(
            first_scope,
            ledger.clone(),
            recording.clone(),
            sender.clone(),
            config.queue,
            config.threads,
        )
        .governed_by(gate.clone(), scope.clone());
        let relay = Arc::new(Relay::new(config.upstream, clock, ledger.clone(), identity.clone(), desk));
        server.add_service(DataThread::new(
            n,
            listener,
            relay,
            sender.clone(),
            phases.clone(),
            config.farewell.drain,
            holding.clone(),
        ));
    }
    let reach = Reach { scopes, identity, recorder: sender.clone(), ledger: ledger.clone() };
    let reloader = Reloader::new(config.sources, config.max_body, config.key, origin, reach);
    let controls = Controls::new(reloader, sender.clone(), config.store.dir, config.flight.is_some());
    let admin = Admin::new(sockets.admin, ledger.clone(), recording, phases, controls.clone(), dock.clone());
    server.add_service(admin);
    // Only the data threads hold on to it now.
    drop((sockets.traffic, holding));

    let told = Arc::new(OnceLock::new());
    let lifecycle = Lifecycle::new(until(controls), ready, phase, drained, config.farewell, told.clone());
    server.run(RunArgs { shutdown_signal: Box::new(lifecycle) });

    sender.stop();
    let grace = config.farewell.left(told.get());
    let flushed = recorder_end.recv_timeout(grace).is_ok();
    if !flushed {
        tracing::error!(?grace, "the captures directory does not take the last exchanges in time");
    }
    if let (Some(dock), Some(end)) = (&dock, shipper_end) {
        dock.last_call();
        end.recv_timeout(config.farewell.left(told.get())).ok();
        let waiting = dock.account().waiting;
        if waiting > 0 {
            tracing::warn!(
                waiting,
                "segments are not shipped yet; they are when a sidecar starts on this directory"
            );
        }
    }
    Ok(Summary { conservation: ledger.totals(), flushed })
}

/// Starts a thread; what it sends, or is dropped, when it ends.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Receiver<()>, Failure> {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            work();
            // Nobody waits any more when the grace is over.
            ended.send(()).ok();
        })
        .map(|_| end)
        .map_err(|error| Failure::Bug(format!("cannot start the thread {name}: {error}")))
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
