//! What one candidate did, counted and in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::agreement::position;
use super::bootstrap::Series;
use super::latency::{self, Sorted};
use crate::outcome::{Kind, Outcome, Rehearsal};

/// Requests to one candidate by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Sent after the warm-up: what is judged.
    pub judged: u64,
    /// Of these, answered well.
    pub ok: u64,
    /// Sent during the warm-up.
    pub warmup: u64,
    /// Scheduled and never sent; the fidelity certificate answers for them, not the candidate.
    pub not_sent: u64,
    /// Judged requests by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Judged requests with a response, by status.
    pub statuses: BTreeMap<u16, u64>,
}

/// One candidate's judged requests.
#[derive(Clone, Debug)]
pub struct Sheet<'a> {
    /// In order of exchange and iteration.
    pub judged: Vec<&'a Outcome>,
    /// All of them by what became of them.
    pub counts: Counts,
    /// Response times.
    pub response: Sorted,
    /// Service times.
    pub service: Sorted,
}

// === impl Sheet ===

impl<'a> Sheet<'a> {
    /// A sheet for every candidate of the plan.
    pub fn all(rehearsal: &'a Rehearsal) -> Vec<Sheet<'a>> {
        let mut judged: Vec<Vec<&Outcome>> = vec![Vec::new(); rehearsal.plan.candidates.len()];
        let mut counts: Vec<Counts> = vec![Counts::default(); rehearsal.plan.candidates.len()];
        for outcome in &rehearsal.outcomes {
            let candidate = usize::from(outcome.candidate);
            let Some(counts) = counts.get_mut(candidate) else { continue };
            if counts.add(outcome) {
                judged[candidate].push(outcome);
            }
        }
        let sheet = |(mut judged, counts): (Vec<&'a Outcome>, Counts)| {
            judged.sort_unstable_by_key(|outcome| position(outcome));
            let sorted = |of: fn(&Outcome) -> f64| Sorted::new(judged.iter().map(|o| of(o)).collect());
            let (response, service) = (sorted(latency::response_ms), sorted(latency::service_ms));
            Sheet { judged, counts, response, service }
        };
        judged.into_iter().zip(counts).map(sheet).collect()
    }
}

// === impl Counts ===

impl Counts {
    /// Counts an outcome; whether it is judged.
    fn add(&mut self, outcome: &Outcome) -> bool {
        if outcome.kind == Kind::NotSent {
            self.not_sent += 1;
            return false;
        }
        if outcome.warmup {
            self.warmup += 1;
            return false;
        }
        self.judged += 1;
        self.ok += u64::from(outcome.is_ok());
        *self.kinds.entry(outcome.kind.name().to_owned()).or_default() += 1;
        if outcome.status != 0 {
            *self.statuses.entry(outcome.status).or_default() += 1;
        }
        true
    }
}

/// Response times over the exchanges that every candidate with judged requests was sent in all `iterations`; `None`
/// when there are none.
pub fn common_series(sheets: &[Sheet<'_>], iterations: usize) -> Option<Series> {
    let sheets: Vec<&Sheet<'_>> = sheets.iter().filter(|s| !s.judged.is_empty()).collect();
    let last = sheets.iter().filter_map(|s| s.judged.last()).map(|o| o.exchange as usize).max()?;
    let mut complete = vec![0usize; last + 1];
    for sheet in &sheets {
        for of_exchange in sheet.judged.chunk_by(|a, b| a.exchange == b.exchange) {
            complete[of_exchange[0].exchange as usize] += usize::from(of_exchange.len() == iterations);
        }
    }
    let everywhere = |o: &&&Outcome| complete[o.exchange as usize] == sheets.len();
    let values: Vec<Vec<f64>> = sheets
        .iter()
        .map(|s| s.judged.iter().filter(everywhere).map(|o| latency::response_ms(o)).collect())
        .collect();
    values.first().is_some_and(|v| !v.is_empty()).then_some(Series { values, iterations })
}
