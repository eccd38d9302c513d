//! Pairs outcomes by exchange, compares, decides.
//!
//! What a candidate did is compared request by request with what the baseline did with the same exchange in the same
//! iteration. Every figure that decides comes with an interval, and a figure whose interval still reaches over its
//! limit decides nothing: the verdict is `INCONCLUSIVE` and says how much more would decide. `docs/judging.md` has
//! the formulas and their sources.
//!
//! # Layout
//!
//! - [`binomial`]: exact intervals for shares and for quantiles by order statistics, minimum samples for tails.
//! - [`bootstrap`]: paired moving-block resampling for differences of quantiles and means.
//! - `latency`: quantiles with failed requests folded in.
//! - `agreement`: labels and scores against the baseline, its twin and the recording.
//! - `gate`: limits, verdicts and their sentences.

use serde::{Deserialize, Serialize};

use crate::outcome::Rehearsal;

/// What a run, a candidate or a gate comes to. Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every limit is kept, beyond doubt.
    Pass,
    /// Not enough was seen to tell.
    Inconclusive,
    /// A limit is broken, beyond doubt.
    Fail,
    /// The run proves nothing: the generator or the baseline did not do its part.
    Invalid,
}

/// What the run says about every candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The worst of the candidates that are judged; of the baseline when it ran alone.
    pub verdict: Verdict,
}

/// Judges a run.
pub fn judge(_rehearsal: &Rehearsal) -> Judgement {
    Judgement { verdict: Verdict::Invalid }
}

// === impl Verdict ===

impl Verdict {
    /// Exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass => 0,
            Verdict::Fail => 1,
            Verdict::Inconclusive => 2,
            Verdict::Invalid => 3,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Invalid => "INVALID",
        })
    }
}
