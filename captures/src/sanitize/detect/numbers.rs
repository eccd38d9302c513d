//! Numbers that name somebody: cards, social security numbers, telephone numbers, IP addresses of version 4.
//!
//! Digits and the separators people put between them are read as one *run* of groups; each window of groups is then
//! tried against the classes, the surest first.

use super::{Finding, accounts, after, before};
use crate::sanitize::class::Class;

/// `1.1.1.1` has four digits; nothing found here has fewer.
pub(super) const FEWEST_DIGITS: u32 = 4;

/// Groups looked at together; the longest form (a telephone number in pairs) has eight.
const MAX_GROUPS: usize = 10;

/// Words that say that a telephone number follows, and how many bytes before it they are looked for.
const CONTEXT: &[&str] = &[
    "phone", "call", "tel", "mobile", "cell", "fax", "dial", "whatsapp", "contact", "reach", "ring",
    "text me",
];
const CONTEXT_BYTES: usize = 40;

/// Digits with separators between groups of them.
#[derive(Default)]
struct Run {
    /// Byte ranges of the groups.
    groups: Vec<(usize, usize)>,
}

/// Some neighbouring groups of a run.
struct Window<'a> {
    text: &'a str,
    groups: &'a [(usize, usize)],
    digits: Vec<u8>,
    /// What stands between the groups, when it is the same single character everywhere; `None` for a single group.
    separator: Option<char>,
    /// Whether the separators differ or are longer than one character.
    mixed: bool,
    /// The run goes on before or behind the window.
    cut: bool,
}

