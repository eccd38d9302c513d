//! The flight recorder as it was typed.

use std::time::Duration;

use crate::args::{duration, size};
use crate::failure::Failure;
use crate::flight::{FlightPlan, Trigger};

/// Shortest span: a segment is closed several times in it, and looked after once a flush.
const SHORTEST: Duration = Duration::from_secs(1);

/// Keeps the last minutes only, until something asks for them.
#[derive(Clone, Debug, clap::Args)]
pub struct FlightFlags {
    /// Keep only what is younger than this; a freeze keeps it for good, with as much after it
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_FLIGHT_RECORDER", value_parser = duration, help_heading = "Flight recorder")]
    pub flight_recorder: Option<Duration>,
    /// Keep no more than this, however young it is; frozen captures do not count
    #[arg(long, value_name = "BYTES", env = "UNDERSTUDY_FLIGHT_BYTES", default_value = "512MiB", value_parser = size, help_heading = "Flight recorder")]
    pub flight_bytes: u64,
    /// Freeze when this holds over --freeze-window: errors>5%, p99>500ms, 503>20 (answers), 5xx>20. Repeat it
    #[arg(
        long,
        value_name = "RULE",
        env = "UNDERSTUDY_FREEZE_WHEN",
        value_delimiter = ';',
        help_heading = "Flight recorder"
    )]
    pub freeze_when: Vec<String>,
    /// Over which time --freeze-when looks
    #[arg(long, value_name = "TIME", env = "UNDERSTUDY_FREEZE_WINDOW", default_value = "1m", value_parser = duration, help_heading = "Flight recorder")]
    pub freeze_window: Duration,
    /// Most frozen captures that may lie in CAPTURES/frozen; beyond it freezes are refused
    #[arg(
        long,
        value_name = "N",
        env = "UNDERSTUDY_FROZEN_LIMIT",
        default_value_t = 16,
        help_heading = "Flight recorder"
    )]
    pub frozen_limit: usize,
}

// === impl FlightFlags ===

impl FlightFlags {
    /// Checks the flags; `None` without --flight-recorder.
    ///
    /// # Errors
    ///
    /// What is wrong, with the way out.
    pub fn checked(&self) -> Result<Option<FlightPlan>, Failure> {
        let usage = |says: String| Err(Failure::Usage(says));
        let parse = |text: &String| {
            Trigger::parse(text).map_err(|says| Failure::Usage(format!("--freeze-when: {says}")))
        };
        let triggers = self.freeze_when.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let Some(span) = self.flight_recorder else {
            if !triggers.is_empty() {
                return usage(
                    "--freeze-when has nothing to freeze: give --flight-recorder 10m as well".to_owned(),
                );
            }
            return Ok(None);
        };
        if span < SHORTEST {
            return usage(format!("--flight-recorder {span:?} is shorter than {SHORTEST:?}"));
        }
        if self.freeze_window < SHORTEST {
            return usage(format!("--freeze-window {:?} is shorter than {SHORTEST:?}", self.freeze_window));
        }
        if self.flight_bytes == 0 || self.frozen_limit == 0 {
            return usage("--flight-bytes and --frozen-limit must not be 0".to_owned());
        }
        Ok(Some(FlightPlan {
            span,
            bytes: self.flight_bytes,
            frozen: self.frozen_limit,
            triggers,
            window: self.freeze_window,
        }))
    }
}
