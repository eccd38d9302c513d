//! Which exchanges are recorded: sampling, rules that include and exclude.
//!
//! Paths and connections are left out on the data thread, before anything is copied. All else is decided on the
//! recorder's thread, before sanitizing, which costs far more: traffic does not pay for a rule.
//!
//! - [`pattern`]: text with stars.
//! - [`rule`]: conditions on one exchange.
//! - [`flags`]: what was typed, on the command line or in a file.

use understudy_captures::conservation::Drop;
use understudy_captures::{Exchange, Key};

use crate::config::Scope;
use crate::tap::head::path_of;

mod flags;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

pub use flags::{PROBE_PATHS, RuleFlags};
pub use pattern::PathPattern;
pub use rule::Rule;

/// What to record; every value was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which share, decided by what.
    pub sampling: Sampling,
    /// Nothing else is recorded, unless this is empty.
    pub include: Vec<Rule>,
    /// Left out, whatever includes it.
    pub exclude: Vec<Rule>,
    /// Left out before anything is copied.
    pub exclude_paths: Vec<PathPattern>,
    /// Whether the kubelet's requests are recorded.
    pub keep_probes: bool,
}

/// Which share is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// In (0, 1].
    pub share: f64,
    /// What one decision is made for.
    pub by: SampleBy,
}

/// What is recorded whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SampleBy {
    /// A client connection.
    Connection,
    /// All requests for one path.
    Path,
    /// All requests with one value of this header; those without it go by their connection.
    Header(String),
}

/// Decides about exchanges on the recorder's thread.
pub(crate) struct Filter {
    rules: Rules,
    key: Key,
    /// Keys whose number is below this are recorded; `None` is all, or all that the data threads let through.
    threshold: Option<u64>,
}

/// Why a request is counted `excluded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exclusion {
    /// Recording is switched off.
    SwitchedOff,
    /// Its path.
    Path,
    /// It comes from the kubelet.
    Probe,
    /// A rule that excludes.
    Rule,
    /// No rule that includes it.
    NotIncluded,
}

// === impl Rules ===

impl Rules {
    /// Whether every request reaches the recorder's thread, apart from excluded paths.
    ///
    /// # Errors
    ///
    /// The way out.
    pub(crate) fn show_all(&self) -> Result<(), String> {
        if self.sampling.by == SampleBy::Connection && self.sampling.share < 1.0 {
            return Err(
                "--compat-metrics would count a sample of the connections: sample by a header or the path \
                        (--sample-by), which counts before it samples"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What data threads decide.
    pub(crate) fn scope(&self, max_body: usize) -> Scope {
        let sample = if self.sampling.by == SampleBy::Connection { self.sampling.share } else { 1.0 };
        Scope { sample, exclude: self.exclude_paths.clone(), max_body }
    }
}

// === impl Filter ===

impl Filter {
    /// Decides by `rules`; samples alike wherever `key` is the same.
    pub(crate) fn new(rules: Rules, key: Key) -> Filter {
        let Sampling { share, by } = &rules.sampling;
        let threshold = (*by != SampleBy::Connection && *share < 1.0).then(|| threshold(*share));
        Filter { rules, key, threshold }
    }

    /// Why `exchange` is not recorded, or `None`.
    pub(crate) fn leaves_out(&self, exchange: &Exchange) -> Option<(Drop, Option<Exclusion>)> {
        if !self.is_sampled(exchange) {
            return Some((Drop::SampledOut, None));
        }
        self.excludes(exchange).map(|why| (Drop::Excluded, Some(why)))
    }

    fn excludes(&self, exchange: &Exchange) -> Option<Exclusion> {
        let Rules { include, exclude, keep_probes, .. } = &self.rules;
        let agent = exchange.request.headers.get("user-agent").unwrap_or_default();
        if !keep_probes && agent.starts_with(b"kube-probe/") {
            return Some(Exclusion::Probe);
        }
        if exclude.iter().any(|rule| rule.matches(exchange)) {
            return Some(Exclusion::Rule);
        }
        let included = include.is_empty() || include.iter().any(|rule| rule.matches(exchange));
        (!included).then_some(Exclusion::NotIncluded)
    }

    fn is_sampled(&self, exchange: &Exchange) -> bool {
        let Some(threshold) = self.threshold else { return true };
        let number = match &self.rules.sampling.by {
            SampleBy::Path => self.key.number_of(path_of(&exchange.request.target)),
            SampleBy::Header(name) => match exchange.request.headers.get(name) {
                Some(value) => self.key.number_of(value),
                // Without its key a request goes with its connection; the id names that beyond this pod.
                None => self.key.number_of(&connection_of(exchange)),
            },
            SampleBy::Connection => return true,
        };
        number < threshold
    }
}

/// The connection, told apart from those of other recorders and of other boots.
fn connection_of(exchange: &Exchange) -> [u8; 16] {
    let boot = exchange.id.0 >> 64 << 64;
    (boot | u128::from(exchange.connection)).to_le_bytes()
}

/// The number below which a share of all numbers lies. A float cannot tell 2^64 - 1 from 2^64; the cast saturates.
pub(crate) fn threshold(share: f64) -> u64 {
    if share >= 1.0 { u64::MAX } else { (share * u64::MAX as f64) as u64 }
}

// === impl Exclusion ===

impl Exclusion {
    /// Every reason.
    pub(crate) const ALL: [Exclusion; 5] =
        [Exclusion::SwitchedOff, Exclusion::Path, Exclusion::Probe, Exclusion::Rule, Exclusion::NotIncluded];

    /// Name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Exclusion::SwitchedOff => "switched_off",
            Exclusion::Path => "path",
            Exclusion::Probe => "probe",
            Exclusion::Rule => "rule",
            Exclusion::NotIncluded => "not_included",
        }
    }
}
