//! Numbers that name somebody: cards, social security numbers, telephone numbers, IP addresses of version 4.
//!
//! Digits and the separators people put between them are read as one *run* of groups; each window of groups is then
//! tried against the classes, the surest first.

use super::{Finding, accounts, after, before, phones};
use crate::sanitize::class::Class;

/// `1.1.1.1` has four digits; nothing found here has fewer.
pub(super) const FEWEST_DIGITS: u32 = 4;

/// Groups looked at together; the longest form, a card digit by digit, has nineteen.
const MAX_GROUPS: usize = 19;

/// Digits tried together: a telephone number behind `00`, or a card.
const MAX_DIGITS: usize = 19;

/// An integer with so many digits does not fit in 64 bits.
const MOST_OF_A_NUMBER: usize = 21;

/// Words before four numbers that are a version rather than an address.
const VERSION_WORDS: &[&str] =
    &["v", "ver", "version", "release", "build", "firmware", "rev", "revision", "update"];

/// Digits with separators between groups of them.
#[derive(Default)]
struct Run {
    groups: Vec<Group>,
    /// Those of all groups.
    digits: Vec<u8>,
}

/// Neighbouring digits.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// Where they stand in the text.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where they stand among the digits of the run.
    first: usize,
}

/// Some neighbouring groups of a run.
pub(super) struct Window<'a> {
    pub(super) text: &'a str,
    pub(super) groups: &'a [Group],
    pub(super) digits: &'a [u8],
    /// What stands between the groups, when it is the same single character everywhere; `None` for a single group.
    pub(super) separator: Option<char>,
    /// Whether the separators differ or are longer than one character.
    pub(super) mixed: bool,
    /// The run goes on before or behind the window.
    pub(super) cut: bool,
}

/// Finds numbers of the classes [`Class::Card`], [`Class::Ssn`], [`Class::Ip`] and [`Class::Phone`].
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    let mut run = Run::default();
    let mut at = 0;
    while let Some(next) = run.read(text, at) {
        at = next;
        if run.digits.len() < FEWEST_DIGITS as usize {
            continue;
        }
        let mut first = 0;
        while first < run.groups.len() {
            let longest = run.groups.len().min(first + MAX_GROUPS);
            let found = (first + 1..=longest).rev().find_map(|end| {
                let window = run.window(text, first, end)?;
                window.classify().map(|class| (window.finding(class), end))
            });
            match found {
                Some((finding, end)) => {
                    findings.push(finding);
                    first = end;
                }
                None => first += 1,
            }
        }
    }
}

/// What an integer of a JSON document names, by its digits alone.
pub(in crate::sanitize) fn integer(digits: &str) -> Option<Class> {
    let bytes = digits.as_bytes();
    if accounts::is_card(bytes) {
        return Some(Class::Card);
    }
    match bytes.len() {
        9 if is_ssn(bytes) => Some(Class::Ssn),
        10 | 11 if phones::is_bare(bytes) => Some(Class::Phone),
        // No client computes with so many; they are a key, or several numbers in one.
        MOST_OF_A_NUMBER.. => Some(Class::Token),
        _ => None,
    }
}

fn is_ssn(digits: &[u8]) -> bool {
    digits.len() == 9
        && !matches!(&digits[..3], b"000" | b"666")
        && &digits[3..5] != b"00"
        && &digits[5..] != b"0000"
}

// === impl Run ===

impl Run {
    /// Reads the first run at or behind `from`; returns where it ends.
    fn read(&mut self, text: &str, from: usize) -> Option<usize> {
        self.groups.clear();
        self.digits.clear();
        let bytes = text.as_bytes();
        let mut at = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
        loop {
            let end = at + bytes[at..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len() - at);
            self.groups.push(Group { start: at, end, first: self.digits.len() });
            self.digits.extend_from_slice(&bytes[at..end]);
            match next_group(text, end) {
                Some(next) => at = next,
                None => return Some(end),
            }
        }
    }

    /// The groups `first..end`; `None` when they have more digits than any number looked for.
    fn window<'a>(&'a self, text: &'a str, first: usize, end: usize) -> Option<Window<'a>> {
        let groups = &self.groups[first..end];
        let last_digit = self.groups.get(end).map_or(self.digits.len(), |next| next.first);
        let digits = &self.digits[groups[0].first..last_digit];
        if !(FEWEST_DIGITS as usize..=MAX_DIGITS).contains(&digits.len()) {
            return None;
        }
        let mut between = groups.windows(2).map(|pair| &text[pair[0].end..pair[1].start]);
        let separator = between.next();
        let mixed =
            separator.is_some_and(|s| s.chars().nth(1).is_some()) || between.any(|s| Some(s) != separator);
        Some(Window {
            text,
            groups,
            digits,
            separator: separator.and_then(|s| s.chars().next()),
            mixed,
            cut: first > 0 || end < self.groups.len(),
        })
    }
}