/// Finds numbers of the classes [`Class::Card`], [`Class::Ssn`], [`Class::Ip`] and [`Class::Phone`].
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    let mut run = Run::default();
    let mut at = 0;
    while let Some(next) = run.read(text, at) {
        at = next;
        let mut first = 0;
        while first < run.groups.len() {
            let longest = run.groups.len().min(first + MAX_GROUPS);
            let found = (first + 1..=longest).rev().find_map(|end| {
                let window = Window::new(text, &run.groups, first, end);
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
        10 | 11 if is_bare_phone(bytes) => Some(Class::Phone),
        _ => None,
    }
}

/// How many leading digits say where a telephone number is dialled to rather than whose it is.
pub(in crate::sanitize) fn dialling_prefix_len(text: &str, digits: &[u8]) -> usize {
    let kept = if text.contains('+') {
        country_code_len(digits)
    } else if digits.starts_with(b"00") {
        2 + country_code_len(&digits[2..])
    } else {
        usize::from(digits.len() == 11 && digits[0] == b'1' || digits.starts_with(b"0"))
    };
    kept.min(digits.len())
}

/// ITU-T E.164: one digit for the zones 1 and 7, two for those listed, three for all others.
fn country_code_len(digits: &[u8]) -> usize {
    match digits {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

fn is_ssn(digits: &[u8]) -> bool {
    digits.len() == 9
        && !matches!(&digits[..3], b"000" | b"666")
        && &digits[3..5] != b"00"
        && &digits[5..] != b"0000"
}

/// A North American number without separators: area and exchange begin with 2 to 9.
fn is_bare_phone(digits: &[u8]) -> bool {
    let national = match digits {
        [b'1', rest @ ..] if rest.len() == 10 => rest,
        _ => digits,
    };
    national.len() == 10 && (b'2'..=b'9').contains(&national[0]) && (b'2'..=b'9').contains(&national[3])
}

/// The length of `x123`, ` ext. 123` and the like at the start of `rest`; 0 when there is no extension.
fn extension_len(rest: &str) -> usize {
    let word = rest.trim_start_matches(' ');
    let number = ["extension", "ext.", "ext", "x"].iter().find_map(|mark| {
        let head = word.get(..mark.len())?;
        head.eq_ignore_ascii_case(mark).then(|| word[mark.len()..].trim_start_matches(' '))
    });
    let Some(number) = number else { return 0 };
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let ends = !number[digits..].starts_with(|c: char| c.is_alphanumeric());
    if (1..=6).contains(&digits) && ends { rest.len() - number.len() + digits } else { 0 }
}

// === impl Run ===

impl Run {
    /// Reads the first run at or behind `from`; returns where it ends.
    fn read(&mut self, text: &str, from: usize) -> Option<usize> {
        self.groups.clear();
        let bytes = text.as_bytes();
        let mut at = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
        loop {
            let end = at + bytes[at..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len() - at);
            self.groups.push((at, end));
            match next_group(text, end) {
                Some(next) => at = next,
                None => return Some(end),
            }
        }
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
        ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\u{2010}'..='\u{2015}'
    )
}

// === impl Window ===

impl<'a> Window<'a> {
    fn new(text: &'a str, groups: &'a [(usize, usize)], first: usize, end: usize) -> Self {
        let window = &groups[first..end];
        let digits = window.iter().flat_map(|(s, e)| text.as_bytes()[*s..*e].iter().copied()).collect();
        let mut between = window.windows(2).map(|pair| &text[pair[0].1..pair[1].0]);
        let separator = between.next();
        let mixed = separator.is_some_and(|s| s.chars().count() > 1) || between.any(|s| Some(s) != separator);
        Self {
            text,
            groups: window,
            digits,
            separator: separator.and_then(|s| s.chars().next()),
            mixed,
            cut: first > 0 || end < groups.len(),
        }
    }

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
        let extension = if class == Class::Phone { extension_len(&self.text[self.end()..]) } else { 0 };
        Finding { start: start - usize::from(plus), end: self.end() + extension, class }
    }

    fn start(&self) -> usize {
        self.groups[0].0
    }

    fn end(&self) -> usize {
        self.groups[self.groups.len() - 1].1
    }

    fn lens(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().map(|(start, end)| end - start)
    }

    fn has_lens(&self, lens: &[usize]) -> bool {
        self.lens().eq(lens.iter().copied())
    }

    /// A plus sign makes it a telephone number, whose digits may pass Luhn's check as well.
    fn is_card(&self) -> bool {
        if before(self.text, self.start()) == Some('+') {
            return false;
        }
        let grouped = self.groups.len() == 1
            || !self.mixed
                && self.lens().all(|len| len >= 3)
                && !matches!(self.separator, Some('/' | '(' | ')'));
        grouped && (12..=19).contains(&self.digits.len()) && accounts::is_card(&self.digits)
    }

    fn is_ssn(&self) -> bool {
        self.has_lens(&[3, 2, 4]) && !self.mixed && self.separator != Some('/') && is_ssn(&self.digits)
    }

    /// Four parts up to 255; `v1.2.3.4` is a version, and loopback names nobody.
    fn is_ipv4(&self) -> bool {
        let part = |(start, end): &(usize, usize)| self.text[*start..*end].parse::<u8>().ok();
        let canonical =
            |(start, end): &(usize, usize)| end - start == 1 || self.text.as_bytes()[*start] != b'0';
        self.groups.len() == 4
            && !self.mixed
            && self.separator == Some('.')
            && !self.touches('.')
            && !matches!(before(self.text, self.start()), Some('v' | 'V'))
            && self.groups.iter().all(|g| part(g).is_some() && canonical(g))
            && !matches!(&self.text[self.start()..self.end()], "127.0.0.1" | "0.0.0.0")
    }

    /// Whether the window is part of a longer number joined by `separator`.
    fn touches(&self, separator: char) -> bool {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let (start, end) = (self.start(), self.end());
        self.cut
            && (self.text[..start].strip_suffix(separator).is_some_and(|s| digit(s.chars().next_back()))
                || self.text[end..].strip_prefix(separator).is_some_and(|s| digit(s.chars().next())))
    }

    fn is_phone(&self) -> bool {
        let (previous, next) = (before(self.text, self.start()), after(self.text, self.end()));
        let word = |c: char| c.is_alphanumeric() || c == '_';
        if previous.is_some_and(|c| word(c) || matches!(c, '$' | '€' | '£' | '#'))
            || next.is_some_and(|c| word(c) && !matches!(c, 'x' | 'e') || c == '%')
            || self.has_double_separator()
        {
            return false;
        }
        let international =
            previous == Some('+') || self.digits.starts_with(b"00") && self.digits.len() >= 11;
        if international {
            return (8..=15 + 2).contains(&self.digits.len());
        }
        if self.touches('.') || self.touches('-') || self.touches('/') {
            return false;
        }
        self.is_north_american() || self.is_national() || self.is_spaced_mobile() || self.is_announced()
    }

    /// Two separators in a row are fine around parentheses only.
    fn has_double_separator(&self) -> bool {
        self.groups.windows(2).any(|pair| {
            let between = &self.text[pair[0].1..pair[1].0];
            between.chars().count() > 1 && !between.contains(['(', ')']) && between != " - "
        })
    }

    /// `212-555-0123`, `(212) 555-0123`, `1.212.555.0123`, `2125550123`.
    fn is_north_american(&self) -> bool {
        match self.groups.len() {
            1 => is_bare_phone(&self.digits),
            2 => {
                self.has_lens(&[3, 7]) && self.opened(0)
                    || self.has_lens(&[6, 4]) && is_bare_phone(&self.digits)
            }
            3 => self.has_lens(&[3, 3, 4]),
            4 => {
                self.has_lens(&[1, 3, 3, 4]) && self.digits[0] == b'1'
                    || self.has_lens(&[3, 3, 3, 4]) && self.digits[0] == b'0'
            }
            _ => false,
        }
    }

    /// A trunk zero, or an area code in parentheses: `020 7946 0958`, `(030) 1234567`, `01 23 45 67 89`.
    fn is_national(&self) -> bool {
        let count = self.digits.len();
        if self.groups.len() == 1 {
            return (10..=11).contains(&count) && self.digits[0] == b'0' && self.digits[1] != b'0';
        }
        let trunk = self.digits[0] == b'0' && (9..=12).contains(&count);
        let area = self.opened(0) && (7..=12).contains(&count);
        (trunk || area) && !self.is_date_or_decimal() && self.lens().skip(1).all(|len| (2..=8).contains(&len))
    }

    /// Numbers without trunk zero, as written in Spain, Poland, Denmark: `612 34 56 78`, `612 345 678`, `71-33-52-22`.
    fn is_spaced_mobile(&self) -> bool {
        let nine = self.has_lens(&[3, 2, 2, 2]) || self.has_lens(&[3, 3, 3]) && self.separator != Some('.');
        let eight = self.has_lens(&[2, 2, 2, 2]) && self.separator == Some('-') && !self.cut;
        !self.mixed
            && (eight || nine && self.separator != Some('/') && (b'5'..=b'9').contains(&self.digits[0]))
    }

    /// Any other grouping (`467 3395`, `9472 7916`) behind a word that announces a telephone number.
    fn is_announced(&self) -> bool {
        if !(7..=15).contains(&self.digits.len()) || self.groups.len() > 5 || self.is_date_or_decimal() {
            return false;
        }
        let mut from = self.start().saturating_sub(CONTEXT_BYTES);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        let context = self.text[from..self.start()].to_ascii_lowercase();
        CONTEXT.iter().any(|word| context.contains(word))
    }

    fn is_date_or_decimal(&self) -> bool {
        let date = !self.mixed
            && self.groups.len() == 3
            && (self.has_lens(&[2, 2, 4]) || self.has_lens(&[2, 2, 2]) || self.has_lens(&[4, 2, 2]));
        date || self.groups.len() == 2 && self.separator == Some('.')
    }

    /// Whether group `i` stands in parentheses.
    fn opened(&self, i: usize) -> bool {
        let (start, end) = self.groups[i];
        before(self.text, start) == Some('(') && after(self.text, end) == Some(')')
    }
}
