//! `understudy demo`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::demo::{self, DemoError, ProgramError, Teller};
use crate::drive::Stop;
use crate::judge::Verdict;

const AFTER_HELP: &str = "\
Needs understudy-proxy and understudy-sentiment beside this program. The hardware of the
candidates is played by stand-ins, which model load and measure none; everything else is
real. Takes less than a minute on two cores.

Exit codes:
  0 told to its end; that candidates fail in it is the story
  3 the run is INVALID, most likely because something else keeps the machine busy
  66 the other programs are not built        69 one of them did not run
  130 stopped by Ctrl-C or SIGTERM";

/// Exit code of a program that was ended by Ctrl-C, as shells count.
const INTERRUPTED: u8 = 130;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Directory for the capture, the logs and the run, in a folder of its own
    #[arg(long, value_name = "DIR", default_value = "understudy-demo")]
    out: PathBuf,
    /// Print what was found as JSON; the story goes to standard error
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let stop = Stop::new();
    stop_on_signals(stop.clone())
        .map_err(|error| Failure::Bug(format!("signals cannot be handled: {error}")))?;
    let told = if args.json {
        let mut stderr = io::stderr();
        let styled = stderr.is_terminal();
        demo::tell(&args.out, &mut Teller::new(&mut stderr, styled), &stop)
    } else {
        demo::tell(&args.out, &mut Teller::new(out, io::stdout().is_terminal()), &stop)
    };
    let story = match told {
        Ok(story) => story,
        Err(DemoError::Stopped) => {
            // Nothing is left to do when standard error is gone too.
            writeln!(io::stderr(), "understudy: stopped; every program that was started has ended").ok();
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        let closed = |error: io::Error| Failure::Output(format!("cannot write to standard output: {error}"));
        serde_json::to_writer_pretty(&mut *out, &story).map_err(|error| closed(error.into()))?;
        writeln!(out).map_err(closed)?;
    }
    Ok(match story.verdict {
        Verdict::Invalid => ExitCode::from(Verdict::Invalid.exit_code()),
        Verdict::Pass | Verdict::Fail | Verdict::Inconclusive => ExitCode::SUCCESS,
    })
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Failure {
        let text = error.to_string();
        match error {
            DemoError::Program(ProgramError::Missing(_)) => Failure::Input(text),
            DemoError::Program(_) | DemoError::Drive(_) => Failure::Unavailable(text),
            DemoError::Folder { .. } | DemoError::Io(_) | DemoError::Report(_) => Failure::Output(text),
            DemoError::Capture(_) => Failure::Data(text),
            DemoError::Plan(_) | DemoError::Stopped => Failure::Bug(text),
        }
    }
}

/// Throws the switch on Ctrl-C and SIGTERM, so that every program that was started is ended in order.
fn stop_on_signals(stop: Stop) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        stop.request();
    });
    Ok(())
}
