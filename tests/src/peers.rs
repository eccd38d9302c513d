//! Independent programs: what we are checked with and measured against.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::process::{PATIENCE, Running, finish, succeed};

/// An nginx worker of our own, configured from scratch.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens.
    pub listen: String,
    dir: tempfile::TempDir,
}

/// A haproxy of our own.
#[derive(Debug)]
pub struct Haproxy {
    /// Where it listens.
    pub listen: String,
    /// The process.
    pub process: Running,
    _dir: tempfile::TempDir,
}

/// What h2load or wrk counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Responses received whole.
    pub done: u64,
    /// Of those, 2xx (h2load only; wrk: all that were not errors).
    pub ok: u64,
    /// Requests that got no whole response.
    pub failed: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// An address that was free a moment ago, for programs that cannot bind port 0 and say what they got. Connections start
/// from 127.0.0.1, so none of them takes the port meanwhile, or connects to itself.
pub fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.2:0")?.local_addr()?.to_string())
}

/// Answers of 110 bytes, of none, and a refusal.
const ANSWERS: &str = r#"
location / { default_type application/json; return 200 '{"label":"POSITIVE","score":0.9998,"inference_time_ms":35.21,"model_name":"distilbert-sst-2","text_length":57}'; }
location /empty { return 204; }
location /missing { return 404 'no such thing'; }"#;

/// Directives that pass a request on.
fn forward(to: &str) -> String {
    format!(
        "proxy_pass http://{to}; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host; \
         access_log off;"
    )
}

// === impl Nginx ===

impl Nginx {
    /// Answers everything with a body of 110 bytes, and logs each request with the instant of its end.
    pub fn answering() -> Result<Nginx> {
        Self::start(ANSWERS, "")
    }

    /// The same over HTTP/2 by prior knowledge.
    pub fn answering_h2c() -> Result<Nginx> {
        Self::start(ANSWERS, "http2")
    }

    /// Serves files below `root`.
    pub fn files(root: &Path) -> Result<Nginx> {
        Self::start(&format!("location / {{ root {}; }}", root.display()), "")
    }

    /// Forwards to `upstream` with kept connections, as its manual advises.
    pub fn forwarding(upstream: &str) -> Result<Nginx> {
        Self::start_before(&[("up", upstream)], &format!("location / {{ {} }}", forward("up")), "")
    }

    /// The same, and sends a copy of each request to `shadow`.
    pub fn mirroring(upstream: &str, shadow: &str) -> Result<Nginx> {
        let locations = format!(
            "location / {{ mirror /copy; {} }}\nlocation = /copy {{ internal; {} }}",
            forward("up"),
            forward("shadow$request_uri")
        );
        Self::start_before(&[("up", upstream), ("shadow", shadow)], &locations, "")
    }

    fn start(locations: &str, protocol: &str) -> Result<Nginx> {
        Self::start_before(&[], locations, protocol)
    }

    /// Kept connections need an upstream block by name; nginx has no shorter way.
    fn start_before(upstreams: &[(&str, &str)], locations: &str, protocol: &str) -> Result<Nginx> {
        let dir = tempfile::tempdir()?;
        let listen = free_address()?;
        let upstreams: String = upstreams
            .iter()
            .map(|(name, address)| format!("upstream {name} {{ server {address}; keepalive 256; }}\n"))
            .collect();
        let config = format!(
            "worker_processes 1; pid {d}/pid; error_log {d}/error.log warn; user root;\n\
             worker_rlimit_nofile 20000; events {{ worker_connections 16384; }}\n\
             http {{ log_format instants '$msec $status $request_method $request_uri';\n\
             access_log {d}/access.log instants; client_body_temp_path {d}/b; proxy_temp_path {d}/p;\n\
             fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;\n\
             keepalive_requests 100000000; keepalive_timeout 600s; client_max_body_size 64m;\n{upstreams}\n\
             server {{ listen {listen} {protocol}; {locations} }} }}\n",
            d = dir.path().display()
        );
        std::fs::write(dir.path().join("nginx.conf"), config)?;
        let nginx = Nginx { listen, dir };
        nginx.serve()?;
        Ok(nginx)
    }

    /// nginx goes to the background only after it listens, so its end is its readiness.
    fn serve(&self) -> Result<()> {
        let dir = self.dir.path();
        succeed(Command::new("nginx").arg("-c").arg(dir.join("nginx.conf")).arg("-p").arg(dir))?;
        Ok(())
    }

