//! What the sidecar costs, recording on and off, against nginx, nginx that copies each request (`mirror`), and haproxy.
//!
//! Two loads, because they answer two questions. *At full load* says how much traffic a core carries. There, a busier
//! machine hands the data thread more at a time, which makes it cheaper a request; so a fair comparison of recording on
//! and off needs *a fixed rate* too, where all are given the same work at the same instants.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;
use understudy_tests::peers::{Haproxy, Load, Nginx, h2load_at, wrk, wrk_post};
use understudy_tests::programs::{Sidecar, understudy_json};

use crate::{cpu, table};

const ROUNDS: usize = 5;
const SECONDS: u32 = 4;
/// At full load.
const CONNECTIONS: u32 = 64;
/// At a fixed rate: connections, and requests a second on each.
const FIXED: (u32, u32) = (16, 500);
pub(crate) const BODY: &str = r#"{"text":"the lens is sharp, but the menu is a maze"}"#;
/// Places of those that ratios are taken to.
const NGINX: usize = 0;
const MIRROR: usize = 2;
const OFF: usize = 3;

/// One thing in the middle, and the CPU account of what it forwards with.
struct Contender<'a> {
    name: &'static str,
    listen: &'a str,
    pid: u32,
    /// Prefix of the names of the threads that carry traffic; `None` is the whole process.
    threads: Option<&'static str>,
}

/// CPU microseconds a request, by round.
#[derive(Default)]
struct Cost {
    /// Of the threads that carry traffic.
    data: Vec<f64>,
    whole: Vec<f64>,
}

/// Prints the tables.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let nginx = Nginx::forwarding(&app.listen)?;
    let haproxy = Haproxy::forwarding(&app.listen)?;
    let shadow = Nginx::answering()?;
    let mirror = Nginx::mirroring(&app.listen, &shadow.listen)?;
    let (off_dir, on_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let off = Sidecar::start(&app.listen, off_dir.path(), &["--no-record"])?;
    let on = Sidecar::start(&app.listen, on_dir.path(), &[])?;
    let scratch = tempfile::tempdir()?;
    let post = wrk_post(scratch.path(), BODY)?;
    let body = scratch.path().join("body.json");
    std::fs::write(&body, BODY)?;

    let contender = |name, listen, pid, threads| Contender { name, listen, pid, threads };
    let contenders = [
        contender("nginx `proxy_pass`", nginx.listen.as_str(), nginx.worker()?, None),
        contender("haproxy", haproxy.listen.as_str(), haproxy.worker()?, None),
        contender("nginx `mirror`", mirror.listen.as_str(), mirror.worker()?, None),
        contender("sidecar, recording off", off.listen.as_str(), off.process.pid(), Some("data")),
        contender("sidecar, recording on", on.listen.as_str(), on.process.pid(), Some("data")),
    ];
    let (connections, rate) = FIXED;
    let full = |url: &str| wrk(url, SECONDS, CONNECTIONS, Some(&post));
    let requests = u64::from(connections * rate * SECONDS);
    let fixed = |url: &str| h2load_at(Some(rate), url, requests, connections, Some(&body));

    writeln!(out, "### Sidecar: CPU a request\n")?;
    writeln!(
        out,
        "POST of a 50-byte text, answers of 110 bytes; medians (and span) of {ROUNDS} alternating rounds of {SECONDS} s. For \
         the sidecar its data thread; *whole* counts its recorder, too. Ratios are of requests a CPU-second: above 1 is \
         better. `mirror` sends each request to a second service, too, and keeps no answer; that service is not counted.\n"
    )?;
    compare(
        out,
        &format!("at {}/s (h2load, {connections} connections)", connections * rate),
        &contenders,
        &fixed,
    )?;
    writeln!(out)?;
    compare(out, &format!("at full load (wrk -t1 -c{CONNECTIONS})"), &contenders, &full)?;

    let stats = close(on, on_dir.path())?;
    writeln!(
        out,
        "\nOf {} requests seen with recording on, {} were recorded and {} dropped because the queue was full.",
        stats["seen"], stats["recorded"], stats["queue_full"]
    )?;
    Ok(())
}

/// Rounds alternate, so that whatever else the machine does hits all alike. The first only warms up.
fn compare(
    out: &mut dyn Write,
    title: &str,
    contenders: &[Contender<'_>],
    load: &dyn Fn(&str) -> Result<Load>,
) -> Result<()> {
    let mut costs: Vec<Cost> = contenders.iter().map(|_| Cost::default()).collect();
    for round in 0..=ROUNDS {
        for (contender, cost) in contenders.iter().zip(&mut costs) {
            let before = account(contender)?;
            let load = load(&format!("http://{}/predict", contender.listen))?;
            let after = account(contender)?;
            anyhow::ensure!(load.failed == 0, "{} failed {} requests", contender.name, load.failed);
            if round > 0 {
                cost.data.push((after.0 - before.0) * 1e6 / load.done as f64);
                cost.whole.push((after.1 - before.1) * 1e6 / load.done as f64);
            }
        }
    }
    let [nginx, mirror, off] = [NGINX, MIRROR, OFF].map(|place| table::median(&costs[place].data));
    let rows: Vec<Vec<String>> = contenders
        .iter()
        .zip(&costs)
        .map(|(contender, cost)| {
            let (low, high) = table::span(&cost.data);
            let figure = table::median(&cost.data);
            vec![
                contender.name.to_owned(),
                format!("{figure:.1} ({low:.1}-{high:.1})"),
                format!("{:.2}", nginx / figure),
                format!("{:.2}", off / figure),
                format!("{:.2}", mirror / figure),
                format!("{:.2}", nginx / table::median(&cost.whole)),
            ]
        })
        .collect();
    table::write(
        out,
        &[title, "CPU µs a request", "to nginx", "to recording off", "to mirror", "whole, to nginx"],
        &rows,
    )
}

/// CPU seconds of the threads that carry traffic, and of the whole process.
fn account(contender: &Contender<'_>) -> Result<(f64, f64)> {
    Ok((cpu::seconds(contender.pid, contender.threads)?, cpu::seconds(contender.pid, None)?))
}

/// Ends a sidecar and returns what its capture says.
fn close(sidecar: Sidecar, captures: &Path) -> Result<serde_json::Value> {
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    understudy_json(&["capture", "stats", "--json", &captures.to_string_lossy()])
}
