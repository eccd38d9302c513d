use std::path::Path;

use super::*;
use crate::judge::fixture::{answered, failed, stage};
use crate::judge::judge;
use crate::outcome::Outcome;
use crate::plan::Gates;

/// A run with everything that a report can show: a twin, a good and a bad candidate, failures, flips, iterations.
pub(crate) fn rehearsed() -> Rehearsal {
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    let gates = Gates { p95_ms: Some(250.0), p99_ms: Some(400.0), ..Gates::default() };
    let mut run = stage(&["cpu-large", "gpu-t4", "cpu-small", "cpu-large-again"], gates);
    run.plan.twin = Some(3);
    run.plan.iterations = 3;
    let mut rng = StdRng::seed_from_u64(1);
    for iteration in 0..3 {
        for exchange in 0..1_000u32 {
            let work =
                60.0 - 25.0 * (1.0 - rng.random::<f64>()).ln() + if exchange % 250 < 20 { 60.0 } else { 0.0 };
            for (candidate, factor) in [(0, 1.0), (1, 0.6), (2, 2.1), (3, 1.0)] {
                let ms = work * factor + 4.0 * rng.random::<f64>();
                let flip = match candidate {
                    1 => exchange % 400 == 7,
                    2 => exchange % 19 == 3,
                    _ => false,
                };
                let label = u16::from(exchange.is_multiple_of(3)) ^ u16::from(flip);
                let score = 0.99 - (exchange % 40) as f32 / 100.0 - if candidate == 2 { 0.02 } else { 0.0 };
                let outcome = if candidate == 2 && exchange % 90 == 1 {
                    failed(candidate, exchange)
                } else {
                    answered(candidate, exchange, ms, Some((label, score)))
                };
                run.outcomes.push(Outcome { iteration, warmup: exchange < 20, ..outcome });
            }
        }
    }
    run
}

/// Writes the report of `run` into `dir`.
pub(crate) fn written(dir: &Path, run: &Rehearsal) -> Files {
    write(dir, run, &judge(run)).unwrap()
}

fn html(run: &Rehearsal) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::read_to_string(written(dir.path(), run).html).unwrap()
}

#[test]
fn the_page_loads_nothing_and_runs_nothing() {
    let page = html(&rehearsed());
    for forbidden in
        ["<script", "src=", "href=", "url(", "@import", "<link", "<iframe", "onload", "javascript:"]
    {
        assert!(!page.contains(forbidden), "the page contains {forbidden}");
    }
    // Addresses of candidates are shown as text; nothing else has a scheme.
    let schemes = page.matches("http").count();
    let candidates = page.matches("http://127.0.0.1:800").count();
    let kinds = page.matches("http_error").count();
    assert_eq!(schemes, candidates + kinds);
}

#[test]
fn the_page_has_every_part() {
    let page = html(&rehearsed());
    for part in [
        "FAIL",
        "cpu-small may not take the part; ",
        "p95 slowdown over the baseline",
        "id=\"by-percentile-title\"",
        "id=\"over-time-title\"",
        "id=\"disagreement-title\"",
        "By iteration",
        "labels that flipped",
        "Who says what",
        "Fidelity certificate",
        "understudy replay captures/monday",
        "b3:9f2c41d07be8a6",
        "503",
    ] {
        assert!(page.contains(part), "the page lacks {part}");
    }
}

#[test]
fn hostile_labels_names_and_texts_stay_text() {
    let evil = "</td><script>alert(1)</script>\"'&";
    let mut run = rehearsed();
    run.labels[0] = evil.into();
    run.plan.candidates[2].name = evil.into();
    run.dataset.damage = vec![evil.into()];
    let mut report = RunReport::of(&run, &judge(&run));
    report.texts = (0..1_000).map(|exchange| (exchange, evil.to_owned())).collect();
    let page = page::render(&report).unwrap();
    assert!(!page.contains("<script"), "a script got in");
    assert!(page.contains("&lt;script") || page.contains("&#60;script"));
    // In the fenced command it is text as it is.
    let markdown = markdown::render(&report);
    let (before_command, _) = markdown.split_once("```sh").unwrap();
    assert!(!before_command.contains("<script"), "a script got into the markdown");
    let mut table = Vec::new();
    print(&mut table, &report.judgement, false).unwrap();
}