/// Where the next digits begin, when at most three separators stand before them.
fn next_group(text: &str, from: usize) -> Option<usize> {
    for (separators, (i, c)) in text[from..].char_indices().enumerate() {
        if c.is_ascii_digit() {
            return Some(from + i);
        }
        if separators == 3 || !is_separator(c) {
            return None;
        }
    }
    None
}

fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '-'
            | '.'
            | '/'
            | '('
            | ')'
            | '\u{a0}'
            | '\u{b7}'
            | '\u{2007}'
            | '\u{2009}'
            | '\u{202f}'
            | '\u{2010}'..='\u{2015}' | '\u{2022}' | '\u{2212}'
    )
}

// === impl Group ===

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

// === impl Window ===

impl Window<'_> {
    fn classify(&self) -> Option<Class> {
        if self.is_card() {
            return Some(Class::Card);
        }
        if self.is_ssn() {
            return Some(Class::Ssn);
        }
        if self.is_ipv4() {
            return Some(Class::Ip);
        }
        self.is_phone().then_some(Class::Phone)
    }

    fn finding(&self, class: Class) -> Finding {
        let start = self.start();
        // The plus says where the country code is.
        let plus = class == Class::Phone && before(self.text, start) == Some('+');
        let extension =
            if class == Class::Phone { phones::extension_len(&self.text[self.end()..]) } else { 0 };
        Finding { start: start - usize::from(plus), end: self.end() + extension, class }
    }

    pub(super) fn start(&self) -> usize {
        self.groups[0].start
    }

    pub(super) fn end(&self) -> usize {
        self.groups[self.groups.len() - 1].end
    }

    pub(super) fn lens(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().map(Group::len)
    }

    pub(super) fn has_lens(&self, lens: &[usize]) -> bool {
        self.lens().eq(lens.iter().copied())
    }

    /// A plus sign makes it a telephone number, whose digits may pass Luhn's check as well. A run of its own may be
    /// grouped in any way; in a longer one, odd groupings would pass by chance.
    fn is_card(&self) -> bool {
        if !(12..=19).contains(&self.digits.len()) || before(self.text, self.start()) == Some('+') {
            return false;
        }
        let slashes = || self.text[self.start()..self.end()].contains(['/', '(', ')']);
        let even = || !self.mixed && self.lens().all(|len| len >= 3);
        (self.groups.len() == 1 || (even() || !self.cut) && !slashes()) && accounts::is_card(self.digits)
    }

    fn is_ssn(&self) -> bool {
        self.has_lens(&[3, 2, 4]) && !self.mixed && self.separator != Some('/') && is_ssn(self.digits)
    }

    /// Four parts up to 255; `v1.2.3.4` is a version, and loopback names nobody.
    fn is_ipv4(&self) -> bool {
        let part = |g: &Group| self.text[g.start..g.end].parse::<u8>().ok();
        let canonical = |g: &Group| g.len() == 1 || self.text.as_bytes()[g.start] != b'0';
        self.groups.len() == 4
            && !self.mixed
            && self.separator == Some('.')
            && !self.touches('.')
            && self.groups.iter().all(|g| part(g).is_some() && canonical(g))
            && !matches!(&self.text[self.start()..self.end()], "127.0.0.1" | "0.0.0.0")
            && !self.is_version()
    }

    fn is_version(&self) -> bool {
        let head = self.text[..self.start()].trim_end_matches([' ', ':', '=', '-', '.', '#']);
        let word = &head[head.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len()..];
        VERSION_WORDS.iter().any(|v| word.eq_ignore_ascii_case(v))
    }

    /// Whether the window is part of a longer number joined by `separator`.
    pub(super) fn touches(&self, separator: char) -> bool {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let (start, end) = (self.start(), self.end());
        self.cut
            && (self.text[..start].strip_suffix(separator).is_some_and(|s| digit(s.chars().next_back()))
                || self.text[end..].strip_prefix(separator).is_some_and(|s| digit(s.chars().next())))
    }

    /// What stands before the window.
    pub(super) fn previous(&self) -> Option<char> {
        before(self.text, self.start())
    }

    /// What stands behind it.
    pub(super) fn next(&self) -> Option<char> {
        after(self.text, self.end())
    }
}
