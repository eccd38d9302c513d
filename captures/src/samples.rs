//! Real texts and real arrivals that the demo and the tests use; sources and licences in `samples/README.md`.
//!
//! They are compiled in, so that a binary alone can tell the whole story. Each iterator parses as it goes; a test
//! reads every line of every file, so that a line which cannot be parsed is a failed build and not a surprise.

use std::time::Duration;

use jiff::civil::DateTime;
use serde::Deserialize;

pub mod traffic;

const TWEETS: &str = include_str!("../samples/tweets.tsv");
const PRODUCT_REVIEWS: &str = include_str!("../samples/product_reviews.tsv");
const ARRIVALS: &str = include_str!("../samples/arrivals.csv");
const PII_SENTENCES: &str = include_str!("../samples/pii_sentences.jsonl");

/// A text that people rated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Text {
    /// Names the text within its source.
    pub id: &'static str,
    /// Mean rating by people, -4 (most negative) to 4 (most positive): ground truth for a sentiment model.
    pub rating: f32,
    /// The text itself, one line.
    pub text: &'static str,
}

/// One arrival at a production inference service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Since the first arrival; never decreases.
    pub offset: Duration,
    /// Tokens of the request.
    pub context_tokens: u32,
    /// Tokens of the answer.
    pub generated_tokens: u32,
}

/// A sentence with made-up personal data whose places are known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PiiSentence {
    /// The sentence; may hold line breaks.
    pub text: String,
    /// Where the personal data is.
    pub spans: Vec<PiiSpan>,
}

/// A stretch of personal data in a [`PiiSentence`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PiiSpan {
    /// What it is: `CREDIT_CARD`, `EMAIL_ADDRESS`, `PERSON`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// First character, counted in characters (not bytes).
    pub start: usize,
    /// The character after the last one.
    pub end: usize,
}

/// Tweets, then sentences of product reviews.
pub fn texts() -> impl Iterator<Item = Text> {
    rows(TWEETS).chain(rows(PRODUCT_REVIEWS)).filter_map(parse_text)
}

/// Arrivals in order, the first at zero.
pub fn arrivals() -> impl Iterator<Item = Arrival> {
    let first = rows(ARRIVALS).next().and_then(parse_arrival).map(|(at, _, _)| at);
    rows(ARRIVALS).filter_map(parse_arrival).filter_map(move |(at, context_tokens, generated_tokens)| {
        let offset = at.duration_since(first?).try_into().ok()?;
        Some(Arrival { offset, context_tokens, generated_tokens })
    })
}

/// Sentences with made-up personal data.
pub fn pii_sentences() -> impl Iterator<Item = PiiSentence> {
    PII_SENTENCES.lines().filter_map(|line| serde_json::from_str(line).ok())
}

// === impl PiiSentence ===

impl PiiSentence {
    /// The personal data of `span`; `None` when the span does not lie in the text.
    pub fn slice(&self, span: &PiiSpan) -> Option<&str> {
        let byte = |character: usize| {
            let ends = std::iter::once(self.text.len());
            self.text.char_indices().map(|(at, _)| at).chain(ends).nth(character)
        };
        self.text.get(byte(span.start)?..byte(span.end)?)
    }
}

/// Lines after the column names.
fn rows(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().skip(1)
}

fn parse_text(row: &'static str) -> Option<Text> {
    let mut columns = row.splitn(3, '\t');
    let id = columns.next()?;
    let rating = columns.next()?.parse().ok()?;
    Some(Text { id, rating, text: columns.next()? })
}

fn parse_arrival(row: &'static str) -> Option<(DateTime, u32, u32)> {
    let mut columns = row.split(',');
    let at = columns.next()?.parse().ok()?;
    Some((at, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_every_file_is_parsed() {
        assert_eq!(texts().count(), rows(TWEETS).count() + rows(PRODUCT_REVIEWS).count());
        assert_eq!(arrivals().count(), rows(ARRIVALS).count());
        assert_eq!(pii_sentences().count(), PII_SENTENCES.lines().count());
        assert_eq!((texts().count(), arrivals().count(), pii_sentences().count()), (2000, 2500, 120));
    }

    #[test]
    fn ratings_stay_on_the_scale_and_texts_say_something() {
        for text in texts() {
            assert!((-4.0..=4.0).contains(&text.rating), "{text:?}");
            assert!(!text.text.trim().is_empty(), "{text:?}");
        }
        let positive = texts().filter(|text| text.rating > 0.0).count();
        assert!((800..1600).contains(&positive), "{positive} of 2000 are positive");
    }

    #[test]
    fn arrivals_begin_at_zero_and_keep_order_and_ticks() {
        let all: Vec<Arrival> = arrivals().collect();
        assert_eq!(all[0].offset, Duration::ZERO);
        assert_eq!(all[1].offset, Duration::from_nanos(4_314_579_000));
        assert!(all.windows(2).all(|pair| pair[0].offset <= pair[1].offset));
        assert_eq!((all[0].context_tokens, all[0].generated_tokens), (374, 44));
    }

    #[test]
    fn spans_count_characters_and_lie_in_their_sentence() {
        for sentence in pii_sentences() {
            for span in &sentence.spans {
                assert!(sentence.slice(span).is_some_and(|s| !s.is_empty()), "{span:?} of {sentence:?}");
            }
        }
        let sentence = PiiSentence {
            text: "né à Zürich".into(),
            spans: vec![PiiSpan { kind: "GPE".into(), start: 5, end: 11 }],
        };
        assert_eq!(sentence.slice(&sentence.spans[0]), Some("Zürich"));
    }

    #[test]
    fn a_span_outside_its_sentence_is_nothing() {
        let sentence = PiiSentence { text: "short".into(), spans: vec![] };
        assert_eq!(sentence.slice(&PiiSpan { kind: "GPE".into(), start: 2, end: 9 }), None);
    }

    #[test]
    fn the_sample_capture_is_whole_and_says_what_its_readme_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/demo.ucap");
        let capture = crate::Capture::open(&[path]).unwrap();
        let stats = capture.stats();
        let readme = include_str!("../samples/README.md");
        assert!(
            readme.contains(&stats.dataset_id),
            "the README names another dataset than {}",
            stats.dataset_id
        );
        assert!(stats.conservation.holds());
        assert_eq!((stats.conservation.seen, stats.conservation.excluded), (2550, 50));
        let exchanges: Vec<_> = capture.exchanges().collect::<Result<_, _>>().unwrap();
        assert_eq!(exchanges.len(), 2500);
        assert_eq!(exchanges.iter().filter(|exchange| exchange.input_changed()).count(), 204);
        assert!(exchanges.iter().all(|exchange| exchange.request.headers.get("authorization").is_none()));
    }
}
