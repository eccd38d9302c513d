//! What is recorded and what is dropped, at half of the most that the sidecar carries and at the most.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use understudy_tests::peers::{Load, Nginx, h2load_at, wrk, wrk_post};
use understudy_tests::process::PATIENCE;
use understudy_tests::programs::{Sidecar, metrics};

use crate::sidecar::BODY;
use crate::table;

const SECONDS: u32 = 10;
const CONNECTIONS: u32 = 64;
/// A share of a core that is too little to record all.
const STARVED: &str = "0.1";
const FATES: [&str; 8] = [
    "recorded",
    "queue_full",
    "over_limit",
    "unparseable",
    "unsanitizable",
    "io_error",
    "excluded",
    "sampled_out",
];

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let scratch = tempfile::tempdir()?;
    let post = wrk_post(scratch.path(), BODY)?;
    let body = scratch.path().join("body.json");
    std::fs::write(&body, BODY)?;

    let full = |url: &str| wrk(url, SECONDS, CONNECTIONS, Some(&post));
    let (most, at_most) = measured(&app, &scratch.path().join("most"), &[], &full)?;
    let most_rate = most.done as f64 / most.seconds;
    let each = (most_rate / 2.0 / f64::from(CONNECTIONS)) as u32;
    let requests = u64::from(each * CONNECTIONS * SECONDS);
    let half = |url: &str| h2load_at(Some(each), url, requests, CONNECTIONS, Some(&body));
    let (half, at_half) = measured(&app, &scratch.path().join("half"), &[], &half)?;
    let starved = measured(&app, &scratch.path().join("starved"), &["--recorder-cpu", STARVED], &full)?;

    writeln!(out, "### Sidecar: loss\n")?;
    writeln!(
        out,
        "{CONNECTIONS} connections for {SECONDS} s: as fast as answers come (wrk), and at half of that rate (h2load). Fates from \
         `/metrics`. In the last column the recorder may take {STARVED} of a core.\n"
    )?;
    let columns = [(half, at_half), (most, at_most), starved];
    let mut rows = vec![
        row("requests a second", &columns, |load, _| load.done as f64 / load.seconds),
        row("answers that clients missed", &columns, |load, _| load.failed as f64),
        row("seen", &columns, |_, page| page["understudy_proxy_requests_seen_total"]),
    ];
    for fate in FATES {
        rows.push(row(fate, &columns, |_, page| page[&name(fate)]));
    }
    rows.push(row("no fate", &columns, |_, page| {
        page["understudy_proxy_requests_seen_total"] - accounted(page)
    }));
    table::write(out, &["", "at half", "at the most", "at the most, recorder starved"], &rows)
}

/// A load, and the metrics after it.
type Column = (Load, BTreeMap<String, f64>);

fn row(
    title: &str,
    columns: &[Column],
    figure: impl Fn(&Load, &BTreeMap<String, f64>) -> f64,
) -> Vec<String> {
    let figures = columns.iter().map(|(load, page)| format!("{:.0}", figure(load, page)));
    [title.to_owned()].into_iter().chain(figures).collect()
}

/// A load and the metrics after it, once every request has its fate.
fn measured(
    app: &Nginx,
    captures: &Path,
    more: &[&str],
    load: &dyn Fn(&str) -> Result<Load>,
) -> Result<Column> {
    let sidecar = Sidecar::start(&app.listen, captures, more)?;
    let load = load(&format!("http://{}/predict", sidecar.listen))?;
    let deadline = Instant::now() + PATIENCE;
    // The queue's end is no event for us.
    let page = loop {
        let page = metrics(&sidecar.admin)?;
        let over = page["understudy_proxy_requests_seen_total"] == accounted(&page);
        if over || Instant::now() > deadline {
            break page;
        }
        std::thread::park_timeout(Duration::from_millis(100));
    };
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    Ok((load, page))
}

fn accounted(page: &BTreeMap<String, f64>) -> f64 {
    FATES.iter().map(|fate| page[&name(fate)]).sum()
}

fn name(fate: &str) -> String {
    format!("understudy_proxy_requests_total{{fate=\"{fate}\"}}")
}