    /// Stops at once, whatever is under way, and listens again at the same address.
    pub fn restart(&self) -> Result<()> {
        let master = self.master()?;
        kill_process(Pid::from_raw(master).context("nginx has a pid")?, Signal::TERM)?;
        // It is no child of ours, so its end is no event; it takes its pid file with it.
        let deadline = Instant::now() + PATIENCE;
        while self.dir.path().join("pid").exists() {
            anyhow::ensure!(Instant::now() < deadline, "nginx {master} does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.serve()
    }

    /// Process id of its only worker.
    pub fn worker(&self) -> Result<u32> {
        let master = self.master()?;
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        Ok(children.split_whitespace().next().context("nginx has a worker")?.parse()?)
    }

    fn master(&self) -> Result<i32> {
        Ok(std::fs::read_to_string(self.dir.path().join("pid"))?.trim().parse()?)
    }

    /// Lines of its access log: `SECONDS.MILLIS STATUS METHOD TARGET`.
    pub fn log(&self) -> Result<Vec<String>> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log"))?;
        Ok(text.lines().map(String::from).collect())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(pid) = self.master().ok().and_then(Pid::from_raw) {
            // Already gone is fine.
            kill_process(pid, Signal::TERM).ok();
        }
    }
}

// === impl Haproxy ===

impl Haproxy {
    /// Forwards to `upstream` in HTTP mode with kept connections, on one thread.
    pub fn forwarding(upstream: &str) -> Result<Haproxy> {
        let dir = tempfile::tempdir()?;
        let listen = free_address()?;
        let config = format!(
            "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  \
             timeout server 60s\n  option http-keep-alive\n  http-reuse always\nfrontend f\n  bind {listen}\n  \
             default_backend b\nbackend b\n  server s {upstream}\n"
        );
        let path = dir.path().join("haproxy.cfg");
        std::fs::write(&path, config)?;
        let mut command = Command::new("haproxy");
        command.arg("-W").arg("-db").arg("-f").arg(&path);
        let mut process = Running::start(command)?;
        process.await_line("Loading success")?;
        Ok(Haproxy { listen, process, _dir: dir })
    }

    /// Process id of its worker.
    pub fn worker(&self) -> Result<u32> {
        let pid = self.process.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(children.split_whitespace().next().context("haproxy has a worker")?.parse()?)
    }
}

// === load ===

/// Exactly `requests` requests over `connections` kept HTTP/1.1 connections, with a JSON body when one is given; as fast
/// as answers come.
pub fn h2load(url: &str, requests: u64, connections: u32, body: Option<&Path>) -> Result<Load> {
    h2load_at(None, url, requests, connections, body)
}

/// Exactly `requests` requests over `connections` of HTTP/2 with `streams` at a time on each.
pub fn h2load_h2c(url: &str, requests: u64, connections: u32, streams: u32) -> Result<Load> {
    let mut command = Command::new("h2load");
    command.args([
        "-t1",
        "-n",
        &requests.to_string(),
        "-c",
        &connections.to_string(),
        "-m",
        &streams.to_string(),
    ]);
    counted(command.arg(url))
}

/// The same, at `rate` requests a second on each connection.
pub fn h2load_at(
    rate: Option<u32>,
    url: &str,
    requests: u64,
    connections: u32,
    body: Option<&Path>,
) -> Result<Load> {
    let mut command = Command::new("h2load");
    if let Some(rate) = rate {
        command.arg(format!("--rps={rate}"));
    }
    command.args(["--h1", "-t1", "-n", &requests.to_string(), "-c", &connections.to_string()]);
    if let Some(body) = body {
        command.arg("-d").arg(body).args(["-H", "content-type: application/json"]);
    }
    counted(command.arg(url))
}

/// Response times in milliseconds, from sending a request to the end of its answer, at `rate` requests a second spread
/// evenly over `connections`: connection n sends n-th, and again after `connections / rate` seconds.
pub fn h2load_times(
    url: &str,
    rate: u32,
    connections: u32,
    seconds: u32,
    body: &Path,
) -> Result<(Load, Vec<f64>)> {
    let log = tempfile::NamedTempFile::new()?;
    let mut command = Command::new("h2load");
    command.args(["--h1", "-t1", "-n", &(rate * seconds).to_string(), "-c", &connections.to_string()]);
    command.args([
        "-r1",
        &format!("--rate-period={}ms", 1000 / rate),
        &format!("--rps={}", rate / connections),
    ]);
    command.arg("-d").arg(body).args(["-H", "content-type: application/json", "--log-file"]).arg(log.path());
    let load = counted(command.arg(url))?;
    // A line: start in microseconds of the clock, status, microseconds to the end of the answer.
    let micros = |line: &str| line.split_whitespace().nth(2).and_then(|field| field.parse::<f64>().ok());
    let text = std::fs::read_to_string(log.path())?;
    let times: Option<Vec<f64>> = text.lines().map(|line| Some(micros(line)? / 1e3)).collect();
    Ok((load, times.context("h2load logs three numbers a request")?))
}

/// What h2load printed.
fn counted(command: &mut Command) -> Result<Load> {
    let output = succeed(command)?.stdout;
    let number_before = |mark: &str| -> Result<u64> {
        let at = output.find(mark).with_context(|| format!("no {mark:?} in {output}"))?;
        let words = output[..at].split_whitespace();
        Ok(words.last().context("a number stands before it")?.trim_end_matches(',').parse()?)
    };
    let (_, rest) = output.split_once("finished in ").context("h2load says how long it took")?;
    let time = rest.split(',').next().unwrap_or_default();
    let seconds = match time.strip_suffix("ms") {
        Some(ms) => ms.parse::<f64>()? / 1e3,
        None => time.trim_end_matches('s').parse()?,
    };
    Ok(Load {
        done: number_before(" done,")?,
        ok: number_before(" succeeded,")?,
        failed: number_before(" failed,")?,
        seconds,
    })
}

/// As many requests as `connections` kept connections carry in `seconds`, on one thread.
pub fn wrk(url: &str, seconds: u32, connections: u32, script: Option<&Path>) -> Result<Load> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s")]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let output = succeed(command.arg(url))?.stdout;
    let line = output.lines().find(|l| l.contains(" requests in ")).with_context(|| output.clone())?;
    let mut words = line.split_whitespace();
    let done: u64 = words.next().context("wrk counts requests")?.parse()?;
    let time = words.nth(2).context("wrk says how long it took")?.trim_end_matches(',');
    // "Non-2xx or 3xx responses: N" and "Socket errors: connect N, read N, write N, timeout N".
    let failed = output
        .lines()
        .filter(|l| l.contains("Non-2xx") || l.contains("Socket errors"))
        .filter_map(|l| l.split_once(':'))
        .flat_map(|(_, counts)| {
            counts.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok())
        })
        .sum();
    Ok(Load { done, ok: done.saturating_sub(failed), failed, seconds: time.trim_end_matches('s').parse()? })
}

