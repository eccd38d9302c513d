//! What only the capture knows: when each exchange is scheduled, and the texts of those whose answers differ.

use std::collections::{BTreeMap, BTreeSet};

use understudy_captures::capture::CaptureError;

use super::series::Instants;
use crate::judge::Judgement;
use crate::outcome::Rehearsal;
use crate::schedule::{Selection, Timeline};

/// Longest excerpt of a text, in characters.
const EXCERPT: usize = 280;

/// What a second look into the capture found.
#[derive(Clone, Debug, Default)]
pub struct Reread {
    /// Scheduled instants by exchange.
    pub instants: Instants,
    /// Sanitized texts of flipped exchanges.
    pub texts: BTreeMap<u32, String>,
    /// Why texts are missing.
    pub note: Option<String>,
}

// === impl Reread ===

impl Reread {
    /// Reads the capture of `rehearsal` once more. A capture that is gone by now costs the texts, never the report.
    pub fn of(rehearsal: &Rehearsal, judgement: &Judgement) -> Reread {
        let mut reread = Reread::default();
        let wanted: BTreeSet<u32> = judgement
            .candidates
            .iter()
            .filter_map(|c| c.answers.as_ref())
            .flat_map(|a| &a.flips)
            .map(|f| f.exchange)
            .collect();
        if let Err(error) = reread.read(rehearsal, &wanted) {
            reread.note = Some(format!("the capture could not be read again, so texts are missing: {error}"));
        }
        if reread.instants.0.is_empty() {
            reread.instants = evenly(rehearsal);
        }
        reread
    }

    fn read(&mut self, rehearsal: &Rehearsal, wanted: &BTreeSet<u32>) -> Result<(), CaptureError> {
        let plan = &rehearsal.plan;
        let capture = plan.open_capture()?;
        let timeline = Timeline::of(plan);
        for selected in Selection::of(&capture, plan) {
            let selected = selected?;
            self.instants.0.push(timeline.offset(selected.index, selected.recorded) as f64 / 1e9);
            if wanted.contains(&selected.index) {
                let body = &selected.exchange.request.body.bytes;
                let text =
                    plan.preset.input(body).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
                self.texts.insert(selected.index, excerpt(&text));
            }
        }
        Ok(())
    }
}

/// Without the capture, exchanges are as far apart as they are on average.
fn evenly(rehearsal: &Rehearsal) -> Instants {
    let rate = rehearsal.arrivals.scheduled.rate;
    let exchanges = if rate > 0.0 { rehearsal.recorded.len() } else { 0 };
    Instants((0..exchanges).map(|e| e as f64 / rate).collect())
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(EXCERPT) {
        words.truncate(end);
        words.push('\u{2026}');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_one_line_and_short() {
        assert_eq!(excerpt("  very\n\n good\tindeed "), "very good indeed");
        let long = excerpt(&"\u{445}".repeat(1_000));
        assert_eq!(long.chars().count(), EXCERPT + 1);
        assert!(long.ends_with('\u{2026}'));
    }
}
