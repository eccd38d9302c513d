//! Names of people and places by one hash (`data/README.md` says where they are from).
//!
//! The table keeps no text: a slot is the tag of a word and what is known about it. A word that is in no list takes the
//! tag of one that is about once in a million; that costs a word replaced without need, never one that stays.

use std::sync::LazyLock;

use super::cues::Cues;
use super::tokens::Folded;

/// Front-coded: each line is the length of what it shares with the line before (one digit, base 36), what is known (one
/// character from `0` on), and the rest.
const NAMES: &str = include_str!("data/names.txt");

const SLOTS: usize = 1 << 19;
const CUE_SLOTS: usize = 1 << 12;
const FILTER_BITS: usize = 1 << 19;

/// What the lists know about a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known(u8);

/// The lists, compiled at first use.
pub(super) struct Gazetteer {
    /// Open addressing: 26 bits of tag, six of knowledge; zero is free.
    slots: Vec<u32>,
    /// A bit for each word to be known in lower case: small enough for the nearest cache.
    lower: Vec<u64>,
    /// Open addressing, as `slots`: a whole tag, zero when free, and the cues.
    cues: Vec<(u32, Cues)>,
}

/// The gazetteer.
pub(super) fn gazetteer() -> &'static Gazetteer {
    static GAZETTEER: LazyLock<Gazetteer> = LazyLock::new(Gazetteer::build);
    &GAZETTEER
}

// === impl Known ===

impl Known {
    pub(super) const NOTHING: Self = Self(0);
    const GIVEN: u8 = 1;
    const SURNAME: u8 = 2;
    const WORD: u8 = 4;
    const PLACE: u8 = 8;
    const OTHER: u8 = 16;
    /// With `GIVEN`, a name in lower case, too; with `SURNAME` alone, a frequent one.
    const GOOD: u8 = 32;

    /// Anything at all.
    pub(super) fn any(self) -> bool {
        self.0 != 0
    }

    /// A given name.
    pub(super) fn given(self) -> bool {
        self.0 & Self::GIVEN != 0
    }

    /// A surname.
    pub(super) fn surname(self) -> bool {
        self.0 & Self::SURNAME != 0
    }

    /// A name of people.
    pub(super) fn name(self) -> bool {
        self.0 & (Self::GIVEN | Self::SURNAME) != 0
    }

    /// An ordinary word, a place or something else with a capital as well.
    pub(super) fn ambiguous(self) -> bool {
        self.0 & (Self::WORD | Self::PLACE | Self::OTHER) != 0
    }

    /// A country, a state or a larger city.
    pub(super) fn place(self) -> bool {
        self.0 & Self::PLACE != 0
    }

    /// A weekday, a brand, a people, ...
    pub(super) fn other(self) -> bool {
        self.0 & Self::OTHER != 0
    }

    /// A given name that is one in lower case, too.
    pub(super) fn lower(self) -> bool {
        self.0 & (Self::GOOD | Self::GIVEN) == Self::GOOD | Self::GIVEN
    }

    /// A cue, or a name that is nothing else.
    fn in_lower_case(self) -> bool {
        self.0 & Self::GOOD != 0
    }

    /// A frequent surname that is nothing else.
    pub(super) fn frequent_surname(self) -> bool {
        self.0 & (Self::GOOD | Self::GIVEN | Self::SURNAME) == Self::GOOD | Self::SURNAME
    }
}

// === impl Gazetteer ===

impl Gazetteer {
    fn build() -> Self {
        let mut gazetteer = Self {
            slots: vec![0; SLOTS],
            lower: vec![0; FILTER_BITS / 64],
            cues: vec![(0, Cues::NONE); CUE_SLOTS],
        };
        Cues::for_each(|word, cue| gazetteer.insert_cue(word, cue));
        let mut word = String::new();
        for line in NAMES.lines() {
            let mut chars = line.chars();
            let (Some(shared), Some(known)) = (chars.next().and_then(|c| c.to_digit(36)), chars.next())
            else {
                continue;
            };
            let cut = word.char_indices().nth(shared as usize).map_or(word.len(), |(i, _)| i);
            word.truncate(cut);
            word.push_str(chars.as_str());
            gazetteer.insert(&word, Known(known as u8 - b'0'));
        }
        gazetteer
    }

