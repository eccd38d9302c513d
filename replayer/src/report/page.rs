//! `report.html`: one page that an engineer would send to a manager. No network, no script.
//!
//! Everything is put into words here; the template only lays it out, and escapes all of it.

use askama::Template;

mod facts;
mod fidelity;

use super::svg::Drawing;
use super::{RunReport, charts};
use crate::judge::agreement::{AnswerComparison, Flip, NO_ANSWER, Said};
use crate::judge::latency::{Interval, QUANTILES, QuantileEstimate};
use crate::judge::{CandidateJudgement, Role, Verdict, words};
use crate::outcome::Kind;

/// Stands where there is nothing to say.
const NONE: &str = "\u{2013}";

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a RunReport,
    started: String,
    badge: Badge,
    headline: String,
    confidence: String,
    compared: bool,
    candidates: Vec<CandidateRow>,
    limits: Vec<Limits>,
    by_percentile: Option<Drawing>,
    over_time: Option<Drawing>,
    disagreement: Option<Drawing>,
    quantiles: Vec<String>,
    latency: Vec<LatencyRow>,
    iterations: Vec<IterationRow>,
    iteration_numbers: Vec<usize>,
    flips: Vec<Flips>,
    confusions: Vec<Matrix>,
    recordings: Vec<String>,
    kinds: Vec<&'static str>,
    errors: Vec<ErrorRow>,
    certificate: Vec<fidelity::Measure>,
    broken: Vec<String>,
    facts: Vec<(&'static str, String)>,
    remarks: Vec<String>,
    command: String,
}

/// A verdict with its look.
struct Badge {
    class: &'static str,
    symbol: &'static str,
    word: String,
}

struct CandidateRow {
    name: String,
    role: &'static str,
    look: String,
    badge: Badge,
    p50: String,
    p95: String,
    p99: String,
    failed: String,
    labels: String,
    drift: String,
    why: String,
}

struct Limits {
    name: String,
    look: String,
    badge: Badge,
    rows: Vec<LimitRow>,
    reasons: Vec<String>,
}

struct LimitRow {
    title: &'static str,
    limit: String,
    observed: String,
    interval: String,
    badge: Badge,
    reason: String,
}

/// One line of the latency table: a figure and what stands below it, by quantile.
struct LatencyRow {
    name: String,
    look: String,
    what: &'static str,
    first: bool,
    cells: Vec<(String, String)>,
}

struct IterationRow {
    name: String,
    look: String,
    cells: Vec<String>,
}

struct Flips {
    name: String,
    look: String,
    summary: String,
    rows: Vec<FlipRow>,
}

struct FlipRow {
    exchange: u32,
    text: Option<String>,
    baseline: String,
    candidate: String,
    times: String,
}

struct Matrix {
    name: String,
    labels: Vec<String>,
    rows: Vec<(String, Vec<MatrixCell>)>,
}

struct MatrixCell {
    count: String,
    class: &'static str,
}

struct ErrorRow {
    name: String,
    look: String,
    judged: String,
    kinds: Vec<String>,
    statuses: String,
}

/// Renders the page.
pub fn render(report: &RunReport) -> Result<String, askama::Error> {
    Page::of(report).render()
}

// === impl Page ===

impl<'a> Page<'a> {
    fn of(report: &'a RunReport) -> Self {
        let judgement = &report.judgement;
        let all = || judgement.candidates.iter().enumerate();
        let compared = || all().filter_map(|(at, c)| Some((at, c, c.answers.as_ref()?)));
        Self {
            report,
            // Nanoseconds name a run in run.json; people read minutes.
            started: report.started.split('.').next().unwrap_or_default().replace('T', " "),
            badge: Badge::of(judgement.verdict),
            headline: headline(report),
            confidence: words::confidence(judgement.confidence),
            compared: judgement.candidates.len() > 1,
            candidates: all().map(|(at, c)| CandidateRow::of(at, c)).collect(),
            limits: all().map(|(at, c)| Limits::of(at, c)).collect(),
            by_percentile: charts::by_percentile(report),
            over_time: charts::over_time(report),
            disagreement: charts::disagreement(report),
            quantiles: QUANTILES.iter().map(|q| words::quantile(*q)).collect(),
            latency: all().flat_map(|(at, c)| latency_rows(at, c)).collect(),
            iterations: iterations(report),
            iteration_numbers: (1..=usize::from(report.plan.iterations)).collect(),
            flips: compared().map(|(at, c, answers)| Flips::of(at, c, answers, report)).collect(),
            confusions: compared().map(|(_, c, answers)| Matrix::of(c, answers)).collect(),
            recordings: judgement.candidates.iter().filter_map(recording).collect(),
            kinds: Kind::ALL.iter().filter(|k| **k != Kind::NotSent).map(|k| k.name()).collect(),
            errors: all().map(|(at, c)| ErrorRow::of(at, c)).collect(),
            certificate: fidelity::measures(report),
            broken: fidelity::broken(report),
            facts: facts::facts(report),
            remarks: facts::remarks(report),
            command: report.plan.command_line(),
        }
    }
}

