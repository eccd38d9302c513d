//! Identity and tax numbers that can be told by their form and check digits.
//!
//! Words of letters and digits with single separators between them are read as one candidate and compared with the table
//! of [`forms`]. Numbers whose form is weak are found behind a telling word only ([`super::announced`]).

use std::sync::LazyLock;

use super::{Finding, after, before};
use crate::sanitize::class::Class;

mod forms;

use forms::{BANK_FORMS, FORMS, Form};

/// The longest form has eighteen characters.
const MAX_CHARS: usize = 18;

/// The shortest forms that need no telling word have eight characters.
const FEWEST_CHARS: usize = 8;

/// French numbers are written in seven pieces.
const MAX_PIECES: usize = 7;

/// India's tax number has four digits; no form has fewer.
pub(super) const FEWEST_DIGITS: u32 = 4;

/// The forms that need no telling word, by how many characters they have.
static SPELLED: LazyLock<[Vec<&Form>; MAX_CHARS + 1]> = LazyLock::new(|| {
    let mut by_len = [const { Vec::new() }; MAX_CHARS + 1];
    for form in FORMS.iter().filter(|form| !form.spellings.is_empty()) {
        by_len[form.slots().map(Slot::width).sum::<usize>()].push(form);
    }
    by_len
});

/// A slot of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot<'a> {
    Digit,
    Letter,
    Either,
    Month,
    Day,
    CheckDigit,
    CheckLetter,
    CheckEither,
    Set(&'a [u8]),
}

/// Characters of a candidate, without separators, in upper case.
struct Chars {
    chars: [u8; MAX_CHARS],
    len: usize,
}

/// Finds numbers of the class [`Class::NationalId`].
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    if bytes.len() < FEWEST_CHARS {
        return;
    }
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_alphanumeric).map(|i| at + i) {
        let word_end = end_of_word(bytes, start);
        at = word_end;
        if !may_start(bytes, start, word_end) || before(text, start).is_some_and(is_glue) {
            continue;
        }
        if let Some(end) = longest_from(text, start) {
            findings.push(Finding { start, end, class: Class::NationalId });
            at = end;
        }
    }
}

/// A candidate begins with digits, or with up to six letters that digits follow (in the same word or the next).
fn may_start(bytes: &[u8], start: usize, word_end: usize) -> bool {
    let letters = bytes[start..word_end].iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let next = if start + letters < word_end { start + letters } else { word_end + 1 };
    letters == 0 || letters <= 6 && bytes.get(next).is_some_and(u8::is_ascii_alphanumeric)
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|b| !b.is_ascii_alphanumeric()).map_or(bytes.len(), |i| start + i)
}

/// Joined to a longer word, number or amount.
fn is_glue(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '€' | '£' | '+' | '#' | '@')
}

/// The end of the longest number that begins at `start`.
fn longest_from(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut chars = Chars { chars: [0; MAX_CHARS], len: 0 };
    let (mut at, mut digits, mut found) = (start, 0u32, None);
    for _ in 0..MAX_PIECES {
        let end = end_of_word(bytes, at);
        if chars.len + (end - at) > MAX_CHARS {
            break;
        }
        bytes[at..end].iter().for_each(|b| chars.push(*b));
        digits += bytes[at..end].iter().filter(|b| b.is_ascii_digit()).count() as u32;
        let mut stop = end;
        // The check digit of Hong Kong stands in parentheses.
        if let [b'(', check, b')', ..] = &bytes[end..]
            && check.is_ascii_alphanumeric()
            && chars.len < MAX_CHARS
        {
            chars.push(*check);
            stop = end + 3;
        }
        if digits >= FEWEST_DIGITS
            && is_free_behind(text, stop)
            && SPELLED[chars.len].iter().any(|form| form.accepts(&text[start..stop], chars.as_slice()))
        {
            found = Some(stop);
        }
        if stop != end {
            break;
        }
        match text[end..].chars().next() {
            Some(c @ (' ' | '-' | '.' | '/' | '+' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{2011}'))
                if bytes.get(end + c.len_utf8()).is_some_and(u8::is_ascii_alphanumeric) =>
            {
                at = end + c.len_utf8();
            }
            _ => break,
        }
    }
    found
}

/// Nothing goes on behind the number: no digits after a separator, no percent sign.
fn is_free_behind(text: &str, end: usize) -> bool {
    let next = after(text, end);
    let digit_follows = text.as_bytes().get(end + 1).is_some_and(u8::is_ascii_digit);
    let goes_on = next.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '%' | '@'));
    let separated = digit_follows && matches!(next, Some('-' | '.' | '/' | ',' | ':'));
    !goes_on && !separated
}

