//! Texts for arrivals that have none: in turn or drawn, and as long as the trace says.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::super::notes::{Note, Notes};

/// Bytes of text that are kept in memory.
const MAX_BYTES: u64 = 256 << 20;

/// Bytes to a token, of English under common tokenizers; the exact number is the model's and not known here.
const BYTES_PER_TOKEN: u64 = 4;

/// Texts, and how one is chosen.
#[derive(Debug)]
pub struct Texts {
    texts: Vec<String>,
    choice: Choice,
    match_length: bool,
    next: usize,
    rng: StdRng,
}

/// How a text is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// One after the other, and again from the first.
    InTurn,
    /// At random, the same ones under the same seed.
    Drawn(u64),
}

/// Texts that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TextsError {
    /// No such file, no permission, ...
    #[error("cannot read texts from {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too large to keep.
    #[error("{path} is over 256 MiB; texts are kept in memory, give a part of them")]
    TooLarge {
        /// The file.
        path: String,
    },
    /// Not texts.
    #[error("{path}:{line}: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong, and what is expected.
        what: &'static str,
    },
    /// No text.
    #[error("{path} holds no text")]
    Empty {
        /// The file.
        path: String,
    },
}

// === impl Texts ===

impl Texts {
    /// Reads texts: of a `.jsonl` file the strings, or the member `text` of the objects; of a `.tsv` file the column
    /// `text`; of any other file the lines. Empty ones are left out.
    pub fn from_file(path: &Path, choice: Choice, match_length: bool) -> Result<Texts, TextsError> {
        let name = path.display().to_string();
        let failed = |source| TextsError::Io { path: name.clone(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(TextsError::TooLarge { path: name });
        }
        let malformed =
            |line: usize, what| TextsError::Malformed { path: name.clone(), line: line + 1, what };
        let content = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            malformed(before.iter().filter(|b| **b == b'\n').count(), "not UTF-8")
        })?;
        let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let texts: Vec<String> = match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl" | "ndjson") => lines
                .map(|(n, line)| {
                    json_text(line).ok_or_else(|| malformed(n, "neither a string nor an object with `text`"))
                })
                .collect::<Result<_, _>>()?,
            Some("tsv") => tab_separated(lines)
                .map_err(|n| malformed(n, "no column is called `text`, or it is missing here"))?,
            _ => lines.map(|(_, line)| line.to_owned()).collect(),
        };
        Self::new(texts, choice, match_length).ok_or(TextsError::Empty { path: name })
    }

    /// Takes texts; `None` when there is none.
    pub fn new(texts: Vec<String>, choice: Choice, match_length: bool) -> Option<Texts> {
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
        let seed = if let Choice::Drawn(seed) = choice { seed } else { 0 };
        let rng = StdRng::seed_from_u64(seed);
        (!texts.is_empty()).then_some(Texts { texts, choice, match_length, next: 0, rng })
    }

    /// A text of about `tokens` tokens, or the next one as it is.
    pub(super) fn next(&mut self, tokens: u64, notes: &mut Notes) -> String {
        let mut text = self.one().to_owned();
        if !self.match_length {
            notes.add(Note::LengthIgnored);
            return text;
        }
        let wanted = usize::try_from(tokens.max(1).saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
        if text.len() < wanted {
            notes.add(Note::TextsJoined);
        }
        while text.len() < wanted {
            text.push(' ');
            text.push_str(self.one());
        }
        // A word more or less is within what the estimate can tell.
        if let Some(end) = cut(&text, wanted) {
            notes.add(Note::TextCut);
            text.truncate(end);
        }
        text
    }

    fn one(&mut self) -> &str {
        let at = match self.choice {
            Choice::InTurn => {
                let at = self.next;
                self.next = (at + 1) % self.texts.len();
                at
            }
            Choice::Drawn(_) => self.rng.random_range(0..self.texts.len()),
        };
        &self.texts[at]
    }
}

/// The end of the word that reaches `len`; `None` when nothing follows it.
fn cut(text: &str, len: usize) -> Option<usize> {
    let from = (0..=len.min(text.len())).rev().find(|at| text.is_char_boundary(*at))?;
    let end = from + text[from..].find(char::is_whitespace)?;
    (end > 0).then_some(end)
}

fn json_text(line: &str) -> Option<String> {
    match serde_json::from_str(line).ok()? {
        Value::String(text) => Some(text),
        Value::Object(mut members) => match members.remove("text") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The column `text`, or the number of the line that has none.
fn tab_separated<'a>(mut lines: impl Iterator<Item = (usize, &'a str)>) -> Result<Vec<String>, usize> {
    let Some((n, names)) = lines.next() else { return Ok(Vec::new()) };
    let column = names.split('\t').position(|name| name.trim() == "text").ok_or(n)?;
    lines.map(|(n, line)| line.split('\t').nth(column).map(str::to_owned).ok_or(n)).collect()
}
