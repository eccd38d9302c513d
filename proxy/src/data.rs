//! A data thread: accepts connections, relays them, hands batches over in time, drains at the end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::TcpListener;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::handover::Sender;
use crate::lifecycle::Phase;
use crate::relay::{Client, Relay};

/// A batch that is not full goes after this time.
const SEND_INTERVAL: Duration = Duration::from_millis(100);
/// After a failed accept, most often for want of descriptors: time for connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long the last batch may wait for room in the queue.
const LAST_BATCH_PATIENCE: Duration = Duration::from_secs(2);
/// A client that is gone without a word is noticed after a minute and a half; the service, whose own keep-alive
/// now ends at the sidecar, could not notice it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// One of the threads that move traffic; a pingora service with a runtime of its own.
pub(crate) struct DataThread {
    name: String,
    listener: Option<TcpListener>,
    relay: Arc<Relay>,
    sender: Sender,
    phases: watch::Receiver<Phase>,
    drain: Duration,
    /// Dropped when this thread has drained.
    holding: Option<mpsc::Sender<Infallible>>,
}

// === impl DataThread ===

impl DataThread {
    pub(crate) fn new(
        n: usize,
        listener: TcpListener,
        relay: Arc<Relay>,
        sender: Sender,
        phases: watch::Receiver<Phase>,
        drain: Duration,
        holding: mpsc::Sender<Infallible>,
    ) -> DataThread {
        let name = format!("data-{n}");
        DataThread { name, listener: Some(listener), relay, sender, phases, drain, holding: Some(holding) }
    }

    async fn serve(&self, listener: tokio::net::TcpListener, shutdown: &ShutdownWatch) {
        let mut phases = self.phases.clone();
        let mut connections = JoinSet::new();
        let mut ticks = interval(SEND_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.spawn(&mut connections, stream, shutdown),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = ticks.tick() => self.relay.send_batch(),
                Some(_) = connections.join_next() => {}
                () = drain_begun(&mut phases) => break,
            }
        }
        // Connections that the kernel completed before the listener closes were promised a service.
        while let Some(stream) = waiting(&listener).await {
            self.spawn(&mut connections, stream, shutdown);
        }
        drop(listener);
        self.relay.drain();
        let deadline = Instant::now() + self.drain;
        loop {
            tokio::select! {
                joined = timeout_at(deadline, connections.join_next()) => match joined {
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                },
                _ = ticks.tick() => self.relay.send_batch(),
            }
        }
        if !connections.is_empty() {
            tracing::warn!(connections = connections.len(), "cut at the end of the drain time");
        }
        connections.shutdown().await;
    }

    fn spawn(&self, connections: &mut JoinSet<()>, stream: TcpStream, shutdown: &ShutdownWatch) {
        let relay = self.relay.clone();
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            relay.process_new(Box::new(Client::new(stream)), &shutdown).await;
        });
    }

    /// Hands the last batch over once there is room for it.
    async fn send_last_batch(&self) {
        let deadline = Instant::now() + LAST_BATCH_PATIENCE;
        while !self.sender.is_drained() && Instant::now() < deadline {
            sleep(Duration::from_millis(2)).await;
        }
        self.relay.send_batch();
    }
}

/// Draining has begun.
async fn drain_begun(phases: &mut watch::Receiver<Phase>) {
    // An error means that the sidecar is gone, which ends this thread too.
    phases.wait_for(|phase| *phase == Phase::Draining).await.map(drop).ok();
}

/// A connection that waits to be accepted.
async fn waiting(listener: &tokio::net::TcpListener) -> Option<TcpStream> {
    poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
        Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Options that accepted connections inherit, so that none costs a call.
fn prepare(listener: &TcpListener) -> rustix::io::Result<()> {
    sockopt::set_tcp_nodelay(listener, true)?;
    sockopt::set_socket_keepalive(listener, true)?;
    sockopt::set_tcp_keepidle(listener, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(listener, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(listener, KEEPALIVE_PROBES)
}

#[async_trait]
impl Service for DataThread {
    async fn start_service(
        &mut self,
        _inherited: Option<ListenFds>,
        shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
    ) {
        let Some(listener) = self.listener.take() else { return };
        if let Err(error) = prepare(&listener) {
            tracing::warn!(%error, "connections go without TCP_NODELAY or keep-alive");
        }
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => self.serve(listener, &shutdown).await,
            Err(error) => tracing::error!(%error, "cannot listen"),
        }
        self.send_last_batch().await;
        self.holding = None;
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}