/// Draws another number of the form that `original` (upper case, no separators) has: `draw(limit)` gives a number below
/// `limit`. `None` when it has no known form, or chance keeps finding none. A number of a bank is tried as such first.
pub(in crate::sanitize) fn redraw(
    class: Class,
    original: &[u8],
    mut draw: impl FnMut(u32) -> u32,
) -> Option<Vec<u8>> {
    let banks = if class == Class::BankAccount { BANK_FORMS } else { &[] };
    let form = banks.iter().chain(FORMS).find(|form| form.matches(original))?;
    (0..64).find_map(|_| {
        let mut drawn = original.to_vec();
        form.fill(&mut drawn, &mut draw);
        (form.settle(&mut drawn) && drawn != original).then_some(drawn)
    })
}

/// Whether `chars` (upper case, no separators) is a number of a known form with right check digits.
#[cfg(test)]
pub(in crate::sanitize) fn is_valid(chars: &[u8]) -> bool {
    BANK_FORMS.iter().chain(FORMS).any(|form| form.matches(chars))
}

// === impl Chars ===

impl Chars {
    fn push(&mut self, b: u8) {
        self.chars[self.len] = b.to_ascii_uppercase();
        self.len += 1;
    }

    fn as_slice(&self) -> &[u8] {
        &self.chars[..self.len]
    }
}

// === impl Form ===

impl Form {
    fn slots(&self) -> impl Iterator<Item = Slot<'static>> {
        let mut rest = self.shape.as_bytes();
        std::iter::from_fn(move || {
            let (slot, len) = match rest {
                [] => return None,
                [b'm', b'm', ..] => (Slot::Month, 2),
                [b'd', b'd', ..] => (Slot::Day, 2),
                [b'A', ..] => (Slot::Letter, 1),
                [b'N', ..] => (Slot::Either, 1),
                [b'c', ..] => (Slot::CheckDigit, 1),
                [b'C', ..] => (Slot::CheckLetter, 1),
                [b'K', ..] => (Slot::CheckEither, 1),
                [b'[', set @ ..] => {
                    let len = set.iter().position(|b| *b == b']').unwrap_or(set.len());
                    (Slot::Set(&set[..len]), len + 2)
                }
                _ => (Slot::Digit, 1),
            };
            rest = &rest[len..];
            Some(slot)
        })
    }

    /// Whether this is a number of the form, in a spelling that needs no telling word.
    fn accepts(&self, spelled: &str, chars: &[u8]) -> bool {
        self.spellings.iter().any(|spelling| is_spelled(spelled, spelling)) && self.matches(chars)
    }

    fn matches(&self, chars: &[u8]) -> bool {
        let mut rest = chars;
        for slot in self.slots() {
            let (head, tail) = match slot {
                Slot::Month | Slot::Day if rest.len() >= 2 => rest.split_at(2),
                Slot::Month | Slot::Day => return false,
                _ if rest.is_empty() => return false,
                _ => rest.split_at(1),
            };
            if !slot.holds(head) {
                return false;
            }
            rest = tail;
        }
        rest.is_empty() && (self.valid)(chars)
    }

    /// Draws everything but the check characters.
    fn fill(&self, chars: &mut [u8], draw: &mut impl FnMut(u32) -> u32) {
        let mut at = 0;
        for slot in self.slots() {
            let width = slot.width();
            slot.fill(&mut chars[at..at + width], draw);
            at += width;
        }
    }

    /// Tries the check characters, each within the kind it had; there are at most two.
    fn settle(&self, chars: &mut [u8]) -> bool {
        let mut checks = [0; 2];
        let (mut count, mut at) = (0, 0);
        for slot in self.slots() {
            if slot.is_check() && count < checks.len() {
                checks[count] = at;
                count += 1;
            }
            at += slot.width();
        }
        let range = |b: u8| if b.is_ascii_digit() { b'0'..=b'9' } else { b'A'..=b'Z' };
        let attempt = |chars: &mut [u8]| match count {
            0 => (self.valid)(chars),
            1 => range(chars[checks[0]]).any(|c| {
                chars[checks[0]] = c;
                (self.valid)(chars)
            }),
            _ => range(chars[checks[0]]).any(|first| {
                chars[checks[0]] = first;
                range(chars[checks[1]]).any(|second| {
                    chars[checks[1]] = second;
                    (self.valid)(chars)
                })
            }),
        };
        attempt(chars)
    }
}

