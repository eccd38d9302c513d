//! The strict reading of free text: what is not a word of a known vocabulary is replaced by letters of its shape.
//!
//! A detector guesses what is personal; this does not. A token of the input stays only if it is listed, whatever it
//! means. So the promise can be checked without knowing what a name is: each token of the result is a word of the
//! vocabulary, or not the token that stood there.
//!
//! The detectors run first, because an address may be made of ordinary words. What they leave of a finding (the country
//! code of a telephone number) is held to the same rule.

use std::ops::Range;
use std::sync::LazyLock;

use super::class::Class;
use super::detect::Finding;
use super::pseudonym::Pseudonyms;
use super::words::{NotAWord, WordSet, english};

mod tokens;

use tokens::{Token, Tokens};

/// Endings of English that may stand behind any word. Which word, is asked of the vocabulary.
const CLITICS: &[&str] = &["'s", "'d", "'m", "'ll", "'re", "'ve"];

/// Numbers of so few digits may be allowed; three are a card's security code already.
pub(super) const MOST_DIGITS: u8 = 2;

/// The words that may stay.
#[derive(Clone, Debug, Default)]
pub(super) struct Vocabulary {
    /// Whether the built-in English words belong to it.
    english: bool,
    /// Words of files.
    words: WordSet,
    /// Letters and digits within emoticons: `d` of `:d`. A replacement is never one of these, or `:b` could become `:d`.
    fragments: WordSet,
    /// The longest number that stays, in digits.
    digits: u8,
}

/// What is wrong with a list of words, and in which line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadWords {
    #[error("{0}: not UTF-8")]
    Encoding(usize),
    #[error("{0}: more than one word; write one word a line")]
    SeveralWords(usize),
    #[error("{0}: a word of more than 64 bytes")]
    TooLong(usize),
    #[error("1: holds no word")]
    Empty,
}

/// Rewrites texts; holds what it needs again and again.
#[derive(Debug, Default)]
pub(super) struct Rewriter {
    /// The text after the detectors.
    masked: String,
    /// The text after the vocabulary.
    out: String,
}

// === impl Vocabulary ===

impl Vocabulary {
    pub(super) fn new(digits: u8) -> Vocabulary {
        Vocabulary { digits, ..Vocabulary::default() }
    }

    /// Adds the built-in English words.
    pub(super) fn add_english(&mut self) {
        self.english = true;
    }

