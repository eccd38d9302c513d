//! `understudy capture slice` and `merge`: new captures made of old ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use understudy_captures::CaptureKeys;
use understudy_captures::capture::{Choice, ClockEstimate, DeriveError, Lineage, Outcome};
use understudy_captures::segment::{Derived, Origin, WriterConfig};
use understudy_store::Destination;

use super::select::Filters;
use super::text::{size, span};
use super::{Source, damage_json, print_damage, print_json, printed, unreadable};
use crate::cli::Failure;

const PRODUCER: &str = concat!("understudy ", env!("CARGO_PKG_VERSION"));
/// Large enough to compress well; a merge of a hundred pods holds as many blocks of this size in memory.
const BLOCK_BYTES: usize = 256 * 1024;
/// Exchanges between two moves of the progress bar.
const STEP: u64 = 4096;

/// Where a new capture goes.
#[derive(Debug, clap::Args)]
struct Target {
    /// Directory of the new capture; created, and refused when it holds anything. Or a URL (s3://BUCKET/PREFIX/).
    /// With a key, the new capture is encrypted under it (the first, if several are given)
    #[arg(long, value_name = "DIR|URL")]
    out: PathBuf,
    /// Begin a new segment after this many MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    rotate: u64,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Where a new capture goes, checked, and what encrypts it.
struct Place {
    destination: Destination,
    keys: CaptureKeys,
}

/// Arguments of `slice`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  understudy capture slice captures/ --out bad/ --status 5xx --latency \">250ms\"
  understudy capture slice captures/ --out five-minutes/ --window +5m..+10m --path '/v1/**'
  understudy capture slice captures/ --out negative/ --label NEGATIVE --limit 1000

What is not selected is counted as `excluded`, so the counters of the slice still account for every request.")]
pub(super) struct SliceArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    filters: Filters,
}

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Clocks of several pods are compared by requests that carry one trace id on two of them (one pod calls the other);
a clock that this shows to be off is corrected. Without such requests nothing is corrected: use --offset."
)]
pub(super) struct MergeArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    target: Target,
    /// Add this to the clock of a pod, instead of an estimate: web-1=+12ms (repeat for each)
    #[arg(long, value_name = "POD=SPAN", value_parser = offset, allow_hyphen_values = true)]
    offset: Vec<(String, i64)>,
    /// Compare no clocks: correct what --offset says and nothing else
    #[arg(long)]
    trust_clocks: bool,
}

pub(super) fn slice(args: &SliceArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let capture = args.source.reading.open()?;
    let stats = capture.stats();
    let derived = Derived { by: "slice".into(), what: args.filters.to_string(), ..Derived::default() };
    let to = args.target.destination(&args.source)?;
    let config = to.config(&args.target, capture.derived_origin(PRODUCER, derived.clone()));
    let bar = args.target.bar(stats.exchanges, "slicing");
    let (first, last) = args.filters.window(stats.first.unwrap_or_default());
    let (mut read, mut kept) = (0, 0);
    let outcome = capture.slice(config, first, last, &mut |exchange| {
        read += 1;
        if read % STEP == 0 {
            bar.inc(STEP);
        }
        let choice = args.filters.choose(exchange, kept);
        kept += u64::from(choice == Choice::Keep);
        choice
    });
    bar.finish_and_clear();
    let outcome = outcome.map_err(failed)?;
    report(&outcome, &capture.lineage(), &derived, &[], to, args.source.json, out)
}

pub(super) fn merge(args: &MergeArgs, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let capture = args.source.reading.open()?;
    let stats = capture.stats();
    let lineage = capture.lineage();
    if let Some((pod, _)) = args.offset.iter().find(|(pod, _)| !lineage.pods.contains(pod)) {
        let pods: Vec<_> = lineage.pods.iter().map(String::as_str).collect();
        return Err(Failure::Usage(format!("no pod is called `{pod}`; there are: {}", pods.join(", "))));
    }
    args.target.destination(&args.source)?;
    let estimates = match args.trust_clocks {
        true => Vec::new(),
        false => {
            let bar = args.target.bar(stats.exchanges, "comparing clocks");
            let mut progress = stepped(&bar);
            let estimates = capture.clock_estimates(&mut progress).map_err(unreadable);
            bar.finish_and_clear();
            estimates?
        }
    };
    let mut corrections: BTreeMap<String, i64> =
        estimates.iter().map(|estimate| (estimate.pod.clone(), estimate.correction())).collect();
    corrections.extend(args.offset.iter().cloned());
    corrections.retain(|_, nanos| *nanos != 0);
    let what = format!("{} pods, by arrival", lineage.pods.len());
    let derived = Derived { by: "merge".into(), what, corrections, ..Derived::default() };
    let to = args.target.destination(&args.source)?;
    let config = to.config(&args.target, capture.derived_origin(PRODUCER, derived.clone()));
    let bar = args.target.bar(stats.exchanges, "merging");
    let mut progress = stepped(&bar);
    let outcome = capture.merge(config, &derived.corrections, &mut progress);
    bar.finish_and_clear();
    let outcome = outcome.map_err(failed)?;
    report(&outcome, &lineage, &derived, &estimates, to, args.source.json, out)
}

fn stepped(bar: &ProgressBar) -> impl FnMut(u64) {
    let mut waiting = 0;
    move |n| {
        waiting += n;
        if waiting >= STEP {
            bar.inc(std::mem::take(&mut waiting));
        }
    }
}

fn failed(error: DeriveError) -> Failure {
    match error {
        DeriveError::Read(error) => unreadable(error),
        DeriveError::Write(error) => Failure::Output(error.to_string()),
    }
}

