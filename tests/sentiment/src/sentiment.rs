//! Label and score of a text, by VADER's lexicon and rules.
//!
//! The compound value of VADER, -1 to 1, becomes what a two-class model answers: `POSITIVE` from 0 on, `NEGATIVE`
//! below, with score `0.5 + 0.4998 * |compound|`. A text without any word of sentiment is `POSITIVE` at 0.5, as
//! undecided as a model can be.

use vader_parity::SentimentIntensityAnalyzer;

/// Longest input of the modelled encoder; what is longer is cut, as its tokenizer does.
pub const MAX_TOKENS: u32 = 512;

/// Reads texts. The same text always gets the same answer.
pub struct Model {
    analyzer: SentimentIntensityAnalyzer,
    /// Share of texts, chosen by their hash, that get the other label.
    wrong_labels: f64,
    /// Scores differ from the exact one by up to this much, by the text's hash.
    score_noise: f64,
    seed: u64,
}

/// What the model says of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class.
    pub label: Label,
    /// How sure the model is, 0.5 to 0.9998.
    pub score: f64,
}

/// The classes of the default model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// More good than bad.
    Positive,
    /// More bad than good.
    Negative,
}

// === impl Model ===

impl Model {
    /// A model that mislabels `wrong_labels` of all texts and blurs scores by `score_noise`.
    pub fn new(wrong_labels: f64, score_noise: f64, seed: u64) -> Self {
        Self { analyzer: SentimentIntensityAnalyzer::new(), wrong_labels, score_noise, seed }
    }

    /// The answer to `text`.
    pub fn answer(&self, text: &str) -> Answer {
        let compound = self.analyzer.polarity_scores(text).compound;
        let right = if compound >= 0.0 { Label::Positive } else { Label::Negative };
        let hash = hash(text, self.seed);
        let label = if share(hash) < self.wrong_labels { right.other() } else { right };
        let blur = self.score_noise * (2.0 * share(mix(hash)) - 1.0);
        let score = (0.5 + 0.4998 * compound.abs() + blur).clamp(0.5, 0.9998);
        Answer { label, score: (score * 10_000.0).round() / 10_000.0 }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("wrong_labels", &self.wrong_labels).finish_non_exhaustive()
    }
}

// === impl Label ===

impl Label {
    /// As answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Label::Positive => "POSITIVE",
            Label::Negative => "NEGATIVE",
        }
    }

    fn other(self) -> Self {
        match self {
            Label::Positive => Label::Negative,
            Label::Negative => Label::Positive,
        }
    }
}

/// Tokens of `text`, as a word-piece tokenizer would count them, nearly: one for each six letters or digits of a word,
/// one for each other visible character, and two that mark the ends. At most [`MAX_TOKENS`].
pub fn tokens(text: &str) -> u32 {
    const LETTERS_PER_PIECE: u32 = 6;
    let mut tokens = 2;
    let mut letters = 0u32;
    for character in text.chars() {
        if character.is_alphanumeric() {
            letters += 1;
            continue;
        }
        tokens += letters.div_ceil(LETTERS_PER_PIECE) + u32::from(!character.is_whitespace());
        letters = 0;
    }
    (tokens + letters.div_ceil(LETTERS_PER_PIECE)).min(MAX_TOKENS)
}

/// FNV-1a: the same on every machine and in every version, which the standard hasher does not promise.
fn hash(text: &str, seed: u64) -> u64 {
    let fnv = text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

/// The finaliser of SplitMix64: spreads every input bit over all output bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number in [0, 1) from a well-spread hash.
fn share(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> impl Iterator<Item = String> {
        (0..5000).map(|i| format!("this product number {i} is great"))
    }

    #[test]
    fn words_of_sentiment_decide_label_and_score() {
        let model = Model::new(0.0, 0.0, 1);
        let good = model.answer("VADER is smart, handsome, and funny.");
        let bad = model.answer("This is a terrible, horrible mess.");
        assert_eq!((good.label, good.score), (Label::Positive, 0.9156));
        assert_eq!(bad.label, Label::Negative);
        assert!(bad.score > 0.85, "{bad:?}");
        assert_eq!(model.answer("The box is on the table.").score, 0.5);
    }

    #[test]
    fn wrong_labels_come_at_their_share_and_always_for_the_same_texts() {
        let (right, wrong) = (Model::new(0.0, 0.0, 1), Model::new(0.06, 0.0, 1));
        let flipped: Vec<String> =
            texts().filter(|text| right.answer(text).label != wrong.answer(text).label).collect();
        assert!((240..=360).contains(&flipped.len()), "{} of 5000", flipped.len());
        for text in &flipped {
            assert_eq!(wrong.answer(text), Model::new(0.06, 0.0, 1).answer(text));
            assert_eq!(wrong.answer(text).score, right.answer(text).score);
        }
        let other_seed = Model::new(0.06, 0.0, 2);
        assert!(flipped.iter().any(|text| other_seed.answer(text).label == right.answer(text).label));
    }

    #[test]
    fn score_noise_stays_within_its_bound() {
        let (exact, blurred) = (Model::new(0.0, 0.0, 1), Model::new(0.0, 0.02, 1));
        let drift = |text: &str| (exact.answer(text).score - blurred.answer(text).score).abs();
        let largest = texts().map(|text| drift(&text)).fold(0.0, f64::max);
        assert!((0.015..=0.0202).contains(&largest), "{largest}");
    }

    #[test]
    fn tokens_follow_length_up_to_the_limit_of_the_encoder() {
        assert_eq!(tokens(""), 2);
        assert_eq!(tokens("good"), 3);
        assert_eq!(tokens("extraordinary!"), 2 + 3 + 1);
        assert_eq!(tokens("a b\tc\n"), 5);
        assert_eq!(tokens(&"word ".repeat(2000)), MAX_TOKENS);
    }
}
