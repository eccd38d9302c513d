//! The `understudy-sentiment` command.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use understudy_sentiment::Options;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(refusal) => {
            let code = if refusal.use_stderr() { 64 } else { 0 };
            refusal.print().ok();
            return ExitCode::from(code);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "understudy-sentiment: {error:#}").ok();
            ExitCode::from(69)
        }
    }
}

/// One thread serves everything: the stand-in is there to be waited for, and must leave the cores to others.
#[tokio::main(flavor = "current_thread")]
async fn run(options: Options) -> anyhow::Result<()> {
    let address = options.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let parent_gone = parent_gone(options.until_stdin_closes);
    writeln!(std::io::stdout(), "understudy-sentiment: listening on {}", listener.local_addr()?)?;
    tokio::select! {
        served = understudy_sentiment::serve(listener, options) => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = parent_gone => Ok(()),
    }
}

/// Ends when standard input closes, if that is asked for.
async fn parent_gone(asked: bool) {
    if !asked {
        return std::future::pending().await;
    }
    let (closed, stdin_closed) = oneshot::channel();
    std::thread::spawn(move || {
        // A read error says the same as an end: nobody is there any more.
        std::io::stdin().lock().read_to_end(&mut Vec::new()).ok();
        closed.send(()).ok();
    });
    stdin_closed.await.ok();
}
