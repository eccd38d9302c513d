//! Pairs outcomes by exchange, compares, decides.
//!
//! What a candidate did is compared request by request with what the baseline did with the same exchange in the same
//! iteration. Every figure that decides comes with an interval, and a figure whose interval still reaches over its
//! limit decides nothing: the verdict is `INCONCLUSIVE` and says how much more would decide. `docs/judging.md` has
//! the formulas and their sources.
//!
//! # Layout
//!
//! - [`binomial`]: exact intervals for shares and for quantiles by order statistics, minimum samples for tails.
//! - [`bootstrap`]: paired moving-block resampling for differences of quantiles and means.
//! - [`latency`]: quantiles with failed requests folded in.
//! - [`agreement`]: labels and scores against the baseline, its twin and the recording.
//! - [`gate`]: limits, verdicts and their sentences.
//! - [`sheet`]: what one candidate did, counted and in order.
//! - [`words`]: figures as people read them.

use serde::{Deserialize, Serialize};

use crate::outcome::Rehearsal;
use crate::plan::Pace;

pub mod agreement;
pub mod binomial;
pub mod bootstrap;
pub mod gate;
pub mod latency;
pub mod sheet;
pub mod words;

use agreement::{AnswerComparison, Precision, Share};
use bootstrap::{Design, Draws};
use gate::{Evidence, GateResult};
use latency::{Interval, QUANTILES, QuantileEstimate, Sorted};
use sheet::{Counts, Sheet};

/// Chance of a false alarm that the run takes over all its candidates together.
const ALPHA: f64 = 0.05;

/// What a run, a candidate or a gate comes to. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every limit is kept, beyond doubt.
    Pass,
    /// Not enough was seen to tell.
    Inconclusive,
    /// A limit is broken, beyond doubt.
    Fail,
    /// The run proves nothing: the generator or the baseline did not do its part.
    Invalid,
}

/// What a candidate is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What the others are judged against.
    Baseline,
    /// The baseline a second time, to learn the noise.
    Twin,
    /// Wants the part.
    Candidate,
}

/// What the run says about every candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The worst of the candidates that are judged; of the baseline when it ran alone. `INVALID` when the run as a
    /// whole proves nothing.
    pub verdict: Verdict,
    /// Why, in sentences, the gravest first.
    pub reasons: Vec<String>,
    /// Confidence level of every interval: 95 %, corrected for the number of candidates (Bonferroni).
    pub confidence: f64,
    /// In the order of the plan.
    pub candidates: Vec<CandidateJudgement>,
}

/// What the run says about one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateJudgement {
    /// Name in the plan.
    pub name: String,
    /// What it is in the comparison.
    pub role: Role,
    /// The worst of its gates.
    pub verdict: Verdict,
    /// Why, in sentences, the gravest first.
    pub reasons: Vec<String>,
    /// Its requests by what became of them.
    pub counts: Counts,
    /// Judged requests that failed.
    pub errors: Share,
    /// Quantiles of response time, failures folded in.
    pub response: Vec<QuantileEstimate>,
    /// Quantiles of service time, failures folded in.
    pub service: Vec<QuantileEstimate>,
    /// Differences of response-time quantiles to the baseline's; empty for the baseline.
    pub differences: Vec<QuantileDifference>,
    /// Answers against the baseline's; `None` for the baseline and without answers.
    pub answers: Option<AnswerComparison>,
    /// Labels that differ from the recorded ones, where sanitizing left the input alone.
    pub recording: Option<Share>,
    /// Limits and what they came to.
    pub gates: Vec<GateResult>,
}

/// Difference of a response-time quantile to the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileDifference {
    /// 0.95 is p95.
    pub q: f64,
    /// Milliseconds added; `None` when either quantile is no figure.
    pub ms: Option<f64>,
    /// Confidence interval of the difference, in milliseconds.
    pub interval: Interval,
    /// The interval does not hold zero.
    pub significant: bool,
}

