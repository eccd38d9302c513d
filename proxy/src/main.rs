//! `understudy-proxy`: arguments in, one ready line on standard output, logs on standard error, an exit code.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use understudy_proxy::args::LogFormat;
use understudy_proxy::flight::Asker;
use understudy_proxy::{Args, Config, Controls, Failure, Sockets};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refusal) if refusal.use_stderr() => {
            let text = refusal.to_string();
            // What is wrong, in one line, without the usage that --help tells better.
            let told = text
                .split("\n\n")
                .take_while(|part| !part.starts_with("Usage") && !part.starts_with("For more"));
            let parts: Vec<String> =
                told.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            let line = parts.join("; ");
            // Nothing is left to do when the terminal is gone too.
            writeln!(
                io::stderr(),
                "understudy-proxy: {} (--help tells more)",
                line.trim_start_matches("error: ")
            )
            .ok();
            return ExitCode::from(64);
        }
        Err(asked_for) => {
            asked_for.print().ok();
            return ExitCode::SUCCESS;
        }
    };
    start_logging(args.log_format);
    raise_descriptor_limit();
    match serve(args) {
        Ok(code) => code,
        Err(failure) => {
            writeln!(io::stderr(), "understudy-proxy: {failure}").ok();
            ExitCode::from(failure.code())
        }
    }
}

fn serve(args: Args) -> Result<ExitCode, Failure> {
    let config = Config::from_args(args)?;
    let sockets = Sockets::bind(&config)?;
    let bug = |error: io::Error| Failure::Bug(format!("a bound socket has no address: {error}"));
    let ready_line = format!(
        "understudy-proxy: listening on {}, upstream {}, admin on {}",
        sockets.traffic_addr().map_err(bug)?,
        config.upstream,
        sockets.admin_addr().map_err(bug)?,
    );
    let summary = understudy_proxy::run(config, sockets, signals, move || {
        let mut out = io::stdout();
        // Without standard output the sidecar serves all the same.
        writeln!(out, "{ready_line}").and_then(|()| out.flush()).ok();
    })?;
    let counts = summary.conservation;
    tracing::info!(seen = counts.seen, recorded = counts.recorded, dropped = counts.dropped(), "stopped");
    if !summary.flushed {
        return Err(Failure::Output(
            "the captures directory did not take the last exchanges in time".to_owned(),
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A connection takes two descriptors; as many as the process may have are allowed from the start, as the service itself
/// allows its own.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
}

/// Does what signals ask for until one asks for the end: SIGTERM from Kubernetes, SIGINT from a terminal.
async fn signals(controls: Controls) {
    if let Err(error) = follow_signals(controls).await {
        tracing::error!(%error, "signals cannot be handled; SIGTERM will end the process without a footer");
        std::future::pending::<()>().await;
    }
}

async fn follow_signals(controls: Controls) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut freeze = signal(SignalKind::user_defined1())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = freeze.recv() => {
                let controls = controls.clone();
                tokio::task::spawn_blocking(move || {
                    if let Err(error) = controls.freeze(None, Asker::Signal) {
                        tracing::error!(%error, "a signal asked for a freeze that cannot be");
                    }
                });
            }
            _ = hangup.recv() => {
                let controls = controls.clone();
                // How it went is in the log and in the metrics.
                tokio::task::spawn_blocking(move || controls.reload().is_ok());
            }
        }
    }
}

/// Logs to standard error; `RUST_LOG` chooses. A panic is logged by its place alone, since its message may quote
/// what passed.
fn start_logging(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,pingora_core=warn,pingora_runtime=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(
            place = place.as_deref().unwrap_or("unknown"),
            "a panic was contained or ended a thread"
        );
    }));
}