    /// Adds the words of a list: UTF-8, one a line; blank lines and those that begin with `#` are skipped.
    pub(super) fn add_list(&mut self, list: &[u8]) -> Result<(), BadWords> {
        let list = list.strip_prefix("\u{feff}".as_bytes()).unwrap_or(list);
        let mut any = false;
        for (index, line) in list.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let line = std::str::from_utf8(line).map_err(|_| BadWords::Encoding(number))?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains(char::is_whitespace) {
                return Err(BadWords::SeveralWords(number));
            }
            let word = plain_apostrophes(line);
            self.words
                .insert(word.as_deref().unwrap_or(line))
                .map_err(|NotAWord| BadWords::TooLong(number))?;
            add_fragments(line, &mut self.fragments);
            any = true;
        }
        if any { Ok(()) } else { Err(BadWords::Empty) }
    }

    /// BLAKE3 over all that it lets through: two vocabularies that differ in a word differ here.
    pub(super) fn digest(&self) -> blake3::Hash {
        let mut words = self.words.sorted();
        if self.english {
            words.extend(english().sorted());
            words.sort_unstable();
            words.dedup();
        }
        let mut hasher = blake3::Hasher::new();
        // English has endings, so it is more than its words.
        hasher.update(&[self.digits, u8::from(self.english)]);
        for word in words {
            hasher.update(&(word.len() as u64).to_le_bytes());
            hasher.update(word);
        }
        hasher.finalize()
    }

    /// Whether it lists exactly this.
    fn lists(&self, entry: &str) -> bool {
        self.english && english().contains(entry) || self.words.len() > 0 && self.words.contains(entry)
    }

    /// Whether a token may stay: it is listed, or is a listed word with an English ending, or all parts of it are.
    fn knows(&self, token: &str, joined: bool) -> bool {
        if self.lists(token) || self.is_short_number(token) {
            return true;
        }
        if !joined {
            return false;
        }
        match plain_apostrophes(token) {
            Some(plain) => self.knows_joined(&plain),
            None => self.knows_joined(token),
        }
    }

    fn knows_joined(&self, token: &str) -> bool {
        let word = self.without_clitic(token);
        let part = |part: &str| self.lists(part) || self.is_short_number(part);
        self.lists(token) || self.lists(word) || word.split(tokens::is_joint).all(part)
    }

    /// The word before an English ending.
    fn without_clitic<'a>(&self, token: &'a str) -> &'a str {
        let ending = |clitic: &&&str| {
            let at = token.len().checked_sub(clitic.len()).filter(|at| *at > 0);
            at.and_then(|at| token.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(clitic))
        };
        let clitic = CLITICS.iter().find(ending).filter(|_| self.english);
        &token[..token.len() - clitic.map_or(0, |clitic| clitic.len())]
    }

    fn is_short_number(&self, token: &str) -> bool {
        token.len() <= usize::from(self.digits) && token.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether a replacement could be read as something that the vocabulary lists, or that a model of English knows
    /// even where the vocabulary does not list it.
    fn may_mean_something(&self, replacement: &str) -> bool {
        if self.fragments.contains(replacement) || english_fragments().contains(replacement) {
            return true;
        }
        let number = replacement.bytes().all(|byte| byte.is_ascii_digit());
        // Any number is as good as another one, and all short ones may be known.
        !number && (english().contains(replacement) || self.knows(replacement, true))
    }
}

/// Remembers the letters and digits of an entry that is no word.
fn add_fragments(entry: &str, fragments: &mut WordSet) {
    let mut tokens = Tokens::of(entry).peekable();
    if tokens.peek().is_some_and(|token| token.range == (0..entry.len())) {
        return;
    }
    for token in tokens {
        // Shorter than the entry, and so never too long.
        fragments.insert(&entry[token.range]).ok();
    }
}

fn english_fragments() -> &'static WordSet {
    static FRAGMENTS: LazyLock<WordSet> = LazyLock::new(|| {
        let mut fragments = WordSet::default();
        for entry in english().sorted() {
            add_fragments(&String::from_utf8_lossy(entry), &mut fragments);
        }
        fragments
    });
    &FRAGMENTS
}

/// The token with typographic apostrophes as plain ones; `None` when it has none.
fn plain_apostrophes(token: &str) -> Option<String> {
    token.contains('\u{2019}').then(|| token.replace('\u{2019}', "'"))
}

// === impl Rewriter ===

