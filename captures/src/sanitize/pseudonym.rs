//! Keyed replacements that look like what they replace.
//!
//! A replacement has the same characters in kind and in UTF-8 length, position by position: a digit for a digit, a
//! lower-case letter for a lower-case one, a Cyrillic letter for a Cyrillic one. So a sanitized body has the length of
//! the original, and every replacement can be written over what it replaces. It is drawn from BLAKE3 in keyed mode over
//! the *canonical* value (a card without its separators, an e-mail address without case): equal values get equal
//! replacements, and without the key nobody can go back or test a guess.

use std::cell::RefCell;

use zeroize::{Zeroize, Zeroizing};

use super::class::Class;
use super::detect::folded::Folded;
use super::key::Key;
use super::letters;

mod numbers;

/// So often a word is drawn again that means something by accident. A single letter is the worst case: most of the
/// others may be words or parts of emoticons.
const DRAWS: usize = 64;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Draws replacements under one key.
pub(super) struct Pseudonyms {
    classes: [Zeroizing<[u8; 32]>; Class::ALL.len()],
    leaf: Keyed,
    word: Keyed,
    token: Zeroizing<[u8; 32]>,
}

/// BLAKE3 in keyed mode, set up once: most replacements are of whole values. Zeroed when dropped.
struct Keyed(RefCell<blake3::Hasher>);

/// An endless stream of bytes drawn for one value. Its state begins as the key and is zeroed when dropped.
struct Stream {
    reader: blake3::OutputReader,
    buffer: Zeroizing<[u8; 64]>,
    used: usize,
}

// === impl Pseudonyms ===

impl Pseudonyms {
    pub(super) fn new(key: &Key) -> Self {
        Self {
            classes: Class::ALL.map(|class| key.derive(class.name())),
            leaf: Keyed::new(&key.derive("leaf")),
            word: Keyed::new(&key.derive("word")),
            token: key.derive("token-field"),
        }
    }

    /// The replacement of a whole value of unknown meaning.
    pub(super) fn leaf(&self, text: &str) -> String {
        shaped(text, &mut self.leaf.stream(text.as_bytes()), letters::replace)
    }

    /// The replacement of a finding.
    ///
    /// It is drawn from what a reader sees, so that a value spelled with escapes or full-width digits is replaced as the
    /// plain one, and written in the same spelling.
    pub(super) fn finding(&self, class: Class, text: &str) -> String {
        let respelled =
            Folded::of(text).and_then(|folded| folded.respell(text, &self.plain(class, &folded.text)));
        respelled.filter(|new| new != text).unwrap_or_else(|| self.plain(class, text))
    }

    fn plain(&self, class: Class, text: &str) -> String {
        let key = &self.classes[class as usize];
        match class {
            Class::Card => numbers::card(text, key),
            Class::Iban => numbers::iban(text, key),
            Class::Phone => numbers::phone(text, key),
            Class::Ssn => numbers::ssn(text, key),
            Class::NationalId | Class::BankAccount | Class::License => numbers::identity(class, text, key),
            Class::Ip if !text.contains(':') => numbers::ipv4(text, key),
            Class::Ip | Class::Mac => {
                let canonical = text.to_ascii_lowercase();
                shaped(text, &mut Stream::new(key, canonical.as_bytes()), letters::replace_hex)
            }
            Class::Token if text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') => {
                let canonical = text.to_ascii_lowercase();
                shaped(text, &mut Stream::new(key, canonical.as_bytes()), letters::replace_hex)
            }
            Class::Email | Class::Person => {
                let canonical = text.to_lowercase();
                shaped(text, &mut Stream::new(key, canonical.as_bytes()), letters::replace)
            }
            Class::Jwt | Class::ApiKey => {
                let kept = super::detect::secrets::prefix_len(class, text);
                let mut stream = Stream::new(key, text.as_bytes());
                format!("{}{}", &text[..kept], shaped(&text[kept..], &mut stream, letters::replace))
            }
            Class::PrivateKey => private_key(text, &mut Stream::new(key, text.as_bytes())),
            Class::Url
            | Class::Secret
            | Class::Token
            | Class::BirthDate
            | Class::Address
            | Class::PostalCode => shaped(text, &mut Stream::new(key, text.as_bytes()), letters::replace),
        }
    }

    /// Appends the replacement of a word to `out`: the same for one word in any case. No run of letters and digits in it
    /// stays; and the replacement `means` nothing, as long as there is such a one of its shape.
    pub(super) fn word(&self, word: &str, means: impl Fn(&str) -> bool, out: &mut String) {
        let start = out.len();
        let mut stream = self.word.stream(word.to_lowercase().as_bytes());
        for _ in 0..DRAWS {
            out.truncate(start);
            for run in runs(word) {
                another(run, &mut stream, out);
            }
            if !means(&out[start..]) {
                return;
            }
        }
    }

    /// A token of fixed shape (that of a UUID, version 8) that stands for a header value whose equality matters.
    pub(super) fn token(&self, value: &[u8]) -> String {
        let hash = blake3::keyed_hash(&self.token, value);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut token = String::with_capacity(36);
        for (i, byte) in bytes.into_iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                token.push('-');
            }
            token.push(char::from(HEX[usize::from(byte >> 4)]));
            token.push(char::from(HEX[usize::from(byte & 15)]));
        }
        token
    }
}

