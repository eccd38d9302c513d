//! Labels and scores of a candidate against those of the baseline (or the recording).
//!
//! Compared are requests that both answered well; what failed is counted by the error gate. An answer without a
//! label where the baseline has one counts as a different label: a model must not look faithful by saying nothing.
//! The unit of the statistics is the exchange. Iterations repeat the same texts, so they sharpen what is known of
//! each text and say nothing about others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::binomial::share_interval;
use super::bootstrap::Design;
use crate::outcome::{Answer, Outcome, Recorded};

/// Flips that are listed one by one.
pub const MOST_FLIPS: usize = 20;
/// Labels with a row of their own in a confusion matrix.
const MOST_LABELS: usize = 10;
/// Stands for an answer without a label.
pub const NO_ANSWER: &str = "(no answer)";
/// Stands for all labels that have no row of their own.
const OTHER: &str = "(other)";

/// How often something happened, with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Times that it happened.
    pub count: u64,
    /// Times that it could have happened.
    pub of: u64,
    /// `count / of`; 0 when nothing could have happened.
    pub share: f64,
    /// Lower end of the confidence interval.
    pub low: f64,
    /// Upper end of the confidence interval.
    pub high: f64,
}

/// Answers of a candidate against the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerComparison {
    /// Pairs of answers whose labels differ. `of` counts pairs in which the baseline has a label.
    pub disagreement: Share,
    /// Of these, answers of the candidate without a label.
    pub missing: u64,
    /// Distinct exchanges in those pairs.
    pub exchanges: u64,
    /// Distinct exchanges whose label differs in any iteration.
    pub flipped: u64,
    /// The first of them, those that the baseline is surest of first.
    pub flips: Vec<Flip>,
    /// Scores, over pairs with the same label.
    pub scores: Option<ScoreDrift>,
    /// Who says what.
    pub confusion: Confusion,
}

/// An exchange whose label differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Position in the scheduled part of the capture.
    pub exchange: u32,
    /// Iterations in which it differs.
    pub times: u32,
    /// Iterations that were compared.
    pub of: u32,
    /// What the baseline said, the first time.
    pub baseline: Said,
    /// What the candidate said, that time; `None` without a label.
    pub candidate: Option<Said>,
}

/// A label with its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The label.
    pub label: String,
    /// The score, when there is one.
    pub score: Option<f32>,
}

/// How far scores are from the baseline's where the labels are the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreDrift {
    /// Pairs of scores.
    pub pairs: u64,
    /// Mean of the absolute differences.
    pub mean_abs: f64,
    /// Lower end of its confidence interval.
    pub low: f64,
    /// Upper end of its confidence interval.
    pub high: f64,
    /// Mean of the differences; positive when the candidate is surer.
    pub mean: f64,
    /// Largest absolute difference.
    pub max_abs: f64,
}

/// Counts of pairs by label: rows are the baseline's, columns the candidate's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Labels of rows and columns, most frequent first.
    pub labels: Vec<String>,
    /// `counts[baseline][candidate]`.
    pub counts: Vec<Vec<u64>>,
}

/// What intervals are made with.
#[derive(Clone, Copy, Debug)]
pub struct Precision {
    /// Confidence level.
    pub level: f64,
    /// Exchanges per second of the schedule.
    pub rate: f64,
    /// Seed of resampling.
    pub seed: u64,
}

/// Sums of one exchange over its iterations.
#[derive(Debug, Default)]
struct Tally {
    pairs: u32,
    differing: u32,
    first_flip: Option<(Answer, Option<Answer>)>,
    scores: u32,
    abs_sum: f64,
    sum: f64,
    max_abs: f64,
}

// === impl Share ===

impl Share {
    /// A share of independent events.
    pub fn new(count: u64, of: u64, level: f64) -> Self {
        Self::clustered(count, of, of, level)
    }

    /// A share of events in `clusters` that may be all alike inside: as sure as that many independent events.
    pub fn clustered(count: u64, of: u64, clusters: u64, level: f64) -> Self {
        if of == 0 {
            return Self { count, of, share: 0.0, low: 0.0, high: 1.0 };
        }
        let share = count as f64 / of as f64;
        let (low, high) = share_interval(share * clusters as f64, clusters as f64, level);
        Self { count, of, share, low, high }
    }
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, baseline: Answer, candidate: Option<Answer>) {
        self.pairs += 1;
        let Some(same) = candidate.filter(|c| c.label == baseline.label) else {
            self.differing += 1;
            self.first_flip.get_or_insert((baseline, candidate));
            return;
        };
        if let (Some(b), Some(c)) = (baseline.score, same.score) {
            let difference = f64::from(c) - f64::from(b);
            self.scores += 1;
            self.sum += difference;
            self.abs_sum += difference.abs();
            self.max_abs = self.max_abs.max(difference.abs());
        }
    }
}

/// Compares the answers of `candidate` with those of `baseline`; both by exchange and iteration. `None` when no pair
/// has an answer of the baseline.
pub fn compare(
    baseline: &[&Outcome],
    candidate: &[&Outcome],
    labels: &[String],
    precision: Precision,
) -> Option<AnswerComparison> {
    let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
    let mut pairs: BTreeMap<(u16, Option<u16>), u64> = BTreeMap::new();
    for (b, c) in paired(baseline, candidate) {
        let (true, true, Some(said)) = (b.is_ok(), c.is_ok(), b.answer) else { continue };
        tallies.entry(b.exchange).or_default().add(said, c.answer);
        *pairs.entry((said.label, c.answer.map(|a| a.label))).or_default() += 1;
    }
    if tallies.is_empty() {
        return None;
    }
    let of = pairs.values().sum();
    let agreeing: u64 = pairs.iter().filter(|((b, c), _)| Some(*b) == *c).map(|(_, n)| n).sum();
    let missing = pairs.iter().filter(|((_, c), _)| c.is_none()).map(|(_, n)| n).sum();
    let exchanges = tallies.len() as u64;
    Some(AnswerComparison {
        disagreement: Share::clustered(of - agreeing, of, exchanges, precision.level),
        missing,
        exchanges,
        flipped: tallies.values().filter(|t| t.differing > 0).count() as u64,
        flips: flips(&tallies, labels),
        scores: drift(&tallies, precision),
        confusion: confusion(&pairs, labels),
    })
}

