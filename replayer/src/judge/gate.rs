//! Limits, verdicts and their sentences.
//!
//! A gate passes when the whole confidence interval keeps the limit, fails when the whole interval breaks it, and is
//! inconclusive in between. A limit of zero (no failure at all, no flip at all) could never be shown for all
//! traffic, so it is judged on what was seen.

use serde::{Deserialize, Serialize};

use super::agreement::{AnswerComparison, Share};
use super::binomial::requests_to_decide;
use super::latency::{Figure, Interval, QuantileEstimate, Sorted};
use super::{CandidateJudgement, QuantileDifference, Verdict, words};
use crate::plan::Gates;

/// A slowdown below this decides nothing, whatever its share: a generator's and a kernel's wake-ups are of that size.
const LEAST_REGRESSION_MS: f64 = 1.0;
/// Beyond this many more requests, asking for them is no advice.
const MOST_MORE: f64 = 1e8;

/// What a limit is set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// p95 response time, milliseconds.
    P95,
    /// p99 response time, milliseconds.
    P99,
    /// Share of requests that failed.
    ErrorRate,
    /// Increase of p95 over the baseline, as a share of it.
    P95Regression,
    /// Share of labels equal to the baseline's, beyond what its twin differs.
    LabelAgreement,
    /// Mean absolute difference of scores to the baseline's, beyond the twin's.
    ScoreDrift,
}

/// What a limit came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// What the limit is set on; it says the unit of the figures.
    pub gate: Gate,
    /// The limit.
    pub limit: f64,
    /// What was seen; `None` when there is no figure.
    pub observed: Option<f64>,
    /// Confidence interval of what was seen.
    pub interval: Interval,
    /// Kept, broken, or not to tell.
    pub verdict: Verdict,
    /// The whole story in a sentence.
    pub reason: String,
    /// How many more judged requests (exchanges for answers) would decide, if they are like these.
    pub more: Option<u64>,
}

/// What gates look at.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The candidate.
    pub candidate: &'a CandidateJudgement,
    /// Its response times.
    pub response: &'a Sorted,
    /// The baseline's p95, when the candidate is compared with it; milliseconds.
    pub baseline_p95: Option<f64>,
    /// The baseline's twin, when there is one and this is not it.
    pub twin: Option<&'a CandidateJudgement>,
    /// Whether answers are expected to carry scores.
    pub scores_expected: bool,
    /// The pace has intended instants, so there are response times.
    pub paced: bool,
    /// Confidence level of every interval.
    pub level: f64,
}

// === impl Gate ===

impl Gate {
    /// Name for people.
    pub fn title(self) -> &'static str {
        match self {
            Gate::P95 => "p95 response time",
            Gate::P99 => "p99 response time",
            Gate::ErrorRate => "failed requests",
            Gate::P95Regression => "p95 slowdown over the baseline",
            Gate::LabelAgreement => "label agreement with the baseline",
            Gate::ScoreDrift => "score drift from the baseline",
        }
    }

    /// A figure of this gate.
    pub fn write(self, value: f64) -> String {
        match self {
            Gate::P95 | Gate::P99 => words::millis(value),
            Gate::ErrorRate | Gate::LabelAgreement => words::percent(value),
            Gate::P95Regression if value > 0.0 => format!("+{}", words::percent(value)),
            Gate::P95Regression => words::percent(value),
            Gate::ScoreDrift => words::score(value),
        }
    }

    /// The limit of this gate, with its direction.
    pub fn write_limit(self, limit: f64) -> String {
        match self {
            Gate::P95 | Gate::P99 => format!("at most {}", words::limit_millis(limit)),
            Gate::ErrorRate => format!("at most {}", words::limit_percent(limit)),
            Gate::P95Regression => format!("at most +{}", words::limit_percent(limit)),
            Gate::LabelAgreement => format!("at least {}", words::limit_percent(limit)),
            Gate::ScoreDrift => format!("at most {limit}"),
        }
    }
}

// === impl Evidence ===

