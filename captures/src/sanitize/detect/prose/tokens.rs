//! Words and numbers of a text, with what the gazetteer knows about them.

use super::cues::Cues;
use super::gazetteer::{Gazetteer, Known, Lowered, WordHash};
use super::glance::is_short_cue;

/// How a token is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Digits only.
    Number,
    /// Digits and letters.
    Code,
    /// No upper-case letter, or a script without case.
    Lower,
    /// An upper-case letter, then at least one lower-case one.
    Title,
    /// Upper-case letters only, two at least.
    Upper,
    /// One letter, in upper case.
    Initial,
    /// A hashtag, a mention, a part of a URL: never looked at.
    Tag,
}

/// A run of letters and digits, apostrophes between letters included, without a possessive `'s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
    pub(super) shape: Shape,
    pub(super) known: Known,
    pub(super) cues: Cues,
    /// Whether it has letters beyond ASCII.
    pub(super) accented: bool,
    /// Whether `'s` follows.
    pub(super) possessive: bool,
    /// A capitalised word that no list of names knows, but the list of ordinary words does.
    pub(super) ordinary: bool,
}

/// What reading a text found, besides its tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overview {
    /// Some token has an upper-case letter.
    pub(super) capitals: bool,
    /// Some token has a digit.
    pub(super) digits: bool,
    /// Some lower-case token is a given name or a cue.
    pub(super) names: bool,
}

const LETTER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const BEYOND: u8 = 8;

const fn byte_kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut b = 0usize;
    while b < 256 {
        let byte = b as u8;
        kinds[b] = match byte {
            b'a'..=b'z' => LETTER,
            b'A'..=b'Z' => LETTER | UPPER,
            b'0'..=b'9' => DIGIT,
            0x80.. => BEYOND,
            _ => 0,
        };
        b += 1;
    }
    kinds
}

static KINDS: [u8; 256] = byte_kinds();