// === impl Badge ===

impl Badge {
    fn of(verdict: Verdict) -> Self {
        let (class, symbol) = match verdict {
            Verdict::Pass => ("pass", "\u{2713}"),
            Verdict::Fail => ("fail", "\u{2715}"),
            Verdict::Inconclusive => ("open", "?"),
            Verdict::Invalid => ("void", "!"),
        };
        Self { class, symbol, word: verdict.to_string() }
    }
}

// === impl rows ===

impl CandidateRow {
    fn of(at: usize, candidate: &CandidateJudgement) -> Self {
        let figure = |q: f64| {
            let estimate = candidate.response.iter().find(|e| e.q == q);
            estimate.map_or_else(|| NONE.to_owned(), |e| words::figure(e.figure))
        };
        let answers = candidate.answers.as_ref();
        let drift = answers.and_then(|a| a.scores).map(|s| words::score(s.mean_abs));
        Self {
            name: candidate.name.clone(),
            role: candidate.role.name(),
            look: charts::look(at),
            badge: Badge::of(candidate.verdict),
            p50: figure(0.5),
            p95: figure(0.95),
            p99: figure(0.99),
            failed: words::percent(candidate.errors.share),
            labels: answers.map_or_else(|| NONE.to_owned(), |a| words::percent(1.0 - a.disagreement.share)),
            drift: drift.unwrap_or_else(|| NONE.to_owned()),
            why: candidate.reasons.first().cloned().unwrap_or_default(),
        }
    }
}

impl Limits {
    fn of(at: usize, candidate: &CandidateJudgement) -> Self {
        let row = |g: &crate::judge::gate::GateResult| LimitRow {
            title: g.gate.title(),
            limit: g.gate.write_limit(g.limit),
            observed: g.observed.map_or_else(|| NONE.to_owned(), |v| g.gate.write(v)),
            interval: shown(g.interval, |v| g.gate.write(v)),
            badge: Badge::of(g.verdict),
            reason: g.reason.clone(),
        };
        let rows: Vec<LimitRow> = candidate.gates.iter().map(row).collect();
        let told: Vec<&String> = candidate.gates.iter().map(|g| &g.reason).collect();
        Self {
            name: candidate.name.clone(),
            look: charts::look(at),
            badge: Badge::of(candidate.verdict),
            reasons: candidate.reasons.iter().filter(|r| !told.contains(r)).cloned().collect(),
            rows,
        }
    }
}

impl Flips {
    fn of(at: usize, candidate: &CandidateJudgement, answers: &AnswerComparison, report: &RunReport) -> Self {
        let row = |flip: &Flip| FlipRow {
            exchange: flip.exchange,
            text: report.texts.get(&flip.exchange).cloned(),
            baseline: said(Some(&flip.baseline)),
            candidate: said(flip.candidate.as_ref()),
            times: format!("{} of {}", flip.times, flip.of),
        };
        let shown = answers.flips.len() as u64;
        let (flipped, exchanges) = (words::count(answers.flipped), words::count(answers.exchanges));
        let summary = match answers.flipped {
            0 => format!("No label differs from the baseline's in {exchanges} exchanges."),
            all if all > shown => format!(
                "{flipped} of {exchanges} exchanges got another label; these {shown} are those that the baseline is \
                 surest of."
            ),
            _ => format!("{flipped} of {exchanges} exchanges got another label."),
        };
        Self {
            name: candidate.name.clone(),
            look: charts::look(at),
            summary,
            rows: answers.flips.iter().map(row).collect(),
        }
    }
}

impl Matrix {
    fn of(candidate: &CandidateJudgement, answers: &AnswerComparison) -> Self {
        let confusion = &answers.confusion;
        let row = |(at, counts): (usize, &Vec<u64>)| {
            let cell = |(to, count): (usize, &u64)| MatrixCell {
                count: words::count(*count),
                class: match (*count, at == to) {
                    (0, _) => "zero",
                    (_, true) => "same",
                    (_, false) => "other",
                },
            };
            (confusion.labels[at].clone(), counts.iter().enumerate().map(cell).collect())
        };
        // The baseline has an answer in every compared pair, so that row would be empty.
        let rows = confusion.counts.iter().enumerate().filter(|(at, _)| confusion.labels[*at] != NO_ANSWER);
        Self { name: candidate.name.clone(), labels: confusion.labels.clone(), rows: rows.map(row).collect() }
    }
}

