//! What a request costs the replayer in `max` mode, against wrk and a bare hyper client.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use rustix::process::Signal;
use understudy_tests::peers::{Nginx, h2load, wrk_post};
use understudy_tests::programs::{Sidecar, program};

use crate::{cpu, table};

const ROUNDS: usize = 3;
const REQUESTS: u64 = 200_000;
const CONNECTIONS: usize = 16;
const BODY: &str = r#"{"text":"the lens is sharp, but the menu is a maze"}"#;

/// Prints the table.
pub(crate) fn run(out: &mut dyn Write) -> Result<()> {
    let app = Nginx::answering()?;
    let scratch = tempfile::tempdir()?;
    let captures = scratch.path().join("captures");
    record(&app, &captures)?;
    let post = wrk_post(scratch.path(), BODY)?;
    let url = format!("http://{}/predict", app.listen);

    let ours = |round: usize| -> Result<f64> {
        let runs = scratch.path().join(format!("run-{round}"));
        let args = [
            "replay".to_owned(),
            captures.display().to_string(),
            "--candidate".to_owned(),
            format!("target=http://{}", app.listen),
            "--max".to_owned(),
            CONNECTIONS.to_string(),
            "--iterations=1".to_owned(),
            "--threads=1".to_owned(),
            "--quiet".to_owned(),
            "--out".to_owned(),
            runs.display().to_string(),
        ];
        // `max` mode keeps no schedule, so its verdict is not asked for: exit code and all.
        let program = program("understudy").display().to_string();
        let wrapped: Vec<String> = ["-c".to_owned(), "\"$@\" || true".to_owned(), "sh".to_owned(), program]
            .into_iter()
            .chain(args)
            .collect();
        let (cpu, finished) = cpu::of_command("sh", &wrapped)?;
        anyhow::ensure!(finished.stdout.contains("verdict: "), "the replay ran: {finished:?}");
        Ok(REQUESTS as f64 / cpu)
    };
    let wrk = |_: usize| -> Result<f64> {
        let args = ["-t1", "-c16", "-d3s", "-s"].map(String::from).into_iter();
        let args: Vec<String> = args.chain([post.display().to_string(), url.clone()]).collect();
        let (cpu, finished) = cpu::of_command("wrk", &args)?;
        let line = finished.stdout.lines().find(|l| l.contains(" requests in ")).context("wrk counts")?;
        let done: f64 = line.split_whitespace().next().context("a number")?.parse()?;
        Ok(done / cpu)
    };
    let bare = |_: usize| -> Result<f64> {
        let me = std::env::current_exe()?.display().to_string();
        let (cpu, _) = cpu::of_command(&me, &["bare-hyper-client".to_owned(), app.listen.clone()])?;
        Ok(REQUESTS as f64 / cpu)
    };

    type Client<'a> = (&'a str, &'a dyn Fn(usize) -> Result<f64>);
    let clients: [Client<'_>; 3] =
        [("wrk", &wrk), ("bare hyper `client::conn`, one thread", &bare), ("understudy replay --max", &ours)];
    let mut samples = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for ((_, client), samples) in clients.iter().zip(&mut samples) {
            samples.push(client(round)?);
        }
    }
    let reference = table::median(&samples[0]);
    let hyper = table::median(&samples[1]);
    let rows: Vec<Vec<String>> = clients
        .iter()
        .zip(&samples)
        .map(|((name, _), samples)| {
            let figure = table::median(samples);
            let (low, high) = table::span(samples);
            vec![
                (*name).to_owned(),
                format!("{figure:.0} ({low:.0}-{high:.0})"),
                format!("{:.2}", figure / reference),
                format!("{:.2}", figure / hyper),
            ]
        })
        .collect();
    writeln!(out, "### Replayer: requests per CPU-second in `max` mode\n")?;
    writeln!(
        out,
        "{CONNECTIONS} connections, one thread, {REQUESTS} POSTs against nginx; the whole process is counted: reading the \
         capture, answers checked, outcomes, statistics and report written. Medians (and span) of {ROUNDS} alternating \
         rounds.\n"
    )?;
    table::write(out, &["", "requests per CPU-s", "to wrk", "to bare hyper"], &rows)
}

/// Records `REQUESTS` exchanges.
fn record(app: &Nginx, captures: &Path) -> Result<()> {
    let sidecar = Sidecar::start(&app.listen, captures, &[])?;
    let body = captures.with_extension("json");
    std::fs::write(&body, BODY)?;
    h2load(&format!("http://{}/predict", sidecar.listen), REQUESTS, 4, Some(&body))?;
    sidecar.process.signal(Signal::TERM)?;
    sidecar.process.wait()?;
    let stats = understudy_tests::programs::understudy_json(&[
        "capture",
        "stats",
        "--json",
        &captures.to_string_lossy(),
    ])?;
    anyhow::ensure!(stats["recorded"] == REQUESTS, "all requests are recorded: {stats}");
    Ok(())
}

/// The least that a hyper client can do: the same requests over as many connections on one thread.
pub(crate) fn bare_hyper_client(args: &[String], out: &mut dyn Write) -> Result<()> {
    let target = args.first().context("bare-hyper-client ADDRESS")?.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let began = Instant::now();
    let done: u64 = local.block_on(&runtime, async {
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let target = target.clone();
            tasks.push(tokio::task::spawn_local(async move { bare_connection(&target).await }));
        }
        let mut done = 0;
        for task in tasks {
            done += task.await??;
        }
        anyhow::Ok(done)
    })?;
    let took: Duration = began.elapsed();
    writeln!(out, "{done} requests in {took:?}")?;
    Ok(())
}

async fn bare_connection(target: &str) -> Result<u64> {
    let stream = tokio::net::TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    tokio::task::spawn_local(connection);
    let share = REQUESTS / CONNECTIONS as u64;
    for _ in 0..share {
        sender.ready().await?;
        let request = hyper::Request::post("/predict")
            .header("host", target)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(BODY.as_bytes())))?;
        let mut answer = sender.send_request(request).await?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
        while let Some(frame) = answer.body_mut().frame().await {
            frame?;
        }
    }
    Ok(share)
}
