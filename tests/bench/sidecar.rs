//! What the sidecar costs: requests per CPU-second, recording on and off, against nginx and haproxy.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use rustix::process::Signal;
use understudy_tests::peers::{Haproxy, Nginx, wrk, wrk_post};
use understudy_tests::programs::{Sidecar, understudy_json};

use crate::{cpu, table};

const ROUNDS: usize = 3;
const SECONDS: u32 = 4;
const CONNECTIONS: u32 = 64;

/// One thing in the middle, and the CPU account of what it forwards with.
struct Contender<'a> {
    name: &'static str,
    listen: &'a str,
    pid: u32,
    /// Prefix of the names of the threads that carry traffic; `None` is the whole process.
    threads: Option<&'static str>,
    per_cpu: Vec<f64>,
    whole: Vec<f64>,
}

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let nginx = Nginx::forwarding(&app.listen)?;
    let haproxy = Haproxy::forwarding(&app.listen)?;
    let (off_dir, on_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let off = Sidecar::start(&app.listen, off_dir.path(), &["--no-record"])?;
    let on = Sidecar::start(&app.listen, on_dir.path(), &[])?;
    let post = wrk_post(on_dir.path(), r#"{"text":"the lens is sharp, but the menu is a maze"}"#)?;

    let contender = |name, listen, pid, threads| Contender {
        name,
        listen,
        pid,
        threads,
        per_cpu: Vec::new(),
        whole: Vec::new(),
    };
    let mut contenders = [
        contender("nginx `proxy_pass`", nginx.listen.as_str(), nginx.worker()?, None),
        contender("haproxy", haproxy.listen.as_str(), haproxy.worker()?, None),
        contender("sidecar, recording off", off.listen.as_str(), off.process.pid(), Some("data")),
        contender("sidecar, recording on", on.listen.as_str(), on.process.pid(), Some("data")),
    ];
    // Rounds alternate, so that whatever else the machine does hits all alike. The first only warms up.
    for round in 0..=ROUNDS {
        for contender in &mut contenders {
            measure(contender, &post, round > 0)?;
        }
    }

    let nginx_figure = table::median(&contenders[0].per_cpu);
    let off_figure = table::median(&contenders[2].per_cpu);
    let rows: Vec<Vec<String>> = contenders
        .iter()
        .map(|c| {
            let (low, high) = table::span(&c.per_cpu);
            let figure = table::median(&c.per_cpu);
            vec![
                c.name.to_owned(),
                format!("{figure:.0} ({low:.0}-{high:.0})"),
                format!("{:.2}", figure / nginx_figure),
                format!("{:.2}", figure / off_figure),
                format!("{:.2}", table::median(&c.whole) / nginx_figure),
            ]
        })
        .collect();
    writeln!(out, "### Sidecar: requests per CPU-second\n")?;
    writeln!(
        out,
        "`wrk -t1 -c{CONNECTIONS} -d{SECONDS}s`, POST of a 50-byte text, answers of 110 bytes; medians (and span) of \
         {ROUNDS} alternating rounds. The sidecar's data thread; *whole* counts its recorder too.\n"
    )?;
    table::write(out, &["", "requests per CPU-s", "to nginx", "to recording off", "whole, to nginx"], &rows)?;

    let stats = close(on, on_dir.path())?;
    writeln!(
        out,
        "\nOf {} requests seen with recording on, {} were recorded and {} dropped because the queue was full.",
        stats["seen"], stats["recorded"], stats["queue_full"]
    )?;
    Ok(())
}

fn measure(contender: &mut Contender<'_>, post: &Path, counts: bool) -> Result<()> {
    let before = (cpu::seconds(contender.pid, contender.threads)?, cpu::seconds(contender.pid, None)?);
    let load = wrk(&format!("http://{}/predict", contender.listen), SECONDS, CONNECTIONS, Some(post))?;
    let after = (cpu::seconds(contender.pid, contender.threads)?, cpu::seconds(contender.pid, None)?);
    anyhow::ensure!(load.failed == 0, "{} failed {} requests", contender.name, load.failed);
    if counts {
        contender.per_cpu.push(load.done as f64 / (after.0 - before.0));
        contender.whole.push(load.done as f64 / (after.1 - before.1));
    }
    Ok(())
}

fn close(sidecar: Sidecar, captures: &Path) -> Result<serde_json::Value> {
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    understudy_json(&["capture", "stats", "--json", &captures.to_string_lossy()])
}
