//! The same requests directly and through the sidecar, by independent clients to independent servers, with a tape on
//! each side: what leaves the sidecar is what came, to the byte, and connections end as they do without it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::Value;
use understudy_tests::peers::{Nginx, curl, h2load_h2c};
use understudy_tests::programs::{Sidecar, understudy_json};
use understudy_tests::python::{PythonServer, printed};
use understudy_tests::tape::{Connection, End, Tape};

/// A tape, the sidecar, another tape, a server. The first tape can also lead straight to the server.
struct Stage {
    server: String,
    front: Tape,
    back: Tape,
    sidecar: Sidecar,
    captures: tempfile::TempDir,
}

/// What went over the wire of a client, directly and through the sidecar.
struct Takes {
    direct: Vec<Connection>,
    through: Vec<Connection>,
}

// === impl Stage ===

impl Stage {
    fn before(server: &str) -> Result<Stage> {
        let captures = tempfile::tempdir()?;
        let back = Tape::before(server)?;
        let sidecar = Sidecar::start(&back.listen, captures.path(), &[])?;
        Ok(Stage { server: server.to_owned(), front: Tape::before(server)?, back, sidecar, captures })
    }

    /// Lets a client of `connections` do the same twice; what it makes of the answers must be the same.
    fn play(&self, connections: usize, client: impl Fn(&str) -> Result<String>) -> Result<Takes> {
        self.front.lead_to(&self.server);
        let without = client(&self.front.listen)?;
        let direct = self.front.take(connections)?;
        self.front.lead_to(&self.sidecar.listen);
        let with = client(&self.front.listen)?;
        let through = self.front.take(connections)?;
        let behind = self.back.take(connections)?;
        assert!(!without.is_empty());
        assert_eq!(without, with, "what the client makes of it");
        assert_eq!(through, behind, "before and behind the sidecar");
        assert_eq!(ends(&direct), ends(&through), "connections end as they do without the sidecar");
        Ok(Takes { direct, through })
    }

    /// What the capture counts once the sidecar has ended.
    fn close(self) -> Result<Value> {
        self.sidecar.process.signal(Signal::TERM)?;
        let (status, printed) = self.sidecar.process.wait()?;
        assert!(status.success(), "{printed:?}");
        understudy_json(&["capture", "stats", "--json", &self.captures.path().to_string_lossy()])
    }
}

fn ends(connections: &[Connection]) -> BTreeMap<(End, End), usize> {
    let mut ends = BTreeMap::new();
    for connection in connections {
        *ends.entry((connection.up_end, connection.down_end)).or_default() += 1;
    }
    ends
}

/// Connections of HTTP/1 without the dates of the server.
fn undated(connections: &[Connection]) -> Vec<Connection> {
    let steady = |bytes: &[u8]| {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| !line.to_ascii_lowercase().starts_with(b"date: ")).flatten().copied().collect()
    };
    let mut undated: Vec<_> = connections
        .iter()
        .map(|connection| Connection { down: steady(&connection.down), ..connection.clone() })
        .collect();
    undated.sort();
    undated
}

fn count(stats: &Value, key: &str) -> Result<u64> {
    stats[key].as_u64().with_context(|| format!("no {key} in {stats}"))
}

