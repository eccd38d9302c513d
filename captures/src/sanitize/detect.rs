//! Finds structured personal and secret data in text.
//!
//! One pass over the bytes gathers [`Signals`] (an at sign, enough digits, a long run of token characters, ...), and only
//! detectors that could find something run at all: ordinary texts fall out after that pass. Each detector then checks
//! what it found (Luhn, mod 97, ranges, lengths), so that a year, a price or a hashtag is left alone.

use super::class::Class;

pub(super) mod accounts;
mod email;
mod network;
pub(super) mod numbers;
pub(super) mod secrets;

use secrets::ApiKeys;

/// Where something was found: a byte range of the text, on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What it is.
    pub class: Class,
}

/// What a text is, which says where to look how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A header value, a key, a short value that the policy keeps: structured classes only.
    Value,
    /// What people write: names, addresses and bare domains, too.
    Prose,
}

/// The detectors that are switched on.
#[derive(Clone, Debug)]
pub struct Detectors {
    enabled: [bool; Class::ALL.len()],
    api_keys: ApiKeys,
}

/// What one pass over a text tells about it.
#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    ats: bool,
    colons: u32,
    dots: u32,
    digits: u32,
    dashes: u32,
    longest_run: u32,
}

// === impl Detectors ===

impl Detectors {
    /// All detectors.
    pub fn all() -> Self {
        Self::without(&[])
    }

    /// All detectors but those of `off`.
    pub fn without<'a>(off: impl IntoIterator<Item = &'a Class>) -> Self {
        let mut enabled = [true; Class::ALL.len()];
        off.into_iter().for_each(|class| enabled[*class as usize] = false);
        Self { enabled, api_keys: ApiKeys::new() }
    }

    /// Whether `class` is looked for.
    pub fn is_on(&self, class: Class) -> bool {
        self.enabled[class as usize]
    }

    /// Writes what is found in `text` into `findings`: in order, without overlaps.
    pub fn scan(&self, text: &str, _scope: Scope, findings: &mut Vec<Finding>) {
        findings.clear();
        let signals = Signals::of(text.as_bytes());
        if signals.longest_run >= secrets::SHORTEST_RUN {
            self.api_keys.find(text, findings);
            secrets::find_tokens(text, findings);
        }
        if signals.dashes >= 10 {
            secrets::find_private_keys(text, findings);
        }
        if signals.colons > 0 {
            network::find_urls(text, findings);
        }
        if signals.colons >= 2 || signals.dashes >= 5 || signals.dots >= 2 && signals.longest_run >= 4 {
            network::find_addresses(text, findings);
        }
        if signals.ats {
            email::find(text, findings);
        }
        if signals.digits >= numbers::FEWEST_DIGITS && (signals.digits >= 7 || signals.dots >= 3) {
            accounts::find_ibans(text, findings);
            numbers::find(text, findings);
        }
        if !findings.is_empty() {
            findings.retain(|f| self.is_on(f.class));
            resolve_overlaps(findings);
        }
    }
}

/// Sorts findings and cuts each where one of higher precedence already covers it, so that together they cover what
/// they covered before.
fn resolve_overlaps(findings: &mut Vec<Finding>) {
    let mut by_precedence = std::mem::take(findings);
    by_precedence.sort_by_key(|f| (f.class, f.start, std::cmp::Reverse(f.end)));
    for candidate in by_precedence {
        let mut start = candidate.start;
        let mut free = Vec::new();
        let first = findings.partition_point(|f| f.end <= candidate.start);
        for taken in findings[first..].iter().take_while(|f| f.start < candidate.end) {
            if start < taken.start {
                free.push(Finding { start, end: taken.start, class: candidate.class });
            }
            start = taken.end;
        }
        if start < candidate.end {
            free.push(Finding { start, end: candidate.end, class: candidate.class });
        }
        for part in free {
            let at = findings.partition_point(|f| f.start < part.start);
            findings.insert(at, part);
        }
    }
}

// === impl Signals ===

const TOKEN: u8 = 1;
const DIGIT: u8 = 2;

const fn byte_kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut b = 0usize;
    while b < 256 {
        let byte = b as u8;
        if byte.is_ascii_digit() {
            kinds[b] = TOKEN | DIGIT;
        } else if byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=') {
            kinds[b] = TOKEN;
        }
        b += 1;
    }
    kinds
}

static KINDS: [u8; 256] = byte_kinds();

impl Signals {
    fn of(bytes: &[u8]) -> Self {
        let mut signals = Self::default();
        let mut run = 0;
        for &byte in bytes {
            let kind = KINDS[usize::from(byte)];
            signals.digits += u32::from(kind & DIGIT != 0);
            if kind & TOKEN != 0 {
                run += 1;
                signals.dashes += u32::from(byte == b'-');
                continue;
            }
            signals.longest_run = signals.longest_run.max(run);
            run = 0;
            signals.ats |= byte == b'@';
            signals.colons += u32::from(byte == b':');
            signals.dots += u32::from(byte == b'.');
        }
        signals.longest_run = signals.longest_run.max(run);
        signals
    }
}

/// The character before byte `at`.
fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

/// The character at byte `at`.
fn after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
