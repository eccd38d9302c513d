//! The whole story on one machine: record, sanitize, rehearse, judge.
//!
//! Nothing here is staged. A stand-in serves, the real sidecar records it, real arrivals and real texts are sent, and
//! the capture is rehearsed by the same code as `understudy replay`; every number that is shown comes from this run.
//! Only the hardware is played: the stand-ins model load and measure none.
//!
//! # Layout
//!
//! - `cast`: who plays, and what the rehearsal asks of them.
//! - `programs`: the other programs, found beside this one and ended whatever happens.
//! - `person`, `script`: what is said, when, and by which made-up people.
//! - `traffic`: sends it.
//! - `review`: what the sidecar made of it.
//! - `teller`: how it is told.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use understudy_captures::capture::CaptureError;

use crate::drive::{self, DriveError, Progress, Stop};
use crate::judge::gate::Gate;
use crate::judge::{CandidateJudgement, Judgement, Role, Verdict, judge, words};
use crate::outcome::Rehearsal;
use crate::plan::PlanError;
use crate::report::{self, ReportError};

mod cast;
mod person;
mod programs;
mod review;
mod script;
mod teller;
mod traffic;

pub use programs::ProgramError;
pub use teller::Teller;

use cast::{CANDIDATES, PRODUCTION, SLO_P95_MS, SPEED};
use programs::{Programs, Running};
use review::Review;
use script::Script;
use traffic::Sent;

/// How much faster than recorded the traffic comes, so that nearly nine minutes of it fit into nine seconds.
const SQUEEZE: f64 = 60.0;
/// Seed of the script. A demo that is the same each time can be talked about.
const SEED: u64 = 1;
/// How long the sidecar may take to drain and to write its last exchanges.
const DRAIN: Duration = Duration::from_secs(10);

/// What the demo found, for machines.
#[derive(Debug, Serialize)]
pub struct Story {
    traffic: Sent,
    capture: Review,
    /// The run's verdict.
    pub verdict: Verdict,
    /// Where everything is.
    pub folder: PathBuf,
    report: PathBuf,
    candidates: Vec<Played>,
    took_s: f64,
}

/// How a candidate did.
#[derive(Debug, Serialize)]
struct Played {
    stands_for: &'static str,
    #[serde(flatten)]
    judgement: CandidateJudgement,
}

