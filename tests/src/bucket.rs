//! An S3-speaking server that checks signatures, and a way to lose it in the middle of an answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::process::{Finished, Running, finish};
use crate::programs::program;

/// A running store with one empty bucket, `captures`.
#[derive(Debug)]
pub struct S3 {
    /// The process.
    pub process: Running,
    /// Where it listens, `http://...`.
    pub endpoint: String,
    key: String,
    secret: String,
}

/// Passes bytes to a store and back until it has passed so many answers, then dies with all its connections.
#[derive(Debug)]
pub struct Fragile {
    /// Where it listens, `http://...`.
    pub endpoint: String,
    passed: Arc<AtomicU64>,
}

// === impl S3 ===

impl S3 {
    /// Starts a store on a free port; `tests/run` installs what it needs.
    pub fn start() -> Result<S3> {
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/python/bin/python");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/servers/s3_store.py");
        let python = std::env::var_os("UNDERSTUDY_TEST_PYTHON").map_or(PathBuf::from(python), PathBuf::from);
        let mut command = Command::new(python);
        command.arg(script);
        let mut process = Running::start(command).context("tests/run makes target/python")?;
        let ready = process.await_line("listening on ")?;
        let (_, ready) = ready.split_once("listening on ").context("the ready line has an address")?;
        let words: Vec<&str> = ready.split(' ').collect();
        let [endpoint, "key", key, "secret", secret] = words[..] else {
            anyhow::bail!("the ready line is not as expected: {ready}")
        };
        Ok(S3 { endpoint: endpoint.into(), key: key.into(), secret: secret.into(), process })
    }

    /// `understudy` with this store's credentials, and more variables over them.
    pub fn understudy(&self, args: &[&str], more: &[(&str, &str)]) -> Result<Finished> {
        finish(&mut self.command(args, more))
    }

    /// As [`S3::understudy`], not yet started.
    pub fn command(&self, args: &[&str], more: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program("understudy"));
        command.args(args);
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", &self.key).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        command.envs(more.iter().copied());
        command
    }

    /// The secret, which must never show.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

// === impl Fragile ===

impl Fragile {
    /// Stands before `upstream` (`http://...`) and dies after `bytes` of answers.
    pub fn before(upstream: &str, bytes: u64) -> Result<Fragile> {
        let upstream = upstream.strip_prefix("http://").context("an http address")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (passed, dead) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let counter = Arc::clone(&passed);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if dead.load(Ordering::SeqCst) {
                    // Ends the listener: what connects from now on is refused.
                    return;
                }
                let Ok(server) = TcpStream::connect(&upstream) else { return };
                let (dead, counter) = (Arc::clone(&dead), Arc::clone(&counter));
                std::thread::spawn(move || pass(&client, &server, bytes, &counter, &dead));
            }
        });
        Ok(Fragile { endpoint, passed })
    }

    /// Bytes of answers that it passed.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }
}

fn pass(client: &TcpStream, server: &TcpStream, limit: u64, counter: &AtomicU64, dead: &AtomicBool) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::io::copy(&mut &*client, &mut &*server).ok();
            server.shutdown(std::net::Shutdown::Write).ok();
        });
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = (&mut &*server).read(&mut buffer) {
            let before = counter.fetch_add(len as u64, Ordering::SeqCst);
            if before + len as u64 > limit {
                dead.store(true, Ordering::SeqCst);
                break;
            }
            if (&mut &*client).write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        client.shutdown(std::net::Shutdown::Both).ok();
        server.shutdown(std::net::Shutdown::Both).ok();
    });
}
