//! Values that only a word before them gives away: passports, accounts, passwords.
//!
//! Two automata look for the words. What stands between a word and its value is skipped within a short reach and one
//! sentence ("driver's license number is", "Konto-Nr.:"); a value must then have enough digits, or, for secrets, follow
//! an assignment.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::gate::{Gate, Standing};
use super::{Finding, after, before};
use crate::sanitize::class::Class;

mod words;

use words::{NO_SECRETS, NUMBER_WORDS, SECRET_WORDS};

/// How far behind a word a number may begin; "my driver's license, issued in Ohio last year, is" is about as long.
const REACH: usize = 40;

/// The same for words of up to four letters, which occur by chance.
const SHORT_REACH: usize = 16;

/// Longer than any number of these kinds.
const LONGEST: usize = 34;

/// An Ethernet address may have a single digit.
pub(super) const FEWEST_DIGITS: u32 = 1;

/// Where banks have identifiers, besides those whose accounts have an IBAN.
const COUNTRIES: &str = "AD AE AR AT AU BE BG BR CA CH CL CN CO CY CZ DE DK EE EG ES FI FR GB GE GR HK HR HU ID IE IL IN IS IT \
    JP KE KR KW KZ LB LI LT LU LV MA MC MT MX MY NG NL NO NZ PE PH PK PL PT QA RO RS RU SA SE SG SI SK TH TN TR TW UA US \
    UY VN ZA";

/// What a word announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Identity,
    License,
    Account,
    /// A card whose digits need not pass Luhn's check.
    Card,
    /// A short numeric code.
    Pin,
    /// An Ethernet address without separators.
    Mac,
    /// ISO 9362.
    Bic,
    /// A password (`certain`: any word that is assigned to it), or a key, of which only odd-looking values are taken.
    Secret {
        certain: bool,
    },
}

/// Built once, because building takes longer than a thousand texts; a clone shares the tables.
static NUMBERS: LazyLock<AhoCorasick> = LazyLock::new(|| automaton(NUMBER_WORDS));
static SECRETS: LazyLock<AhoCorasick> = LazyLock::new(|| automaton(SECRET_WORDS));

/// Opens for every word that announces a number.
static NUMBERS_GATE: LazyLock<Gate> =
    LazyLock::new(|| Gate::of(NUMBER_WORDS.iter().map(|(word, _)| (*word, standing(word)))));

/// Finds announced values.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    numbers: AhoCorasick,
    numbers_gate: &'static Gate,
    secrets: AhoCorasick,
}

// === impl Announced ===

impl Announced {
    pub(super) fn new() -> Self {
        Self { numbers: NUMBERS.clone(), numbers_gate: &NUMBERS_GATE, secrets: SECRETS.clone() }
    }

    /// Identity papers, accounts, cards and codes; the text must have digits.
    pub(super) fn find_numbers(&self, text: &str, findings: &mut Vec<Finding>) {
        if !self.numbers_gate.is_open(text) {
            return;
        }
        for hit in self.numbers.find_iter(text) {
            let (word, kind) = NUMBER_WORDS[hit.pattern().as_usize()];
            if !stands_alone(text, hit.start(), hit.end(), word) {
                continue;
            }
            let reach = if word.len() <= 4 { SHORT_REACH } else { REACH };
            let value = number_behind(text, hit.end(), reach, kind)
                .or_else(|| number_before(text, hit.start(), kind));
            if let Some((start, end)) = value {
                findings.push(Finding { start, end, class: kind.class() });
            }
        }
    }

    /// Passwords, keys and bank identifiers; they may have letters only. The text must have passed a gate for
    /// [`secret_words`].
    pub(super) fn find_secrets(&self, text: &str, findings: &mut Vec<Finding>) {
        for hit in self.secrets.find_iter(text) {
            let (word, kind) = SECRET_WORDS[hit.pattern().as_usize()];
            let value = match kind {
                Kind::Bic if stands_alone(text, hit.start(), hit.end(), word) => bic_behind(text, hit.end()),
                Kind::Secret { certain } => secret_behind(text, hit.start(), hit.end(), word, certain),
                _ => None,
            };
            if let Some((start, end)) = value {
                findings.push(Finding { start, end, class: kind.class() });
            }
        }
    }
}

