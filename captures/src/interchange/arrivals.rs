//! Arrival traces of inference services, joined with texts into requests.
//!
//! Public traces tell when requests came and how long they were, and never what was in them. A file of texts and
//! the shape of a request make exchanges of them that a service can answer.
//!
//! - `texts`: the texts, and which of them an arrival gets.
//! - `template`: the request around a text.

mod template;
mod texts;

#[cfg(test)]
mod tests;

pub use template::{Template, TemplateError};
pub use texts::{Choice, Texts, TextsError};

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Format;
use super::import::{Found, Identity, ImportError, Reader};
use super::input::{Input, Line};
use super::notes::{Note, Notes, Place};
use crate::conservation::Drop;
use crate::exchange::{Ending, Exchange, ExchangeId, Stamp, Timing, UnixNanos};
use template::Filled;

/// Instant of the first arrival of a trace that counts from zero: 2000-01-01T00:00:00Z, which nobody takes for a
/// recording.
const EPOCH_OF_RELATIVE: u64 = 946_684_800_000_000_000;

/// Most tokens that a trace is believed to ask for; the largest models read a few million.
const MAX_TOKENS: u64 = 10_000_000;

/// What requests are made of.
#[derive(Debug)]
pub struct Synthesis {
    /// The texts.
    pub texts: Texts,
    /// The request around a text.
    pub template: Template,
}

/// Reads a trace.
pub struct Arrivals {
    input: Input,
    format: Format,
    /// Shared by the files of one import: the next one goes on in the texts.
    synthesis: Rc<RefCell<Synthesis>>,
    /// Where the columns are, of a CSV.
    columns: Option<Columns>,
    latest: u64,
}

#[derive(Clone, Copy, Debug)]
struct Columns {
    context: usize,
    generated: Option<usize>,
}

/// One arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrival {
    at: UnixNanos,
    input_tokens: u64,
    output_tokens: Option<u64>,
    has_blocks: bool,
}

#[derive(Deserialize)]
struct Mooncake {
    timestamp: f64,
    input_length: u64,
    #[serde(default)]
    output_length: Option<u64>,
    #[serde(default)]
    hash_ids: Vec<serde::de::IgnoredAny>,
}

// === impl Arrivals ===

impl Arrivals {
    /// Reads from the beginning of `input`.
    pub fn new(input: Input, format: Format, synthesis: Rc<RefCell<Synthesis>>) -> Arrivals {
        Arrivals { input, format, synthesis, columns: None, latest: 0 }
    }

    fn exchange(&mut self, arrival: Arrival, notes: &mut Notes) -> Exchange {
        let Arrival { at, input_tokens, output_tokens, has_blocks } = arrival;
        let place = Place::Line(self.input.line_number());
        if at.0 < self.latest {
            notes.at(Note::OutOfOrder, place);
        }
        self.latest = self.latest.max(at.0);
        if has_blocks {
            notes.add(Note::CacheBlocksDropped);
        }
        if self.format == Format::Mooncake {
            notes.add(Note::ClockMilli);
        }
        let mut synthesis = self.synthesis.borrow_mut();
        let text = synthesis.texts.next(input_tokens, notes);
        let Filled { request, has_output } = synthesis.template.fill(&text, input_tokens, output_tokens);
        if output_tokens.is_some() && !has_output {
            notes.add(Note::OutputLengthDropped);
        }
        Exchange {
            id: ExchangeId(0),
            connection: 0,
            index: 0,
            arrival: at,
            request,
            response: None,
            ending: Ending::Unobserved,
            timing: Timing::default(),
            chunks: Vec::new(),
            redactions: Default::default(),
            stamp: Stamp::default(),
            trace_id: None,
        }
    }
}

impl Reader for Arrivals {
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError> {
        loop {
            let read = match self.input.next_line()? {
                None => return Ok(None),
                Some(Line::TooLong) => Err((Note::OverLimit, Drop::OverLimit)),
                Some(Line::Text(line)) if line.trim_ascii().is_empty() => continue,
                Some(Line::Text(line)) => match (self.format, self.columns) {
                    (Format::Mooncake, _) => mooncake(line),
                    (_, Some(columns)) => azure(line, columns),
                    (_, None) => match Columns::parse(line) {
                        Some(columns) => {
                            self.columns = Some(columns);
                            continue;
                        }
                        None => Err(Note::Unreadable),
                    },
                }
                .map_err(|note| (note, Drop::Unparseable)),
            };
            return Ok(Some(match read {
                Ok(arrival) => Found::Exchange(Box::new(self.exchange(arrival, notes)), Identity::Unknown),
                Err((note, reason)) => {
                    notes.at(note, Place::Line(self.input.line_number()));
                    Found::Dropped(reason)
                }
            }));
        }
    }

    fn input(&self) -> &Input {
        &self.input
    }
}

// === impl Columns ===

impl Columns {
    /// Reads the names of the columns; the instant is the first.
    fn parse(line: &[u8]) -> Option<Columns> {
        let names: Vec<String> =
            std::str::from_utf8(line).ok()?.split(',').map(|name| cell(name).to_ascii_lowercase()).collect();
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        (names.first()? == "timestamp")
            .then(|| Some(Columns { context: find("contexttokens")?, generated: find("generatedtokens") }))
            .flatten()
    }
}

fn azure(line: &[u8], columns: Columns) -> Result<Arrival, Note> {
    let line = std::str::from_utf8(line).map_err(|_| Note::Unreadable)?;
    let column = |at: usize| line.split(',').nth(at).map(cell);
    let tokens = |at: usize| {
        column(at).and_then(|text| text.parse().ok()).filter(|n| *n <= MAX_TOKENS).ok_or(Note::Unreadable)
    };
    Ok(Arrival {
        at: column(0).and_then(instant).ok_or(Note::BadInstant)?,
        input_tokens: tokens(columns.context)?,
        output_tokens: columns.generated.map(tokens).transpose()?,
        has_blocks: false,
    })
}

fn mooncake(line: &[u8]) -> Result<Arrival, Note> {
    let Mooncake { timestamp, input_length, output_length, hash_ids } =
        serde_json::from_slice(line).map_err(|_| Note::Unreadable)?;
    // 2^53 milliseconds are far beyond any clock; nanoseconds must fit too.
    if !(0.0..=1.7e13).contains(&timestamp) {
        return Err(Note::BadInstant);
    }
    if input_length > MAX_TOKENS || output_length.is_some_and(|length| length > MAX_TOKENS) {
        return Err(Note::Unreadable);
    }
    let nanos = (timestamp * 1e6).round() as u64;
    // Published traces count from zero, some users' from the epoch.
    let at = if nanos < EPOCH_OF_RELATIVE { EPOCH_OF_RELATIVE + nanos } else { nanos };
    Ok(Arrival {
        at: UnixNanos(at),
        input_tokens: input_length,
        output_tokens: output_length,
        has_blocks: !hash_ids.is_empty(),
    })
}

fn cell(text: &str) -> &str {
    text.trim().trim_matches('"')
}

/// With an offset, or without one in UTC.
fn instant(text: &str) -> Option<UnixNanos> {
    let instant: Timestamp = match text.parse() {
        Ok(instant) => instant,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    u64::try_from(instant.as_nanosecond()).ok().map(UnixNanos)
}
