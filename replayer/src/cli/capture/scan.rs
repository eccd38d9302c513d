//! `understudy capture scan`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use understudy_captures::capture::Damage;
use understudy_captures::exchange::Place;
use understudy_captures::sanitize::{Canaries, Leak, Scanner};
use understudy_captures::{Capture, ExchangeId, Policy};

use super::{Reading, damage_json, print_damage, print_json, printed, unreadable};
use crate::cli::Failure;

/// Something was found, or not everything could be searched.
const FOUND: u8 = 1;

/// The bar is moved after so many exchanges.
const STRIDE: u64 = 256;

const RESIDUAL: &str = "A scan finds what the detectors know and the canaries given. Names, places and stories told in plain words can\n\
                        stay undetected; only a vocabulary policy rules them out (docs/privacy.md).";

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A replacement looks like what it replaces (a card number for a card number). What a capture says it replaced \
    in the same exchange, part and class is counted as explained; everything else is a finding, and the exit code is 1.\n\n\
    Examples:\n  understudy capture scan captures/\n  understudy capture scan captures/ --canary 'Ada Lovelace' --canary canaries.txt"
)]
pub(super) struct Args {
    #[command(flatten)]
    reading: Reading,
    /// A text that must be nowhere, or a file of one a line; searched in any case, and in base64, percent-encoding and
    /// JSON escapes. May be repeated
    #[arg(long, value_name = "TEXT|FILE")]
    canary: Vec<String>,
    /// The policy that the capture was recorded under: how bodies are read, which texts were replaced as a whole
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// List at most so many findings; counts are always complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

/// What was found in all exchanges.
#[derive(Default)]
struct Report {
    exchanges: u64,
    counts: BTreeMap<(Place, &'static str), Count>,
    listed: Vec<(ExchangeId, Leak)>,
    findings: u64,
    explained: u64,
    notes: Vec<String>,
    damage: Vec<Damage>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    findings: u64,
    explained: u64,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let policy = super::policy::read(args.policy.as_deref())?;
    let canaries = canaries(&args.canary)?;
    let capture = args.reading.open()?;
    let mut report = Report { notes: notes(&capture, &policy), ..Report::default() };
    let mut scanner = Scanner::new(policy, canaries);
    let bar = bar(capture.stats().exchanges);
    let mut exchanges = capture.exchanges();
    for exchange in exchanges.by_ref() {
        let exchange = exchange.map_err(unreadable)?;
        report.add(exchange.id, scanner.scan(&exchange), args.limit);
        if report.exchanges.is_multiple_of(STRIDE) {
            bar.set_position(report.exchanges);
        }
    }
    bar.finish_and_clear();
    report.damage = capture.damage().iter().chain(exchanges.damage()).cloned().collect();
    printed(match args.json {
        true => print_json(&report.to_json(), out),
        false => report.print(out),
    })?;
    // The code stands even when nobody read the output to its end.
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// Canaries as given: texts, and the lines of files. Never quoted in an error.
fn canaries(given: &[String]) -> Result<Canaries, Failure> {
    let mut texts = Vec::new();
    for canary in given {
        let path = PathBuf::from(canary);
        if !path.is_file() {
            texts.push(canary.clone());
            continue;
        }
        let file = std::fs::read_to_string(&path);
        let file =
            file.map_err(|error| Failure::Input(format!("cannot read {}: {error}", path.display())))?;
        texts.extend(file.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    Canaries::new(&texts).map_err(|error| Failure::Usage(error.to_string()))
}

/// What makes explanations weaker.
fn notes(capture: &Capture, policy: &Policy) -> Vec<String> {
    let digest = policy.digest();
    let other =
        capture.segments().filter_map(|segment| segment.origin).filter(|o| o.policy != digest).count();
    match other {
        0 => Vec::new(),
        n => vec![format!(
            "{n} segments were recorded under another policy: give it with --policy, or replaced texts may pass for findings"
        )],
    }
}

fn bar(exchanges: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("scanning {wide_bar} {human_pos}/{human_len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(exchanges), ProgressDrawTarget::stderr_with_hz(5)).with_style(style)
}

// === impl Report ===

impl Report {
    fn add(&mut self, id: ExchangeId, leaks: Vec<Leak>, limit: usize) {
        self.exchanges += 1;
        for leak in leaks {
            let count = self.counts.entry((leak.place, leak.class)).or_default();
            if leak.explained {
                count.explained += 1;
                self.explained += 1;
                continue;
            }
            count.findings += 1;
            self.findings += 1;
            if self.listed.len() < limit {
                self.listed.push((id, leak));
            }
        }
    }

    fn is_clean(&self) -> bool {
        self.findings == 0 && self.damage.is_empty()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for damage in &self.damage {
            print_damage(damage, out)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        if !self.counts.is_empty() {
            writeln!(
                out,
                "{:16} {:15} {:>10} {:>24}",
                "place", "class", "findings", "explained replacements"
            )?;
        }
        for ((place, class), count) in &self.counts {
            writeln!(out, "{:16} {class:15} {:>10} {:>24}", place.name(), count.findings, count.explained)?;
        }
        if !self.listed.is_empty() {
            writeln!(out)?;
        }
        for (id, leak) in &self.listed {
            let class = name(leak);
            let at = super::text::Shown::line(leak.at.as_bytes());
            let byte = leak.offset.map_or(String::new(), |offset| format!(", byte {offset}"));
            writeln!(out, "exchange {id}: {class} in {}: {at}{byte}", leak.place.name())?;
        }
        let more = self.findings - self.listed.len() as u64;
        if more > 0 {
            writeln!(out, "and {more} more (--limit)")?;
        }
        writeln!(out)?;
        let (exchanges, explained) = (self.exchanges, self.explained);
        match self.findings {
            0 => writeln!(
                out,
                "clean: nothing unexplained in {exchanges} exchanges ({explained} explained by recorded redactions)"
            )?,
            n => writeln!(
                out,
                "LEAKS: {n} findings in {exchanges} exchanges ({explained} more explained by recorded redactions)"
            )?,
        }
        if !self.damage.is_empty() {
            writeln!(
                out,
                "NOT SEARCHED: {} damaged places; capture verify tells what is lost",
                self.damage.len()
            )?;
        }
        writeln!(out, "{RESIDUAL}")?;
        out.flush()
    }

    fn to_json(&self) -> Value {
        let counts = self.counts.iter().map(|((place, class), count)| {
            json!({
                "place": place.name(),
                "class": class,
                "findings": count.findings,
                "explained": count.explained,
            })
        });
        let listed = self.listed.iter().map(|(id, leak)| {
            json!({
                "exchange": id.to_string(),
                "class": leak.class,
                "canary": leak.canary,
                "place": leak.place.name(),
                "at": leak.at,
                "byte": leak.offset,
            })
        });
        json!({
            "clean": self.is_clean(),
            "exchanges": self.exchanges,
            "findings": self.findings,
            "explained": self.explained,
            "counts": counts.collect::<Vec<_>>(),
            "listed": listed.collect::<Vec<_>>(),
            "damage": self.damage.iter().map(damage_json).collect::<Vec<_>>(),
            "notes": self.notes,
            "residual_risk": RESIDUAL.replace('\n', " "),
        })
    }
}

fn name(leak: &Leak) -> String {
    match leak.canary {
        Some(number) => format!("canary {number}"),
        None => leak.class.to_owned(),
    }
}