#[test]
fn curl_and_nginx_exchange_the_same_bytes() -> Result<()> {
    let files = tempfile::tempdir()?;
    std::fs::write(files.path().join("large.bin"), vec![b'l'; 3_000_000])?;
    std::fs::write(files.path().join("small.txt"), "small")?;
    let upload = files.path().join("upload.bin");
    std::fs::write(&upload, vec![b'u'; 2_000_000])?;
    let upload = format!("@{}", upload.display());
    let nginx = Nginx::files(files.path())?;
    let stage = Stage::before(&nginx.listen)?;
    let cases: &[&[&str]] = &[
        &["/small.txt"],
        &["/large.bin"],
        &["--head", "/small.txt"],
        &["/none"],
        &["-H", "Range: bytes=1-2", "/small.txt"],
        &["-H", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT", "/small.txt"],
        &["--http1.0", "/small.txt"],
        &["--data-binary", &upload, "-H", "Expect: 100-continue", "/small.txt"],
        &["--data-binary", &upload, "-H", "Transfer-Encoding: chunked", "/small.txt"],
        &["-X", "PURGE", "/small.txt"],
        &["--request-target", "*", "-X", "OPTIONS", "/"],
        &["-H", "Connection: close", "/small.txt"],
        &["-H", "Host: ", "/small.txt"],
        &["-H", "Content-Length: 5", "-H", "Transfer-Encoding: chunked", "/small.txt"],
        &["-H", "Bad Name: x", "/small.txt"],
        &["-H", "Upgrade: h2c", "-H", "Connection: Upgrade", "/small.txt"],
    ];
    for case in cases {
        let takes = stage.play(1, |address| {
            let args = case.iter().map(|arg| match arg.strip_prefix('/') {
                Some(path) => format!("http://{address}/{path}"),
                None => (*arg).to_owned(),
            });
            let args: Vec<String> = args.collect();
            curl(&args.iter().map(String::as_str).collect::<Vec<_>>())
        })?;
        assert_eq!(undated(&takes.direct), undated(&takes.through), "curl {case:?}");
    }
    // One connection for several requests.
    let takes = stage.play(1, |address| {
        let url = |path: &str| format!("http://{address}{path}");
        curl(&[&url("/small.txt"), &url("/none"), &url("/small.txt")])
    })?;
    assert_eq!(undated(&takes.direct), undated(&takes.through));
    let stats = stage.close()?;
    assert_eq!(count(&stats, "seen")?, cases.len() as u64 + 3);
    Ok(())
}

#[test]
fn httpx_and_fastapi_exchange_the_same_bytes() -> Result<()> {
    let service = PythonServer::start("servers/fastapi_service.py")?;
    let stage = Stage::before(&service.listen)?;
    let takes = stage.play(2, |address| printed("clients/httpx_requests.py", &["fastapi", address]))?;
    assert_eq!(undated(&takes.direct), undated(&takes.through));
    let stats = stage.close()?;
    assert_eq!((count(&stats, "seen")?, count(&stats, "unparseable")?), (15, 0), "{stats}");
    assert_eq!(count(&stats, "over_limit")?, 1, "{stats}");
    Ok(())
}

#[test]
fn httpx_and_nginx_speak_http2_to_each_other() -> Result<()> {
    let nginx = Nginx::answering_h2c()?;
    let stage = Stage::before(&nginx.listen)?;
    stage.play(1, |address| printed("clients/httpx_requests.py", &["h2c", address]))?;
    let stats = stage.close()?;
    assert_eq!((count(&stats, "seen")?, count(&stats, "recorded")?), (25, 25), "{stats}");
    Ok(())
}

#[test]
fn curl_speaks_http2_to_nginx() -> Result<()> {
    let nginx = Nginx::answering_h2c()?;
    let stage = Stage::before(&nginx.listen)?;
    // One request a connection: curl 7.88 loses its way on the second one, directly too.
    for path in ["/a", "/missing", "/empty"] {
        stage.play(1, |address| curl(&["--http2-prior-knowledge", &format!("http://{address}{path}")]))?;
    }
    assert_eq!(count(&stage.close()?, "recorded")?, 3);
    Ok(())
}

#[test]
fn h2load_opens_many_streams_and_loses_none() -> Result<()> {
    const REQUESTS: u64 = 4000;
    let nginx = Nginx::answering_h2c()?;
    let stage = Stage::before(&nginx.listen)?;
    stage.play(4, |address| {
        let load = h2load_h2c(&format!("http://{address}/predict"), REQUESTS, 4, 32)?;
        Ok(format!("{} {} {}", load.done, load.ok, load.failed))
    })?;
    let stats = stage.close()?;
    assert_eq!((count(&stats, "seen")?, count(&stats, "unparseable")?), (REQUESTS, 0), "{stats}");
    Ok(())
}

#[test]
fn grpcio_calls_grpcio_as_if_nothing_stood_between_them() -> Result<()> {
    let service = PythonServer::start("servers/grpc_service.py")?;
    let stage = Stage::before(&service.listen)?;
    stage.play(1, |address| printed("clients/grpc_calls.py", &[address]))?;
    let stats = stage.close()?;
    assert_eq!((count(&stats, "seen")?, count(&stats, "unparseable")?), (39, 0), "{stats}");
    Ok(())
}
