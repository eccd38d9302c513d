//! Which exchanges a slice keeps.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use globset::{GlobBuilder, GlobMatcher};
use serde_json::Value;
use understudy_captures::capture::Choice;
use understudy_captures::{Exchange, ExchangeId, UnixNanos};

use crate::answers::Preset;

/// What an exchange must be. Of one kind any of the values will do; of different kinds all must hold.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which exchanges")]
pub(super) struct Filters {
    /// Arrived in this time: RFC 3339 instants, or spans after the first arrival; either side may be left out
    #[arg(long, value_name = "FROM..TO", default_value = "..", hide_default_value = true)]
    window: Window,
    /// Path matches this pattern; * stays within one segment, ** does not (repeat for each)
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    path: Vec<GlobMatcher>,
    /// Method (repeat for each)
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Status: 404, 5xx, 200-299, none where no response came (repeat for each)
    #[arg(long, value_name = "STATUS")]
    status: Vec<Statuses>,
    /// From first byte of the request to the end: ">250ms", "<1s" (both may be given)
    #[arg(long, value_name = "LATENCY")]
    latency: Vec<Latency>,
    /// Trace id, 32 hex digits (repeat for each)
    #[arg(long, value_name = "ID", value_parser = hex)]
    trace_id: Vec<u128>,
    /// Exchange id, as `capture cat` prints it (repeat for each)
    #[arg(long, value_name = "ID", value_parser = hex)]
    id: Vec<u128>,
    /// The model answered this label (repeat for each)
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
    /// Where the label is in an answer: a preset (kubesentiment, tei, huggingface, vllm) or a JSON pointer
    #[arg(long, value_name = "PRESET|POINTER", default_value = "kubesentiment", value_parser = answers)]
    answers: Preset,
    /// A value in the JSON body of request or response: /model_name=distilbert, request:/explain=true (all must hold)
    #[arg(long = "where", value_name = "POINTER=VALUE")]
    place: Vec<Place>,
    /// Keep this share of the connections: 0.01, 5%; whole ones, and always the same
    #[arg(long, value_name = "SHARE", value_parser = share)]
    sample: Option<f64>,
    /// Stop after this many exchanges
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window(Edge, Edge);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Open,
    At(UnixNanos),
    /// Nanoseconds after the first arrival.
    After(u64),
}

/// A range of status codes; `None` is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Statuses(Option<(u16, u16)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Latency {
    Above(u64),
    Below(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    request: bool,
    response: bool,
    pointer: String,
    value: String,
}

// === impl Filters ===

impl Filters {
    /// First and last instant, when the first exchange arrived at `first`.
    pub(super) fn window(&self, first: UnixNanos) -> (UnixNanos, UnixNanos) {
        let at = |edge, open| match edge {
            Edge::Open => open,
            Edge::At(instant) => instant,
            Edge::After(nanos) => UnixNanos(first.0.saturating_add(nanos)),
        };
        (at(self.window.0, UnixNanos(0)), at(self.window.1, UnixNanos(u64::MAX)))
    }

    /// Whether `exchange` is kept, when `kept` were kept before it.
    pub(super) fn choose(&self, exchange: &Exchange, kept: u64) -> Choice {
        if self.limit.is_some_and(|limit| kept >= limit) {
            return Choice::Stop;
        }
        // From cheap to dear.
        let keep = any(&self.method, |m| exchange.request.method.eq_ignore_ascii_case(m.as_bytes()))
            && any(&self.id, |id| exchange.id == ExchangeId(*id))
            && any(&self.trace_id, |id| exchange.trace_id == Some(*id))
            && any(&self.status, |s| s.holds(exchange.response.as_ref().map(|r| r.status)))
            && self.latency.iter().all(|l| l.holds(exchange.timing.end))
            && self.sample.is_none_or(|share| sampled(exchange, share))
            && any(&self.path, |glob| glob.is_match(&*String::from_utf8_lossy(exchange.path())))
            && self.labelled(exchange)
            && self.place.iter().all(|place| place.holds(exchange));
        if keep { Choice::Keep } else { Choice::Leave }
    }

    fn labelled(&self, exchange: &Exchange) -> bool {
        if self.label.is_empty() {
            return true;
        }
        let answer = exchange.response.as_ref().and_then(|r| self.answers.answer(&r.body.bytes));
        answer.is_some_and(|answer| self.label.iter().any(|label| label.to_uppercase() == answer.label))
    }
}

/// Whether nothing is asked for, or one of `wanted` holds.
fn any<T>(wanted: &[T], holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(holds)
}

/// Whether the connection of an exchange is in the share: by its name, so that it is kept whole, in every slice.
fn sampled(exchange: &Exchange, share: f64) -> bool {
    let mut hasher = DefaultHasher::new();
    ((exchange.id.0 >> 64) as u64, exchange.connection).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64 <= share
}

// === values ===

fn glob(text: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|error| error.to_string())?;
    Ok(glob.compile_matcher())
}

fn hex(text: &str) -> Result<u128, String> {
    u128::from_str_radix(text, 16).map_err(|_| format!("`{text}` is not an id: write 32 hex digits"))
}

fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().ok().map(|number| number / whole);
    share
        .filter(|share| *share > 0.0 && *share <= 1.0)
        .ok_or_else(|| format!("`{text}` is not a share: write 0.01 or 1%"))
}

fn answers(text: &str) -> Result<Preset, String> {
    match text.starts_with('/') {
        true => Preset::rules(text, None).map_err(|error| error.to_string()),
        false => Preset::named(text).map_err(|error| error.to_string()),
    }
}

