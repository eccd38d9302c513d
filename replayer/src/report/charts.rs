//! The plots of the report.

use super::RunReport;
use super::series::Window;
use super::svg::{Drawing, Key, Mark, Scale};
use crate::judge::{Role, words};

const WIDTH: f64 = 760.0;
/// Room for the figures on the left and the right end of the labels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 736.0;
/// Looks that the style sheet has for candidates; more of them share looks.
const LOOKS: usize = 6;
/// Latencies further apart than this are drawn on a logarithmic axis.
const WIDE: f64 = 25.0;

/// Class of a candidate's marks, by its place in the plan.
pub fn look(at: usize) -> String {
    format!("c{}", at % LOOKS)
}

/// Response time by percentile, on an axis that gives each further nine the same room.
pub fn by_percentile(report: &RunReport) -> Option<Drawing> {
    let curves = || report.series.iter().map(|s| &s.percentiles).filter(|p| !p.is_empty());
    let values = || curves().flatten().map(|(_, ms)| *ms);
    let limits = limits(report);
    let high = values().chain(limits.iter().map(|l| l.1)).fold(0.0, f64::max);
    let low = values().filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
    let far = curves().filter_map(|p| p.last()).map(|(q, _)| *q).fold(0.0, f64::max);
    if !(low.is_finite() && high > 0.0) {
        return None;
    }
    let (top, bottom) = (24.0, 300.0);
    let nines = |q: f64| -(1.0 - q).log10();
    let x = Scale::linear((0.0, nines(far).max(2.0)), (LEFT, RIGHT));
    let y = latency_scale((low, high), (bottom, top));

    let mut marks = axis_of_latency(&y);
    for q in [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999] {
        if nines(q) <= nines(far).max(2.0) + 1e-9 {
            let at = x.at(nines(q));
            marks.push(Mark::line((at, top), (at, bottom), "grid"));
            marks.push(Mark::text((at, bottom + 18.0), "middle", "tick", words::quantile(q)));
        }
    }
    marks.push(Mark::line((LEFT, bottom), (RIGHT, bottom), "axis"));
    for (q, ms) in limits {
        let (at, level) = (x.at(nines(q)), y.at(ms));
        let text = format!("{} limit {}", words::quantile(q), words::limit_millis(ms));
        marks.push(Mark::line((at - 26.0, level), (at + 26.0, level), "limit"));
        marks.push(Mark::text((at - 26.0, level - 6.0), "start", "limit-text", text));
    }
    for (at, series) in report.series.iter().enumerate() {
        let points = series.percentiles.iter().map(|(q, ms)| (x.at(nines(*q)), y.at(*ms)));
        marks.push(Mark::path(points, &format!("line {}", look(at))));
    }
    Some(Drawing {
        id: "by-percentile",
        title: "Response time by percentile".into(),
        description:
            "One curve for each candidate; lower is better. A curve ends where failed requests begin.".into(),
        width: WIDTH,
        height: bottom + 30.0,
        marks,
        legend: legend(report),
    })
}

/// p95 and p50 of response time along the schedule.
pub fn over_time(report: &RunReport) -> Option<Drawing> {
    let windows = || report.series.iter().flat_map(|s| &s.over_time);
    let end = windows().map(|w| w.at).fold(0.0, f64::max);
    let high = windows().filter_map(|w| w.p95_ms).fold(0.0, f64::max);
    let low = windows().filter_map(|w| w.p50_ms).filter(|ms| *ms > 0.0).fold(f64::INFINITY, f64::min);
    if end <= 0.0 || !low.is_finite() {
        return None;
    }
    let (top, bottom) = (34.0, 270.0);
    let x = Scale::linear((0.0, end), (LEFT, RIGHT));
    let y = latency_scale((low, high), (bottom, top));
    let mut marks = axis_of_latency(&y);
    for tick in x.ticks() {
        marks.push(Mark::text((x.at(tick), bottom + 18.0), "middle", "tick", format!("{tick} s")));
    }
    marks.push(Mark::line((LEFT, bottom), (RIGHT, bottom), "axis"));
    for (at, series) in report.series.iter().enumerate() {
        let mut line = |value: fn(&Window) -> Option<f64>, class: &str| {
            // A piece whose quantile is among failures interrupts the line.
            for piece in series.over_time.split(|w| value(w).is_none()).filter(|p| !p.is_empty()) {
                let points = piece.iter().filter_map(|w| Some((x.at(w.at), y.at(value(w)?))));
                let class = format!("{class} {}", look(at));
                match piece {
                    [one] => marks.extend(
                        value(one)
                            .map(|v| Mark::dot((x.at(one.at), y.at(v)), 1.8, &format!("dot {}", look(at)))),
                    ),
                    _ => marks.push(Mark::path(points, &class)),
                }
            }
        };
        line(|w| w.p50_ms, "line thin");
        line(|w| w.p95_ms, "line");
        for window in series.over_time.iter().filter(|w| w.failed > 0) {
            let (cx, cy) = (x.at(window.at), 8.0 + 5.0 * (at % LOOKS) as f64);
            marks.push(Mark::dot((cx, cy), 2.2, &format!("dot {}", look(at))));
        }
    }
    if windows().any(|w| w.failed > 0) {
        marks.push(Mark::text((LEFT - 8.0, 14.0), "end", "tick", "failures"));
    }
    Some(Drawing {
        id: "over-time",
        title: "Response time along the schedule".into(),
        description: "p95 (thick) and p50 (thin) of each candidate by scheduled time, all iterations together; dots at \
                      the top are pieces with failed requests."
            .into(),
        width: WIDTH,
        height: bottom + 30.0,
        marks,
        legend: legend(report),
    })
}

