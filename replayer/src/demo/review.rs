//! What the sidecar made of the traffic: counts, redactions, and a few texts before and after.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use understudy_captures::capture::CaptureError;
use understudy_captures::exchange::Place;
use understudy_captures::{Capture, Conservation, Exchange};

use super::script::{Line, Script};

/// Classes of personal data that are worth showing, the most telling first.
const SHOWN: [&str; 4] = ["card", "email", "iban", "phone"];
/// Longest text that is shown.
const SHOWN_CHARS: usize = 96;
/// Least share of characters that a sanitized text keeps of the one it came from.
const LEAST_KEPT: f64 = 0.4;

/// A capture, as the demo shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Review {
    /// Content digest.
    pub(super) dataset_id: String,
    /// Exchanges in it.
    pub(super) exchanges: u64,
    /// What became of every request.
    pub(super) conservation: Conservation,
    /// Replacements in texts, by class.
    pub(super) in_texts: BTreeMap<String, u64>,
    /// Texts that were changed.
    pub(super) texts_changed: u64,
    /// Header values that were dropped or replaced.
    pub(super) in_headers: u64,
    /// Made-up texts before and after.
    pub(super) pairs: Vec<Pair>,
}

/// A text of the demo's own and what the capture holds of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Pair {
    /// The class that was found in it.
    pub(super) class: &'static str,
    /// As it was sent.
    pub(super) before: String,
    /// As it was written.
    pub(super) after: String,
}

// === impl Review ===

impl Review {
    /// Reads the whole capture.
    pub(super) fn of(captures: &Path, script: &Script) -> Result<Review, CaptureError> {
        let capture = Capture::open(&[captures])?;
        let stats = capture.stats();
        let mut review = Review {
            dataset_id: stats.dataset_id,
            exchanges: stats.exchanges,
            conservation: stats.conservation,
            in_texts: BTreeMap::new(),
            texts_changed: 0,
            in_headers: 0,
            pairs: Vec::new(),
        };
        for exchange in capture.exchanges() {
            review.add(&exchange?, script);
        }
        review.pairs.sort_by_key(|pair| SHOWN.iter().position(|class| *class == pair.class));
        Ok(review)
    }

    fn add(&mut self, exchange: &Exchange, script: &Script) {
        self.texts_changed += u64::from(exchange.input_changed());
        for redaction in &exchange.redactions {
            let count = u64::from(redaction.count);
            match redaction.place {
                Place::RequestBody => *self.in_texts.entry(redaction.class.to_string()).or_default() += count,
                Place::RequestHeader | Place::ResponseHeader => self.in_headers += count,
                Place::Target | Place::ResponseBody | Place::Unknown(_) => {}
            }
        }
        self.show(exchange, script);
    }

    /// Keeps the text of the first exchange of each class that is shown.
    fn show(&mut self, exchange: &Exchange, script: &Script) {
        let found = |class: &str| {
            exchange.redactions.iter().any(|r| r.place == Place::RequestBody && *r.class == *class)
        };
        let fresh = |class: &&str| !self.pairs.iter().any(|pair| pair.class == *class);
        let Some(class) = SHOWN.into_iter().find(|class| found(class) && fresh(class)) else { return };
        let Some(after) = text_of(exchange) else { return };
        if after.chars().count() > SHOWN_CHARS || after.contains('\n') {
            return;
        }
        if let Some(line) = origin(&after, &script.lines) {
            self.pairs.push(Pair { class, before: line.text.clone(), after });
        }
    }
}

fn text_of(exchange: &Exchange) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&exchange.request.body.bytes).ok()?;
    body.get("text")?.as_str().map(str::to_owned)
}

/// The text that `after` came from. The capture does not say, and must not; but a replacement keeps the length of what
/// it replaces, so among the demo's own texts of that length the one that shares most characters in place is it.
fn origin<'a>(after: &str, lines: &'a [Line]) -> Option<&'a Line> {
    let length = after.chars().count();
    lines
        .iter()
        .filter(|line| line.personal && line.text.chars().count() == length)
        .map(|line| (line, line.text.chars().zip(after.chars()).filter(|(a, b)| a == b).count()))
        .max_by_key(|(_, kept)| *kept)
        .filter(|(_, kept)| *kept as f64 >= LEAST_KEPT * length as f64)
        .map(|(line, _)| line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(text: &str) -> Line {
        Line { offset: Duration::ZERO, text: text.to_owned(), personal: true, client: 0 }
    }

    #[test]
    fn a_sanitized_text_is_traced_to_the_line_it_came_from() {
        let lines = [
            line("Please refund my card 4111 1111 1111 1111. Maria"),
            line("Please refund my card 4012 8888 8888 1881. David"),
            line("Write to me at maria@example.com."),
        ];
        let after = "Please refund my card 4829 3017 5524 9068. David";
        assert_eq!(origin(after, &lines).unwrap().text, lines[1].text);
        assert!(origin("Nothing of this was ever said by the demo itself", &lines).is_none());
        assert!(origin("Please refund my card", &lines).is_none());
    }
}