fn nanos(text: &str) -> Option<u64> {
    let span: jiff::SignedDuration = text.trim().parse().ok()?;
    u64::try_from(span.as_nanos()).ok()
}

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |part: &str| {
            format!(
                "`{part}` is no edge of a window: write +5m..+10m, or 2026-11-22T10:00:00Z..2026-11-22T10:05:00Z"
            )
        };
        let edge = |part: &str| match part.trim() {
            "" => Ok(Edge::Open),
            part => match part.strip_prefix('+').map_or_else(|| nanos(part), nanos) {
                Some(nanos) => Ok(Edge::After(nanos)),
                None => instant(part).map(Edge::At).ok_or_else(|| bad(part)),
            },
        };
        let (from, to) = text.split_once("..").ok_or_else(|| bad(text))?;
        let window = Window(edge(from)?, edge(to)?);
        match window {
            Window(Edge::At(from), Edge::At(to)) if from > to => Err("it ends before it begins".into()),
            Window(Edge::After(from), Edge::After(to)) if from > to => Err("it ends before it begins".into()),
            window => Ok(window),
        }
    }
}

fn instant(text: &str) -> Option<UnixNanos> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(instant.as_nanosecond()).ok().map(UnixNanos)
}

impl std::str::FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = |text: &str| text.parse::<u16>().ok().filter(|code| (100..1000).contains(code));
        let range = match (text, text.split_once('-'), text.strip_suffix("xx")) {
            ("none", ..) => return Ok(Self(None)),
            (_, Some((low, high)), _) => code(low).zip(code(high)),
            (_, _, Some(class)) => {
                class.parse::<u16>().ok().filter(|c| (1..10).contains(c)).map(|c| (c * 100, c * 100 + 99))
            }
            _ => code(text).map(|code| (code, code)),
        };
        let range = range.filter(|(low, high)| low <= high);
        range.map(|range| Self(Some(range))).ok_or_else(|| "write 404, 5xx, 200-299 or none".into())
    }
}

impl Statuses {
    fn holds(self, status: Option<u16>) -> bool {
        match (self.0, status) {
            (Some((low, high)), Some(status)) => (low..=high).contains(&status),
            (wanted, status) => wanted.is_none() && status.is_none(),
        }
    }
}

impl std::str::FromStr for Latency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let above = text.strip_prefix('>').and_then(nanos).map(Self::Above);
        let below = || text.strip_prefix('<').and_then(nanos).map(Self::Below);
        above.or_else(below).ok_or_else(|| "write \">250ms\" or \"<1s\", in quotes for the shell".into())
    }
}

impl Latency {
    fn holds(self, nanos: u64) -> bool {
        match self {
            Self::Above(limit) => nanos > limit,
            Self::Below(limit) => nanos < limit,
        }
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (request, response, rest) = match (text.strip_prefix("request:"), text.strip_prefix("response:"))
        {
            (Some(rest), _) => (true, false, rest),
            (_, Some(rest)) => (false, true, rest),
            _ => (true, true, text),
        };
        let parts = rest.split_once('=').filter(|(pointer, _)| pointer.starts_with('/'));
        let (pointer, value) = parts.ok_or("write a JSON pointer and a value: /model_name=distilbert")?;
        Ok(Self { request, response, pointer: pointer.to_owned(), value: value.to_owned() })
    }
}

impl Place {
    fn holds(&self, exchange: &Exchange) -> bool {
        let found = |body: &[u8]| {
            let document: Option<Value> = serde_json::from_slice(body).ok();
            document.as_ref().and_then(|document| document.pointer(&self.pointer)).is_some_and(|value| {
                match value.as_str() {
                    Some(text) => text == self.value,
                    // A number or a truth value is compared by how it is written.
                    None => serde_json::to_string(value).is_ok_and(|text| text == self.value),
                }
            })
        };
        let response = exchange.response.as_ref().filter(|_| self.response);
        (self.request && found(&exchange.request.body.bytes))
            || response.is_some_and(|r| found(&r.body.bytes))
    }
}

/// What was asked for, as it would be written again.
impl fmt::Display for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edge = |edge: Edge| match edge {
            Edge::Open => String::new(),
            Edge::At(instant) => instant.to_string(),
            Edge::After(nanos) => format!("+{}", super::text::span(nanos)),
        };
        let mut parts = vec![format!("window {}..{}", edge(self.window.0), edge(self.window.1))];
        parts.extend(self.path.iter().map(|glob| format!("path {}", glob.glob().glob())));
        parts.extend(self.method.iter().map(|method| format!("method {method}")));
        parts.extend(self.status.iter().map(|status| match status.0 {
            Some((low, high)) => format!("status {low}-{high}"),
            None => "status none".to_owned(),
        }));
        parts.extend(self.latency.iter().map(|latency| match latency {
            Latency::Above(nanos) => format!("latency >{}", super::text::span(*nanos)),
            Latency::Below(nanos) => format!("latency <{}", super::text::span(*nanos)),
        }));
        parts.extend(self.trace_id.iter().map(|id| format!("trace {id:032x}")));
        parts.extend(self.id.iter().map(|id| format!("exchange {id:032x}")));
        parts.extend(self.label.iter().map(|label| format!("label {label} by {}", self.answers.name())));
        parts.extend(self.place.iter().map(|place| format!("where {}={}", place.pointer, place.value)));
        parts.extend(self.sample.map(|share| format!("sample {share}")));
        parts.extend(self.limit.map(|limit| format!("limit {limit}")));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests;
