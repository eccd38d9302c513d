//! What sanitizing does to a model's work: how much of the texts changes, whether their length stays, how many tokens
//! a tokenizer makes of them, and, asked of a live server, whether its answers and its latency stay.
//!
//! Texts are sanitized in memory under a policy, exactly as a recorder would. Raw texts are never written, logged or
//! shown; the only place they go is the server that the user names, which is asked about both versions of each text.

use std::collections::BTreeMap;

use understudy_captures::Sanitizer;

pub mod ask;
pub mod texts;
pub mod tokens;

use tokens::Tokenizer;

/// A text before and after, and what it took.
pub struct Pair {
    /// As it came.
    pub raw: String,
    /// As a capture would hold it.
    pub sanitized: String,
}

/// What sanitizing did to texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Texts read.
    pub texts: u64,
    /// Of those, not the same after.
    pub texts_changed: u64,
    /// What stands between white space.
    pub words: u64,
    /// Of those, not the same after.
    pub words_changed: u64,
    /// Texts whose length in bytes and in characters stayed.
    pub length_kept: u64,
    /// Replacements by class.
    pub classes: BTreeMap<String, u64>,
    /// Tokens before.
    pub tokens_raw: u64,
    /// Tokens after.
    pub tokens_sanitized: u64,
    /// Texts with as many tokens as before.
    pub tokens_same: u64,
    /// By text, tokens after minus tokens before; sorted.
    pub token_shifts: Vec<i64>,
}

// === impl Change ===

impl Change {
    /// Sanitizes `texts` and says what that did.
    pub fn of(texts: Vec<String>, sanitizer: &mut Sanitizer, tokenizer: &Tokenizer) -> (Change, Vec<Pair>) {
        let mut change = Change::default();
        let pairs = texts.into_iter().map(|raw| change.add(raw, sanitizer, tokenizer)).collect();
        change.token_shifts.sort_unstable();
        (change, pairs)
    }

    fn add(&mut self, raw: String, sanitizer: &mut Sanitizer, tokenizer: &Tokenizer) -> Pair {
        let (sanitized, redactions) = sanitizer.free_text(&raw);
        self.texts += 1;
        self.texts_changed += u64::from(raw != sanitized);
        let same_length = raw.len() == sanitized.len() && raw.chars().count() == sanitized.chars().count();
        self.length_kept += u64::from(same_length);
        let words = raw.split_whitespace().count() as u64;
        let same = raw.split_whitespace().zip(sanitized.split_whitespace()).filter(|(a, b)| a == b);
        self.words += words;
        self.words_changed += words - same.count() as u64;
        for redaction in redactions {
            *self.classes.entry(redaction.class.to_string()).or_default() += u64::from(redaction.count);
        }
        let (before, after) = (tokenizer.count(&raw) as i64, tokenizer.count(&sanitized) as i64);
        self.tokens_raw += before.unsigned_abs();
        self.tokens_sanitized += after.unsigned_abs();
        self.tokens_same += u64::from(before == after);
        self.token_shifts.push(after - before);
        Pair { raw, sanitized }
    }
}

#[cfg(test)]
mod tests;
