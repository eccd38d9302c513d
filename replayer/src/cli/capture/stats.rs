//! `understudy capture stats`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use understudy_captures::capture::{Damage, Stats};
use understudy_captures::conservation::{Conservation, Drop};
use understudy_captures::{Capture, Exchange};

use super::text::{Shown, size, span};
use super::{Source, damage_json, print_damage, print_json, printed, unreadable};
use crate::cli::Failure;

/// Columns of the arrivals line.
const COLUMNS: usize = 60;
/// Distinct values counted of one thing; paths with ids in them could otherwise fill the memory.
const MAX_DISTINCT: usize = 10_000;
/// Values of one thing shown to people.
const SHOWN: usize = 10;
/// Width of the names in front of values.
const LABEL: usize = 15;

/// What reading all exchanges tells beyond the indexes.
struct Survey {
    stats: Stats,
    /// Exchanges read.
    exchanges: u64,
    /// Distinct connections: boot of the recorder and its number.
    connections: HashSet<(u64, u64)>,
    methods: Tally,
    paths: Tally,
    statuses: Tally,
    endings: Tally,
    /// Replacements by class.
    redactions: Tally,
    /// Exchanges with at least one replacement.
    redacted: u64,
    /// Bytes of request bodies and response bodies as recorded.
    request_bytes: u64,
    response_bytes: u64,
    /// Arrivals in equal parts of the time from first to last.
    arrivals: [u64; COLUMNS],
    /// Arrivals by second since the first.
    seconds: BTreeMap<u64, u64>,
    damage: Vec<Damage>,
}

/// How often each value occurred.
#[derive(Default)]
struct Tally {
    counts: HashMap<Vec<u8>, u64>,
    /// Values beyond [`MAX_DISTINCT`].
    others: u64,
}

pub(super) fn run(source: &Source, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let capture = source.open(out)?;
    let survey = Survey::of(&capture)?;
    printed(match source.json {
        true => print_json(&survey.to_json(), out),
        false => survey.print(out),
    })?;
    Ok(ExitCode::SUCCESS)
}

// === impl Survey ===

impl Survey {
    fn of(capture: &Capture) -> Result<Self, Failure> {
        let mut survey = Self {
            stats: capture.stats(),
            exchanges: 0,
            connections: HashSet::new(),
            methods: Tally::default(),
            paths: Tally::default(),
            statuses: Tally::default(),
            endings: Tally::default(),
            redactions: Tally::default(),
            redacted: 0,
            request_bytes: 0,
            response_bytes: 0,
            arrivals: [0; COLUMNS],
            seconds: BTreeMap::new(),
            damage: capture.damage().to_vec(),
        };
        let mut exchanges = capture.exchanges();
        for exchange in exchanges.by_ref() {
            survey.add(&exchange.map_err(unreadable)?);
        }
        survey.damage.extend_from_slice(exchanges.damage());
        Ok(survey)
    }

    fn add(&mut self, exchange: &Exchange) {
        self.exchanges += 1;
        // Connections are numbered within one boot, which the high half of the id names.
        self.connections.insert(((exchange.id.0 >> 64) as u64, exchange.connection));
        self.methods.add(&exchange.request.method, 1);
        self.paths.add(exchange.path(), 1);
        match &exchange.response {
            Some(response) => self.statuses.add(response.status.to_string().as_bytes(), 1),
            None => self.statuses.add(b"none", 1),
        }
        self.endings.add(exchange.ending.name().as_bytes(), 1);
        for redaction in &exchange.redactions {
            self.redactions.add(redaction.class.as_bytes(), redaction.count.into());
        }
        self.redacted += u64::from(!exchange.redactions.is_empty());
        self.request_bytes += exchange.request.body.bytes.len() as u64;
        self.response_bytes += exchange.response.as_ref().map_or(0, |r| r.body.bytes.len() as u64);
        let offset = exchange.arrival.since(self.stats.first.unwrap_or(exchange.arrival));
        let column = u128::from(offset) * COLUMNS as u128 / (u128::from(self.duration()) + 1);
        self.arrivals[(column as usize).min(COLUMNS - 1)] += 1;
        *self.seconds.entry(offset / 1_000_000_000).or_default() += 1;
    }

    /// Nanoseconds from the first to the last arrival.
    fn duration(&self) -> u64 {
        match (self.stats.first, self.stats.last) {
            (Some(first), Some(last)) => last.since(first),
            _ => 0,
        }
    }

    /// Exchanges a second from the first to the last arrival; `None` when all arrived at one instant.
    fn rate(&self) -> Option<f64> {
        let duration = self.duration();
        (duration > 0).then(|| self.exchanges as f64 * 1e9 / duration as f64)
    }

    /// Uncompressed over stored bytes of the records.
    fn ratio(&self) -> Option<f64> {
        let Stats { raw_bytes, stored_bytes, .. } = self.stats;
        (stored_bytes > 0).then(|| raw_bytes as f64 / stored_bytes as f64)
    }

