//! What became of one scheduled request, and everything that a run produced.

pub mod log;

use std::collections::HashMap;
use std::time::Duration;

use understudy_captures::UnixNanos;

use crate::answers::Preset;
use crate::certificate::Certificate;
use crate::plan::Plan;
use crate::schedule::Arrivals;

/// How a scheduled request ended. Every one has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A complete response with a status below 400.
    Ok,
    /// A complete response with a status of 400 or more.
    HttpError,
    /// No complete response within the deadline.
    Timeout,
    /// The connection could not be opened.
    ConnectError,
    /// The connection broke before the response was complete, or the response was not HTTP.
    Reset,
    /// Never sent: the run was stopped or the generator failed.
    NotSent,
}

/// What became of one scheduled request. Instants are nanoseconds on the monotonic clock since the run began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Index in [`Plan::candidates`].
    pub candidate: u16,
    /// Which pass, from 0.
    pub iteration: u16,
    /// Position of the exchange in the scheduled part of the capture, from 0: what pairs outcomes across candidates.
    pub exchange: u32,
    /// Sent and counted, but not judged.
    pub warmup: bool,
    /// How it ended.
    pub kind: Kind,
    /// Status code, 0 without a response.
    pub status: u16,
    /// When the schedule says it starts.
    pub intended: u64,
    /// When the generator took it up (began to write, or to open a connection). `dispatched - intended` is the lag.
    pub dispatched: u64,
    /// When it was handed to an open connection. `sent - dispatched` is what connecting took. Equal to `end` when that
    /// never happened.
    pub sent: u64,
    /// First byte of the response head; 0 without one.
    pub first_byte: u64,
    /// The end, whatever it was.
    pub end: u64,
    /// Body bytes received.
    pub received: u32,
    /// The connection had served before.
    pub reused: bool,
    /// Label and score, where the preset found them.
    pub answer: Option<Answer>,
}

/// What the model said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Index in [`Rehearsal::labels`].
    pub label: u16,
    /// The score, when there is one.
    pub score: Option<f32>,
}

/// What the recording says of one scheduled exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// The recorded answer, where the preset found one.
    pub answer: Option<Answer>,
    /// Sanitizing changed the input, so the recorded answer belongs to another text.
    pub input_changed: bool,
}

/// The capture that was replayed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Dataset {
    /// Content digest.
    pub id: String,
    /// Exchanges in the capture.
    pub exchanges: u64,
    /// Exchanges in the scheduled part.
    pub scheduled: u64,
    /// First arrival, RFC 3339.
    pub first: String,
    /// Last arrival, RFC 3339.
    pub last: String,
    /// Places in the capture that could not be read.
    pub damage: Vec<String>,
    /// Exchanges that cannot be repeated and were left out of the schedule, by reason, with their number.
    pub left_out: Vec<String>,
}

/// Everything a run produced: what the drive hands to the judge.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// Names the run and its directory.
    pub run_id: String,
    /// When it began.
    pub started: UnixNanos,
    /// How long it took.
    pub took: Duration,
    /// What was asked.
    pub plan: Plan,
    /// What was replayed.
    pub dataset: Dataset,
    /// Labels by index.
    pub labels: Vec<String>,
    /// What the schedule made of the recorded arrivals.
    pub arrivals: Arrivals,
    /// The recording's side, by [`Outcome::exchange`].
    pub recorded: Vec<Recorded>,
    /// One for every scheduled request, warm-up included, in no particular order.
    pub outcomes: Vec<Outcome>,
    /// By candidate.
    pub certificates: Vec<Certificate>,
    /// The run was stopped before its end.
    pub interrupted: bool,
}

/// Gives each label that is seen a number.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

// === impl Labels ===

impl Labels {
    /// Reads the answer in `body`, numbering its label. `None` when there is none, and for new labels once 65,535 are
    /// known: what has so many labels does not classify.
    pub fn answer(&mut self, preset: &Preset, body: &[u8]) -> Option<Answer> {
        let found = preset.answer(body)?;
        let label = match self.numbers.get(found.label.as_ref()) {
            Some(number) => *number,
            None => self.add(found.label.into_owned())?,
        };
        Some(Answer { label, score: found.score })
    }

    /// Labels by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Labels by number.
    pub fn into_names(self) -> Vec<String> {
        self.names
    }

    fn add(&mut self, name: String) -> Option<u16> {
        let number = u16::try_from(self.names.len()).ok().filter(|number| *number < u16::MAX)?;
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        Some(number)
    }
}

// === impl Outcome ===

impl Outcome {
    /// Lag in nanoseconds: actual start minus intended.
    pub fn lag(&self) -> u64 {
        self.dispatched.saturating_sub(self.intended)
    }

    /// Response time in nanoseconds: completion minus *intended*, so that waiting for a slow target counts.
    pub fn response_time(&self) -> u64 {
        self.end.saturating_sub(self.intended)
    }

    /// Service time in nanoseconds: completion minus actual send.
    pub fn service_time(&self) -> u64 {
        self.end.saturating_sub(self.sent)
    }

    /// Whether the request was answered well.
    pub fn is_ok(&self) -> bool {
        self.kind == Kind::Ok
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] =
        [Kind::Ok, Kind::HttpError, Kind::Timeout, Kind::ConnectError, Kind::Reset, Kind::NotSent];

    /// Name in metrics, JSON and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ok => "ok",
            Kind::HttpError => "http_error",
            Kind::Timeout => "timeout",
            Kind::ConnectError => "connect_error",
            Kind::Reset => "reset",
            Kind::NotSent => "not_sent",
        }
    }
}
