//! `report.html`: one page that an engineer would send to a manager. No network, no script.
//!
//! Everything is put into words here; the template only lays it out, and escapes all of it.

use askama::Template;

use super::svg::Drawing;
use super::{RunReport, charts};
use crate::certificate::Certificate;
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
    certificate: Vec<Measure>,
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

/// A number of the certificate and what it means.
struct Measure {
    name: &'static str,
    meaning: &'static str,
    bound: String,
    values: Vec<(String, bool)>,
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
            certificate: measures(report),
            broken: broken(report),
            facts: facts(report),
            remarks: remarks(report),
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
        Verdict::Fail => format!("{} may not take the part.", listed(&named(Verdict::Fail))),
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

fn measures(report: &RunReport) -> Vec<Measure> {
    let bounds = &report.plan.fidelity;
    let measure = |name,
                   meaning,
                   bound: Option<String>,
                   value: fn(&Certificate) -> String,
                   over: &dyn Fn(&Certificate) -> bool| Measure {
        name,
        meaning,
        bound: bound.map_or_else(|| NONE.to_owned(), |b| format!("at most {b}")),
        values: report.certificates.iter().map(|c| (value(c), over(c))).collect(),
    };
    let free = |_: &Certificate| false;
    let unsent = |c: &Certificate| c.scheduled.saturating_sub(c.sent) as f64 / c.scheduled.max(1) as f64;
    vec![
        measure(
            "scheduled",
            "requests that the schedule holds, warm-up included",
            None,
            |c| words::count(c.scheduled),
            &free,
        ),
        measure(
            "sent",
            "requests that were begun; the rest never left the generator",
            Some(format!("{} unsent", words::limit_percent(bounds.unsent))),
            |c| words::count(c.sent),
            &|c| unsent(c) > bounds.unsent,
        ),
        measure(
            "lag p50",
            "how late the usual request was begun",
            Some(words::limit_millis(bounds.lag_p50_ms)),
            |c| words::millis(c.lag_p50_ms),
            &|c| c.lag_p50_ms > bounds.lag_p50_ms,
        ),
        measure(
            "lag p99",
            "how late the latest hundredth was begun; it is part of the response time",
            Some(words::limit_millis(bounds.lag_p99_ms)),
            |c| words::millis(c.lag_p99_ms),
            &|c| c.lag_p99_ms > bounds.lag_p99_ms,
        ),
        measure("lag max", "the latest of all", None, |c| words::millis(c.lag_max_ms), &free),
        measure(
            "arrival distance",
            "largest difference between the distributions of asked and actual gaps (Kolmogorov-Smirnov); 0 is the same",
            Some(bounds.arrival_ks.to_string()),
            |c| format!("{:.3}", c.arrival_ks),
            &|c| c.arrival_ks > bounds.arrival_ks,
        ),
        measure(
            "rate",
            "requests begun a second, of those that the schedule asked",
            None,
            |c| format!("{:.1} of {:.1}", c.achieved_rate, c.asked_rate),
            &free,
        ),
        measure(
            "worst second",
            "largest relative difference between begun and asked in any second",
            None,
            |c| words::percent(c.worst_second),
            &free,
        ),
        measure(
            "queued",
            "requests that waited in the generator because every allowed connection was busy",
            None,
            |c| words::count(c.queued),
            &free,
        ),
        measure(
            "reuse",
            "requests on a connection that had served before",
            None,
            |c| words::percent(c.reuse),
            &free,
        ),
        measure(
            "generator CPU",
            "most that one worker thread used of its core",
            None,
            |c| words::percent(c.cpu),
            &free,
        ),
    ]
}

fn broken(report: &RunReport) -> Vec<String> {
    let named = report.judgement.candidates.iter().zip(&report.certificates);
    named.flat_map(|(candidate, c)| c.broken.iter().map(|b| format!("{}: {b}", candidate.name))).collect()
}

fn facts(report: &RunReport) -> Vec<(&'static str, String)> {
    let (plan, dataset, here) = (&report.plan, &report.dataset, &report.environment);
    let shape = |s: &crate::schedule::Shape| {
        let dispersion = s.dispersion.map(|d| format!(", dispersion {d:.2}")).unwrap_or_default();
        format!(
            "{} over {:.1} s: {:.1} a second, at most {} in one{dispersion}",
            words::requests(s.count),
            s.duration_s,
            s.rate,
            words::count(s.peak)
        )
    };
    let memory = here.memory_mib.map(|mib| format!(", {:.0} GiB", mib as f64 / 1024.0)).unwrap_or_default();
    let cpu = here.cpu.as_ref().map(|cpu| format!(" of {cpu}")).unwrap_or_default();
    let mut facts = vec![
        ("Capture", plan.captures.join(", ")),
        ("Dataset", dataset.id.clone()),
        (
            "Exchanges",
            format!("{} scheduled of {}", words::count(dataset.scheduled), words::count(dataset.exchanges)),
        ),
        ("Recorded", format!("{} to {}", dataset.first, dataset.last)),
        ("Arrivals recorded", shape(&report.arrivals.recorded)),
        ("Arrivals scheduled", shape(&report.arrivals.scheduled)),
        ("Pace", plan.pace.clone()),
    ];
    facts.extend(plan.window.clone().map(|window| ("Window", window)));
    facts.extend([
        (
            "Iterations",
            format!(
                "{}, candidates take turns every {} s, warm-up {} s",
                plan.iterations, plan.block_s, plan.warmup_s
            ),
        ),
        (
            "Sending",
            format!(
                "{} worker threads, up to {} connections for each candidate, timeout {} s",
                plan.threads, plan.connections, plan.timeout_s
            ),
        ),
        ("Answers", format!("preset {}", plan.preset)),
    ]);
    if !plan.headers.is_empty() {
        facts.push(("Fields set", format!("{} (values are not kept)", plan.headers.join(", "))));
    }
    facts.extend(
        plan.candidates.iter().map(|place| ("Candidate", format!("{} at {}", place.name, place.url))),
    );
    facts.extend([
        ("Generator", format!("{} cores{cpu}{memory}; {} {}", here.cores, here.kernel, here.architecture)),
        ("Seed", plan.seed.to_string()),
        ("Version", format!("understudy {}", report.version)),
    ]);
    facts
}

fn remarks(report: &RunReport) -> Vec<String> {
    let damage = report.dataset.damage.iter().map(|d| format!("The capture is damaged: {d}"));
    let left_out = report.dataset.left_out.iter().map(|l| format!("Left out of the schedule: {l}"));
    damage.chain(left_out).chain(report.notes.iter().cloned()).collect()
}

/// An interval where there is one.
fn shown(interval: Interval, write: impl Fn(f64) -> String) -> String {
    match interval {
        Interval { low: None, high: None } => String::new(),
        _ => words::interval(interval, write),
    }
}
