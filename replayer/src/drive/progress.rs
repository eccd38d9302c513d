//! Says how far a run is, on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two lines where standard error is not a terminal.
const EVERY: Duration = Duration::from_secs(5);

/// How a run says how far it is.
#[derive(Clone, Debug)]
pub struct Progress {
    style: Style,
}

#[derive(Clone, Debug)]
enum Style {
    Silent,
    Bar(ProgressBar),
    Lines { next: Option<Instant> },
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Requests of the whole run.
    pub total: u64,
    /// Requests that are over.
    pub done: u64,
    /// Of those, the ones without a good response.
    pub failed: u64,
    /// Whose turn it is.
    pub candidate: &'a str,
    /// Which pass, from 1.
    pub iteration: u16,
    /// How many passes.
    pub iterations: u16,
}

// === impl Progress ===

impl Progress {
    /// Says nothing.
    pub fn silent() -> Progress {
        Progress { style: Style::Silent }
    }

    /// A bar where standard error is a terminal, otherwise a line every few seconds.
    pub fn stderr() -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { style: Style::Lines { next: None } };
        }
        let template = "{msg} {wide_bar} {pos}/{len} {eta}";
        // An invalid template would be a bug; the default shows the same in another order.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5)).with_style(style);
        Progress { style: Style::Bar(bar) }
    }

    /// Shows how far the run is, if it is time to.
    pub fn show(&mut self, standing: Standing<'_>) {
        let Standing { total, done, failed, candidate, iteration, iterations } = standing;
        match &mut self.style {
            Style::Silent => {}
            Style::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
                let trouble = if failed == 0 { String::new() } else { format!(", {failed} failed") };
                bar.set_message(format!("{candidate} {iteration}/{iterations}{trouble}"));
            }
            Style::Lines { next } => {
                let now = Instant::now();
                if *next.get_or_insert(now + EVERY) > now {
                    return;
                }
                *next = Some(now + EVERY);
                // Nobody can be told when standard error is gone, and the run goes on.
                writeln!(
                    std::io::stderr(),
                    "replay: {done} of {total} requests, {failed} failed; {candidate}, pass {iteration} of {iterations}"
                )
                .ok();
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Style::Bar(bar) = &self.style {
            bar.finish_and_clear();
        }
    }
}
