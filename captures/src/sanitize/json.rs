//! Rewrites the strings and numbers of a JSON document where they stand.
//!
//! No tree is built: white space, key order, duplicate keys and the text of numbers stay as they are, because the bytes
//! in between are never touched. The grammar of RFC 8259 is checked to the last byte, with one leniency: the tokens
//! `NaN`, `Infinity` and `-Infinity`, which TensorFlow Serving and Python write.

use std::ops::Range;

use super::encoded::{Encoding, Undecodable};
use super::masker::{Draft, Masker};
use super::paths::{Paths, Treatment, Walk};

/// Why a document was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Not the grammar of JSON.
    Grammar,
    /// Nested deeper than the policy allows.
    TooDeep,
}

/// Rewrites JSON documents under one policy.
#[derive(Debug)]
pub(super) struct Rewriter {
    paths: Paths,
    max_depth: usize,
    walk: Walk,
    stack: Vec<Container>,
}

#[derive(Clone, Copy, Debug)]
enum Container {
    Object,
    /// Index of the present element.
    Array(usize),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Rewriter ===

impl Rewriter {
    pub(super) fn new(paths: Paths, max_depth: usize) -> Self {
        Self { paths, max_depth, walk: Walk::default(), stack: Vec::new() }
    }

    /// The deepest nesting that is read.
    pub(super) fn max_depth(&self) -> usize {
        self.max_depth
    }

    /// What the policy says of a member of an object that is the whole document (a form field).
    pub(super) fn member(&mut self, name: &[u8]) -> Treatment {
        self.treatment([name])
    }

    /// What the policy says of a string at the end of `path`.
    pub(super) fn treatment<'a>(&mut self, path: impl IntoIterator<Item = &'a [u8]>) -> Treatment {
        self.walk.restart(&self.paths);
        path.into_iter().for_each(|step| self.walk.enter(&self.paths, step));
        self.walk.treatment()
    }

    /// Starts at the root of a document whose reading is another's; [`Self::enter`] and its like go on from there.
    pub(super) fn restart(&mut self) {
        self.walk.restart(&self.paths);
    }

    /// Goes into a member.
    pub(super) fn enter(&mut self, step: &[u8]) {
        self.walk.enter(&self.paths, step);
    }

    /// Goes into an element.
    pub(super) fn enter_element(&mut self, index: usize) {
        self.walk.enter_element(&self.paths, index);
    }

    /// Goes back out.
    pub(super) fn leave(&mut self) {
        self.walk.leave();
    }

    /// What the policy says of a string here.
    pub(super) fn here(&self) -> Treatment {
        self.walk.treatment()
    }

    /// Rewrites the document that `range` of the draft holds. The range must be valid UTF-8.
    pub(super) fn rewrite(
        &mut self,
        draft: &mut Draft<'_>,
        range: Range<usize>,
        masker: &mut Masker,
    ) -> Result<(), Malformed> {
        self.rewrite_member(draft, range, None, masker)
    }