impl Evidence<'_> {
    /// Judges the limits that hold for a candidate by itself.
    pub fn own_gates(&self, gates: &Gates) -> Vec<GateResult> {
        let slo = |gate, q, limit: Option<f64>| limit.map(|limit| self.quantile(gate, q, limit));
        let errors = gates.error_rate.map(|limit| self.errors(limit));
        [slo(Gate::P95, 0.95, gates.p95_ms), slo(Gate::P99, 0.99, gates.p99_ms), errors]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Judges the limits on differences to the baseline.
    pub fn relative_gates(&self, gates: &Gates) -> Vec<GateResult> {
        let drift = gates.score_drift.filter(|_| self.scores_expected);
        [
            gates.p95_regression.map(|limit| self.regression(limit)),
            gates.label_agreement.map(|limit| self.agreement(limit)),
            drift.map(|limit| self.drift(limit)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn quantile(&self, gate: Gate, q: f64, limit: f64) -> GateResult {
        let name = words::quantile(q);
        if !self.paced {
            return undecided(
                gate,
                limit,
                format!("{name} is not judged: at pace max there are no response times"),
            );
        }
        let estimate = self.candidate.response.iter().find(|e| e.q == q);
        let Some(QuantileEstimate { figure, interval, .. }) = estimate.copied() else {
            return undecided(gate, limit, format!("{name} was not measured"));
        };
        let n = self.response.len();
        if let Figure::TooFew(floor) = figure {
            let reason = format!(
                "{name} needs {} judged and there are {}; at least {} more would decide",
                words::requests(floor),
                words::count(n),
                words::count(floor - n)
            );
            return GateResult { more: Some(floor - n), ..undecided(gate, limit, reason) };
        }
        // From the floor on the samples bound a quantile on both sides, so an open end lies among failures.
        let (low, high) = (interval.low.unwrap_or(f64::INFINITY), interval.high.unwrap_or(f64::INFINITY));
        let verdict = decide(figure.ms().unwrap_or(f64::INFINITY), low, high, limit);
        let total = requests_to_decide(self.response.share_over(limit), 1.0 - q, self.level);
        let more = (verdict == Verdict::Inconclusive).then(|| more(n, total)).flatten();
        let seen = match figure.ms() {
            Some(ms) => format!("{name} {} ({})", words::millis(ms), self.ci(interval, words::millis)),
            None => format!(
                "{name} lies among the {} of requests that failed",
                words::percent(self.candidate.errors.share)
            ),
        };
        let limit_text = words::limit_millis(limit);
        let reason = match verdict {
            Verdict::Pass => format!("{seen} is within the limit of {limit_text}"),
            Verdict::Fail if figure == Figure::Failed => format!("{seen}; the limit is {limit_text}"),
            Verdict::Fail => format!("{seen} is over the limit of {limit_text}"),
            _ => format!(
                "{seen} is too close to the limit of {limit_text} to tell; {}",
                outlook(more, "requests")
            ),
        };
        GateResult { gate, limit, observed: figure.ms(), interval, verdict, reason, more }
    }

    fn errors(&self, limit: f64) -> GateResult {
        let gate = Gate::ErrorRate;
        let Share { count, of, share, low, high } = self.candidate.errors;
        if of == 0 {
            return undecided(gate, limit, "no request was judged".to_owned());
        }
        let interval = Interval { low: Some(low), high: Some(high) };
        let verdict = decide(share, low, high, limit);
        let more = (verdict == Verdict::Inconclusive)
            .then(|| more(of, requests_to_decide(share, limit, self.level)))
            .flatten();
        let allowed = words::limit_percent(limit);
        let seen = if count == 0 {
            format!("none of {} failed", words::requests(of))
        } else {
            let ci = self.ci(interval, words::percent);
            format!("{} of {} failed ({ci})", words::percent(share), words::requests(of))
        };
        let reason = match verdict {
            Verdict::Pass | Verdict::Fail if limit > 0.0 => format!("{seen}; at most {allowed} may"),
            Verdict::Pass | Verdict::Fail => format!("{seen}; none may"),
            _ => {
                let outlook = outlook(more, "requests");
                format!("{seen}, too uncertain to tell whether at most {allowed} do; {outlook}")
            }
        };
        GateResult { gate, limit, observed: Some(share), interval, verdict, reason, more }
    }

    fn regression(&self, limit: f64) -> GateResult {
        let gate = Gate::P95Regression;
        if !self.paced {
            let reason = "a slowdown is not judged: at pace max there are no response times".to_owned();
            return undecided(gate, limit, reason);
        }
        let difference = |of: &CandidateJudgement| of.differences.iter().find(|d| d.q == 0.95).copied();
        let seen = difference(self.candidate).zip(self.baseline_p95);
        let Some((QuantileDifference { ms: Some(ms), interval, .. }, baseline)) = seen else {
            return self.no_difference(limit);
        };
        // No requests were failing at p95 on either side, but some resamples may reach into failures.
        let (low, high) = (interval.low.unwrap_or(f64::INFINITY), interval.high.unwrap_or(f64::INFINITY));
        let allowed = (limit * baseline).max(LEAST_REGRESSION_MS);
        let noise = self.twin.and_then(difference).filter(|d| d.significant).and_then(|d| d.ms);
        let noise = noise.map_or(0.0, f64::abs);
        let verdict = if low > 0.0 && ms > allowed.max(noise) {
            Verdict::Fail
        } else if high <= allowed && noise <= allowed {
            Verdict::Pass
        } else {
            Verdict::Inconclusive
        };
        let n = self.response.len();
        let needed = if ms < allowed { (high - ms) / (allowed - ms) } else { (ms - low) / ms };
        let total = (needed.is_finite() && needed > 0.0).then_some(needed * needed * n as f64);
        let more = (verdict == Verdict::Inconclusive && noise <= allowed).then(|| more(n, total)).flatten();
        let story = format!(
            "p95 is {} ({}) from the baseline's {}",
            words::shift(ms),
            self.ci(interval, words::shift),
            words::millis(baseline)
        );
        let may = format!("at most {} may be added", words::shift(allowed));
        let reason = match verdict {
            Verdict::Pass | Verdict::Fail => format!("{story}; {may}"),
            _ if noise > allowed => format!(
                "{story}, but the baseline's own twin is {} away, so that {} cannot be told from noise",
                words::millis(noise),
                words::millis(allowed)
            ),
            _ => format!("{story}, too uncertain to tell ({may}); {}", outlook(more, "requests")),
        };
        let relative =
            Interval { low: interval.low.map(|v| v / baseline), high: interval.high.map(|v| v / baseline) };
        GateResult { gate, limit, observed: Some(ms / baseline), interval: relative, verdict, reason, more }
    }

    /// The slowdown when a p95 is not a figure: too few requests, or failures.
    fn no_difference(&self, limit: f64) -> GateResult {
        let gate = Gate::P95Regression;
        let own = self.candidate.response.iter().find(|e| e.q == 0.95).map(|e| e.figure);
        if own == Some(Figure::Failed) && self.baseline_p95.is_some() {
            let failed = words::percent(self.candidate.errors.share);
            let reason =
                format!("p95 lies among the {failed} of requests that failed; the baseline's does not");
            return GateResult { verdict: Verdict::Fail, ..undecided(gate, limit, reason) };
        }
        let reason = match own {
            Some(Figure::TooFew(floor)) => format!(
                "a slowdown of p95 needs {} judged and there are {}",
                words::requests(floor),
                words::count(self.response.len())
            ),
            _ => "p95 cannot be compared with the baseline's: too few requests were answered by both"
                .to_owned(),
        };
        undecided(gate, limit, reason)
    }

    fn agreement(&self, limit: f64) -> GateResult {
        let gate = Gate::LabelAgreement;
        let Some(answers) = &self.candidate.answers else {
            let reason = "no pair of answers could be compared: the baseline's responses have no label where the \
                          preset looks; name another preset or the label's JSON pointer, or drop this limit";
            return undecided(gate, limit, reason.to_owned());
        };
        let own = answers.disagreement;
        let twin = self.twin.and_then(|t| t.answers.as_ref()).map(|a| a.disagreement);
        let (beyond, low, high) = match twin {
            Some(t) => beyond((own.share, own.low, own.high), (t.share, t.low, t.high)),
            None => (own.share, own.low, own.high),
        };
        let allowed = 1.0 - limit;
        let allowed = if allowed < 1e-12 { 0.0 } else { allowed };
        let verdict = decide(beyond, low, high, allowed);
        let more = (verdict == Verdict::Inconclusive)
            .then(|| more(answers.exchanges, requests_to_decide(beyond, allowed, self.level)))
            .flatten();
        let seen = differing(answers, twin.map(|t| t.share));
        let ci = self.ci(Interval { low: Some(low.max(0.0)), high: Some(high) }, words::percent);
        let what = if twin.is_some() { format!("beyond the twin's {ci}") } else { ci };
        let may = match allowed {
            0.0 => "none may".to_owned(),
            _ => format!("at most {} may", words::limit_percent(allowed)),
        };
        let reason = match verdict {
            Verdict::Pass | Verdict::Fail => format!("{seen} ({what}); {may}"),
            _ => format!("{seen} ({what}), too few to tell ({may}); {}", outlook(more, "exchanges")),
        };
        let interval =
            Interval { low: Some((1.0 - high).clamp(0.0, 1.0)), high: Some((1.0 - low).clamp(0.0, 1.0)) };
        let observed = Some((1.0 - beyond).clamp(0.0, 1.0));
        GateResult { gate, limit, observed, interval, verdict, reason, more }
    }

    fn drift(&self, limit: f64) -> GateResult {
        let gate = Gate::ScoreDrift;
        let Some(own) = self.candidate.answers.as_ref().and_then(|a| a.scores) else {
            let reason = "no pair of scores could be compared: responses have no score where the preset looks, or no \
                          label agrees; name the score's JSON pointer or drop this limit";
            return undecided(gate, limit, reason.to_owned());
        };
        let twin = self.twin.and_then(|t| t.answers.as_ref()).and_then(|a| a.scores);
        let (drift, low, high) = match twin {
            Some(t) => beyond((own.mean_abs, own.low, own.high), (t.mean_abs, t.low, t.high)),
            None => (own.mean_abs, own.low, own.high),
        };
        let verdict = decide(drift, low, high, limit);
        let needed = (high - drift).max(drift - low) / (limit - drift).abs();
        let total = needed.is_finite().then_some(needed * needed * own.pairs as f64);
        let more = (verdict == Verdict::Inconclusive).then(|| more(own.pairs, total)).flatten();
        let noise = twin.map(|t| format!(", twin: {}", words::score(t.mean_abs))).unwrap_or_default();
        let interval = Interval { low: Some(low.max(0.0)), high: Some(high.max(0.0)) };
        let seen = format!(
            "scores differ from the baseline's by {} on average ({}{noise})",
            words::score(own.mean_abs),
            self.ci(interval, words::score)
        );
        let reason = match verdict {
            Verdict::Pass | Verdict::Fail => format!("{seen}; at most {limit} may be"),
            _ => format!("{seen}, too close to the limit of {limit} to tell; {}", outlook(more, "exchanges")),
        };
        GateResult { gate, limit, observed: Some(drift.max(0.0)), interval, verdict, reason, more }
    }

    fn ci(&self, interval: Interval, write: impl Fn(f64) -> String) -> String {
        format!("{} CI {}", words::confidence(self.level), words::interval(interval, write))
    }
}

/// The verdict on an interval around what was seen, against the most that is allowed.
fn decide(seen: f64, low: f64, high: f64, limit: f64) -> Verdict {
    if limit <= 0.0 {
        return if seen <= 0.0 { Verdict::Pass } else { Verdict::Fail };
    }
    if high <= limit {
        Verdict::Pass
    } else if low > limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

/// Estimate and interval of `own - noise`, each given with its interval (Newcombe's hybrid method; Zou and Donner
/// 2008 call it MOVER). It takes the two for independent, which is cautious: both are differences to one baseline.
fn beyond(own: (f64, f64, f64), noise: (f64, f64, f64)) -> (f64, f64, f64) {
    let (estimate, low, high) = own;
    let (floor, floor_low, floor_high) = noise;
    let difference = estimate - floor;
    (
        difference,
        difference - (estimate - low).hypot(floor_high - floor),
        difference + (high - estimate).hypot(floor - floor_low),
    )
}

fn differing(answers: &AnswerComparison, twin: Option<f64>) -> String {
    let own = answers.disagreement;
    let noise = twin.map(|share| format!(", twin: {}", words::percent(share))).unwrap_or_default();
    let compared = format!("{} compared answers{noise}", words::count(own.of));
    let seen = match own.count {
        0 => format!("no label differs from the baseline's in {compared}"),
        _ => format!("{} of the labels differ from the baseline's in {compared}", words::percent(own.share)),
    };
    match answers.missing {
        0 => seen,
        missing => format!("{seen}; {} of them had no answer at all", words::count(missing)),
    }
}

fn undecided(gate: Gate, limit: f64, reason: String) -> GateResult {
    GateResult {
        gate,
        limit,
        observed: None,
        interval: Interval::default(),
        verdict: Verdict::Inconclusive,
        reason,
        more: None,
    }
}

/// How many more than `n`, when `total` in all are needed. Where neighbours are so alike that even more than `total`
/// did not decide, as many again is the next step.
fn more(n: u64, total: Option<f64>) -> Option<u64> {
    let missing = total? - n as f64;
    let missing = if missing > 0.0 { missing } else { n as f64 };
    (missing <= MOST_MORE).then(|| words::about(missing))
}

fn outlook(more: Option<u64>, what: &str) -> String {
    match more {
        Some(more) => format!("about {} more {what} would decide", words::count(more)),
        None => format!("it is too close for more {what} to decide"),
    }
}
