//! What counts as one word of a text.

use std::ops::Range;

/// A word, a number, or a mixture of both: letters and digits with the marks on them, joined by single apostrophes and
/// hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// Whether there is an apostrophe or a hyphen in it.
    pub(super) joined: bool,
}

/// The tokens of a text, in order. Every letter and digit of the text is in one.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

/// What a character is to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Begins and continues it.
    Letter,
    /// Continues it: a combining mark, or a character that cannot be seen.
    Mark,
    /// Continues it before a letter.
    Joint,
    Other,
}

// === impl Tokens ===

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The kind of the character at a byte, and its length; nothing at the end.
    fn kind(&self, at: usize) -> (Kind, usize) {
        match self.text.as_bytes().get(at) {
            None => (Kind::Other, 0),
            Some(byte) if byte.is_ascii_alphanumeric() => (Kind::Letter, 1),
            Some(b'\'' | b'-') => (Kind::Joint, 1),
            Some(byte) if byte.is_ascii() => (Kind::Other, 1),
            Some(_) => self.kind_beyond_ascii(at),
        }
    }

    #[cold]
    fn kind_beyond_ascii(&self, at: usize) -> (Kind, usize) {
        let Some(c) = self.text[at..].chars().next() else { return (Kind::Other, 0) };
        let kind = match c {
            _ if c.is_alphanumeric() => Kind::Letter,
            _ if is_joint(c) => Kind::Joint,
            _ if is_mark(c) => Kind::Mark,
            _ => Kind::Other,
        };
        (kind, c.len_utf8())
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let mut start = self.at;
        loop {
            match self.kind(start) {
                (_, 0) => return None,
                (Kind::Letter, _) => break,
                (_, len) => start += len,
            }
        }
        let (mut end, mut joined) = (start, false);
        loop {
            match self.kind(end) {
                (_, 0) | (Kind::Other, _) => break,
                (Kind::Letter | Kind::Mark, len) => end += len,
                (Kind::Joint, len) if self.kind(end + len).0 == Kind::Letter => {
                    joined = true;
                    end += len;
                }
                (Kind::Joint, _) => break,
            }
        }
        self.at = end;
        Some(Token { range: start..end, joined })
    }
}

/// Apostrophes and hyphens, as far as they look like ones.
pub(super) fn is_joint(c: char) -> bool {
    matches!(c, '\'' | '-' | '\u{2019}' | '\u{2010}' | '\u{2011}')
}

/// Combining marks, and characters without a width that could cut a word in two. The marks that are letters by their
/// Unicode properties need not be here.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
        | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{93c}' | '\u{94d}' | '\u{951}'..='\u{954}' | '\u{9bc}' | '\u{9cd}' | '\u{a3c}' | '\u{a4d}' | '\u{abc}'
        | '\u{acd}' | '\u{b3c}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{cbc}' | '\u{ccd}' | '\u{d4d}' | '\u{dca}'
        | '\u{e38}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{eb8}'..='\u{ebc}' | '\u{ec8}'..='\u{ece}'
        | '\u{1037}' | '\u{1039}' | '\u{103a}' | '\u{17c9}'..='\u{17d3}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{3099}' | '\u{309a}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
    )
}

/// What stands around a token up to white space.
pub(super) fn chunk(text: &str, token: &Range<usize>) -> Range<usize> {
    let before = text[..token.start].trim_end_matches(|c: char| !c.is_whitespace());
    let after = text[token.end..].trim_start_matches(|c: char| !c.is_whitespace());
    before.len()..text.len() - after.len()
}