/// Why the demo was not told to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program is missing, or did not run as it should.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A folder cannot be made.
    #[error("cannot create {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Standard output is closed, or the system refused a thread.
    #[error("cannot go on: {0}")]
    Io(#[from] io::Error),
    /// The sidecar's capture cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The demo's own plan is wrong.
    #[error("the demo's plan is refused: {0}")]
    Plan(#[from] PlanError),
    /// The rehearsal could not be carried out.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Somebody asked to stop.
    #[error("stopped before its end")]
    Stopped,
}

/// Tells the story below `out`, in a folder of its own. Everything that was started has ended when this returns.
pub fn tell(out: &Path, teller: &mut Teller<'_>, stop: &Stop) -> Result<Story, DemoError> {
    let begun = Instant::now();
    let stage = Stage::set(out)?;
    let script = Script::write(SEED);
    let sent = stage.record(&script, teller, stop)?;
    let review = Review::of(&stage.captures, &script)?;
    tell_capture(&review, &sent, teller)?;
    let (rehearsal, judgement) = stage.rehearse(teller, stop)?;
    let report = report::write(&rehearsal.dir(), &rehearsal, &judgement)?.html;
    tell_verdict(&judgement, teller)?;
    teller.gap()?;
    teller.line(&format!("report   {}", report.display()))?;
    teller.line(&format!("capture  {}", stage.captures.display()))?;
    let took = begun.elapsed();
    teller.line(&format!(
        "This took {:.0} s. The hardware was played by stand-ins, which model load and measure none; everything else was real.",
        took.as_secs_f64()
    ))?;
    let candidates = judgement.candidates.into_iter().zip(CANDIDATES);
    Ok(Story {
        traffic: sent,
        capture: review,
        verdict: judgement.verdict,
        folder: stage.folder,
        report,
        candidates: candidates
            .map(|(judgement, part)| Played { stands_for: part.stands_for, judgement })
            .collect(),
        took_s: took.as_secs_f64(),
    })
}

/// Folders and programs of one demo.
struct Stage {
    folder: PathBuf,
    captures: PathBuf,
    runs: PathBuf,
    programs: Programs,
}

// === impl Stage ===

impl Stage {
    fn set(out: &Path) -> Result<Stage, DemoError> {
        let folder = out.join(jiff::Timestamp::now().strftime("demo-%Y%m%dT%H%M%SZ").to_string());
        // Looked for first: without them there is nothing to leave behind.
        let logs = folder.join("logs");
        let programs = Programs::find(&logs)?;
        std::fs::create_dir_all(&logs).map_err(|source| DemoError::Folder { path: logs, source })?;
        Ok(Stage { captures: folder.join("captures"), runs: folder.join("runs"), folder, programs })
    }

    /// Steps 1 and 2: production behind the sidecar, and its traffic.
    fn record(&self, script: &Script, teller: &mut Teller<'_>, stop: &Stop) -> Result<Sent, DemoError> {
        teller.step("Production: a sentiment service behind the recording sidecar")?;
        let production = self.programs.sentiment("recorded-production", PRODUCTION.args)?;
        let sidecar = self.programs.sidecar(production.address, &self.captures)?;
        teller.line(&format!(
            "clients -> sidecar {} -> service {} ({})",
            sidecar.address, production.address, PRODUCTION.stands_for
        ))?;

        teller.step("Traffic: real arrivals, real texts, made-up people")?;
        let count = script.lines.len() as u64;
        let recorded_over = script.lines.last().map_or(Duration::ZERO, |line| line.offset);
        teller.line(&format!(
            "{} recorded arrivals over {:.1} minutes, {SQUEEZE} times as fast: {:.1} s ...",
            words::count(count),
            recorded_over.as_secs_f64() / 60.0,
            recorded_over.as_secs_f64() / SQUEEZE,
        ))?;
        let sent = traffic::send(sidecar.address, script, SQUEEZE, stop)?;
        unless_stopped(stop)?;
        teller.line(&format!(
            "{} sent on {} connections, {} failed; busiest second {}; {} health probes beside them",
            words::requests(sent.requests),
            sent.connections,
            words::count(sent.failed),
            words::count(sent.busiest_second),
            sent.probes
        ))?;
        sidecar.stop(DRAIN)?;
        Ok(sent)
    }

    /// Step 4: the capture on five stand-ins.
    fn rehearse(&self, teller: &mut Teller<'_>, stop: &Stop) -> Result<(Rehearsal, Judgement), DemoError> {
        teller.step(&format!(
            "Rehearsal: the capture, {SPEED} times as fast, on {} stand-ins in turns",
            CANDIDATES.len()
        ))?;
        let stand_ins: Vec<Running> = CANDIDATES
            .iter()
            .map(|part| self.programs.sentiment(part.name, part.args))
            .collect::<Result<_, _>>()?;
        for part in CANDIDATES {
            teller.verbatim(&format!("{:<12}{}", part.name, part.stands_for))?;
        }
        let addresses: Vec<SocketAddr> = stand_ins.iter().map(|stand_in| stand_in.address).collect();
        let arguments = cast::arguments(&self.captures, &self.runs, &addresses);
        let plan = cast::plan(&arguments)?;
        unless_stopped(stop)?;
        let progress =
            if io::IsTerminal::is_terminal(&io::stderr()) { Progress::stderr() } else { Progress::silent() };
        let rehearsal = drive::rehearse(&plan, progress, stop)?;
        unless_stopped(stop)?;
        let judgement = judge(&rehearsal);
        teller.line(&certificate(&rehearsal))?;
        Ok((rehearsal, judgement))
    }
}

fn unless_stopped(stop: &Stop) -> Result<(), DemoError> {
    if stop.is_requested() { Err(DemoError::Stopped) } else { Ok(()) }
}

/// Step 3: what was captured.
fn tell_capture(review: &Review, sent: &Sent, teller: &mut Teller<'_>) -> io::Result<()> {
    teller.step("The capture: every request accounted for, sanitized before it was written")?;
    let counts = &review.conservation;
    let dropped: Vec<String> = understudy_captures::conservation::Drop::ALL
        .into_iter()
        .filter(|reason| counts.count(*reason) > 0)
        .map(|reason| format!(" + {} {}", words::count(counts.count(reason)), reason.name()))
        .collect();
    let law = if counts.holds() { "holds" } else { "DOES NOT HOLD" };
    let asked = sent.requests + sent.probes;
    teller.line(&format!(
        "seen {} = recorded {}{} ({law}; clients sent {})",
        words::count(counts.seen),
        words::count(counts.recorded),
        dropped.concat(),
        words::count(asked)
    ))?;
    let classes: Vec<String> =
        review.in_texts.iter().map(|(class, count)| format!("{class} {}", words::count(*count))).collect();
    teller.line(&format!(
        "{} header values dropped or replaced; {} texts changed ({})",
        words::count(review.in_headers),
        words::count(review.texts_changed),
        classes.join(", ")
    ))?;
    for pair in &review.pairs {
        teller.verbatim(&format!("before  {}", pair.before))?;
        teller.verbatim(&format!("after   {}", pair.after))?;
    }
    teller
        .line("Names and addresses are known by their look, so not every one is found: docs/privacy.md has the shares.")?;
    teller.line(&format!("dataset {}", review.dataset_id))
}

/// Step 5: who may take the part.
fn tell_verdict(judgement: &Judgement, teller: &mut Teller<'_>) -> io::Result<()> {
    teller.step(&format!("Verdict: who may take the part at a p95 of {SLO_P95_MS} ms"))?;
    teller.verbatim(&format!(
        "{:<12}{:<14}{:>10}{:>10}{:>10}{:>16}",
        "", "", "p50", "p95", "failed", "same labels"
    ))?;
    for candidate in &judgement.candidates {
        teller.verbatim(&row(candidate))?;
    }
    // A baseline that keeps its limits has nothing to explain.
    let explained = |c: &&CandidateJudgement| c.role != Role::Baseline || c.verdict != Verdict::Pass;
    for candidate in judgement.candidates.iter().filter(explained) {
        teller.line(&format!("{}: {}", candidate.name, candidate.reasons.join("; ")))?;
    }
    let surprises: Vec<String> = judgement
        .candidates
        .iter()
        .zip(CANDIDATES)
        .filter(|(judged, part)| judged.verdict != part.expected)
        .map(|(judged, part)| format!("{} is {} and not {}", judged.name, judged.verdict, part.expected))
        .collect();
    if surprises.is_empty() {
        return Ok(());
    }
    teller.line(&format!(
        "Not as this demo usually ends: {}. Something else may keep this machine busy.",
        surprises.join(", ")
    ))
}

fn row(candidate: &CandidateJudgement) -> String {
    let quantile = |q: f64| {
        let estimate = candidate.response.iter().find(|estimate| estimate.q == q);
        estimate.map_or_else(String::new, |estimate| words::figure(estimate.figure))
    };
    let labels = candidate.gates.iter().find(|gate| gate.gate == Gate::LabelAgreement);
    let same = labels.and_then(|gate| gate.observed).map_or_else(|| "-".to_owned(), words::percent);
    // The baseline is the measure of the others; a verdict beside its name would read as one on production.
    let verdict = match candidate.role {
        Role::Candidate => candidate.verdict.to_string(),
        other => other.name().to_owned(),
    };
    format!(
        "{:<12}{verdict:<14}{:>10}{:>10}{:>10}{same:>16}",
        candidate.name,
        quantile(0.5),
        quantile(0.95),
        words::percent(candidate.errors.share),
    )
}

/// What the generator proved of itself, in a line.
fn certificate(rehearsal: &Rehearsal) -> String {
    let sent: u64 = rehearsal.certificates.iter().map(|certificate| certificate.sent).sum();
    let worst = rehearsal.certificates.iter().map(|certificate| certificate.lag_p99_ms).fold(0.0, f64::max);
    let broken = rehearsal.certificates.iter().filter(|certificate| !certificate.broken.is_empty()).count();
    let standing = match broken {
        0 => "all certificates hold".to_owned(),
        n => format!("{n} of {} certificates are broken", rehearsal.certificates.len()),
    };
    format!(
        "{} sent in {:.0} s; largest p99 of lag {}: {standing}",
        words::requests(sent),
        rehearsal.took.as_secs_f64(),
        words::millis(worst)
    )
}
