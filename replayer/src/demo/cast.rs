//! Who plays in the demo: the stand-ins, and what the rehearsal asks of them.

use std::net::SocketAddr;
use std::path::Path;

use clap::Parser;

use crate::judge::Verdict;
use crate::plan::{Plan, PlanError, Settings};

/// Highest p95 response time that the demo allows, milliseconds.
pub(super) const SLO_P95_MS: u32 = 80;
/// How much faster than recorded the rehearsal is.
pub(super) const SPEED: u32 = 2;

/// A stand-in and its part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Name in the run.
    pub(super) name: &'static str,
    /// What it stands for, for people.
    pub(super) stands_for: &'static str,
    /// What makes it so: arguments of `understudy-sentiment`.
    pub(super) args: &'static str,
    /// The verdict that it is there to show; a machine that is busy with something else may see another.
    pub(super) expected: Verdict,
}

/// The service that traffic goes to while it is recorded. Its calls are long beside what the other programs of a busy
/// machine take from it (some milliseconds), so that the verdicts are about the stand-ins and not about the machine.
pub(super) const PRODUCTION: Part = Part {
    name: "production",
    stands_for: "the node that serves today: 16 workers of some 16 ms",
    args: "--profile cpu-large --workers 16 --call-us 10000 --token-us 300 --seed 11",
    expected: Verdict::Pass,
};

/// The candidates of the rehearsal: the baseline, its twin, and those who want the part.
pub(super) const CANDIDATES: [Part; 5] = [
    PRODUCTION,
    Part {
        name: "twin",
        stands_for: "the same again: what differs is noise",
        args: "--profile cpu-large --workers 16 --call-us 10000 --token-us 300 --seed 12",
        expected: Verdict::Pass,
    },
    Part {
        name: "cpu-small",
        stands_for: "half the workers",
        args: "--profile cpu-small --workers 8 --call-us 10000 --token-us 300 --seed 13",
        expected: Verdict::Fail,
    },
    Part {
        name: "gpu",
        stands_for: "one GPU, micro-batches",
        args: "--profile gpu --seed 14",
        expected: Verdict::Pass,
    },
    Part {
        name: "int8",
        stands_for: "a quantized model: faster, 6 % of texts mislabelled",
        args: "--profile cpu-large --workers 16 --call-us 4000 --token-us 110 --backend onnx --wrong-labels 0.06 --seed 15",
        expected: Verdict::Fail,
    },
];

/// `understudy replay`, as far as the demo needs it.
#[derive(Debug, Parser)]
#[command(name = "understudy replay")]
struct Replay {
    #[command(flatten)]
    settings: Settings,
}

/// The arguments of `understudy replay` that do what the demo does.
pub(super) fn arguments(captures: &Path, out: &Path, addresses: &[SocketAddr]) -> Vec<String> {
    let mut arguments = vec![captures.display().to_string()];
    for (part, address) in CANDIDATES.iter().zip(addresses) {
        arguments.extend(["--candidate".to_owned(), format!("{}=http://{address}", part.name)]);
    }
    let fixed = [
        "--baseline",
        CANDIDATES[0].name,
        "--twin",
        CANDIDATES[1].name,
        "--iterations",
        "1",
        "--block",
        "1500ms",
    ];
    arguments.extend(fixed.map(str::to_owned));
    arguments.extend(["--speed".to_owned(), SPEED.to_string()]);
    arguments.extend(["--slo-p95".to_owned(), format!("{SLO_P95_MS}ms")]);
    arguments.extend(["--out".to_owned(), out.display().to_string()]);
    arguments
}

/// The plan of those arguments.
pub(super) fn plan(arguments: &[String]) -> Result<Plan, PlanError> {
    let line = std::iter::once("understudy replay").chain(arguments.iter().map(String::as_str));
    let replay = Replay::try_parse_from(line).map_err(|refusal| PlanError::Usage(refusal.to_string()))?;
    Plan::resolve(replay.settings)
}
