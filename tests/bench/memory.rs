//! Resident memory of a recording sidecar, under steady load and with many connections.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use understudy_tests::peers::{Load, Nginx, h2load_at};
use understudy_tests::programs::{Sidecar, metrics};

use crate::sidecar::BODY;
use crate::table;

/// Without `--seconds`.
const SECONDS: u32 = 60;
/// Connections, and requests a second on each: 20,000 a second.
const STEADY: (u32, u32) = (20, 1_000);
/// As many as the limit of descriptors lets, up to this.
const MANY: u32 = 10_000;
/// Descriptors of a process besides those of its connections.
const OTHERS: u64 = 64;
const MIB: f64 = 1024.0;

/// KiB, one a second.
type Samples = Vec<f64>;

/// Prints both tables. `--seconds N` is for how long the load is steady.
pub(crate) fn run(args: &[String], out: &mut dyn Write) -> Result<()> {
    let seconds = match args {
        [] => SECONDS,
        [flag, n] if flag == "--seconds" => n.parse().context("--seconds takes a number")?,
        other => bail!("memory takes --seconds N, not {other:?}"),
    };
    let limit = getrlimit(Resource::Nofile);
    // Children inherit it.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let scratch = tempfile::tempdir()?;
    let body = scratch.path().join("body.json");
    std::fs::write(&body, BODY)?;
    steady(seconds, scratch.path(), &body, out)?;
    writeln!(out)?;
    let room = limit.maximum.unwrap_or(u64::MAX).saturating_sub(OTHERS) / 2;
    many(room.min(MANY.into()) as u32, scratch.path(), &body, out)
}

fn steady(seconds: u32, scratch: &Path, body: &Path, out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let sidecar = Sidecar::start(&app.listen, &scratch.join("steady"), &[])?;
    let (connections, rate) = STEADY;
    let url = format!("http://{}/predict", sidecar.listen);
    let requests = u64::from(connections) * u64::from(rate) * u64::from(seconds);
    let (load, samples) =
        sampled(&sidecar, || h2load_at(Some(rate), &url, requests, connections, Some(body)))?;
    anyhow::ensure!(load.failed == 0, "{} requests failed", load.failed);
    let fates = metrics(&sidecar.admin)?;
    let fate = |name: &str| fates[&format!("understudy_proxy_requests_total{{fate=\"{name}\"}}")];

    writeln!(out, "### Sidecar: memory at {} requests a second\n", connections * rate)?;
    writeln!(
        out,
        "Asked for during {seconds} s over {connections} connections (h2load), everything recorded; the achieved rate was {:.0} a \
         second. Of {} requests {} were recorded, {} dropped because the queue was full. Resident memory once a second, \
         MiB; the peak is the kernel's.\n",
        load.done as f64 / load.seconds,
        load.done,
        fate("recorded"),
        fate("queue_full"),
    )?;
    let quarters: Vec<&[f64]> = samples.chunks(samples.len().div_ceil(4)).collect();
    let mut head = vec!["at the start"];
    head.extend(["first quarter", "second", "third", "last"].iter().take(quarters.len()));
    head.push("peak");
    let mut row = vec![mib(samples[0])];
    row.extend(quarters.iter().map(|quarter| mib(table::median(quarter))));
    row.push(mib(status(&sidecar, "VmHWM")?));
    table::write(out, &head, &[row])?;
    end(sidecar)
}

fn many(connections: u32, scratch: &Path, body: &Path, out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let sidecar = Sidecar::start(&app.listen, &scratch.join("many"), &[])?;
    let before = status(&sidecar, "VmRSS")?;
    let url = format!("http://{}/predict", sidecar.listen);
    let (load, samples) =
        sampled(&sidecar, || h2load_at(Some(1), &url, u64::from(connections) * 5, connections, Some(body)))?;
    anyhow::ensure!(load.failed == 0, "{} requests failed", load.failed);
    writeln!(out, "### Sidecar: memory with {connections} open connections\n")?;
    writeln!(
        out,
        "Each asks once a second, all at the same instant (h2load), everything recorded; {:.0} requests a second. MiB.\n",
        load.done as f64 / load.seconds
    )?;
    let (_, most) = table::span(&samples);
    // The kernel keeps its peak less often than the present value.
    let peak = status(&sidecar, "VmHWM")?.max(most);
    table::write(
        out,
        &["before", "with all open", "peak", "KiB a connection"],
        &[vec![
            mib(before),
            mib(most),
            mib(peak),
            format!("{:.1}", (peak - before) / f64::from(connections)),
        ]],
    )?;
    end(sidecar)
}

/// Resident memory once a second while `load` runs.
fn sampled(sidecar: &Sidecar, load: impl FnOnce() -> Result<Load> + Send) -> Result<(Load, Samples)> {
    std::thread::scope(|scope| {
        let (done, ended) = channel();
        let running = scope.spawn(move || {
            let load = load();
            done.send(()).ok();
            load
        });
        let began = Instant::now();
        let mut samples = vec![status(sidecar, "VmRSS")?];
        loop {
            let next = began + Duration::from_secs(samples.len() as u64);
            match ended.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => samples.push(status(sidecar, "VmRSS")?),
                _ => break,
            }
        }
        let load = running.join().expect("the load generator's thread ends well")?;
        Ok((load, samples))
    })
}

/// A line of `/proc/PID/status` in KiB.
fn status(sidecar: &Sidecar, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", sidecar.process.pid()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("the kernel tells")?;
    Ok(kib.parse()?)
}

fn mib(kib: f64) -> String {
    format!("{:.1}", kib / MIB)
}

fn end(sidecar: Sidecar) -> Result<()> {
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    Ok(())
}