fn automaton(words: &[(&str, Kind)]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .kind(Some(aho_corasick::AhoCorasickKind::DFA))
        .build(words.iter().map(|(word, _)| word))
        .expect("a few hundred short fixed patterns fit any automaton")
}

// === impl Kind ===

impl Kind {
    fn class(self) -> Class {
        match self {
            Self::Identity => Class::NationalId,
            Self::License => Class::License,
            Self::Account | Self::Bic => Class::BankAccount,
            Self::Card => Class::Card,
            Self::Pin | Self::Secret { .. } => Class::Secret,
            Self::Mac => Class::Mac,
        }
    }

    /// Whether a value of so many characters and digits can be of the kind.
    fn allows(self, value: &str) -> bool {
        let chars = value.chars().filter(char::is_ascii_alphanumeric).count();
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        match self {
            Self::Identity => digits >= 5 && chars <= 20,
            Self::License => chars >= 5 && digits >= 4 && chars <= 22,
            Self::Account => digits >= 6 && chars <= 34,
            Self::Card => (12..=19).contains(&digits) && digits == chars,
            Self::Pin => (3..=8).contains(&digits) && digits == chars,
            Self::Mac => chars == 12 && value.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::Bic | Self::Secret { .. } => false,
        }
    }
}

/// The words before [`Announced::find_secrets`], and how they must stand.
pub(super) fn secret_words() -> impl Iterator<Item = (&'static str, Standing)> {
    SECRET_WORDS.iter().map(|(word, kind)| match kind {
        Kind::Bic => (*word, standing(word)),
        _ => (*word, Standing::Anywhere),
    })
}

/// How a word must stand for [`stands_alone`].
fn standing(word: &str) -> Standing {
    if word.is_ascii() { Standing::BeginsWord } else { Standing::Anywhere }
}

/// Short words must not be part of longer ones; of longer words, what follows may be an ending ("passports",
/// "Reisepassnummer").
fn stands_alone(text: &str, start: usize, end: usize, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphabetic() || c.is_ascii_digit());
    if !word.is_ascii() {
        return true;
    }
    let ends_here = word.len() > 5 || !letter(after(text, end));
    !letter(before(text, start)) && ends_here
}