/// `x` stands for a letter or digit; a space also for one that does not break.
fn is_spelled(text: &str, spelling: &str) -> bool {
    let mut chars = text.chars();
    let equal = spelling.bytes().all(|wanted| {
        chars.next().is_some_and(|c| match wanted {
            b'x' => c.is_ascii_alphanumeric(),
            b' ' => matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}'),
            b'-' => matches!(c, '-' | '\u{2010}'..='\u{2013}'),
            _ => c == char::from(wanted),
        })
    });
    equal && chars.next().is_none()
}

// === impl Slot ===

impl Slot<'_> {
    fn width(self) -> usize {
        if matches!(self, Self::Month | Self::Day) { 2 } else { 1 }
    }

    fn is_check(self) -> bool {
        matches!(self, Self::CheckDigit | Self::CheckLetter | Self::CheckEither)
    }

    fn holds(self, chars: &[u8]) -> bool {
        let c = chars[0];
        let number =
            || chars.iter().try_fold(0, |n, c| c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0')));
        match self {
            Self::Digit | Self::CheckDigit => c.is_ascii_digit(),
            Self::Letter | Self::CheckLetter => c.is_ascii_uppercase(),
            Self::Either | Self::CheckEither => c.is_ascii_alphanumeric(),
            Self::Month => number().is_some_and(|n| (1..=12).contains(&n)),
            Self::Day => number().is_some_and(|n| (1..=31).contains(&n)),
            Self::Set(set) => members(set).any(|member| member == c),
        }
    }

    fn fill(self, chars: &mut [u8], draw: &mut impl FnMut(u32) -> u32) {
        let mut two = |chars: &mut [u8], last: u32| {
            let n = 1 + draw(last);
            chars.copy_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]);
        };
        match self {
            Self::Month => two(chars, 12),
            // Every month has 28 days.
            Self::Day => two(chars, 28),
            Self::Set(set) => {
                let digit = chars[0].is_ascii_digit();
                let kind = || members(set).filter(|m| m.is_ascii_digit() == digit);
                let count = kind().count() as u32;
                if let Some(member) = kind().nth(draw(count.max(1)) as usize) {
                    chars[0] = member;
                }
            }
            _ if self.is_check() => {}
            _ if chars[0].is_ascii_digit() => chars[0] = b'0' + draw(10) as u8,
            _ => chars[0] = b'A' + draw(26) as u8,
        }
    }
}

/// The members of a set such as `A-CE`.
fn members(mut set: &[u8]) -> impl Iterator<Item = u8> {
    let ranges = std::iter::from_fn(move || {
        let (range, len) = match set {
            [] => return None,
            [first, b'-', last, ..] => (*first..=*last, 3),
            [one, ..] => (*one..=*one, 1),
        };
        set = &set[len..];
        Some(range)
    });
    ranges.flatten()
}

#[cfg(test)]
mod tests;