    fn insert(&mut self, word: &str, known: Known) {
        let folded = Folded::of(word);
        let hash = hash(folded.as_str().as_bytes());
        let mut slot = hash as usize % SLOTS;
        while self.slots[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = tag(hash) | u32::from(known.0);
        if known.in_lower_case() {
            let bit = filter_bit(hash);
            self.lower[bit / 64] |= 1 << (bit % 64);
        }
    }

    fn insert_cue(&mut self, word: &str, cue: Cues) {
        let hash = hash(Folded::of(word).as_str().as_bytes());
        let mut slot = hash as usize % CUE_SLOTS;
        while self.cues[slot].0 != 0 && self.cues[slot].0 != tag(hash) {
            slot = (slot + 1) % CUE_SLOTS;
        }
        self.cues[slot] = (tag(hash), self.cues[slot].1.and(cue));
    }

    /// What the word at `start..end` of `text` says about its neighbours.
    pub(super) fn cues(&self, text: &str, start: usize, end: usize) -> Cues {
        let hash = hash_in(text, start, end);
        let mut slot = hash as usize % CUE_SLOTS;
        while self.cues[slot].0 != 0 {
            if self.cues[slot].0 == tag(hash) {
                return self.cues[slot].1;
            }
            slot = (slot + 1) % CUE_SLOTS;
        }
        Cues::NONE
    }

    /// What is known about the word at `start..end` of `text`, in any case.
    pub(super) fn get(&self, text: &str, start: usize, end: usize) -> Known {
        self.find(hash_in(text, start, end))
    }

    /// As [`Self::get`], for a word of ASCII letters.
    pub(super) fn get_ascii(&self, text: &str, start: usize, end: usize) -> Known {
        self.find(hash_ascii(text.as_bytes(), start, end))
    }

    /// As [`Self::get`], for a word in lower case: only names that are no ordinary words are known, and cues.
    pub(super) fn lower(&self, text: &str, start: usize, end: usize) -> Known {
        self.find_lower(hash_in(text, start, end))
    }

    /// As [`Self::lower`], for a word of ASCII letters.
    pub(super) fn lower_ascii(&self, text: &str, start: usize, end: usize) -> Known {
        self.find_lower(hash_ascii(text.as_bytes(), start, end))
    }

    fn find_lower(&self, hash: u64) -> Known {
        let bit = filter_bit(hash);
        if self.lower[bit / 64] & 1 << (bit % 64) == 0 {
            return Known::NOTHING;
        }
        let known = self.find(hash);
        if known.in_lower_case() { known } else { Known::NOTHING }
    }

    fn find(&self, hash: u64) -> Known {
        let mut slot = hash as usize % SLOTS;
        loop {
            match self.slots[slot] {
                0 => return Known::NOTHING,
                entry if entry & !63 == tag(hash) => return Known((entry & 63) as u8),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

/// The high bits; never zero, which is a free slot.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !63 | 64
}

fn filter_bit(hash: u64) -> usize {
    (hash >> 20) as usize % FILTER_BITS
}

/// Hashes a word as its folded form.
fn hash_in(text: &str, start: usize, end: usize) -> u64 {
    if text.as_bytes()[start..end].iter().all(u8::is_ascii_alphabetic) {
        hash_ascii(text.as_bytes(), start, end)
    } else {
        hash(Folded::of(&text[start..end]).as_str().as_bytes())
    }
}

/// Hashes a word of ASCII letters, eight at a time.
fn hash_ascii(bytes: &[u8], start: usize, end: usize) -> u64 {
    let mut state = (end - start) as u64;
    let mut at = start;
    while at < end {
        let len = (end - at).min(8);
        let chunk = match bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => chunk(&bytes[at..end]),
        };
        let mask = u64::MAX >> (64 - 8 * len);
        state = mix(state, (chunk | 0x2020_2020_2020_2020) & mask);
        at += len;
    }
    finish(state)
}

fn hash(folded: &[u8]) -> u64 {
    let state = folded.chunks(8).fold(folded.len() as u64, |state, part| mix(state, chunk(part)));
    finish(state)
}

fn chunk(part: &[u8]) -> u64 {
    part.iter().rev().fold(0, |chunk, byte| chunk << 8 | u64::from(*byte))
}

fn mix(state: u64, chunk: u64) -> u64 {
    let product = u128::from(state ^ chunk ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product >> 64) as u64 ^ product as u64
}

fn finish(state: u64) -> u64 {
    mix(state, 0)
}
