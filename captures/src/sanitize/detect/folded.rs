//! A text as its reader sees it: without zero-width characters, with ASCII for full-width and other decimal digits and
//! styled letters, with percent escapes, character references and backslash escapes read.
//!
//! The detectors run on the folded text besides the text itself; what they find is mapped back, and a replacement is
//! written in the spelling of what it replaces, so that `&#64;` stays a reference and `４２` stays full-width.

mod spelling;

use spelling::{Spelling, escape_at, plain};

/// A folded text that remembers where it came from.
#[derive(Debug)]
pub(in crate::sanitize) struct Folded {
    /// What a reader sees.
    pub(in crate::sanitize) text: String,
    units: Vec<Unit>,
}

/// A piece of the folded text, up to the next unit: one character, or many that are literal.
#[derive(Clone, Copy, Debug)]
struct Unit {
    folded: usize,
    source: usize,
    /// Bytes in the source.
    len: usize,
    spelling: Spelling,
}

/// Whether folding changes what detectors would see; cheap enough to ask of every text with unusual bytes.
fn is_wanted(text: &str) -> bool {
    let bytes = text.as_bytes();
    let escapes = memchr::memchr3_iter(b'%', b'&', b'\\', bytes);
    escapes.into_iter().any(|at| escape_at(text, at).is_some())
        || !text.is_ascii()
            && text.chars().any(|c| !c.is_ascii() && !is_mere_punctuation(c) && plain(c).is_some())
}

/// Marks that texts in Chinese or Japanese are full of.
fn is_mere_punctuation(c: char) -> bool {
    matches!(
        c,
        '！' | '，' | '？' | '：' | '；' | '（' | '）' | '\u{3000}' | '～' | '\u{2010}'
            ..='\u{2015}' | '\u{fe0f}'
    )
}

// === impl Folded ===

impl Folded {
    /// `None` when the text already is what its reader sees.
    pub(in crate::sanitize) fn of(text: &str) -> Option<Self> {
        if !is_wanted(text) {
            return None;
        }
        let mut folded = Self { text: String::with_capacity(text.len()), units: Vec::new() };
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (len, spelling, seen) = match c {
                '%' | '&' | '\\' => match escape_at(text, at) {
                    Some((len, spelling, seen)) => (len, spelling, Some(seen)),
                    None => (1, Spelling::Literal, Some(c)),
                },
                _ if c.is_ascii() => (1, Spelling::Literal, Some(c)),
                _ => match plain(c) {
                    Some(seen) => (c.len_utf8(), Spelling::Styled, seen),
                    None => (c.len_utf8(), Spelling::Literal, Some(c)),
                },
            };
            // What cannot be seen leaves a gap between two units.
            if let Some(seen) = seen {
                folded.push(at, len, spelling, seen);
            }
            at += len;
        }
        Some(folded)
    }

    fn push(&mut self, source: usize, len: usize, spelling: Spelling, seen: char) {
        match self.units.last_mut() {
            Some(last)
                if spelling == Spelling::Literal
                    && last.spelling == spelling
                    && last.source + last.len == source =>
            {
                last.len += len;
            }
            _ => self.units.push(Unit { folded: self.text.len(), source, len, spelling }),
        }
        self.text.push(seen);
    }

    /// Where the bytes `start..end` of the folded text stand in the source; the range is not empty.
    pub(in crate::sanitize) fn source_range(&self, start: usize, end: usize) -> (usize, usize) {
        let (first, last) = (self.unit_at(start), self.unit_at(end - 1));
        let from = match first.spelling {
            Spelling::Literal => first.source + start - first.folded,
            _ => first.source,
        };
        let to = match last.spelling {
            Spelling::Literal => last.source + end - last.folded,
            _ => last.source + last.len,
        };
        (from, to)
    }

    fn unit_at(&self, folded: usize) -> Unit {
        self.units[self.units.partition_point(|u| u.folded <= folded) - 1]
    }

    /// A range of the source, widened so that it cuts no escape.
    pub(in crate::sanitize) fn widened(&self, start: usize, end: usize) -> (usize, usize) {
        let around = |at: usize| {
            let i = self.units.partition_point(|u| u.source <= at);
            let unit = self.units.get(i.checked_sub(1)?)?;
            let inside =
                unit.spelling != Spelling::Literal && unit.source < at && at < unit.source + unit.len;
            inside.then_some((unit.source, unit.source + unit.len))
        };
        (around(start).map_or(start, |(from, _)| from), around(end).map_or(end, |(_, to)| to))
    }

    /// Writes `new` over the folded text, in the spelling of `source`. Each character of `new` must have the length in
    /// UTF-8 of the one it replaces; `None` otherwise.
    pub(in crate::sanitize) fn respell(&self, source: &str, new: &str) -> Option<String> {
        if new.len() != self.text.len() {
            return None;
        }
        let mut out = String::with_capacity(source.len());
        for (i, unit) in self.units.iter().enumerate() {
            // What is not seen stays.
            out.push_str(source.get(out.len()..unit.source)?);
            let end = self.units.get(i + 1).map_or(self.text.len(), |next| next.folded);
            let (old, fresh) = (self.text.get(unit.folded..end)?, new.get(unit.folded..end)?);
            let spelled = source.get(unit.source..unit.source + unit.len)?;
            match unit.spelling {
                Spelling::Literal => out.push_str(fresh),
                _ if old == fresh => out.push_str(spelled),
                spelling => spelling.write(spelled, old.chars().next()?, fresh.chars().next()?, &mut out),
            }
        }
        out.push_str(source.get(out.len()..)?);
        (out.len() == source.len()).then_some(out)
    }
}

#[cfg(test)]
mod tests;