/// Judges a run.
pub fn judge(rehearsal: &Rehearsal) -> Judgement {
    let plan = &rehearsal.plan;
    let roles: Vec<Role> = (0..plan.candidates.len()).map(|at| role(rehearsal, at)).collect();
    let contenders = roles.iter().filter(|r| **r == Role::Candidate).count();
    let level = 1.0 - ALPHA / contenders.max(1) as f64;

    let sheets = Sheet::all(rehearsal);
    let comparison = Comparison::new(rehearsal, &sheets);
    let mut candidates: Vec<CandidateJudgement> = (0..sheets.len())
        .map(|at| observe(rehearsal, &sheets, at, roles[at], comparison.as_ref(), level))
        .collect();

    let twin = plan.twin.map(|twin| candidates[twin].clone());
    let baseline_p95 = comparison.as_ref().and_then(|c| c.quantile(plan.baseline, 0.95));
    for (at, candidate) in candidates.iter_mut().enumerate() {
        let evidence = Evidence {
            candidate,
            response: &sheets[at].response,
            baseline_p95,
            twin: twin.as_ref().filter(|_| roles[at] == Role::Candidate),
            scores_expected: plan.preset.has_score(),
            paced: !matches!(plan.pace, Pace::Max { .. }),
            level,
        };
        let mut gates = evidence.own_gates(&plan.gates);
        if roles[at] != Role::Baseline {
            gates.extend(evidence.relative_gates(&plan.gates));
        }
        (candidate.verdict, candidate.reasons) = conclude(rehearsal, at, candidate, &gates);
        candidate.gates = gates;
    }
    let (verdict, reasons) = conclude_run(rehearsal, &candidates);
    Judgement { verdict, reasons, confidence: level, candidates }
}

/// Response times of all candidates over the exchanges that all of them were sent in every iteration.
struct Comparison {
    /// Position of each candidate among those compared.
    places: Vec<Option<usize>>,
    sorted: Vec<Sorted>,
    draws: Draws,
}

// === impl Comparison ===

