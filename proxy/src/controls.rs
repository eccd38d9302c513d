//! What can be asked of a running sidecar, by a signal or by the admin address.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::failure::Failure;
use crate::flight::{self, Asker, Note};
use crate::handover::{FreezeRequest, Order, Sender};
use crate::reload::Reloader;

/// How long the recorder may take to begin a freeze.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a running sidecar for things. Its calls may wait for the recorder: they are not for data threads.
#[derive(Clone)]
pub struct Controls {
    reloader: Arc<Reloader>,
    recorder: Sender,
    dir: Arc<PathBuf>,
    has_flight_recorder: bool,
}

/// What the flight recorder holds for good.
#[derive(Debug, Serialize)]
struct FlightPage {
    flight_recorder: bool,
    frozen: Vec<Note>,
}

// === impl Controls ===

impl Controls {
    pub(crate) fn new(
        reloader: Reloader,
        recorder: Sender,
        dir: PathBuf,
        has_flight_recorder: bool,
    ) -> Controls {
        Controls { reloader: Arc::new(reloader), recorder, dir: Arc::new(dir), has_flight_recorder }
    }

    /// Reads policy and rules again and takes them into use; the digest of the policy.
    ///
    /// # Errors
    ///
    /// What is wrong with them; the old ones stay.
    pub fn reload(&self) -> Result<String, Failure> {
        self.reloader.reload()
    }

    /// Freezes the flight recorder's ring into a capture of this name, or of one that is made up; says what it froze,
    /// as JSON.
    ///
    /// # Errors
    ///
    /// There is no flight recorder, the name is none or taken, the disk refuses.
    pub fn freeze(&self, name: Option<String>, asker: Asker) -> Result<String, Failure> {
        let (answer, answered) = std::sync::mpsc::channel();
        let late = || {
            Failure::Unavailable(
                "the recorder does not answer: it is behind, or has ended; try again".to_owned(),
            )
        };
        if !self.recorder.order(Order::Freeze(FreezeRequest { name, asker, answer }), PATIENCE) {
            return Err(late());
        }
        json(&answered.recv_timeout(PATIENCE).map_err(|_| late())??)
    }

    /// The frozen captures, as JSON.
    ///
    /// # Errors
    ///
    /// The captures directory cannot be read.
    pub fn frozen(&self) -> Result<String, Failure> {
        let frozen = flight::notes(&self.dir)
            .map_err(|error| Failure::Output(format!("cannot read the captures directory: {error}")))?;
        json(&FlightPage { flight_recorder: self.has_flight_recorder, frozen })
    }
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Bug(error.to_string()))
}
