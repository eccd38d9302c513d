//! WordPiece, as BERT and its kin cut texts: by white space and punctuation, then greedily into the longest pieces of a
//! vocabulary.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

const BERT_UNCASED: &str = include_str!("bert-uncased-vocab.txt");

/// A longer word is one unknown token.
const LONGEST_WORD: usize = 100;

/// What a piece begins with that is not the first of its word.
const CONTINUED: &str = "##";

/// Counts tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    name: String,
    pieces: HashSet<String>,
    lower: bool,
}

/// A tokenizer file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadTokenizer(String);

/// As much of a `tokenizer.json` as is read.
#[derive(Deserialize)]
struct File {
    model: Model,
    normalizer: Option<Normalizer>,
}

#[derive(Deserialize)]
struct Model {
    r#type: Option<String>,
    #[serde(default)]
    vocab: serde_json::Value,
    continuing_subword_prefix: Option<String>,
}

#[derive(Deserialize)]
struct Normalizer {
    lowercase: Option<bool>,
}

// === impl Tokenizer ===

impl Tokenizer {
    /// That of `bert-base-uncased` and of the DistilBERT models made from it.
    pub fn bert_uncased() -> Tokenizer {
        Self::from_pieces("bert-base-uncased".into(), BERT_UNCASED.lines().map(str::to_owned).collect())
    }

    /// Reads a BERT `vocab.txt` or a Hugging Face `tokenizer.json` with a WordPiece model.
    pub fn from_file(path: &Path) -> Result<Tokenizer, BadTokenizer> {
        let bad = |says: String| BadTokenizer(format!("tokenizer file {}: {says}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !text.trim_start().starts_with('{') {
            let pieces: HashSet<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
            if !pieces.iter().any(|piece| piece.starts_with(CONTINUED)) {
                return Err(bad("no entry begins with `##`, so this is no vocab.txt of BERT".into()));
            }
            return Ok(Self::from_pieces(name, pieces));
        }
        let file: File = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let kind = file.model.r#type.as_deref().unwrap_or("unnamed");
        let prefix = file.model.continuing_subword_prefix.as_deref().unwrap_or(CONTINUED);
        let (Some(vocab), "WordPiece", CONTINUED) = (file.model.vocab.as_object(), kind, prefix) else {
            return Err(bad(format!("its model is {kind}; only WordPiece with the prefix `##` is read")));
        };
        let lower = file.normalizer.and_then(|normalizer| normalizer.lowercase).unwrap_or(false);
        Ok(Tokenizer { name, pieces: vocab.keys().cloned().collect(), lower })
    }

    /// A vocabulary without a word for "The" is one of lower case.
    fn from_pieces(name: String, pieces: HashSet<String>) -> Tokenizer {
        let lower = !pieces.contains("The");
        Tokenizer { name, pieces, lower }
    }

    /// Name for reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tokens of `text`, without those that mark its ends.
    pub fn count(&self, text: &str) -> usize {
        let mut count = 0;
        let mut word = String::new();
        for c in text.chars().filter(|c| !is_dropped(*c)) {
            if c.is_whitespace() || is_cut(c) {
                count += self.pieces_of(&word);
                word.clear();
                // Punctuation and ideographs are words of their own.
                count += usize::from(!c.is_whitespace());
            } else {
                word.push(c);
            }
        }
        count + self.pieces_of(&word)
    }

    /// Pieces of one word: the longest first, or one unknown token if that comes to no end.
    fn pieces_of(&self, word: &str) -> usize {
        if word.is_empty() {
            return 0;
        }
        let folded: String = if self.lower {
            let bare = word.nfd().filter(|c| c.general_category() != GeneralCategory::NonspacingMark);
            bare.flat_map(char::to_lowercase).collect()
        } else {
            word.to_owned()
        };
        if folded.chars().count() > LONGEST_WORD {
            return 1;
        }
        let mut piece = String::with_capacity(folded.len() + CONTINUED.len());
        let (mut rest, mut count) = (folded.as_str(), 0);
        while !rest.is_empty() {
            let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
            let longest = ends.into_iter().find(|end| {
                piece.clear();
                piece.push_str(if count > 0 { CONTINUED } else { "" });
                piece.push_str(&rest[..*end]);
                self.pieces.contains(&piece)
            });
            let Some(end) = longest else { return 1 };
            rest = &rest[end..];
            count += 1;
        }
        count
    }
}

/// Control characters, which the tokenizer does not see.
fn is_dropped(c: char) -> bool {
    let control = c.general_category_group() == GeneralCategoryGroup::Other;
    c == '\u{fffd}' || control && !matches!(c, '\t' | '\n' | '\r')
}

fn is_cut(c: char) -> bool {
    c.is_ascii_punctuation()
        || c.general_category_group() == GeneralCategoryGroup::Punctuation
        || is_ideograph(c)
}

/// The blocks of CJK ideographs that BERT sets apart.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}