#[test]
fn texts_of_flips_are_shown_beside_both_answers() {
    let mut report = RunReport::of(&rehearsed(), &judge(&rehearsed()));
    let first = report.judgement.candidates[2].answers.as_ref().unwrap().flips[0].exchange;
    report.texts.insert(first, "the box came late, but fine".into());
    let page = page::render(&report).unwrap();
    assert!(page.contains("the box came late, but fine"));
    assert!(page.contains("not available"));
}

#[test]
fn run_json_comes_back_as_it_was_and_renders_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let run = rehearsed();
    let files = written(dir.path(), &run);
    let once = RunReport::read(&files.run_json).unwrap();
    let page = page::render(&once).unwrap();
    assert_eq!(page, std::fs::read_to_string(&files.html).unwrap());

    let again = serde_json::to_vec_pretty(&once).unwrap();
    std::fs::write(&files.run_json, again).unwrap();
    let twice = RunReport::read(&files.run_json).unwrap();
    assert_eq!(page::render(&twice).unwrap(), page);
    assert_eq!(once.judgement.verdict, judge(&run).verdict);
}

#[test]
fn a_run_of_nothing_still_has_a_report() {
    let run = stage(&["base", "new"], Gates::default());
    let page = html(&run);
    assert!(page.contains("INVALID") && page.contains("no request was sent"));
    let alone = stage(&["base"], Gates::default()).latencies(0, [10.0; 500]);
    assert!(html(&alone).contains("It keeps its limits."));
}

#[test]
fn a_report_is_small_whatever_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path(), &rehearsed());
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&files.run_json) < 200_000, "{}", size(&files.run_json));
    assert!(size(&files.html) < 200_000, "{}", size(&files.html));
}

#[test]
fn a_capture_that_is_gone_costs_the_texts_and_is_told() {
    let report = RunReport::of(&rehearsed(), &judge(&rehearsed()));
    assert!(report.texts.is_empty());
    assert!(report.notes[0].contains("the capture could not be read again"), "{:?}", report.notes);
    assert!(report.series.iter().all(|s| s.over_time.len() > 10));
}

#[test]
fn the_table_says_who_and_why_and_leaves_the_verdict_to_the_last_line() {
    let judgement = judge(&rehearsed());
    let printed = |colour| {
        let mut out = Vec::new();
        print(&mut out, &judgement, colour).unwrap();
        String::from_utf8(out).unwrap()
    };
    let plain = printed(false);
    let lines: Vec<&str> = plain.lines().collect();
    assert!(lines[0].starts_with("candidate") && lines[0].ends_with("drift"), "{plain}");
    assert!(lines[1].starts_with("cpu-large (baseline)"), "{plain}");
    assert!(lines[3].starts_with("cpu-small") && lines[3].contains("FAIL"), "{plain}");
    assert!(plain.contains("cpu-small: p95 "), "{plain}");
    assert!(!plain.contains("verdict: ") && !plain.contains('\x1b'));
    assert!(printed(true).contains("\x1b[1;31mFAIL\x1b[0m"));
}

#[test]
fn the_markdown_has_the_verdict_the_table_and_the_command() {
    let report = RunReport::of(&rehearsed(), &judge(&rehearsed()));
    let markdown = markdown::render(&report);
    assert!(markdown.starts_with("## Rehearsal: \u{274c} FAIL\n"));
    assert!(markdown.contains("| gpu-t4 | \u{2705} PASS |"), "{markdown}");
    assert!(markdown.contains("```sh\nunderstudy replay captures/monday"));
    // A table row has as many cells as its header, whatever is in it.
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(
        markdown
            .lines()
            .filter(|l| l.starts_with("| ") && l.contains(" ms"))
            .all(|l| [9, 4].contains(&cells(l)))
    );
}
