//! What was replayed, how and where.

use crate::judge::words;
use crate::report::RunReport;

/// Names and values.
pub(super) fn facts(report: &RunReport) -> Vec<(&'static str, String)> {
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
                "worker threads: {}, up to {} connections for each candidate, timeout {} s",
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

/// What the reader should know before believing the figures.
pub(super) fn remarks(report: &RunReport) -> Vec<String> {
    let damage = report.dataset.damage.iter().map(|d| format!("The capture is damaged: {d}"));
    let left_out = report.dataset.left_out.iter().map(|l| format!("Left out of the schedule: {l}"));
    damage.chain(left_out).chain(report.notes.iter().cloned()).collect()
}
