//! A switch that ends a run early.

use std::sync::Arc;

use tokio::sync::watch;

/// Ends a run early when asked: nothing more is sent, what is under way is awaited, what is left is `not_sent`.
/// Clones are the same switch.
#[derive(Clone, Debug)]
pub struct Stop {
    switch: Arc<watch::Sender<bool>>,
}

/// A task's view of the switch.
pub(super) struct Stopped(watch::Receiver<bool>);

// === impl Stop ===

impl Stop {
    /// A switch that nobody has thrown yet.
    pub fn new() -> Stop {
        Stop { switch: Arc::new(watch::Sender::new(false)) }
    }

    /// Ends the run.
    pub fn request(&self) {
        self.switch.send_replace(true);
    }

    /// Whether the run is to end.
    pub fn is_requested(&self) -> bool {
        *self.switch.borrow()
    }

    pub(super) fn subscribe(&self) -> Stopped {
        Stopped(self.switch.subscribe())
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}

// === impl Stopped ===

impl Stopped {
    /// Returns once the switch is thrown.
    pub(super) async fn requested(&mut self) {
        if self.0.wait_for(|requested| *requested).await.is_err() {
            // Nobody can throw it any more.
            std::future::pending::<()>().await;
        }
    }
}
