//! Takes a changed policy or changed rules into use without a restart: checked first, and the old stay on error.
//!
//! Data threads get their part by a watch, the recorder its part as an order in its queue: what was handed over before
//! is recorded under the old policy, in the old segment; a new segment begins with the new. Exchanges that ended less
//! than a tenth of a second before may still lie in an open batch, and then go by the new.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use understudy_captures::segment::Origin;
use understudy_captures::{Key, Policy, Sanitizer};

use crate::config::{self, Scope};
use crate::failure::Failure;
use crate::filter::{Filter, RuleFlags};
use crate::handover::{Order, Sender};
use crate::ledger::Ledger;
use crate::relay::Identity;

/// How long the recorder's queue may be full before a reload is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where policy and rules come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Rules given as flags.
    pub flags: RuleFlags,
    /// Rules given in a file.
    pub rules_file: Option<PathBuf>,
    /// The policy, unless it is the built-in one.
    pub policy_file: Option<PathBuf>,
    /// Rules must let every request reach the recorder, which counts it.
    pub compat_metrics: bool,
}

/// What the recorder works by.
pub(crate) struct Bylaws {
    pub(crate) sanitizer: Sanitizer,
    pub(crate) filter: Filter,
    /// For the headers of segments.
    pub(crate) origin: Origin,
}

/// Reads policy and rules again.
pub(crate) struct Reloader {
    sources: Sources,
    max_body: usize,
    key: Key,
    origin: Origin,
    scopes: watch::Sender<Arc<Scope>>,
    identity: Arc<Identity>,
    recorder: Sender,
    ledger: Arc<Ledger>,
    /// One at a time.
    turn: Mutex<()>,
}

/// What a reloader reaches.
pub(crate) struct Reach {
    pub(crate) scopes: watch::Sender<Arc<Scope>>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) recorder: Sender,
    pub(crate) ledger: Arc<Ledger>,
}

// === impl Reloader ===

impl Reloader {
    /// A reloader for a sidecar that began with `sources`; `origin` is what stays of its segments' headers.
    pub(crate) fn new(sources: Sources, max_body: usize, key: Key, origin: Origin, reach: Reach) -> Reloader {
        let Reach { scopes, identity, recorder, ledger } = reach;
        ledger.reload_succeeded.set(1);
        Reloader { sources, max_body, key, origin, scopes, identity, recorder, ledger, turn: Mutex::new(()) }
    }

    /// Reads, checks and takes into use; the digest of the policy. May wait for room in the recorder's queue, so it is
    /// not to be called on a thread that others wait for.
    ///
    /// # Errors
    ///
    /// What is wrong; nothing has changed then.
    pub(crate) fn reload(&self) -> Result<String, Failure> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.attempt();
        self.ledger.reload_succeeded.set(outcome.is_ok().into());
        self.ledger.reloaded(outcome.is_ok());
        match &outcome {
            Ok(policy) => tracing::info!(policy, "policy and rules were read again and hold from now on"),
            Err(error) => {
                tracing::error!(%error, "the reload was refused; policy and rules stay as they were")
            }
        }
        outcome
    }

    fn attempt(&self) -> Result<String, Failure> {
        let rules = self.sources.flags.checked(self.sources.rules_file.as_deref())?;
        if self.sources.compat_metrics {
            rules.show_all().map_err(Failure::Usage)?;
        }
        let policy = config::policy(self.sources.policy_file.as_deref())?;
        let scope = rules.scope(self.max_body);
        let bylaws = Bylaws::new(policy, rules, &self.key, &self.origin);
        let digest = bylaws.origin.policy.clone();
        if !self.recorder.order(Order::Adopt(Box::new(bylaws)), PATIENCE) {
            return Err(Failure::Unavailable(
                "the recorder does not take the new rules: its queue is full, or it has ended; try again"
                    .to_owned(),
            ));
        }
        self.identity.sample(scope.sample);
        self.scopes.send_replace(Arc::new(scope));
        Ok(digest)
    }
}

// === impl Bylaws ===

impl Bylaws {
    /// Sanitizes by `policy` and leaves out by `rules`; segments say so.
    pub(crate) fn new(policy: Policy, rules: crate::filter::Rules, key: &Key, origin: &Origin) -> Bylaws {
        let origin = Origin { policy: policy.digest(), sample: rules.sampling.share, ..origin.clone() };
        Bylaws {
            sanitizer: Sanitizer::new(policy, key.clone()),
            filter: Filter::new(rules, key.clone()),
            origin,
        }
    }
}
