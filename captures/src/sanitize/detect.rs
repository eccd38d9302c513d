//! Finds structured personal and secret data in text.
//!
//! One pass over the bytes gathers [`Signals`] (at signs, digits, a long run of token characters, ...), and only detectors
//! that could find something run at all: ordinary texts fall out after that pass. Each detector then checks what it
//! found (Luhn, mod 97, ranges, lengths), so that a year, a price or a hashtag is left alone.

use std::sync::LazyLock;

use super::class::Class;

pub(super) mod accounts;
mod announced;
pub(super) mod checks;
mod email;
pub(super) mod folded;
mod gate;
pub(super) mod identity;
mod network;
pub(super) mod numbers;
pub(super) mod phones;
mod prose;
pub(super) mod secrets;

use announced::Announced;
use folded::Folded;
use gate::Gate;
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
    announced: Announced,
    /// Opens for words that announce a secret, and for the signs of an address in words.
    words: &'static Gate,
}

static WORDS: LazyLock<Gate> = LazyLock::new(|| Gate::of(announced::secret_words().chain(email::signs())));

/// What one pass over a text tells about it: how many bytes of a kind it has.
///
/// A detector whose class cannot do without some of them says so in [`Detectors::collect`], and does not run where
/// they are missing. Texts that nobody has to look at (most of them) cost this pass and no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Signals {
    /// `0` to `9`.
    digits: u32,
    /// `A` to `Z`.
    capitals: u32,
    /// Bytes beyond ASCII: letters of other alphabets, full-width digits, non-breaking spaces.
    foreign: u32,
    /// `@`
    ats: u32,
    /// `:`
    colons: u32,
    /// `.`
    dots: u32,
    /// `-`
    dashes: u32,
    /// `%`, `&` and `\\`: what begins another spelling of a character (URL, HTML, JSON).
    escapes: u32,
    /// At least [`secrets::SHORTEST_RUN`] token characters in a row: letters, digits, `_`, `-`, `+`, `/`, `=`.
    long_run: bool,
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
        Self { enabled, api_keys: ApiKeys::new(), announced: Announced::new(), words: &WORDS }
    }

    /// Whether `class` is looked for.
    pub fn is_on(&self, class: Class) -> bool {
        self.enabled[class as usize]
    }

    /// Writes what is found in `text` into `findings`: in order, without overlaps.
    pub fn scan(&self, text: &str, scope: Scope, findings: &mut Vec<Finding>) {
        findings.clear();
        self.collect(text, scope, &Signals::of(text.as_bytes()), findings);
        if !findings.is_empty() {
            findings.retain(|f| self.is_on(f.class));
            resolve_overlaps(findings);
        }
    }

    /// Looks at the text, and at what a reader sees of it where that differs.
    fn collect(&self, text: &str, scope: Scope, signals: &Signals, findings: &mut Vec<Finding>) {
        self.find(text, scope, signals, findings);
        if (signals.foreign > 0 || signals.escapes > 0)
            && let Some(folded) = Folded::of(text)
        {
            self.find_folded(&folded, scope, findings);
        }
    }

    /// Adds what only the folded text shows.
    fn find_folded(&self, folded: &Folded, scope: Scope, findings: &mut Vec<Finding>) {
        // A replacement must not break an escape.
        for finding in findings.iter_mut() {
            (finding.start, finding.end) = folded.widened(finding.start, finding.end);
        }
        let mut seen = Vec::new();
        self.find(&folded.text, scope, &Signals::of(folded.text.as_bytes()), &mut seen);
        findings.extend(seen.into_iter().map(|f| {
            let (start, end) = folded.source_range(f.start, f.end);
            Finding { start, end, class: f.class }
        }));
    }

    /// Runs the detectors that could find something, by what the signals say. A gate may let through what has nothing,
    /// and must never hold back what has something: a property test compares with every gate open.
    fn find(&self, text: &str, scope: Scope, signals: &Signals, findings: &mut Vec<Finding>) {
        if signals.long_run {
            self.api_keys.find(text, findings);
            secrets::find_tokens(text, findings);
        }
        if signals.dashes >= 10 {
            secrets::find_private_keys(text, findings);
        }
        if signals.colons > 0 {
            network::find_urls(text, scope, findings);
        }
        if signals.colons >= 2 || signals.dashes >= 5 || signals.dots >= 2 && signals.digits > 0 {
            network::find_addresses(text, findings);
        }
        if signals.ats > 0 {
            email::find(text, findings);
        }
        if scope == Scope::Prose && signals.dots > 0 {
            network::find_domains(text, findings);
        }
        if self.words.is_open(text) {
            if scope == Scope::Prose && email::may_be_spelled(text) {
                email::find_spelled(text, findings);
            }
            self.announced.find_secrets(text, findings);
        }
        if signals.digits >= announced::FEWEST_DIGITS {
            self.announced.find_numbers(text, findings);
        }
        if signals.digits >= identity::FEWEST_DIGITS {
            identity::find(text, findings);
        }
        if signals.digits >= numbers::FEWEST_DIGITS && (signals.digits >= 7 || signals.dots >= 3) {
            accounts::find_ibans(text, findings);
            numbers::find(text, findings);
        }
        if scope == Scope::Prose {
            prose::find(text, findings);
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

/// Counters of eight bits each, side by side, so that a byte costs one look-up and one addition.
const LANES: usize = 8;

/// No lane overflows within so many bytes.
const LANE_BYTES: usize = 255;

const fn lanes() -> [u64; 256] {
    let mut lanes = [0; 256];
    let mut b = 0;
    while b < lanes.len() {
        let lane = match b as u8 {
            b'0'..=b'9' => 0,
            b'A'..=b'Z' => 1,
            0x80.. => 2,
            b'@' => 3,
            b':' => 4,
            b'.' => 5,
            b'-' => 6,
            b'%' | b'&' | b'\\' => 7,
            _ => LANES,
        };
        if lane < LANES {
            lanes[b] = 1 << (8 * lane);
        }
        b += 1;
    }
    lanes
}

static LANE_OF: [u64; 256] = lanes();

impl Signals {
    fn of(bytes: &[u8]) -> Self {
        let mut counts = [0; LANES];
        for chunk in bytes.chunks(LANE_BYTES) {
            let lanes = chunk.iter().fold(0, |lanes, byte| lanes + LANE_OF[usize::from(*byte)]);
            counts.iter_mut().zip(lanes.to_le_bytes()).for_each(|(count, lane)| *count += u32::from(lane));
        }
        let [digits, capitals, foreign, ats, colons, dots, dashes, escapes] = counts;
        let long_run = has_run(bytes, secrets::SHORTEST_RUN);
        Self { digits, capitals, foreign, ats, colons, dots, dashes, escapes, long_run }
    }

    /// Opens every gate.
    #[cfg(test)]
    fn everything() -> Self {
        let many = u32::MAX;
        Self {
            digits: many,
            capitals: many,
            foreign: many,
            ats: many,
            colons: many,
            dots: many,
            dashes: many,
            escapes: many,
            long_run: true,
        }
    }
}

/// Whether `len` token characters stand in a row. Looks from the end of a window back to the last byte that is none, and
/// goes on behind it: of ordinary words it sees a third.
fn has_run(bytes: &[u8], len: usize) -> bool {
    let mut start = 0;
    while let Some(window) = bytes.get(start..start + len) {
        match window.iter().rposition(|b| !secrets::is_token_byte(*b)) {
            Some(gap) => start += gap + 1,
            None => return true,
        }
    }
    false
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
