//! `understudy capture neutrality`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use understudy_captures::{Key, Policy, Sanitizer};

use super::{print_json, printed};
use crate::answers::Preset;
use crate::cli::Failure;
use crate::judge::latency::nearest_rank;
use crate::neutrality::Change;
use crate::neutrality::ask::{Comparison, Flips, Questions, Unavailable, ask};
use crate::neutrality::texts::{self, BadTexts, Place};
use crate::neutrality::tokens::Tokenizer;
use crate::plan::{Target, headers};

/// Sanitizes texts in memory, as a recorder would, and says what that changes.
///
/// With --against, asks a server about each text as it was and as it became, one right after the other in an order
/// drawn by --seed, and compares labels, scores and latency. Raw texts go to that server and nowhere else: they are not
/// stored, logged or printed.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Texts: one a line, or .tsv (--column) or .jsonl (--pointer); without it, the built-in samples
    #[arg(value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Column of a .tsv file, by the name in its first line
    #[arg(long, value_name = "NAME", conflicts_with = "pointer", requires = "texts")]
    column: Option<String>,
    /// JSON pointer to the text in each line of a .jsonl file
    #[arg(long, value_name = "POINTER", requires = "texts")]
    pointer: Option<String>,
    /// Policy file; without it, the built-in policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How free text is read, whatever the policy says
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Key file, for the replacements that its recorder draws; without it, a random key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// vocab.txt of BERT, or tokenizer.json with a WordPiece model; without it, that of bert-base-uncased
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Server to ask, as http://HOST:PORT
    #[arg(long, value_name = "URL")]
    against: Option<Target>,
    /// How the server is asked
    #[arg(long, value_name = "NAME", default_value = "kubesentiment", help_heading = "Asking", value_parser = Preset::named)]
    preset: Preset,
    /// Path to post to, if not the preset's
    #[arg(long, value_name = "PATH", requires = "against", help_heading = "Asking")]
    path: Option<String>,
    /// Field from an environment variable, NAME=VARIABLE, as in X-API-Key=API_KEY
    #[arg(long, value_name = "NAME=VARIABLE", requires = "against", help_heading = "Asking")]
    header_env: Vec<String>,
    /// Most texts to ask about, each twice; of more, so many are drawn
    #[arg(long, value_name = "N", default_value_t = 1_000, help_heading = "Asking")]
    count: usize,
    /// Texts asked about at the same time; 1 disturbs latency least
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Asking", value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// A request without a whole answer by then failed
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Asking", value_parser = duration)]
    timeout: Duration,
    /// Seed of the order and of intervals
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Asking")]
    seed: u64,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// What the detectors find is replaced
    Detectors,
    /// And so is every word that is not listed
    Vocabulary,
}

/// All that is printed.
struct Report {
    change: Change,
    comparison: Option<Comparison>,
    tokenizer: String,
    policy: String,
}