/// What curl received, head included, without the fields that change by themselves.
pub fn curl(args: &[&str]) -> Result<String> {
    let output = succeed(Command::new("curl").args(["-sS", "-i", "--max-time", "30"]).args(args))?.stdout;
    let steady = |line: &&str| !line.to_ascii_lowercase().starts_with("date:");
    Ok(output.split_inclusive('\n').filter(steady).collect())
}

/// Body of a page.
pub fn fetch(url: &str) -> Result<String> {
    Ok(succeed(Command::new("curl").args(["-sS", "-f", "--max-time", "30", url]))?.stdout)
}

// === observers ===

/// A Prometheus that scrapes `targets` every second.
#[derive(Debug)]
pub struct Prometheus {
    /// Where its API listens.
    pub listen: String,
    _process: Running,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it and waits until it serves.
    pub fn scraping(targets: &[&str]) -> Result<Prometheus> {
        let dir = tempfile::tempdir()?;
        let listen = free_address()?;
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: understudy\n  static_configs:\n  - targets: {targets:?}\n"
        );
        let path = dir.path().join("prometheus.yml");
        std::fs::write(&path, config)?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        command.arg(format!("--web.listen-address={listen}"));
        let mut process = Running::start(command)?;
        process.await_line("ready to receive web requests")?;
        Ok(Prometheus { listen, _process: process, _dir: dir })
    }

    /// Asks for an instant vector until it has at least one sample that satisfies `enough`; a scrape has no other event.
    pub fn await_value(&self, query: &str, enough: impl Fn(f64) -> bool) -> Result<f64> {
        let deadline = Instant::now() + PATIENCE;
        let url = format!("http://{}/api/v1/query", self.listen);
        loop {
            let mut command = Command::new("curl");
            command.args(["-sS", "-f", "--max-time", "10", "-G", &url, "--data-urlencode"]);
            let answer = succeed(command.arg(format!("query={query}")))?.stdout;
            let answer: serde_json::Value = serde_json::from_str(&answer)?;
            let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok());
            match value {
                Some(value) if enough(value) => return Ok(value),
                _ if Instant::now() > deadline => anyhow::bail!("{query} stayed at {answer}"),
                _ => std::thread::park_timeout(Duration::from_millis(200)),
            }
        }
    }
}

/// What `promtool check metrics` says of a page; empty when it has nothing to say.
pub fn promtool_check(page: &str) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("metrics.txt");
    std::fs::write(&path, page)?;
    let mut command = Command::new("sh");
    let finished = finish(command.arg("-c").arg(format!("promtool check metrics < {}", path.display())))?;
    Ok(match finished.code {
        0 => String::new(),
        code => format!("exit {code}: {}{}", finished.stdout, finished.stderr),
    })
}

/// Loads a file in headless Chromium, which must not ask the network for anything, and returns its document after
/// scripts ran. Also writes a screenshot.
pub fn browse(page: &Path, screenshot: &Path, width: u32) -> Result<String> {
    let profile = tempfile::tempdir()?;
    let chromium = || {
        let mut command = Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command
    };
    let url = format!("file://{}", page.display());
    let shot = format!("--screenshot={}", screenshot.display());
    succeed(chromium().arg(shot).arg(format!("--window-size={width},3200")).arg(&url))?;
    Ok(succeed(chromium().arg("--dump-dom").arg(&url))?.stdout)
}

/// A script for wrk that posts `body`.
pub fn wrk_post(dir: &Path, body: &str) -> Result<PathBuf> {
    let path = dir.join("post.lua");
    let script = format!(
        "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [==[{body}]==]\n"
    );
    std::fs::write(&path, script)?;
    Ok(path)
}
