//! When a sidecar is ready, and how it goes: told to stop, it serves on while endpoints drain, then lets exchanges end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::sync::{mpsc, watch};

/// After the drain: for handing over the last batches and for ending runtimes.
pub(crate) const HANDOVER_GRACE: Duration = Duration::from_secs(3);

/// How far a sidecar's life has come. It only ever advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Not every thread that it takes runs yet.
    Starting,
    /// Clients are served and recorded.
    Ready,
    /// Told to stop; clients are served still.
    Leaving,
    /// No more connections are accepted.
    Draining,
}

/// How long each part of the end may take.
#[derive(Clone, Copy, Debug)]
pub struct Farewell {
    /// How long connections are accepted still.
    pub linger: Duration,
    /// How long exchanges under way may take then.
    pub drain: Duration,
    /// Everything together, with writing what waits.
    pub budget: Duration,
}

/// Tells pingora to stop only when the data threads have drained.
pub(crate) struct Lifecycle {
    shutdown: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    ready: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    phase: watch::Sender<Phase>,
    /// Closed when every data thread has drained.
    drained: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
    farewell: Farewell,
    told: Arc<OnceLock<Instant>>,
}

// === impl Farewell ===

impl Farewell {
    /// What is left of the budget for writing; never nothing, since that would lose what a moment could save.
    pub(crate) fn left(&self, told: Option<&Instant>) -> Duration {
        let gone = told.map(Instant::elapsed).unwrap_or_default();
        self.budget.saturating_sub(gone).max(Duration::from_millis(500))
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Waits for `shutdown`, then ends as `farewell` says. `told` is when it was told to.
    pub(crate) fn new(
        shutdown: impl Future<Output = ()> + Send + 'static,
        ready: impl FnOnce() + Send + 'static,
        phase: watch::Sender<Phase>,
        drained: mpsc::Receiver<Infallible>,
        farewell: Farewell,
        told: Arc<OnceLock<Instant>>,
    ) -> Lifecycle {
        Lifecycle {
            shutdown: Mutex::new(Some(Box::pin(shutdown))),
            ready: Mutex::new(Some(Box::new(ready))),
            phase,
            drained: tokio::sync::Mutex::new(drained),
            farewell,
            told,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }
}

#[async_trait]
impl ShutdownSignalWatch for Lifecycle {
    async fn recv(&self) -> ShutdownSignal {
        let shutdown = self.shutdown.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut shutdown) = shutdown {
            // The first poll installs signal handlers: before it, a signal would kill the process.
            let early = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready())).await;
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
            self.enter(Phase::Ready);
            if let Some(ready) = ready {
                ready();
            }
            if !early {
                shutdown.await;
            }
        }
        self.told.get_or_init(Instant::now);
        let Farewell { linger, drain, .. } = self.farewell;
        if !linger.is_zero() {
            tracing::info!(?linger, "told to stop: not ready any more, connections are accepted for a while");
            self.enter(Phase::Leaving);
            tokio::time::sleep(linger).await;
        }
        tracing::info!("stopping: no more connections are accepted, exchanges under way may finish");
        self.enter(Phase::Draining);
        let mut drained = self.drained.lock().await;
        if tokio::time::timeout(drain + HANDOVER_GRACE, drained.recv()).await.is_err() {
            tracing::warn!("a data thread did not drain in time");
        }
        ShutdownSignal::GracefulTerminate
    }
}