impl Comparison {
    /// `None` when no exchange was sent to all.
    fn new(rehearsal: &Rehearsal, sheets: &[Sheet<'_>]) -> Option<Self> {
        let mut compared = 0..;
        let places: Vec<Option<usize>> =
            sheets.iter().map(|s| if s.judged.is_empty() { None } else { compared.next() }).collect();
        let series = sheet::common_series(sheets, usize::from(rehearsal.plan.iterations))?;
        let exchanges = series.values.first()?.len() / series.iterations;
        let values_per_exchange = series.values.len() * series.iterations;
        let rate = rehearsal.arrivals.scheduled.rate;
        let design = Design::new(exchanges, values_per_exchange, rate, rehearsal.plan.seed);
        let draws = Draws::new(&design, &series, &QUANTILES);
        let sorted = series.values.into_iter().map(Sorted::new).collect();
        Some(Self { places, sorted, draws })
    }

    /// A quantile over the compared exchanges, when it is a figure that enough requests back.
    fn quantile(&self, candidate: usize, q: f64) -> Option<f64> {
        let sorted = &self.sorted[self.places[candidate]?];
        sorted.at(q).filter(|v| v.is_finite() && sorted.len() >= binomial::floor(q))
    }

    fn interval(&self, candidate: usize, quantile: usize, level: f64) -> Option<(f64, f64)> {
        Some(self.draws.interval(self.places[candidate]?, quantile, level))
    }

    fn differences(&self, candidate: usize, baseline: usize, level: f64) -> Vec<QuantileDifference> {
        let (Some(own), Some(other)) = (self.places[candidate], self.places[baseline]) else {
            return Vec::new();
        };
        let difference = |(at, q): (usize, &f64)| {
            let pair = self.quantile(candidate, *q).zip(self.quantile(baseline, *q));
            let (low, high) = self.draws.difference(own, other, at, level);
            QuantileDifference {
                q: *q,
                ms: pair.map(|(c, b)| c - b),
                interval: Interval::new(low, high),
                significant: pair.is_some() && (low > 0.0 || high < 0.0),
            }
        };
        QUANTILES.iter().enumerate().map(difference).collect()
    }
}

fn role(rehearsal: &Rehearsal, candidate: usize) -> Role {
    if candidate == rehearsal.plan.baseline {
        Role::Baseline
    } else if Some(candidate) == rehearsal.plan.twin {
        Role::Twin
    } else {
        Role::Candidate
    }
}

/// Everything that is measured of one candidate, before any limit.
fn observe(
    rehearsal: &Rehearsal,
    sheets: &[Sheet<'_>],
    at: usize,
    role: Role,
    comparison: Option<&Comparison>,
    level: f64,
) -> CandidateJudgement {
    let sheet = &sheets[at];
    let baseline = &sheets[rehearsal.plan.baseline];
    let precision = Precision { level, rate: rehearsal.arrivals.scheduled.rate, seed: rehearsal.plan.seed };
    let compared = (role != Role::Baseline).then_some(());
    let response = QUANTILES.iter().enumerate().map(|(place, q)| {
        let resampled = comparison.and_then(|c| c.interval(at, place, level));
        sheet.response.estimate(*q, level, resampled)
    });
    CandidateJudgement {
        name: rehearsal.plan.candidates[at].name.clone(),
        role,
        verdict: Verdict::Inconclusive,
        reasons: Vec::new(),
        counts: sheet.counts.clone(),
        errors: Share::new(sheet.counts.judged - sheet.counts.ok, sheet.counts.judged, level),
        response: response.collect(),
        service: QUANTILES.iter().map(|q| sheet.service.estimate(*q, level, None)).collect(),
        differences: compared
            .and(comparison)
            .map(|c| c.differences(at, rehearsal.plan.baseline, level))
            .unwrap_or_default(),
        answers: compared
            .and_then(|()| agreement::compare(&baseline.judged, &sheet.judged, &rehearsal.labels, precision)),
        recording: agreement::with_recording(&sheet.judged, &rehearsal.recorded, level),
        gates: Vec::new(),
    }
}

/// Verdict and reasons of one candidate.
fn conclude(
    rehearsal: &Rehearsal,
    at: usize,
    candidate: &CandidateJudgement,
    gates: &[GateResult],
) -> (Verdict, Vec<String>) {
    let certificate = |of: usize| rehearsal.certificates.get(of).map(|c| &c.broken[..]);
    let mut invalid: Vec<String> = match certificate(at) {
        None => vec!["there is no fidelity certificate for it".to_owned()],
        Some(broken) => {
            broken.iter().map(|b| format!("the generator did not keep the schedule: {b}")).collect()
        }
    };
    if candidate.role != Role::Baseline && certificate(rehearsal.plan.baseline).is_none_or(|b| !b.is_empty())
    {
        invalid.push("the baseline that it is compared with has a broken fidelity certificate".to_owned());
    }
    if candidate.counts.judged == 0 {
        invalid.push("no request to it was judged".to_owned());
    }
    if !invalid.is_empty() {
        return (Verdict::Invalid, invalid);
    }
    if candidate.counts.ok == 0 {
        let reason = format!("not one of {} was answered well", words::requests(candidate.counts.judged));
        return (Verdict::Fail, vec![reason]);
    }
    let Some(worst) = gates.iter().map(|g| g.verdict).max() else {
        return (Verdict::Inconclusive, vec!["no limit was set, so there is nothing to decide".to_owned()]);
    };
    if worst == Verdict::Pass {
        let kept = match gates.len() {
            1 => "the limit is kept".to_owned(),
            n => format!("all {n} limits are kept"),
        };
        return (worst, vec![kept]);
    }
    let mut open: Vec<&GateResult> = gates.iter().filter(|g| g.verdict != Verdict::Pass).collect();
    // Stable: gates of one gravity stay in their order.
    open.sort_by_key(|gate| std::cmp::Reverse(gate.verdict));
    (worst, open.into_iter().map(|g| g.reason.clone()).collect())
}

/// Verdict and reasons of the run: the worst candidate, unless the run as a whole proves nothing.
fn conclude_run(rehearsal: &Rehearsal, candidates: &[CandidateJudgement]) -> (Verdict, Vec<String>) {
    let mut invalid = Vec::new();
    if rehearsal.interrupted {
        invalid.push("the run was stopped before its end".to_owned());
    }
    if candidates.iter().all(|c| c.counts.judged == 0) {
        let warmup: u64 = candidates.iter().map(|c| c.counts.warmup).sum();
        invalid.push(match warmup {
            0 => "no request was sent".to_owned(),
            n => format!("no request was judged: all {} belong to the warm-up", words::requests(n)),
        });
    } else if let Some(baseline) = candidates.get(rehearsal.plan.baseline).filter(|b| b.counts.ok == 0) {
        invalid.push(format!("the baseline {} did not answer one request well", baseline.name));
    }
    let named = |c: &CandidateJudgement, reason: &String| format!("{}: {reason}", c.name);
    for candidate in candidates.iter().filter(|c| c.verdict == Verdict::Invalid && c.counts.judged > 0) {
        invalid.extend(candidate.reasons.iter().map(|reason| named(candidate, reason)));
    }
    if !invalid.is_empty() {
        return (Verdict::Invalid, invalid);
    }
    let contenders: Vec<&CandidateJudgement> = if candidates.iter().any(|c| c.role == Role::Candidate) {
        candidates.iter().filter(|c| c.role == Role::Candidate).collect()
    } else {
        candidates.iter().filter(|c| c.role == Role::Baseline).collect()
    };
    let mut graded: Vec<&CandidateJudgement> = contenders;
    graded.sort_by_key(|c| std::cmp::Reverse(c.verdict));
    let worst = graded.first().map_or(Verdict::Invalid, |c| c.verdict);
    let reasons = graded
        .iter()
        .filter(|c| c.verdict == worst || c.verdict != Verdict::Pass)
        .flat_map(|c| c.reasons.iter().map(|reason| named(c, reason)))
        .collect();
    (worst, reasons)
}

// === impl Verdict ===

impl Verdict {
    /// Exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Inconclusive => 2,
            Verdict::Invalid => 3,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Invalid => "INVALID",
        })
    }
}

// === impl Role ===

impl Role {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Role::Baseline => "baseline",
            Role::Twin => "twin",
            Role::Candidate => "candidate",
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