/// Reads the tokens of `text`, which `lowered` holds as well, into `tokens`.
pub(super) fn read(
    text: &str,
    lowered: &Lowered,
    gazetteer: &Gazetteer,
    tokens: &mut Vec<Token>,
) -> Overview {
    tokens.clear();
    let bytes = text.as_bytes();
    let mut overview = Overview::default();
    let mut at = 0;
    while at < bytes.len() {
        if KINDS[usize::from(bytes[at])] == 0 {
            at += 1;
            continue;
        }
        let start = at;
        let mut seen = 0;
        while at < bytes.len() && KINDS[usize::from(bytes[at])] & (LETTER | DIGIT) != 0 {
            seen |= KINDS[usize::from(bytes[at])];
            at += 1;
        }
        let plain = at == bytes.len() || !matches!(bytes[at], b'\'' | 0x80..);
        if plain && seen == LETTER && at - start < 4 {
            // Short lower-case words are no names, but neighbours may need them.
            let word = WordHash::of_letters(lowered, start, at);
            overview.names |= gazetteer.may_tell(word) && is_short_cue(&bytes[start..at]);
            tokens.push(Token {
                start,
                end: at,
                shape: shape_of_tagged(bytes, start, at, Shape::Lower),
                cues: gazetteer.cues(word),
                ..NO_TOKEN
            });
            continue;
        }
        let mut token = Token { start, end: at, ..NO_TOKEN };
        if plain {
            token.shape = shape_of_ascii(&bytes[start..at], seen);
        } else {
            at = slow_end(text, start);
            if at == start {
                at += text[start..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            (token.end, token.possessive) = without_possessive(text, start, at);
            token.accented = !text[start..token.end].is_ascii();
            token.shape = match (token.accented, seen) {
                (false, LETTER) => Shape::Lower,
                (false, DIGIT) => Shape::Number,
                _ => shape(&text[start..token.end]),
            };
        }
        token.shape = shape_of_tagged(bytes, start, token.end, token.shape);
        match token.shape {
            Shape::Number | Shape::Code => overview.digits = true,
            Shape::Tag => {
                if bytes[at..].starts_with(b"://") {
                    at += text[at..].find(char::is_whitespace).unwrap_or(text.len() - at);
                }
            }
            Shape::Initial | Shape::Lower | Shape::Title | Shape::Upper => {
                let word = match plain {
                    true => WordHash::of_letters(lowered, start, token.end),
                    false => WordHash::of(token.text(text)),
                };
                token.cues = gazetteer.cues(word);
                if token.shape == Shape::Lower {
                    token.known = gazetteer.lower(word);
                    overview.names |= token.known.any();
                } else {
                    overview.capitals = true;
                }
                if token.is_capital() {
                    token.known = gazetteer.get(word);
                    token.ordinary =
                        !token.known.any() && gazetteer.is_ordinary_as(token.text(text), token.known);
                }
            }
        }
        tokens.push(token);
    }
    overview
}

const NO_TOKEN: Token = Token {
    start: 0,
    end: 0,
    shape: Shape::Tag,
    known: Known::NOTHING,
    cues: Cues::NONE,
    accented: false,
    possessive: false,
    ordinary: false,
};

/// What stands behind `#` and `@`, before `@` and `://`, and behind a dot without a space is no word of a sentence.
fn shape_of_tagged(bytes: &[u8], start: usize, end: usize, shape: Shape) -> Shape {
    let before = start.checked_sub(1).map(|i| bytes[i]);
    let tagged = matches!(before, Some(b'#' | b'@' | b'_' | b'\\'))
        || matches!(bytes.get(end), Some(b'@' | b'_'))
        || bytes[end..].starts_with(b"://")
        || shape == Shape::Lower
            && before == Some(b'.')
            && start >= 2
            && bytes[start - 2].is_ascii_alphanumeric();
    if tagged && shape != Shape::Number { Shape::Tag } else { shape }
}

/// The end of a token that has apostrophes or letters beyond ASCII.
fn slow_end(text: &str, start: usize) -> usize {
    let mut chars = text[start..].char_indices().peekable();
    let mut end = start;
    while let Some((i, c)) = chars.next() {
        let inside = c.is_alphanumeric()
            || is_mark(c) && i > 0
            || matches!(c, '\'' | '’') && i > 0 && chars.peek().is_some_and(|(_, next)| next.is_alphabetic());
        if !inside {
            break;
        }
        end = start + i + c.len_utf8();
    }
    end
}

/// Combining accents, and the vowel signs of Indic scripts.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{93a}'..='\u{94f}' | '\u{9bc}'..='\u{9cd}' | '\u{b80}'..='\u{bd7}' | '\u{e31}'..='\u{e4e}')
}

fn without_possessive(text: &str, start: usize, end: usize) -> (usize, bool) {
    let word = &text[start..end];
    let bare = ["'s", "’s", "'S", "’S"].iter().find_map(|s| word.strip_suffix(s)).filter(|b| !b.is_empty());
    bare.map_or((end, false), |b| (start + b.len(), true))
}

/// As [`shape`], of ASCII letters and digits of the kinds `seen`.
fn shape_of_ascii(word: &[u8], seen: u8) -> Shape {
    match seen {
        LETTER => return Shape::Lower,
        DIGIT => return Shape::Number,
        _ if seen & DIGIT != 0 => return Shape::Code,
        _ => {}
    }
    let upper = word.iter().filter(|b| b.is_ascii_uppercase()).count();
    match (word.first().is_some_and(u8::is_ascii_uppercase), upper) {
        (true, 1) if word.len() == 1 => Shape::Initial,
        (true, _) if upper == word.len() => Shape::Upper,
        (true, _) => Shape::Title,
        (false, _) => Shape::Tag,
    }
}

fn shape(word: &str) -> Shape {
    let (mut upper, mut lower, mut digits, mut letters) = (0, 0, 0, 0);
    let mut starts_upper = false;
    for (i, c) in word.chars().enumerate() {
        if c.is_numeric() {
            digits += 1;
        } else if c.is_uppercase() {
            upper += 1;
            starts_upper |= i == 0;
        } else if c.is_lowercase() {
            lower += 1;
        }
        letters += usize::from(c.is_alphabetic());
    }
    if digits > 0 {
        return if letters == 0 { Shape::Number } else { Shape::Code };
    }
    match (starts_upper, upper, lower) {
        (true, 1, 0) => Shape::Initial,
        (true, _, 0) => Shape::Upper,
        (true, _, _) => Shape::Title,
        (false, 0, _) => Shape::Lower,
        // `iPhone`, `eBay`: no way to write a name.
        _ => Shape::Tag,
    }
}

// === impl Token ===

impl Token {
    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_capital(&self) -> bool {
        matches!(self.shape, Shape::Title | Shape::Upper)
    }

    pub(super) fn has_digit(&self) -> bool {
        matches!(self.shape, Shape::Number | Shape::Code)
    }
}

/// A word in lower case, without apostrophes, for comparing with lists.
#[derive(Clone, Copy)]
pub(super) enum Folded<'a> {
    /// The word is like that in the text.
    AsIs(&'a str),
    /// A copy, and its length.
    Copy([u8; Folded::LONGEST], usize),
}

impl<'a> Folded<'a> {
    pub(super) const LONGEST: usize = 40;

    /// Longer words fold to nothing.
    pub(super) fn of(word: &'a str) -> Self {
        if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Self::AsIs(word);
        }
        let mut bytes = [0; Self::LONGEST];
        let mut len = 0;
        for c in word.chars().filter(|c| !matches!(c, '\'' | '’')).flat_map(char::to_lowercase) {
            let end = len + c.len_utf8();
            let Some(room) = bytes.get_mut(len..end) else { return Self::AsIs("") };
            c.encode_utf8(room);
            len = end;
        }
        Self::Copy(bytes, len)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::AsIs(word) => word,
            Self::Copy(bytes, len) => std::str::from_utf8(&bytes[..*len]).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_word_of_ascii_has_the_shape_of_any_word(word in "[a-zA-Z0-9]{1,6}|[A-Z]{1,3}|[A-Z][a-z]{1,5}|[a-z]{1,3}") {
            let seen = word.bytes().fold(0, |seen, b| seen | KINDS[usize::from(b)]);
            prop_assert_eq!(shape_of_ascii(word.as_bytes(), seen), shape(&word));
        }
    }
}