/// Labels that differ from the recorded ones, over exchanges whose input sanitizing left alone. `None` when there are
/// none of those.
pub fn with_recording(candidate: &[&Outcome], recorded: &[Recorded], level: f64) -> Option<Share> {
    let (mut differing, mut of, mut exchanges, mut last) = (0, 0, 0, None);
    for outcome in candidate.iter().filter(|o| o.is_ok()) {
        let Some(recorded) = recorded.get(outcome.exchange as usize) else { continue };
        let (false, Some(said)) = (recorded.input_changed, recorded.answer) else { continue };
        of += 1;
        differing += u64::from(outcome.answer.map(|a| a.label) != Some(said.label));
        exchanges += u64::from(last.replace(outcome.exchange) != Some(outcome.exchange));
    }
    (of > 0).then(|| Share::clustered(differing, of, exchanges, level))
}

/// Pairs of the same exchange and iteration, of two lists in that order.
pub fn paired<'a>(
    left: &'a [&'a Outcome],
    right: &'a [&'a Outcome],
) -> impl Iterator<Item = (&'a Outcome, &'a Outcome)> {
    let mut right = right.iter().peekable();
    left.iter().filter_map(move |l| {
        while right.next_if(|r| position(r) < position(l)).is_some() {}
        right.next_if(|r| position(r) == position(l)).map(|r| (*l, *r))
    })
}

/// What pairs outcomes across candidates.
pub fn position(outcome: &Outcome) -> (u32, u16) {
    (outcome.exchange, outcome.iteration)
}

fn flips(tallies: &BTreeMap<u32, Tally>, labels: &[String]) -> Vec<Flip> {
    let said = |answer: Answer| Said { label: name(labels, answer.label), score: answer.score };
    let mut flips: Vec<Flip> = tallies
        .iter()
        .filter_map(|(exchange, tally)| {
            let (baseline, candidate) = tally.first_flip?;
            Some(Flip {
                exchange: *exchange,
                times: tally.differing,
                of: tally.pairs,
                baseline: said(baseline),
                candidate: candidate.map(said),
            })
        })
        .collect();
    // A flip of what the baseline is sure of matters more than one of a coin toss. Stable: then by exchange.
    flips.sort_by(|a, b| b.baseline.score.unwrap_or(0.0).total_cmp(&a.baseline.score.unwrap_or(0.0)));
    flips.truncate(MOST_FLIPS);
    flips
}

fn drift(tallies: &BTreeMap<u32, Tally>, precision: Precision) -> Option<ScoreDrift> {
    let scored: Vec<&Tally> = tallies.values().filter(|t| t.scores > 0).collect();
    let pairs: u64 = scored.iter().map(|t| u64::from(t.scores)).sum();
    if pairs == 0 {
        return None;
    }
    let per_exchange: Vec<f64> = scored.iter().map(|t| t.abs_sum / f64::from(t.scores)).collect();
    let design = Design::new(per_exchange.len(), 1, precision.rate, precision.seed);
    let (low, high) = design.mean_interval(&per_exchange, precision.level);
    Some(ScoreDrift {
        pairs,
        mean_abs: per_exchange.iter().sum::<f64>() / per_exchange.len() as f64,
        low,
        high,
        mean: scored.iter().map(|t| t.sum / f64::from(t.scores)).sum::<f64>() / scored.len() as f64,
        max_abs: scored.iter().map(|t| t.max_abs).fold(0.0, f64::max),
    })
}

fn confusion(pairs: &BTreeMap<(u16, Option<u16>), u64>, labels: &[String]) -> Confusion {
    let mut frequency: BTreeMap<u16, u64> = BTreeMap::new();
    for ((b, c), n) in pairs {
        *frequency.entry(*b).or_default() += n;
        if let Some(c) = c {
            *frequency.entry(*c).or_default() += n;
        }
    }
    let mut kept: Vec<(u16, u64)> = frequency.into_iter().collect();
    kept.sort_by_key(|(label, n)| (std::cmp::Reverse(*n), *label));
    let others = kept.len() > MOST_LABELS;
    kept.truncate(MOST_LABELS);

    let mut names: Vec<String> = kept.iter().map(|(label, _)| name(labels, *label)).collect();
    if others {
        names.push(OTHER.to_owned());
    }
    let silent = pairs.keys().any(|(_, c)| c.is_none());
    if silent {
        names.push(NO_ANSWER.to_owned());
    }
    let row = |label: u16| kept.iter().position(|(k, _)| *k == label).unwrap_or(kept.len());
    let mut counts = vec![vec![0; names.len()]; names.len()];
    for ((b, c), n) in pairs {
        let column = c.map_or(names.len() - 1, row);
        counts[row(*b)][column] += n;
    }
    Confusion { labels: names, counts }
}

fn name(labels: &[String], label: u16) -> String {
    labels.get(usize::from(label)).cloned().unwrap_or_else(|| format!("#{label}"))
}

#[cfg(test)]
mod tests;
