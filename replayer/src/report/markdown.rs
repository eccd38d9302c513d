//! `report.md`: the result in short, for a pull request or a ticket.

use std::fmt::Write;

use super::RunReport;
use crate::judge::{CandidateJudgement, Role, Verdict, words};

/// Renders the page.
pub fn render(report: &RunReport) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail; `ok()` says so once for the whole page.
    write_page(&mut page, report).ok();
    page
}

fn write_page(page: &mut String, report: &RunReport) -> std::fmt::Result {
    let judgement = &report.judgement;
    writeln!(page, "## Rehearsal: {} {}\n", symbol(judgement.verdict), judgement.verdict)?;
    for reason in &judgement.reasons {
        writeln!(page, "- {}", escaped(reason))?;
    }
    writeln!(page, "\n| candidate | verdict | p50 | p95 | p99 | failed | labels equal | score drift |")?;
    writeln!(page, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for candidate in &judgement.candidates {
        writeln!(page, "{}", row(candidate))?;
    }
    writeln!(
        page,
        "\nResponse times count from the instant at which the request was due; failed requests count as \
                    slower than all others. Intervals are at {}.\n",
        words::confidence(judgement.confidence)
    )?;
    for candidate in judgement.candidates.iter().filter(|c| !c.gates.is_empty()) {
        writeln!(page, "<details><summary>Limits of <b>{}</b></summary>\n", escaped(&candidate.name))?;
        writeln!(page, "| limit | | |\n| --- | --- | --- |")?;
        for gate in &candidate.gates {
            let title = gate.gate.title();
            let limit = gate.gate.write_limit(gate.limit);
            writeln!(page, "| {title} {limit} | {} | {} |", gate.verdict, escaped(&gate.reason))?;
        }
        writeln!(page, "\n</details>\n")?;
    }
    let dataset = &report.dataset;
    let scheduled = words::requests(dataset.scheduled);
    writeln!(
        page,
        "Run `{}`, started {}: {} of capture `{}`, {}, {} iteration(s), seed {}, understudy {}.",
        report.run_id,
        report.started,
        scheduled,
        dataset.id,
        report.plan.pace,
        report.plan.iterations,
        report.plan.seed,
        report.version
    )?;
    for note in dataset.damage.iter().chain(&dataset.left_out).chain(&report.notes) {
        writeln!(page, "\n> {}", escaped(note))?;
    }
    let command = report.plan.command_line();
    let fence = fence(&command);
    writeln!(page, "\n{fence}sh\n{command}\n{fence}")
}

fn row(candidate: &CandidateJudgement) -> String {
    let figure = |q: f64| {
        let estimate = candidate.response.iter().find(|e| e.q == q);
        estimate.map_or_else(String::new, |e| words::figure(e.figure))
    };
    let answers = candidate.answers.as_ref();
    let role = match candidate.role {
        Role::Candidate => String::new(),
        role => format!(" ({})", role.name()),
    };
    format!(
        "| {}{role} | {} {} | {} | {} | {} | {} | {} | {} |",
        escaped(&candidate.name),
        symbol(candidate.verdict),
        candidate.verdict,
        figure(0.5),
        figure(0.95),
        figure(0.99),
        words::percent(candidate.errors.share),
        answers.map(|a| words::percent(1.0 - a.disagreement.share)).unwrap_or_default(),
        answers.and_then(|a| a.scores).map(|s| words::score(s.mean_abs)).unwrap_or_default(),
    )
}

fn symbol(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "\u{2705}",
        Verdict::Fail => "\u{274c}",
        Verdict::Inconclusive => "\u{2754}",
        Verdict::Invalid => "\u{26a0}\u{fe0f}",
    }
}

/// Text that stays text, in a paragraph and in a table.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '~' | '!' | '@' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A fence longer than any run of backticks in `text`.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}
