//! `understudy replay`: settings to plan, plan to rehearsal, rehearsal to verdict.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::{Failure, capture};
use crate::certificate::Certificate;
use crate::drive::{DriveError, Progress, Stop, rehearse};
use crate::judge::{Judgement, Verdict, judge};
use crate::outcome::{Kind, Rehearsal};
use crate::plan::{Plan, PlanError, Settings};
use crate::report;
use crate::schedule::SurveyError;

/// Exit code of a process that a second Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "A plan file holds the same settings under the same names:

  captures: [captures/]
  candidates:
    small: http://10.0.0.7:8000
    big: http://10.0.0.8:8000
  speed: 2
  slo-p95: 250ms

Ctrl-C ends the run after the requests under way and reports what there is, as INVALID; a second one ends it at once.")]
pub struct Args {
    #[command(flatten)]
    settings: Box<Settings>,

    /// Print one JSON object instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Show no progress
    #[arg(long, short, help_heading = "Output")]
    quiet: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary<'a> {
    verdict: String,
    run_id: &'a str,
    run_dir: String,
    report: String,
    dataset_id: &'a str,
    interrupted: bool,
    candidates: Vec<CandidateSummary<'a>>,
    judgement: &'a Judgement,
}

#[derive(Serialize)]
struct CandidateSummary<'a> {
    name: &'a str,
    /// Requests by how they ended, warm-up included; their sum is `scheduled` of the certificate.
    requests: serde_json::Map<String, serde_json::Value>,
    certificate: &'a Certificate,
}

/// Runs the command.
pub fn run(args: Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let plan = Plan::resolve(*args.settings)?;
    let stop = Stop::new();
    stop_on_interrupt(stop.clone())?;
    let progress = if args.quiet { Progress::silent() } else { Progress::stderr() };
    let rehearsal = match rehearse(&plan, progress, &stop) {
        // Nothing was sent, so nothing was found wrong: a gate must not read that as a pass.
        Err(DriveError::Survey(SurveyError::Nothing(reason))) => {
            return print_nothing(out, args.json, &reason);
        }
        rehearsed => rehearsed?,
    };
    let judgement = judge(&rehearsal);
    let dir = rehearsal.dir();
    let files =
        report::write(&dir, &rehearsal, &judgement).map_err(|error| Failure::Output(error.to_string()))?;
    let printed = if args.json {
        print_json(out, &rehearsal, &judgement, &dir, &files.html)
    } else {
        print_table(out, &rehearsal, &judgement, &files.html)
    };
    match printed {
        Ok(()) => {}
        // The reader has seen enough; the verdict is still the exit code.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(Failure::Output(format!("cannot write the result: {error}"))),
    }
    Ok(ExitCode::from(judgement.verdict.exit_code()))
}

/// Throws `stop` on the first interrupt, and ends the process on the second.
fn stop_on_interrupt(stop: Stop) -> Result<(), Failure> {
    let unavailable =
        |error: io::Error| Failure::Unavailable(format!("interrupts cannot be caught: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            runtime.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    stop.request();
                    // Nobody to tell if standard error is gone.
                    writeln!(
                        io::stderr(),
                        "understudy: ending after the requests under way; again to end at once"
                    )
                    .ok();
                }
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(INTERRUPTED);
                }
            });
        })
        .map_err(unavailable)?;
    Ok(())
}

/// A capture of which nothing would be judged has a verdict, too.
fn print_nothing(out: &mut dyn Write, json: bool, reason: &str) -> Result<ExitCode, Failure> {
    // The exit code says it when standard error is gone.
    writeln!(io::stderr(), "understudy: {reason}").ok();
    let printed = if json {
        writeln!(out, "{}", serde_json::json!({ "verdict": Verdict::Invalid.to_string(), "reason": reason }))
    } else {
        writeln!(out, "verdict: {}", Verdict::Invalid)
    };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Output(format!("cannot write the result: {error}")))
        }
        _ => Ok(ExitCode::from(Verdict::Invalid.exit_code())),
    }
}

fn print_table(
    out: &mut dyn Write,
    rehearsal: &Rehearsal,
    judgement: &Judgement,
    html: &Path,
) -> io::Result<()> {
    for damage in &rehearsal.dataset.damage {
        writeln!(out, "damaged: {damage}")?;
    }
    for left_out in &rehearsal.dataset.left_out {
        writeln!(out, "left out: {left_out}")?;
    }
    report::print(out, judgement, io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none())?;
    writeln!(out, "report: {}", html.display())?;
    writeln!(out, "verdict: {}", judgement.verdict)?;
    out.flush()
}

fn print_json(
    out: &mut dyn Write,
    rehearsal: &Rehearsal,
    judgement: &Judgement,
    dir: &Path,
    html: &Path,
) -> io::Result<()> {
    let summary = Summary {
        verdict: judgement.verdict.to_string(),
        run_id: &rehearsal.run_id,
        run_dir: dir.display().to_string(),
        report: html.display().to_string(),
        dataset_id: &rehearsal.dataset.id,
        interrupted: rehearsal.interrupted,
        candidates: candidates(rehearsal),
        judgement,
    };
    serde_json::to_writer(&mut *out, &summary)?;
    writeln!(out)?;
    out.flush()
}

fn candidates(rehearsal: &Rehearsal) -> Vec<CandidateSummary<'_>> {
    let mut counts = vec![[0u64; Kind::ALL.len()]; rehearsal.plan.candidates.len()];
    for outcome in &rehearsal.outcomes {
        counts[usize::from(outcome.candidate)][outcome.kind as usize] += 1;
    }
    rehearsal
        .plan
        .candidates
        .iter()
        .zip(&rehearsal.certificates)
        .zip(counts)
        .map(|((candidate, certificate), counts)| CandidateSummary {
            name: &candidate.name,
            requests: Kind::ALL
                .iter()
                .zip(counts)
                .map(|(kind, n)| (kind.name().to_owned(), n.into()))
                .collect(),
            certificate,
        })
        .collect()
}

// === impl Failure ===

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Failure {
        match error {
            PlanError::Usage(message) => Failure::Usage(message),
            PlanError::Unreadable { .. } => Failure::Input(error.to_string()),
            PlanError::Key(message) => Failure::Data(message),
            PlanError::Capture(error) => capture::unreadable(error),
        }
    }
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Failure {
        match error {
            DriveError::Survey(SurveyError::Capture(error)) => capture::unreadable(error),
            DriveError::Survey(error) => Failure::Usage(error.to_string()),
            DriveError::Capture(message) => Failure::Data(message),
            DriveError::Unavailable(message) => Failure::Unavailable(message),
            DriveError::Unwritable { .. } => Failure::Output(error.to_string()),
            DriveError::Bug(message) => Failure::Bug(message),
        }
    }
}