    /// Rewrites a document that is the member `name` of an object (a part of a form).
    pub(super) fn rewrite_member(
        &mut self,
        draft: &mut Draft<'_>,
        range: Range<usize>,
        name: Option<&[u8]>,
        masker: &mut Masker,
    ) -> Result<(), Malformed> {
        self.walk.restart(&self.paths);
        name.into_iter().for_each(|name| self.walk.enter(&self.paths, name));
        self.stack.clear();
        let mut cursor = Cursor { bytes: &draft.source[..range.end], at: range.start };
        loop {
            cursor.skip_space();
            match cursor.peek() {
                Some(b'{') => {
                    self.open(Container::Object)?;
                    cursor.at += 1;
                    cursor.skip_space();
                    if cursor.peek() == Some(b'}') {
                        cursor.at += 1;
                        self.stack.pop();
                    } else {
                        self.key(&mut cursor, draft, masker)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.open(Container::Array(0))?;
                    cursor.at += 1;
                    cursor.skip_space();
                    if cursor.peek() == Some(b']') {
                        cursor.at += 1;
                        self.stack.pop();
                    } else {
                        self.walk.enter_element(&self.paths, 0);
                        continue;
                    }
                }
                Some(b'"') => {
                    let string = cursor.string()?;
                    let treatment = self.walk.treatment();
                    masker.treat(draft, string, Encoding::Json, treatment, "string")?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    let integer = cursor.number()?;
                    masker.number(draft, integer);
                }
                _ => cursor.literal()?,
            }
            if self.close(&mut cursor, draft, masker)? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, container: Container) -> Result<(), Malformed> {
        if self.stack.len() >= self.max_depth {
            return Err(Malformed::TooDeep);
        }
        self.stack.push(container);
        Ok(())
    }

    /// Reads a key and the colon behind it, and goes into the member.
    fn key(
        &mut self,
        cursor: &mut Cursor<'_>,
        draft: &mut Draft<'_>,
        masker: &mut Masker,
    ) -> Result<(), Malformed> {
        let key = cursor.string()?;
        let name = &cursor.bytes[key.clone()];
        // Keys repeat with every document; one that was found clean here before is not looked at again.
        let remembers = !masker.is_traced();
        if !(remembers && self.walk.enter_clean(name)) {
            let clean = !masker.scan(draft, key, Encoding::Json, "key")? && remembers;
            // A policy is written in plain text; a key spelled with escapes is compared by what it says.
            match memchr::memchr(b'\\', name) {
                Some(_) => self.walk.enter(&self.paths, masker.decoded(name)?.as_bytes()),
                None => {
                    self.walk.enter(&self.paths, name);
                    if clean {
                        self.walk.entered_clean(name);
                    }
                }
            }
        }
        cursor.skip_space();
        cursor.expect(b':')
    }

    /// Closes what ends behind a value; true at the end of the document.
    fn close(
        &mut self,
        cursor: &mut Cursor<'_>,
        draft: &mut Draft<'_>,
        masker: &mut Masker,
    ) -> Result<bool, Malformed> {
        loop {
            cursor.skip_space();
            let Some(container) = self.stack.last_mut() else {
                return if cursor.at == cursor.bytes.len() { Ok(true) } else { Err(Malformed::Grammar) };
            };
            self.walk.leave();
            let next = cursor.peek();
            cursor.at += 1;
            match (container, next) {
                (Container::Object, Some(b',')) => {
                    cursor.skip_space();
                    self.key(cursor, draft, masker)?;
                    return Ok(false);
                }
                (Container::Array(index), Some(b',')) => {
                    *index += 1;
                    self.walk.enter_element(&self.paths, *index);
                    return Ok(false);
                }
                (Container::Object, Some(b'}')) | (Container::Array(_), Some(b']')) => {
                    self.stack.pop();
                }
                _ => return Err(Malformed::Grammar),
            }
        }
    }
}

impl From<Undecodable> for Malformed {
    fn from(_: Undecodable) -> Self {
        Self::Grammar
    }
}

// === impl Cursor ===

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed::Grammar);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string; returns the range between its quotes.
    fn string(&mut self) -> Result<Range<usize>, Malformed> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            self.at = special(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(start..self.at - 1);
                }
                Some(b'\\') => {
                    let escape = self.bytes.get(self.at + 1).ok_or(Malformed::Grammar)?;
                    self.at += match escape {
                        b'u' => {
                            let digits =
                                self.bytes.get(self.at + 2..self.at + 6).ok_or(Malformed::Grammar)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err(Malformed::Grammar);
                            }
                            6
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        _ => return Err(Malformed::Grammar),
                    };
                }
                _ => return Err(Malformed::Grammar),
            }
        }
    }

    /// Reads a number; returns the range of its integer digits.
    fn number(&mut self) -> Result<Range<usize>, Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                self.word(b"Infinity")?;
                return Ok(self.at..self.at);
            }
        }
        let integer = self.digits()?;
        if integer.len() > 1 && self.bytes[integer.start] == b'0' {
            return Err(Malformed::Grammar);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(integer)
    }

    fn digits(&mut self) -> Result<Range<usize>, Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Malformed::Grammar) } else { Ok(start..self.at) }
    }

    fn literal(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'N') => self.word(b"NaN"),
            Some(b'I') => self.word(b"Infinity"),
            _ => Err(Malformed::Grammar),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Malformed::Grammar);
        }
        self.at += word.len();
        Ok(())
    }
}

/// The first quote, backslash or control character at or behind `from`; eight bytes at a time.
fn special(bytes: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte below `limit`. A borrow can mark wrong bytes, but only above one that is right.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, rest) = bytes[from..].as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\');
        if hits != 0 {
            return from + 8 * i + hits.trailing_zeros() as usize / 8;
        }
    }
    let last = rest.iter().position(|b| matches!(b, b'"' | b'\\' | ..0x20));
    last.map_or(bytes.len(), |at| bytes.len() - rest.len() + at)
}

#[cfg(test)]
mod tests;