/// Share of labels that differ from the baseline's, with intervals and the limit.
pub fn disagreement(report: &RunReport) -> Option<Drawing> {
    let compared: Vec<_> = report
        .judgement
        .candidates
        .iter()
        .enumerate()
        .filter_map(|(at, c)| Some((at, c, c.answers.as_ref()?.disagreement)))
        .collect();
    if compared.is_empty() {
        return None;
    }
    let allowed = report.plan.gates.label_agreement.map(|limit| 1.0 - limit);
    let high = compared.iter().map(|(_, _, d)| d.high).chain(allowed).fold(0.0, f64::max);
    let (left, right, row) = (190.0, RIGHT - 70.0, 34.0);
    let bottom = 12.0 + row * compared.len() as f64;
    let x = Scale::linear((0.0, (high * 1.08).min(1.0)), (left, right));
    let mut marks = Vec::new();
    for tick in x.ticks() {
        marks.push(Mark::line((x.at(tick), 6.0), (x.at(tick), bottom), "grid"));
        marks.push(Mark::text((x.at(tick), bottom + 18.0), "middle", "tick", words::limit_percent(tick)));
    }
    for (place, (at, candidate, seen)) in compared.iter().enumerate() {
        let middle = 12.0 + row * (place as f64 + 0.5);
        marks.push(Mark::text((left - 10.0, middle + 4.0), "end", "name", shortened(&candidate.name)));
        let width = (x.at(seen.share) - left).max(1.0);
        marks.push(Mark::rect((left, middle - 8.0), (width, 16.0), &format!("bar {}", look(*at))));
        marks.push(Mark::line((x.at(seen.low), middle), (x.at(seen.high), middle), "whisker"));
        for end in [seen.low, seen.high] {
            marks.push(Mark::line((x.at(end), middle - 5.0), (x.at(end), middle + 5.0), "whisker"));
        }
        marks.push(Mark::text((RIGHT, middle + 4.0), "end", "name", words::percent(seen.share)));
    }
    if let Some(allowed) = allowed {
        marks.push(Mark::line((x.at(allowed), 2.0), (x.at(allowed), bottom), "limit"));
    }
    let limit = allowed.map(|a| format!(" The dashed line is the limit of {}.", words::limit_percent(a)));
    Some(Drawing {
        id: "disagreement",
        title: "Labels that differ from the baseline's".into(),
        description: format!(
            "Shorter is better. Whiskers are the {} confidence interval.{}",
            words::confidence(report.judgement.confidence),
            limit.unwrap_or_default()
        ),
        width: WIDTH,
        height: bottom + 28.0,
        marks,
        legend: Vec::new(),
    })
}

/// Quantile and milliseconds of the limits on response time.
fn limits(report: &RunReport) -> Vec<(f64, f64)> {
    let gates = &report.plan.gates;
    [(0.95, gates.p95_ms), (0.99, gates.p99_ms)]
        .into_iter()
        .filter_map(|(q, limit)| Some((q, limit?)))
        .collect()
}

fn latency_scale((low, high): (f64, f64), to: (f64, f64)) -> Scale {
    if high / low > WIDE {
        Scale::logarithmic((low, high * 1.1), to)
    } else {
        Scale::linear((0.0, high * 1.05), to)
    }
}

fn axis_of_latency(y: &Scale) -> Vec<Mark> {
    let mut marks = Vec::new();
    for tick in y.ticks() {
        let level = y.at(tick);
        marks.push(Mark::line((LEFT, level), (RIGHT, level), "grid"));
        marks.push(Mark::text((LEFT - 8.0, level + 4.0), "end", "tick", tick_millis(tick)));
    }
    marks
}

/// A round number of milliseconds, as short as it is.
fn tick_millis(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{} s", ms / 1_000.0) } else { format!("{} ms", (ms * 1e6).round() / 1e6) }
}

fn legend(report: &RunReport) -> Vec<Key> {
    let candidates = report.judgement.candidates.iter().enumerate();
    candidates
        .map(|(at, candidate)| Key {
            class: look(at),
            name: match candidate.role {
                Role::Candidate => candidate.name.clone(),
                role => format!("{} ({})", candidate.name, role.name()),
            },
        })
        .collect()
}

/// A name that fits beside its bar.
fn shortened(name: &str) -> String {
    const ROOM: usize = 24;
    match name.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}\u{2026}", &name[..end]),
        None => name.to_owned(),
    }
}