fn offset(text: &str) -> Result<(String, i64), String> {
    let bad =
        || format!("`{text}` is no offset: write the pod and what to add to its clock, as in web-1=+12ms");
    let (pod, offset) = text.rsplit_once('=').ok_or_else(bad)?;
    let span: jiff::SignedDuration = offset.strip_prefix('+').unwrap_or(offset).parse().map_err(|_| bad())?;
    Ok((pod.to_owned(), i64::try_from(span.as_nanos()).map_err(|_| bad())?))
}

// === impl Target ===

impl Target {
    /// Refuses to overwrite.
    fn destination(&self, source: &Source) -> Result<Place, Failure> {
        let place =
            Destination::new(&self.out).map_err(|error| super::told(error.kind(), error.to_string()))?;
        let refused = |why: &dyn std::fmt::Display| {
            Failure::Output(format!("cannot write a capture to {}: {why}", self.out.display()))
        };
        match fs::read_dir(place.dir()).map(|mut entries| entries.next().is_some()) {
            Ok(true) => Err(refused(&"it holds something already; name a new directory")),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(&error)),
            _ => Ok(Place { destination: place, keys: source.reading.keys()? }),
        }
    }

    fn bar(&self, exchanges: u64, what: &'static str) -> ProgressBar {
        let hidden = self.quiet || !io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(exchanges), target).with_message(what);
        let style =
            ProgressStyle::with_template("{msg} {bar:40} {human_pos} of {human_len}, {per_sec}, {eta} left");
        style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
    }
}

// === impl Place ===

impl Place {
    fn config(&self, target: &Target, origin: Origin) -> WriterConfig {
        WriterConfig {
            dir: self.destination.dir().to_owned(),
            max_bytes: target.rotate.max(1).saturating_mul(1 << 20),
            max_age: Duration::MAX,
            block_bytes: BLOCK_BYTES,
            origin,
            key: self.keys.first().cloned(),
        }
    }
}

// === what was done ===

fn report(
    outcome: &Outcome,
    lineage: &Lineage,
    derived: &Derived,
    estimates: &[ClockEstimate],
    place: Place,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let Place { destination, keys } = place;
    let dataset = understudy_store::open(&[destination.dir()], &keys).map_err(unreadable)?.stats().dataset_id;
    let path = &*destination.name();
    destination
        .finish()
        .map_err(|(path, error)| Failure::Output(format!("cannot write {}: {error}", path.display())))?;
    printed(match as_json {
        true => print_json(&to_json(outcome, lineage, derived, estimates, path, &dataset), out),
        false => print(outcome, lineage, derived, estimates, path, &dataset, out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn print(
    outcome: &Outcome,
    lineage: &Lineage,
    derived: &Derived,
    estimates: &[ClockEstimate],
    path: &Path,
    dataset: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{} ({}) in {}", derived.by, derived.what, path.display())?;
    writeln!(out, "dataset {dataset}, {} written", size(outcome.bytes))?;
    let Outcome { exchanges, written, excluded, duplicates, lost, .. } = outcome;
    writeln!(
        out,
        "{written} of {exchanges} exchanges written, {excluded} excluded, {duplicates} duplicates dropped, {lost} lost to damage"
    )?;
    for estimate in estimates {
        writeln!(out, "clock of {}", told(estimate))?;
    }
    for (pod, nanos) in &derived.corrections {
        let sign = if *nanos < 0 { "-" } else { "+" };
        writeln!(out, "corrected: {pod} by {sign}{}", span(nanos.unsigned_abs()))?;
    }
    for (what, set) in [("policies", &lineage.policies), ("sanitizing keys", &lineage.key_ids)] {
        if set.len() > 1 {
            let names: Vec<_> = set.iter().map(String::as_str).collect();
            writeln!(out, "note: {} different {what}: {}", set.len(), names.join(", "))?;
        }
    }
    for damage in &outcome.damage {
        print_damage(damage, out)?;
    }
    out.flush()
}

fn told(estimate: &ClockEstimate) -> String {
    let ClockEstimate { pod, against, pairs, agreeing, ahead } = estimate;
    let signed = |nanos: i64| format!("{}{}", if nanos < 0 { "-" } else { "" }, span(nanos.unsigned_abs()));
    match ahead {
        Some((least, most)) => {
            format!(
                "{pod}: ahead of {against} by {} to {} ({agreeing} of {pairs} shared requests)",
                signed(*least),
                signed(*most)
            )
        }
        None if *pairs == 0 => {
            format!("{pod}: no request was seen on both it and {against}, so nothing is known")
        }
        None => {
            format!("{pod}: {pairs} requests were seen on both it and {against}, too few or in contradiction")
        }
    }
}

fn to_json(
    outcome: &Outcome,
    lineage: &Lineage,
    derived: &Derived,
    estimates: &[ClockEstimate],
    path: &Path,
    dataset: &str,
) -> Value {
    json!({
        "by": derived.by,
        "what": derived.what,
        "path": path.to_string_lossy(),
        "dataset_id": dataset,
        "bytes": outcome.bytes,
        "exchanges": outcome.exchanges,
        "written": outcome.written,
        "excluded": outcome.excluded,
        "duplicates": outcome.duplicates,
        "lost": outcome.lost,
        "conservation": outcome.conservation,
        "pods": lineage.pods,
        "policies": lineage.policies,
        "key_ids": lineage.key_ids,
        "clocks": estimates.iter().map(|e| json!({
            "pod": e.pod, "against": e.against, "pairs": e.pairs, "agreeing": e.agreeing, "ahead_ns": e.ahead,
        })).collect::<Vec<_>>(),
        "corrections_ns": derived.corrections,
        "damage": outcome.damage.iter().map(damage_json).collect::<Vec<_>>(),
    })
}