    fn to_json(&self) -> Value {
        let stats = &self.stats;
        let mut map = Map::new();
        map.insert("exchanges".into(), self.exchanges.into());
        for (name, count) in fates(&stats.conservation) {
            map.insert(name.into(), count.into());
        }
        let rest = json!({
            "law_holds": stats.conservation.holds(),
            "first": stats.first.map(|instant| instant.to_string()),
            "last": stats.last.map(|instant| instant.to_string()),
            "duration_ns": self.duration(),
            "rate_per_s": self.rate(),
            "peak_per_s": self.seconds.values().max(),
            "dataset_id": stats.dataset_id,
            "segments": stats.segments,
            "bytes": stats.bytes,
            "raw_bytes": stats.raw_bytes,
            "stored_bytes": stats.stored_bytes,
            "compression_ratio": self.ratio(),
            "connections": self.connections.len(),
            "request_body_bytes": self.request_bytes,
            "response_body_bytes": self.response_bytes,
            "methods": self.methods.to_json(),
            "paths": self.paths.to_json(),
            "statuses": self.statuses.to_json(),
            "endings": self.endings.to_json(),
            "redacted_exchanges": self.redacted,
            "redactions": self.redactions.to_json(),
            "damage": self.damage.iter().map(damage_json).collect::<Vec<_>>(),
        });
        if let Value::Object(rest) = rest {
            map.extend(rest);
        }
        Value::Object(map)
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let stats = &self.stats;
        line(out, "dataset", &stats.dataset_id)?;
        line(out, "exchanges", format_args!("{} on {} connections", self.exchanges, self.connections.len()))?;
        if let (Some(first), Some(last)) = (stats.first, stats.last) {
            line(out, "first", first)?;
            line(out, "last", format_args!("{last} ({} later)", span(self.duration())))?;
        }
        if let Some(rate) = self.rate() {
            let peak = self.seconds.values().max().unwrap_or(&0);
            line(out, "rate", format_args!("{rate:.1}/s on average, {peak} in the busiest second"))?;
        }
        line(out, "arrivals", sparkline(&self.arrivals))?;
        let ratio =
            self.ratio().map(|ratio| format!(", records compressed {ratio:.1} to 1")).unwrap_or_default();
        line(out, "size", format_args!("{} in {} segments{ratio}", size(stats.bytes), stats.segments))?;
        let (requests, responses) = (size(self.request_bytes), size(self.response_bytes));
        line(out, "bodies", format_args!("{requests} of requests, {responses} of responses"))?;
        self.print_conservation(out)?;
        let tallies = [
            ("methods", &self.methods),
            ("paths", &self.paths),
            ("statuses", &self.statuses),
            ("endings", &self.endings),
            ("redactions", &self.redactions),
        ];
        for (name, tally) in tallies {
            tally.print(name, out)?;
        }
        if !self.damage.is_empty() {
            writeln!(out, "\nDAMAGED: what is below was left out; `capture verify` says more")?;
        }
        for damage in &self.damage {
            print_damage(damage, out)?;
        }
        out.flush()
    }

    fn print_conservation(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts = &self.stats.conservation;
        let law =
            if counts.holds() { "every request has exactly one fate" } else { "THE COUNTS DO NOT ADD UP" };
        line(out, "requests", law)?;
        for (name, count) in fates(counts).filter(|(name, count)| *count > 0 || ALWAYS_SHOWN.contains(name)) {
            writeln!(out, "{:LABEL$}{name:<16}{count:>12}", "")?;
        }
        Ok(())
    }
}

/// Shown to people even when zero.
const ALWAYS_SHOWN: [&str; 2] = ["seen", "recorded"];

/// Every counter of the law with its name, in its order.
fn fates(counts: &Conservation) -> impl Iterator<Item = (&'static str, u64)> {
    let before = [("carried_in", counts.carried_in), ("seen", counts.seen), ("recorded", counts.recorded)];
    let drops = Drop::ALL.map(|reason| (reason.name(), counts.count(reason)));
    before.into_iter().chain(drops).chain([("carried_out", counts.carried_out)])
}

fn line(out: &mut dyn Write, name: &str, value: impl fmt::Display) -> io::Result<()> {
    writeln!(out, "{name:<LABEL$}{value}")
}

/// Heights from nothing (a space) to the most.
fn sparkline(counts: &[u64]) -> String {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    counts.iter().map(|count| HEIGHTS[(count * 8).div_ceil(most) as usize]).collect()
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, value: &[u8], n: u64) {
        if let Some(count) = self.counts.get_mut(value) {
            *count += n;
        } else if self.counts.len() < MAX_DISTINCT {
            self.counts.insert(value.to_vec(), n);
        } else {
            self.others += n;
        }
    }

    /// Most frequent first.
    fn sorted(&self) -> Vec<(&[u8], u64)> {
        let mut counts: Vec<_> = self.counts.iter().map(|(value, count)| (&value[..], *count)).collect();
        counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        counts
    }

    fn to_json(&self) -> Value {
        let named =
            self.sorted().into_iter().map(|(value, count)| (Shown::line(value).to_string(), count.into()));
        let others = (self.others > 0).then(|| ("(others)".to_owned(), self.others.into()));
        Value::Object(named.chain(others).collect())
    }

    fn print(&self, name: &str, out: &mut dyn Write) -> io::Result<()> {
        let sorted = self.sorted();
        let mut label = name;
        for (value, count) in sorted.iter().take(SHOWN) {
            writeln!(out, "{label:<LABEL$}{count:>12}  {}", Shown::line(value))?;
            label = "";
        }
        let hidden: u64 = sorted.iter().skip(SHOWN).map(|(_, count)| count).sum();
        match hidden + self.others {
            0 => Ok(()),
            more => writeln!(out, "{label:<LABEL$}{more:>12}  (others)"),
        }
    }
}