impl ErrorRow {
    fn of(at: usize, candidate: &CandidateJudgement) -> Self {
        let counts = &candidate.counts;
        let kind = |k: &Kind| words::count(counts.kinds.get(k.name()).copied().unwrap_or(0));
        let statuses: Vec<String> = counts
            .statuses
            .iter()
            .map(|(status, n)| format!("{status}\u{a0}\u{d7}\u{a0}{}", words::count(*n)))
            .collect();
        Self {
            name: candidate.name.clone(),
            look: charts::look(at),
            judged: words::count(counts.judged),
            kinds: Kind::ALL.iter().filter(|k| **k != Kind::NotSent).map(kind).collect(),
            statuses: if statuses.is_empty() { NONE.to_owned() } else { statuses.join(", ") },
        }
    }
}

fn headline(report: &RunReport) -> String {
    let judgement = &report.judgement;
    let named = |verdict: Verdict| -> Vec<&str> {
        let candidates = judgement.candidates.iter();
        candidates
            .filter(|c| c.role == Role::Candidate && c.verdict == verdict)
            .map(|c| &c.name[..])
            .collect()
    };
    let alone = !judgement.candidates.iter().any(|c| c.role == Role::Candidate);
    match judgement.verdict {
        Verdict::Pass if alone => "It keeps its limits.".to_owned(),
        Verdict::Fail if alone => "It breaks its limits.".to_owned(),
        Verdict::Pass => format!("{} may take the part.", listed(&named(Verdict::Pass))),
        Verdict::Fail => {
            let failed = format!("{} may not take the part", listed(&named(Verdict::Fail)));
            match named(Verdict::Pass).as_slice() {
                [] => format!("{failed}."),
                passed => format!("{failed}; {} may.", listed(passed)),
            }
        }
        Verdict::Inconclusive => "Not enough was seen to decide.".to_owned(),
        Verdict::Invalid => "This run proves nothing, neither for nor against.".to_owned(),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => "Nobody".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn latency_rows(at: usize, candidate: &CandidateJudgement) -> Vec<LatencyRow> {
    let row = |what, first, cells| LatencyRow {
        name: candidate.name.clone(),
        look: charts::look(at),
        what,
        first,
        cells,
    };
    let figures = |estimates: &[QuantileEstimate]| {
        estimates.iter().map(|e| (words::figure(e.figure), shown(e.interval, words::millis))).collect()
    };
    let mut rows = vec![row("response time", true, figures(&candidate.response))];
    if !candidate.differences.is_empty() {
        let cell = |d: &crate::judge::QuantileDifference| match d.ms {
            Some(ms) => (words::shift(ms), shown(d.interval, words::shift)),
            None => (NONE.to_owned(), String::new()),
        };
        rows.push(row("to the baseline", false, candidate.differences.iter().map(cell).collect()));
    }
    let plain = candidate.service.iter().map(|e| (words::figure(e.figure), String::new())).collect();
    rows.push(row("service time", false, plain));
    rows
}

fn iterations(report: &RunReport) -> Vec<IterationRow> {
    let ms = |v: Option<f64>| v.map_or_else(|| "failed".to_owned(), words::millis);
    let row = |(at, series): (usize, &super::series::CandidateSeries)| IterationRow {
        name: series.name.clone(),
        look: charts::look(at),
        cells: (0..report.plan.iterations)
            .map(|n| match series.iterations.iter().find(|w| w.at == f64::from(n)) {
                Some(window) => format!("{} / {}", ms(window.p50_ms), ms(window.p95_ms)),
                None => NONE.to_owned(),
            })
            .collect(),
    };
    report.series.iter().enumerate().map(row).collect()
}

fn said(said: Option<&Said>) -> String {
    match said {
        Some(Said { label, score: Some(score) }) => format!("{label} {score:.3}"),
        Some(Said { label, score: None }) => label.clone(),
        None => NO_ANSWER.to_owned(),
    }
}

fn recording(candidate: &CandidateJudgement) -> Option<String> {
    let recording = candidate.recording?;
    Some(format!(
        "{}: {} of {} labels are those that production recorded for the same text.",
        candidate.name,
        words::percent(1.0 - recording.share),
        words::count(recording.of)
    ))
}

/// An interval where there is one.
fn shown(interval: Interval, write: impl Fn(f64) -> String) -> String {
    match interval {
        Interval { low: None, high: None } => String::new(),
        _ => words::interval(interval, write),
    }
}