impl Rewriter {
    /// Rewrites `text`, in which the detectors found `findings` (in order, without overlaps). Returns the new text,
    /// character by character as long as the old one, and how many words were replaced; `None` when all of it stays.
    pub(super) fn rewrite(
        &mut self,
        text: &str,
        findings: &[Finding],
        vocabulary: &Vocabulary,
        pseudonyms: &Pseudonyms,
    ) -> Option<(&str, u32)> {
        self.masked.clear();
        self.out.clear();
        for finding in findings.iter().filter(|finding| !is_told_in_words(finding.class)) {
            self.masked.push_str(&text[self.masked.len()..finding.start]);
            self.masked.push_str(&pseudonyms.finding(finding.class, &text[finding.start..finding.end]));
        }
        let masked = if findings.is_empty() {
            text
        } else {
            self.masked.push_str(&text[self.masked.len()..]);
            &self.masked
        };
        let mut replace = |range: Range<usize>| {
            // Both texts have the same length up to here, so a place in one is a place in the other.
            self.out.push_str(&masked[self.out.len()..range.start]);
            pseudonyms.word(&text[range], |new| vocabulary.may_mean_something(new), &mut self.out);
        };
        let mut replaced = 0;
        let mut ahead = findings;
        let mut handle_end = 0;
        for token in Tokens::of(text) {
            let range = token.range.clone();
            if range.start > 0 && text.as_bytes()[range.start - 1] == b'@' {
                handle_end = end_of_handle(text, range.start);
            }
            while ahead.first().is_some_and(|finding| finding.end <= range.start) {
                ahead = &ahead[1..];
            }
            let handle = range.start < handle_end;
            if ahead.first().is_none_or(|finding| range.end <= finding.start) {
                if let Some(range) = to_replace(text, &token, vocabulary, handle) {
                    replace(range);
                    replaced += 1;
                }
                continue;
            }
            let word = if handle { range } else { without_ending(text, &token, vocabulary) };
            for (piece, class) in pieces(&word, ahead) {
                match class {
                    None => {
                        replace(piece);
                        replaced += 1;
                    }
                    Some(class) if is_told_in_words(class) => replace(piece),
                    Some(_) => {
                        for run in runs(text, piece) {
                            let (old, new) = (&text[run.clone()], &masked[run.clone()]);
                            let stays = match old == new {
                                true => !handle && run == word && vocabulary.knows(old, false),
                                false => !vocabulary.may_mean_something(new),
                            };
                            if !stays {
                                replace(run);
                            }
                        }
                    }
                }
            }
        }
        if replaced == 0 && self.out.is_empty() && findings.is_empty() {
            return None;
        }
        self.out.push_str(&masked[self.out.len()..]);
        Some((&self.out, replaced))
    }
}

/// What of a token goes, if anything.
fn to_replace(text: &str, token: &Token, vocabulary: &Vocabulary, handle: bool) -> Option<Range<usize>> {
    let range = token.range.clone();
    if handle {
        return Some(range);
    }
    let word = &text[range.clone()];
    if vocabulary.knows(word, token.joined) {
        return None;
    }
    // Part of an emoticon or a shorthand, perhaps: `:D`, `<3`, `r&r`.
    let chunk = tokens::chunk(text, &range);
    if chunk.len() > range.len() && vocabulary.lists(&text[chunk]) {
        return None;
    }
    Some(without_ending(text, token, vocabulary))
}

/// A token without its English ending.
fn without_ending(text: &str, token: &Token, vocabulary: &Vocabulary) -> Range<usize> {
    let (start, word) = (token.range.start, &text[token.range.clone()]);
    if !token.joined {
        return token.range.clone();
    }
    let Some(plain) = plain_apostrophes(word) else {
        return start..start + vocabulary.without_clitic(word).len();
    };
    // The ending has as many characters in either spelling.
    let ending = plain.len() - vocabulary.without_clitic(&plain).len();
    let end = word.char_indices().rev().take(ending).last().map_or(word.len(), |(at, _)| at);
    start..start + end
}

/// What has no form beyond its words is replaced word by word, so that a name has one replacement where a detector sees
/// it and where none does.
fn is_told_in_words(class: Class) -> bool {
    matches!(class, Class::Person | Class::Address | Class::PostalCode | Class::BirthDate)
}

/// Handles name people, whatever words they are made of: the letters, digits and underscores behind an at sign.
fn end_of_handle(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    start + rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// A token cut at the borders of findings: each piece, and what it is part of.
fn pieces(range: &Range<usize>, findings: &[Finding]) -> Vec<(Range<usize>, Option<Class>)> {
    let mut pieces = Vec::new();
    let mut at = range.start;
    for finding in findings.iter().take_while(|finding| finding.start < range.end) {
        if at < finding.start {
            pieces.push((at..finding.start, None));
        }
        let end = finding.end.min(range.end);
        pieces.push((at.max(finding.start)..end, Some(finding.class)));
        at = end;
    }
    if at < range.end {
        pieces.push((at..range.end, None));
    }
    pieces
}

/// The runs of letters and digits in a piece of a text.
fn runs(text: &str, piece: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let words = text[piece].split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
    words.map(|run| {
        let start = run.as_ptr().addr() - text.as_ptr().addr();
        start..start + run.len()
    })
}

#[cfg(test)]
mod tests;
