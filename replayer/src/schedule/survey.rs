//! The first pass over a capture, before any socket opens.

use std::collections::HashMap;

use understudy_captures::capture::CaptureError;
use understudy_captures::{Capture, Exchange};

use super::shape::{Arrivals, ShapeCounter};
use super::{Selected, Selection, Timeline};
use crate::outcome::{Dataset, Labels, Recorded};
use crate::plan::{Pace, Plan};

/// Different unsafe requests that are told apart when refusing; a path with an id in it would make a list without end.
const MAX_KINDS: usize = 1000;

/// Unsafe requests that a refusal names.
const NAMED: usize = 5;

/// What a capture holds for a plan.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The capture.
    pub dataset: Dataset,
    /// How its exchanges arrive, recorded and scheduled.
    pub arrivals: Arrivals,
    /// What the recording says of each exchange that will be scheduled.
    pub recorded: Vec<Recorded>,
}

/// Why a capture cannot be replayed under a plan.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// It cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// It holds requests that may change something where they are sent.
    #[error("{0}")]
    Unsafe(String),
    /// Nothing of it would be sent, or nothing judged.
    #[error("{0}")]
    Nothing(String),
    /// It holds more exchanges than can be numbered.
    #[error("the capture holds more than {} exchanges: replay it in parts, with --window", u32::MAX)]
    TooLarge,
}

/// Requests that are not known to be safe, counted by method and path.
#[derive(Default)]
struct Unsafe {
    kinds: HashMap<(String, String), u64>,
    total: u64,
}

// === impl Survey ===

impl Survey {
    /// Reads all of `capture`; labels of recorded answers go into `labels`.
    pub fn of(capture: &Capture, plan: &Plan, labels: &mut Labels) -> Result<Survey, SurveyError> {
        let stats = capture.stats();
        let mut selection = Selection::of(capture, plan);
        let mut pass = Pass::of(plan);
        for selected in selection.by_ref() {
            pass.take(&selected?, plan, labels)?;
        }
        pass.check(plan, &selection)?;

        let mut damage: Vec<String> = capture
            .damage()
            .iter()
            .map(|damage| format!("{}: byte {}: {}", damage.path.display(), damage.offset, damage.what))
            .collect();
        if selection.read() < stats.exchanges {
            let unread = stats.exchanges - selection.read();
            damage.push(format!("{unread} exchanges in damaged blocks cannot be read"));
        }
        let instant =
            |at: Option<understudy_captures::UnixNanos>| at.map_or_else(String::new, |at| at.to_string());
        let dataset = Dataset {
            id: stats.dataset_id,
            exchanges: selection.read(),
            scheduled: pass.recorded.len() as u64,
            first: instant(stats.first),
            last: instant(stats.last),
            damage,
            left_out: selection
                .left_out()
                .map(|(reason, count)| format!("{count} exchanges {}", reason.explain()))
                .collect(),
        };
        let arrivals = Arrivals { recorded: pass.before.shape(), scheduled: pass.after.shape() };
        Ok(Survey { dataset, arrivals, recorded: pass.recorded })
    }
}

/// What one pass gathers.
struct Pass {
    timeline: Timeline,
    before: ShapeCounter,
    after: ShapeCounter,
    refused: Unsafe,
    recorded: Vec<Recorded>,
    /// Scheduled offsets of the first and last exchange.
    ends: Option<(u64, u64)>,
}

// === impl Pass ===

impl Pass {
    fn of(plan: &Plan) -> Pass {
        Pass {
            timeline: Timeline::of(plan),
            before: ShapeCounter::default(),
            after: ShapeCounter::default(),
            refused: Unsafe::default(),
            recorded: Vec::new(),
            ends: None,
        }
    }

