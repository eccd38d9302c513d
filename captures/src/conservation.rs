//! The conservation law: every request that went by has exactly one fate.
//!
//! `carried_in + seen = recorded + sampled_out + excluded + over_limit + unparseable + unsanitizable + queue_full +
//! io_error + carried_out`, where *carried* are the requests still under way when a segment began and ended. Over a
//! whole capture that was closed in order, nothing is carried in or out and the law is the one users read:
//! `seen = recorded + ...`.

use serde::{Deserialize, Serialize};

/// Counts of requests by fate, over a segment, a capture or the life of a recorder.
///
/// A request is *seen* when its head went by. What follows on a connection whose recording was given up is not seen;
/// it is counted in connections and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conservation {
    /// Under way when the count began.
    pub carried_in: u64,
    /// Heads that went by.
    pub seen: u64,
    /// Written to a segment.
    pub recorded: u64,
    /// On a connection that sampling left out.
    pub sampled_out: u64,
    /// Matched an exclusion (probes, metrics) or recording was switched off.
    pub excluded: u64,
    /// Head or body larger than the recording limit.
    pub over_limit: u64,
    /// Framing that the tap did not understand.
    pub unparseable: u64,
    /// Could not be sanitized with certainty.
    pub unsanitizable: u64,
    /// The recorder fell behind.
    pub queue_full: u64,
    /// The disk refused it.
    pub io_error: u64,
    /// Under way when the count ended.
    pub carried_out: u64,
}

/// Why a request that was seen is not in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drop {
    /// Left out by sampling.
    SampledOut,
    /// Matched an exclusion, or recording was off.
    Excluded,
    /// Larger than the recording limit.
    OverLimit,
    /// Framing not understood.
    Unparseable,
    /// Could not be sanitized with certainty.
    Unsanitizable,
    /// The recorder fell behind.
    QueueFull,
    /// The disk refused it.
    IoError,
}

// === impl Drop ===

impl Drop {
    /// Every reason, in the order of the law.
    pub const ALL: [Drop; 7] = [
        Drop::SampledOut,
        Drop::Excluded,
        Drop::OverLimit,
        Drop::Unparseable,
        Drop::Unsanitizable,
        Drop::QueueFull,
        Drop::IoError,
    ];

    /// Name in metrics, JSON and reports.
    pub fn name(self) -> &'static str {
        match self {
            Drop::SampledOut => "sampled_out",
            Drop::Excluded => "excluded",
            Drop::OverLimit => "over_limit",
            Drop::Unparseable => "unparseable",
            Drop::Unsanitizable => "unsanitizable",
            Drop::QueueFull => "queue_full",
            Drop::IoError => "io_error",
        }
    }
}

// === impl Conservation ===

impl Conservation {
    /// Requests that were seen and not written, for a named reason.
    pub fn dropped(&self) -> u64 {
        Drop::ALL.iter().map(|reason| self.count(*reason)).sum()
    }

    /// Requests dropped for `reason`.
    pub fn count(&self, reason: Drop) -> u64 {
        match reason {
            Drop::SampledOut => self.sampled_out,
            Drop::Excluded => self.excluded,
            Drop::OverLimit => self.over_limit,
            Drop::Unparseable => self.unparseable,
            Drop::Unsanitizable => self.unsanitizable,
            Drop::QueueFull => self.queue_full,
            Drop::IoError => self.io_error,
        }
    }

    /// Counts `n` requests dropped for `reason`.
    pub fn add(&mut self, reason: Drop, n: u64) {
        *match reason {
            Drop::SampledOut => &mut self.sampled_out,
            Drop::Excluded => &mut self.excluded,
            Drop::OverLimit => &mut self.over_limit,
            Drop::Unparseable => &mut self.unparseable,
            Drop::Unsanitizable => &mut self.unsanitizable,
            Drop::QueueFull => &mut self.queue_full,
            Drop::IoError => &mut self.io_error,
        } += n;
    }

    /// Whether every request has exactly one fate.
    pub fn holds(&self) -> bool {
        self.carried_in + self.seen == self.recorded + self.dropped() + self.carried_out
    }

    /// What happened between `earlier` and `self`, two readings of the same running totals (whose `carried_*` are
    /// zero and which count fates only for requests already seen). What was under way at either end is carried. Totals
    /// that run backwards give counts that do not hold, rather than a panic in a recorder.
    pub fn since(&self, earlier: &Conservation) -> Conservation {
        let under_way = |c: &Conservation| c.seen.saturating_sub(c.recorded + c.dropped());
        let mut delta = Conservation {
            carried_in: under_way(earlier),
            seen: self.seen.saturating_sub(earlier.seen),
            recorded: self.recorded.saturating_sub(earlier.recorded),
            carried_out: under_way(self),
            ..Conservation::default()
        };
        for reason in Drop::ALL {
            delta.add(reason, self.count(reason).saturating_sub(earlier.count(reason)));
        }
        delta
    }

    /// Appends the counts of the segment that follows this one.
    pub fn join(&mut self, next: &Conservation) {
        self.seen += next.seen;
        self.recorded += next.recorded;
        for reason in Drop::ALL {
            self.add(reason, next.count(reason));
        }
        self.carried_out = next.carried_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_under_way_is_carried_from_one_segment_to_the_next() {
        let at_first_rotation = Conservation { seen: 10, recorded: 7, queue_full: 1, ..Default::default() };
        let at_end = Conservation { seen: 15, recorded: 13, queue_full: 2, ..Default::default() };
        let first = at_first_rotation.since(&Conservation::default());
        let second = at_end.since(&at_first_rotation);
        assert_eq!((first.carried_in, first.carried_out), (0, 2));
        assert_eq!((second.carried_in, second.carried_out), (2, 0));
        assert!(first.holds() && second.holds());

        let mut whole = first;
        whole.join(&second);
        assert_eq!(whole, at_end);
    }

    #[test]
    fn the_law_breaks_when_a_request_has_no_fate() {
        assert!(!Conservation { seen: 2, recorded: 1, ..Default::default() }.holds());
    }
}
