//! Rules that freeze by themselves: what went wrong lately, second by second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::args;

/// Requests below which a share or a quantile says nothing.
const FEWEST: u64 = 20;
/// Parts of the window; what is older than the window goes part by part.
const PARTS: u32 = 12;
/// Longest latency that is told apart, in microseconds: ten minutes.
const LONGEST: u64 = 600_000_000;

/// What freezes by itself when it holds over the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// As it was written.
    text: String,
    limit: Limit,
}

#[derive(Clone, Debug, PartialEq)]
enum Limit {
    /// Share of requests that failed: 5xx, or no whole answer although the client waited.
    Errors(f64),
    /// This quantile of the latency.
    Latency(f64, Duration),
    /// Number of answers with a status from here to there.
    Status(u16, u16, u64),
}

/// One request, as far as triggers look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// 0 without an answer.
    pub(crate) status: u16,
    /// The service did not answer, or not whole.
    pub(crate) failed: bool,
    pub(crate) latency: Duration,
}

/// Requests of the last time.
pub(crate) struct Window {
    triggers: Vec<Trigger>,
    part: Duration,
    /// The newest last.
    parts: VecDeque<(Instant, Part)>,
}

struct Part {
    total: u64,
    errors: u64,
    /// By trigger, where it counts answers.
    statuses: Vec<u64>,
    /// Microseconds.
    latency: Histogram<u32>,
}

// === impl Trigger ===

impl Trigger {
    /// Reads `errors>5%`, `p99>500ms`, `503>20` or `5xx>20`.
    ///
    /// # Errors
    ///
    /// What it should have been.
    pub fn parse(text: &str) -> Result<Trigger, String> {
        let refused = || format!("`{text}` is none of errors>5%, p99>500ms, 503>20 and 5xx>20");
        let (what, limit) = text.split_once('>').ok_or_else(refused)?;
        let (what, limit) = (what.trim(), limit.trim());
        let limit = if what == "errors" {
            let share = limit.strip_suffix('%').and_then(|percent| percent.parse::<f64>().ok());
            let share = share.filter(|percent| (0.0..100.0).contains(percent)).ok_or_else(refused)?;
            Limit::Errors(share / 100.0)
        } else if let Some(quantile) = what.strip_prefix('p') {
            let quantile = quantile.parse::<f64>().ok().filter(|percent| (1.0..100.0).contains(percent));
            Limit::Latency(quantile.ok_or_else(refused)? / 100.0, args::duration(limit)?)
        } else {
            let count = limit.parse().map_err(|_| refused())?;
            let (from, to) = match what.strip_suffix("xx") {
                Some(hundreds) => {
                    let hundreds: u16 = hundreds.parse().map_err(|_| refused())?;
                    (hundreds.saturating_mul(100), hundreds.saturating_mul(100).saturating_add(99))
                }
                None => what.parse().map(|status| (status, status)).map_err(|_| refused())?,
            };
            if !(100..=999).contains(&from) {
                return Err(refused());
            }
            Limit::Status(from, to, count)
        };
        Ok(Trigger { text: text.to_owned(), limit })
    }
}

// === impl Window ===

impl Window {
    /// Looks over `length` for what fires one of `triggers`.
    pub(crate) fn new(triggers: Vec<Trigger>, length: Duration) -> Window {
        Window { triggers, part: length / PARTS, parts: VecDeque::new() }
    }

    /// Notes a request that ended at `now`.
    pub(crate) fn note(&mut self, seen: Seen, now: Instant) {
        if self.triggers.is_empty() {
            return;
        }
        self.forget(now);
        if self.parts.back().is_none_or(|(began, _)| now.duration_since(*began) >= self.part) {
            let Ok(latency) = Histogram::new_with_max(LONGEST, 2) else { return };
            let statuses = vec![0; self.triggers.len()];
            self.parts.push_back((now, Part { total: 0, errors: 0, statuses, latency }));
        }
        let Some((_, part)) = self.parts.back_mut() else { return };
        part.total += 1;
        part.errors += u64::from(seen.failed || seen.status >= 500);
        part.latency
            .saturating_record(u64::try_from(seen.latency.as_micros()).unwrap_or(LONGEST).min(LONGEST));
        for (trigger, count) in self.triggers.iter().zip(&mut part.statuses) {
            if let Limit::Status(from, to, _) = trigger.limit {
                *count += u64::from((from..=to).contains(&seen.status));
            }
        }
    }

    /// What fires now, for people.
    pub(crate) fn fires(&mut self) -> Option<String> {
        self.forget(Instant::now());
        let parts = || self.parts.iter().map(|(_, part)| part);
        let total: u64 = parts().map(|part| part.total).sum();
        let fired = self.triggers.iter().enumerate().find(|(n, trigger)| match trigger.limit {
            Limit::Errors(share) => {
                total >= FEWEST && parts().map(|part| part.errors).sum::<u64>() as f64 > share * total as f64
            }
            Limit::Latency(quantile, limit) => {
                total >= FEWEST && self.quantile(quantile).is_some_and(|latency| latency > limit)
            }
            Limit::Status(_, _, count) => parts().map(|part| part.statuses[*n]).sum::<u64>() > count,
        });
        fired.map(|(_, trigger)| trigger.text.clone())
    }

    fn quantile(&self, quantile: f64) -> Option<Duration> {
        let mut all = Histogram::<u32>::new_with_max(LONGEST, 2).ok()?;
        for (_, part) in &self.parts {
            all.add(&part.latency).ok()?;
        }
        Some(Duration::from_micros(all.value_at_quantile(quantile)))
    }

    fn forget(&mut self, now: Instant) {
        let length = self.part * PARTS;
        while self.parts.front().is_some_and(|(began, _)| now.duration_since(*began) > length) {
            self.parts.pop_front();
        }
    }
}