/// Replaces each character of `text` by `replace(char, random)`, and never returns `text` itself unless no character of
/// it can be replaced.
fn shaped(text: &str, stream: &mut Stream, replace: impl Fn(char, u32) -> char + Copy) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        out.push(redraw(c, stream, replace));
    }
    if out == text {
        out = differ(text, stream, replace);
    }
    out
}

/// Another character for `c`. Only what can change draws from the stream, so that separators do not shift the letters
/// behind them.
fn redraw(c: char, stream: &mut Stream, replace: impl Fn(char, u32) -> char) -> char {
    let fixed = replace(c, 0) == c && replace(c, 1) == c;
    if fixed { c } else { replace(c, stream.next()) }
}

/// Runs of letters and digits, and what stands between them.
fn runs(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.is_alphanumeric();
        let len = rest.find(|c: char| c.is_alphanumeric() != first).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(len);
        rest = behind;
        Some(run)
    })
}

/// Appends other letters for those of `run`.
fn another(run: &str, stream: &mut Stream, out: &mut String) {
    let start = out.len();
    run.chars().for_each(|c| out.push(redraw(c, stream, letters::replace)));
    if out[start..] == *run {
        out.truncate(start);
        out.push_str(&differ(run, stream, letters::replace));
    }
}

/// `text` with its first replaceable character turned into another one.
fn differ(text: &str, stream: &mut Stream, replace: impl Fn(char, u32) -> char) -> String {
    let mut changed = false;
    let first = stream.next();
    text.chars()
        .map(|c| {
            if changed {
                return c;
            }
            let other = (0..4).map(|step| replace(c, first.wrapping_add(step))).find(|o| *o != c);
            changed = other.is_some();
            other.unwrap_or(c)
        })
        .collect()
}

/// Replaces what lies between the first and the last line of a key block, so that it still reads as one. These lines
/// stay only when they are of the form that PEM gives them; anything else could hold a secret itself.
fn private_key(text: &str, stream: &mut Stream) -> String {
    const DASHES: &str = "-----";
    let is_label = |label: &str| label.bytes().all(|b| b.is_ascii_uppercase() || b == b' ');
    let label = text.strip_prefix("-----BEGIN ").and_then(|rest| rest.split_once(DASHES));
    let head = label.filter(|(label, _)| is_label(label)).map_or(0, |(label, _)| label.len() + 16);
    let tail = text[head..].rfind("-----END ").map(|at| head + at).filter(|at| {
        let label = text[at + 9..].strip_suffix(DASHES);
        label.is_some_and(is_label)
    });
    let tail = tail.unwrap_or(text.len());
    format!("{}{}{}", &text[..head], shaped(&text[head..tail], stream, letters::replace), &text[tail..])
}

// === impl Keyed ===

impl Keyed {
    fn new(key: &[u8; 32]) -> Self {
        Self(RefCell::new(blake3::Hasher::new_keyed(key)))
    }

    fn stream(&self, value: &[u8]) -> Stream {
        let mut hasher = self.0.borrow_mut();
        // In front: a panic may have left a value behind.
        hasher.reset().update(value);
        Stream::of(hasher.finalize_xof())
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        self.0.get_mut().zeroize();
    }
}

// === impl Stream ===

impl Stream {
    fn new(key: &[u8; 32], value: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key);
        let reader = hasher.update(value).finalize_xof();
        hasher.zeroize();
        Self::of(reader)
    }

    fn of(reader: blake3::OutputReader) -> Self {
        Self { reader, buffer: Zeroizing::new([0; 64]), used: 64 }
    }

    fn next(&mut self) -> u32 {
        if self.used + 4 > self.buffer.len() {
            self.reader.fill(&mut self.buffer[..]);
            self.used = 0;
        }
        let at = self.used;
        self.used += 4;
        u32::from_le_bytes([self.buffer[at], self.buffer[at + 1], self.buffer[at + 2], self.buffer[at + 3]])
    }

    fn digit(&mut self) -> u8 {
        b'0' + (self.next() % 10) as u8
    }

    /// One of `from..=to`.
    fn between(&mut self, from: u8, to: u8) -> u8 {
        from + (self.next() % u32::from(to - from + 1)) as u8
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.zeroize();
    }
}

#[cfg(test)]
mod tests;