/// The first word with a digit behind `from`, and what belongs to it.
fn number_behind(text: &str, from: usize, reach: usize, kind: Kind) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    // The rest of a compound word.
    at += text[at..].find(|c: char| !c.is_alphabetic()).unwrap_or(0);
    let limit = bytes.len().min(from + reach);
    let mut word = at;
    while at < limit {
        let b = bytes[at];
        if b.is_ascii_digit() {
            let start = if word < at && is_prefix(&text[word..at]) { word } else { at };
            let end = end_of_number(text, at);
            let value = &text[start..end];
            let money = matches!(before(text, start), Some('$' | '€' | '£')) || after(text, end) == Some('%');
            return (kind.allows(value) && !money && !is_date(value)).then_some((start, end));
        }
        match b {
            b'.' | b'!' | b'?' if ends_sentence(bytes, at) => return None,
            b' ' | b':' | b'=' | b'#' | b'(' | b'"' | b'\'' | b',' | b'\n' | b'\t' => {
                // A short word in capitals may be the head of the number: `AB 12 34 56 C`.
                let next = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                if !(b == b' ' && next && word < at && is_head(&text[word..at])) {
                    word = at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Letters before the digits of a number, in the same word.
fn is_prefix(head: &str) -> bool {
    head.len() <= 6 && head.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') || is_head(head.trim_end())
}

/// A word of up to three capitals that is no "NO" or "IS".
fn is_head(word: &str) -> bool {
    (1..=3).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_uppercase())
        && !matches!(
            word,
            "IS" | "NO" | "NR" | "ID" | "OF" | "MY" | "DL" | "IN" | "ON" | "AT" | "TO" | "I" | "AND"
        )
}

/// Full stops end sentences unless an abbreviation stands before them ("no.", "nr.").
fn ends_sentence(bytes: &[u8], at: usize) -> bool {
    let word = bytes[..at].iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    bytes.get(at + 1).is_some_and(u8::is_ascii_whitespace) && (bytes[at] != b'.' || word > 4 || word == 0)
}

/// Words with digits, or capitals behind a dash, joined by single separators.
fn end_of_number(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let word_end = |at: usize| {
        bytes[at..].iter().position(|b| !b.is_ascii_alphanumeric()).map_or(bytes.len(), |i| at + i)
    };
    let mut end = word_end(start);
    while let Some(separator) = text[end..].chars().next() {
        let next = end + separator.len_utf8();
        let stop = word_end(next.min(bytes.len()));
        let word = &bytes[next.min(bytes.len())..stop];
        let digits = word.iter().any(u8::is_ascii_digit);
        let capitals = word.len() <= 3 && !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
        let joins = match separator {
            '-' | '/' | '.' => digits || capitals,
            ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' => {
                // A word such as `2nd` or `3pm` is no part of a number.
                let plain = word.iter().take_while(|b| b.is_ascii_digit()).count() == word.len();
                digits && (plain || word.iter().all(|b| !b.is_ascii_lowercase()))
                    || word.len() == 1 && capitals && !word.starts_with(b"I")
            }
            _ => false,
        };
        if !joins || stop - start > LONGEST {
            break;
        }
        end = stop;
    }
    end
}

/// `2004-01-13`, `13.01.2004`, `1/13/04`.
fn is_date(value: &str) -> bool {
    let mut lens = [0; 3];
    let mut parts = 0;
    for part in value.split(['-', '/', '.']) {
        if parts == 3 || part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return false;
        }
        lens[parts] = part.len();
        parts += 1;
    }
    // Sort codes have three pairs joined by dashes.
    parts == 3
        && (matches!(lens, [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4])
            || matches!(lens, [1..=2, 1..=2, 2]) && !value.contains('-'))
}

/// `X1234567 is my passport number`.
fn number_before(text: &str, word: usize, kind: Kind) -> Option<(usize, usize)> {
    let mut head = text[..word].trim_end();
    let mut linked = false;
    for _ in 0..4 {
        let tail = head.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
        let last = &head[tail..];
        let is = |words: &[&str]| words.iter().any(|w| last.eq_ignore_ascii_case(w));
        if is(&["is", "was", "as", "are"]) {
            linked = true;
        } else if !is(&[
            "my", "his", "her", "the", "your", "our", "their", "a", "valid", "driver", "drivers", "s",
        ]) {
            break;
        }
        head = head[..tail].trim_end_matches([' ', '\'', ',']);
    }
    if !linked {
        return None;
    }
    let end = head.trim_end_matches(['"', '\'', ')']).len();
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/');
    let mut start = head[..end].trim_end_matches(part).len();
    // Groups of digits.
    while let Some(rest) = head[..start].strip_suffix(' ') {
        let more = rest.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if more == rest.len() || before(rest, more).is_some_and(|c| c.is_alphanumeric()) {
            break;
        }
        start = more;
    }
    (kind.allows(&head[start..end]) && !is_date(&head[start..end])).then_some((start, end))
}

/// Four letters of the bank, two of the country, two or five of the place.
fn bic_behind(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    for word in text[from..].split([' ', ':', '=', '(', ')', ',', '/', '"', '\n']).take(6) {
        let trimmed = word.trim_end_matches(['.', ';']);
        let shape = matches!(trimmed.len(), 8 | 11)
            && trimmed.get(4..6).is_some_and(|country| COUNTRIES.split(' ').any(|c| c == country))
            && trimmed
                .bytes()
                .enumerate()
                .all(|(i, b)| b.is_ascii_uppercase() || i >= 6 && b.is_ascii_digit());
        if shape {
            return Some((at, at + trimmed.len()));
        }
        at += word.len() + 1;
    }
    None
}

/// What is assigned to the word that ends at `from`: behind a colon, an equals sign or "is".
fn secret_behind(text: &str, start: usize, from: usize, word: &str, certain: bool) -> Option<(usize, usize)> {
    let scheme = word == "bearer";
    if scheme && before(text, start).is_some_and(char::is_alphanumeric) {
        return None;
    }
    let bytes = text.as_bytes();
    // The rest of the word, or of a name: `password_hash`, `tokens`, `secretKey`.
    let rest = bytes[from..].iter().take(24).position(|b| !(b.is_ascii_alphanumeric() || *b == b'_'))?;
    let mut at = from + rest;
    at += text[at..].len() - text[at..].trim_start_matches(['"', '\'', '`', ')', ']', ' ', '\\', '*']).len();
    let assigned = match bytes.get(at)? {
        b':' | b'=' => {
            at += text[at..].len() - text[at..].trim_start_matches([':', '=', '>', ' ']).len();
            true
        }
        b'>' => {
            at += 1;
            true
        }
        _ => false,
    };
    let flag =
        text[..start].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).len();
    let flag = text[flag..start].starts_with("--");
    let mut told = false;
    if !assigned {
        // "is", "was", "will be", and their like.
        for link in
            ["is", "was", "are", "ist", "lautet", "est", "es", "è", "é", "jest", "är", "er", "on", "это"]
        {
            let Some(head) = text.get(at..at + link.len()) else { continue };
            if head.eq_ignore_ascii_case(link)
                && after(text, at + link.len()).is_some_and(|c| matches!(c, ' ' | ':'))
            {
                at += link.len();
                at += text[at..].len() - text[at..].trim_start_matches([' ', ':']).len();
                told = true;
                break;
            }
        }
    }
    // `Authorization: Bearer ...`, `Basic ...`.
    if word == "authorization" && assigned {
        // The word "bearer" is found by itself.
        if text.get(at..at + 6).is_some_and(|head| head.eq_ignore_ascii_case("bearer")) {
            return None;
        }
        for scheme in ["basic ", "token ", "digest ", "apikey "] {
            if text.get(at..at + scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)) {
                at += scheme.len();
            }
        }
    }
    let quoted = text[at..].starts_with(['"', '\'', '`', '“', '«', '\\']);
    at += text[at..].len() - text[at..].trim_start_matches(['"', '\'', '`', '“', '«', '\\']).len();
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '”' | '»' | '<' | ';' | '&' | ',' | '\\')
    };
    let value = &text[at..at + text[at..].find(ends).unwrap_or(text.len() - at)];
    let value = if quoted { value } else { value.trim_end_matches(['.', '!', '?', ')', ']', '}', ':']) };
    let odd = is_odd(value);
    let length = value.chars().count();
    let taken = match (assigned || flag, told) {
        (true, _) => length >= 3 && (certain || odd || quoted && length >= 6) && !is_no_secret(value),
        (false, true) => length >= 3 && (odd || quoted || certain) && !is_no_secret(value),
        // `password hunter2`, `bearer abc123def456`.
        (false, false) => odd && length >= if scheme { 8 } else { 6 } && (certain || scheme),
    };
    (taken && value.chars().any(char::is_alphanumeric)).then_some((at, at + value.len()))
}

/// Looks less like a word than like a secret: a digit or a mark among letters, capitals inside, many digits.
fn is_odd(value: &str) -> bool {
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let digits = value.chars().filter(char::is_ascii_digit).count();
    let marks = value.chars().filter(|c| "!@#$%^&*_+=~?".contains(*c)).count();
    let inner_capital =
        value.chars().skip(1).any(char::is_uppercase) && value.chars().any(char::is_lowercase);
    letters > 0 && (digits > 0 || marks > 0) || inner_capital || digits >= 4 || letters >= 24
}

fn is_no_secret(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    NO_SECRETS.binary_search(&lower.as_str()).is_ok() || value.contains("://")
}

#[cfg(test)]
mod tests;