    fn take(&mut self, selected: &Selected, plan: &Plan, labels: &mut Labels) -> Result<(), SurveyError> {
        if selected.index == u32::MAX {
            return Err(SurveyError::TooLarge);
        }
        let offset = self.timeline.offset(selected.index, selected.recorded);
        self.before.arrive(selected.recorded);
        self.after.arrive(offset);
        self.ends = Some((self.ends.map_or(offset, |(first, _)| first), offset));
        if !is_safe(plan, &selected.exchange) {
            self.refused.add(&selected.exchange);
        }
        self.recorded.push(recorded(plan, &selected.exchange, labels));
        Ok(())
    }

    fn check(&self, plan: &Plan, selection: &Selection) -> Result<(), SurveyError> {
        if let Some(refusal) = self.refused.refusal() {
            return Err(SurveyError::Unsafe(refusal));
        }
        let Some((first, last)) = self.ends else {
            let left_out: u64 = selection.left_out().map(|(_, count)| count).sum();
            let reason = if selection.read() == 0 {
                "the capture holds no exchange".to_owned()
            } else if left_out > 0 {
                let reasons: Vec<String> = selection
                    .left_out()
                    .map(|(reason, count)| format!("{count} exchanges {}", reason.explain()))
                    .collect();
                format!("nothing can be repeated: {}", reasons.join(", "))
            } else {
                format!("none of the {} exchanges of the capture is inside the window", selection.read())
            };
            return Err(SurveyError::Nothing(reason));
        };
        let scheduled = !matches!(plan.pace, Pace::Max { .. });
        if scheduled && super::nanos(plan.warmup) > last - first {
            return Err(SurveyError::Nothing(format!(
                "a warm-up of {:?} leaves nothing to judge: the schedule takes {:.3?}; shorten --warmup, lower \
                 --speed, or use a longer capture",
                plan.warmup,
                std::time::Duration::from_nanos(last - first),
            )));
        }
        Ok(())
    }
}

// === impl Unsafe ===

impl Unsafe {
    fn add(&mut self, exchange: &Exchange) {
        self.total += 1;
        let kind = (
            String::from_utf8_lossy(&exchange.request.method).into_owned(),
            String::from_utf8_lossy(exchange.path()).into_owned(),
        );
        if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        }
    }

    fn refusal(&self) -> Option<String> {
        let mut kinds: Vec<(&(String, String), &u64)> = self.kinds.iter().collect();
        kinds.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let ((method, path), _) = kinds.first()?;
        let mut named: Vec<String> = kinds
            .iter()
            .take(NAMED)
            .map(|((method, path), count)| format!("{method} {path} ({count})"))
            .collect();
        if kinds.len() > NAMED {
            named.push(format!("{} more", kinds.len() - NAMED));
        }
        Some(format!(
            "{} requests of the capture may change something where they are sent: {}; if repeating them does no harm, \
             allow them one by one with --allow '{method}:{path}' or all with --allow-unsafe",
            self.total,
            named.join(", "),
        ))
    }
}

/// Whether sending this again changes nothing, as far as HTTP, the preset or the plan say.
fn is_safe(plan: &Plan, exchange: &Exchange) -> bool {
    let method = &exchange.request.method[..];
    if plan.safety.allow_unsafe || matches!(method, b"GET" | b"HEAD") {
        return true;
    }
    let path = exchange.path();
    plan.preset.is_safe(method, path)
        || plan
            .safety
            .allowed
            .iter()
            .any(|(allowed, pattern)| allowed.as_bytes() == method && matches(pattern.as_bytes(), path))
}

/// Whether `path` is `pattern`, or begins with what stands before its final `*`.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(beginning) => path.starts_with(beginning),
        None => path == pattern,
    }
}

fn recorded(plan: &Plan, exchange: &Exchange, labels: &mut Labels) -> Recorded {
    let answer = exchange
        .response
        .as_ref()
        .filter(|response| response.status < 400 && !response.body.truncated)
        .and_then(|response| labels.answer(&plan.preset, &response.body.bytes));
    Recorded { answer, input_changed: exchange.input_changed() }
}