/// Runs the command.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let policy = policy(args)?;
    let key = match &args.key_file {
        Some(path) => Key::from_file(path).map_err(|error| Failure::Data(error.to_string()))?,
        None => Key::random(),
    };
    let tokenizer = match &args.tokenizer {
        Some(path) => Tokenizer::from_file(path).map_err(|error| Failure::Data(error.to_string()))?,
        None => Tokenizer::bert_uncased(),
    };
    let questions = args.against.as_ref().map(|target| questions(args, target)).transpose()?;
    let texts = texts(args)?;
    let digest = policy.digest();
    let mut sanitizer = Sanitizer::new(policy, key);
    let (change, pairs) = Change::of(texts, &mut sanitizer, &tokenizer);
    let comparison = match questions {
        Some(questions) => Some(ask(&pairs, &questions).map_err(unavailable)?),
        None => None,
    };
    let report = Report { change, comparison, tokenizer: tokenizer.name().to_owned(), policy: digest };
    printed(match args.json {
        true => print_json(&report.to_json(), out),
        false => report.print(out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn policy(args: &Args) -> Result<Policy, Failure> {
    let policy = match &args.policy {
        Some(path) => Policy::from_file(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => Policy::builtin(),
    };
    Ok(match args.mode {
        None => policy,
        Some(Mode::Detectors) => policy.in_detector_mode(),
        Some(Mode::Vocabulary) => policy.in_vocabulary_mode(),
    })
}

fn texts(args: &Args) -> Result<Vec<String>, Failure> {
    let Some(path) = &args.texts else { return Ok(texts::built_in()) };
    let kind = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let place = match (&args.column, &args.pointer) {
        (Some(column), _) => Place::Column(column.clone()),
        (_, Some(pointer)) => Place::Pointer(pointer.clone()),
        _ if kind == "tsv" => Place::Column("text".into()),
        _ if kind == "jsonl" => Place::Pointer("/text".into()),
        _ => Place::Line,
    };
    texts::read(path, &place).map_err(|error| match error {
        BadTexts::Unreadable { .. } => Failure::Input(error.to_string()),
        BadTexts::Line { .. } | BadTexts::Empty { .. } => Failure::Data(error.to_string()),
    })
}

fn questions(args: &Args, target: &Target) -> Result<Questions, Failure> {
    let path = match (&args.path, args.preset.path()) {
        (Some(path), _) if path.starts_with('/') && path.parse::<hyper::Uri>().is_ok() => path.clone(),
        (Some(path), _) => return Err(Failure::Usage(format!("--path {path}: write it as in /predict"))),
        (None, path) => path.unwrap_or("/").to_owned(),
    };
    let headers = headers(&[], &args.header_env).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Questions {
        target: target.clone(),
        path,
        preset: args.preset.clone(),
        headers,
        most: args.count,
        concurrency: usize::from(args.concurrency),
        timeout: args.timeout,
        seed: args.seed,
    })
}

fn unavailable(error: Unavailable) -> Failure {
    Failure::Unavailable(error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration: write a number and its unit, as in 10s or 500ms");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(duration).ok().filter(|duration| !duration.is_zero()).ok_or_else(bad)
}

// === impl Report ===

impl Report {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let change = &self.change;
        let share = |part: u64, of: u64| format!("{part} of {of} ({:.2} %)", percent(part, of));
        writeln!(out, "texts changed    {}", share(change.texts_changed, change.texts))?;
        writeln!(out, "words changed    {}", share(change.words_changed, change.words))?;
        writeln!(out, "length kept      {}", share(change.length_kept, change.texts))?;
        let [p50, p95, most] = self.token_shifts();
        writeln!(
            out,
            "tokens           {} before, {} after ({:+.2} %), by {}",
            change.tokens_raw,
            change.tokens_sanitized,
            self.token_change() * 100.0,
            self.tokenizer
        )?;
        writeln!(
            out,
            "tokens by text   {p50:+} median, {p95:+} p95, {most:+} most; the same in {}",
            share(change.tokens_same, change.texts)
        )?;
        for (class, count) in &change.classes {
            writeln!(out, "  {class:<14} {count}")?;
        }
        if let Some(comparison) = &self.comparison {
            print_comparison(comparison, out)?;
        }
        out.flush()
    }

    fn to_json(&self) -> Value {
        let change = &self.change;
        let [p50, p95, most] = self.token_shifts();
        json!({
            "policy_digest": self.policy,
            "texts": change.texts,
            "texts_changed": change.texts_changed,
            "words": change.words,
            "words_changed": change.words_changed,
            "length_kept": change.length_kept,
            "classes": change.classes,
            "tokens": {
                "tokenizer": self.tokenizer,
                "raw": change.tokens_raw,
                "sanitized": change.tokens_sanitized,
                "same": change.tokens_same,
                "shift": {"p50": p50, "p95": p95, "max": most},
            },
            "against": self.comparison.as_ref().map(comparison_json),
        })
    }

    /// Share of tokens that came to be.
    fn token_change(&self) -> f64 {
        let (raw, sanitized) = (self.change.tokens_raw as f64, self.change.tokens_sanitized as f64);
        if raw > 0.0 { sanitized / raw - 1.0 } else { 0.0 }
    }

    fn token_shifts(&self) -> [i64; 3] {
        let shifts = &self.change.token_shifts;
        [0.5, 0.95, 1.0]
            .map(|q| shifts.get(nearest_rank(shifts.len() as u64, q) as usize).copied().unwrap_or_default())
    }
}

fn print_comparison(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let mut flips = |name: &str, flips: &Flips| match flips.interval {
        None => writeln!(out, "{name} none compared"),
        Some((low, high)) => writeln!(
            out,
            "{name} {} of {} ({:.2} %; 95 %: {:.2} % to {:.2} %)",
            flips.flipped,
            flips.compared,
            percent(flips.flipped, flips.compared),
            low * 100.0,
            high * 100.0
        ),
    };
    flips("labels flipped  ", &comparison.changed)?;
    flips("  of unchanged  ", &comparison.unchanged)?;
    if let Some(shift) = &comparison.score_shift {
        let [p50, p95, p99, most] = shift.quantiles;
        writeln!(out, "score moved by   {p50:.4} median, {p95:.4} p95, {p99:.4} p99, {most:.4} most")?;
    }
    if let Some(latency) = &comparison.latency {
        let (mean, (low, high)) = latency.mean_difference_ms;
        let bound = |bound: Option<f64>| bound.map_or("?".to_owned(), |ms| format!("{ms:+.3}"));
        let interval = &latency.difference_interval;
        writeln!(
            out,
            "latency          {:.3} ms raw, {:.3} ms sanitized (medians)",
            latency.raw_ms, latency.sanitized_ms
        )?;
        writeln!(
            out,
            "  by text        {:+.3} ms median (95 %: {} to {}), {mean:+.3} ms mean (95 %: {low:+.3} to {high:+.3})",
            latency.difference_ms,
            bound(interval.low),
            bound(interval.high),
        )?;
    }
    for (kind, count) in &comparison.errors {
        writeln!(out, "no answer        {count} ({kind})")?;
    }
    Ok(())
}

fn comparison_json(comparison: &Comparison) -> Value {
    let flips = |flips: &Flips| {
        json!({
            "compared": flips.compared,
            "flipped": flips.flipped,
            "interval": flips.interval.map(|(low, high)| [low, high]),
        })
    };
    json!({
        "asked": comparison.asked,
        "changed": flips(&comparison.changed),
        "unchanged": flips(&comparison.unchanged),
        "score_shift": comparison.score_shift.map(|shift| json!({
            "count": shift.count,
            "p50": shift.quantiles[0],
            "p95": shift.quantiles[1],
            "p99": shift.quantiles[2],
            "max": shift.quantiles[3],
        })),
        "latency_ms": comparison.latency.map(|latency| json!({
            "raw_p50": latency.raw_ms,
            "sanitized_p50": latency.sanitized_ms,
            "difference_p50": latency.difference_ms,
            "difference_p50_interval": [latency.difference_interval.low, latency.difference_interval.high],
            "difference_mean": latency.mean_difference_ms.0,
            "difference_mean_interval": [latency.mean_difference_ms.1.0, latency.mean_difference_ms.1.1],
        })),
        "errors": comparison.errors,
    })
}

fn percent(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { 100.0 * part as f64 / of as f64 }
}
