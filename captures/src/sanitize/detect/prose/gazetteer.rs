//! Names of people and places by one hash (`data/README.md` says where they are from).
//!
//! The table keeps no text: a slot is the tag of a word and what is known about it. A word that is in no list takes the
//! tag of one that is about once in a million; that costs a word replaced without need, never one that stays.

use std::sync::LazyLock;

use super::cues::Cues;
use super::glance::SHORT_CUES;
use super::tokens::Folded;
use crate::sanitize::words;

/// Front-coded: each line is the length of what it shares with the line before (one digit, base 36), what is known (one
/// character from `0` on), and the rest.
const NAMES: &str = include_str!("data/names.txt");

/// Entries of a bucket: one line of the cache.
const ROOM: usize = 16;

/// So many that hardly any bucket is full, in about a megabyte.
const BUCKETS: usize = 20_000;
const CUE_SLOTS: usize = 1 << 12;
const LOWER_FILTER: usize = 1 << 13;
const CUE_FILTER: usize = 1 << 8;

/// What the lists know about a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known(u8);

/// The lists, compiled at first use, and the ordinary words of English beside them, so that a word is looked up once.
pub(super) struct Gazetteer {
    /// An entry is 25 bits of tag and seven of knowledge; zero is free. What finds no room goes to the next bucket.
    buckets: Vec<[u32; ROOM]>,
    /// The words to be known in lower case: small enough for a near cache.
    lower: Filter,
    cued: Filter,
    /// Open addressing: a whole tag, zero when free, and the cues.
    cues: Vec<(u32, Cues)>,
}

/// A set of hashes that has a few more than were put in: three bits of one word each (a blocked Bloom filter).
struct Filter(Vec<u64>);

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
    /// An ordinary word of English. Only what is written in ASCII letters has it.
    const ENGLISH: u8 = 64;
    const ALL: u8 = 127;

    /// Anything but that it is an ordinary word.
    pub(super) fn any(self) -> bool {
        self.0 & !Self::ENGLISH != 0
    }

    /// In no list.
    pub(super) fn is_strange(self) -> bool {
        self == Self::NOTHING
    }

    /// An ordinary word of English.
    fn english(self) -> bool {
        self.0 & Self::ENGLISH != 0
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
            buckets: vec![[0; ROOM]; BUCKETS],
            lower: Filter(vec![0; LOWER_FILTER]),
            cued: Filter(vec![0; CUE_FILTER]),
            cues: vec![(0, Cues::NONE); CUE_SLOTS],
        };
        Cues::for_each(|word, cue| gazetteer.insert_cue(word, cue));
        SHORT_CUES.iter().for_each(|cue| gazetteer.lower.insert(hash(cue.as_bytes(), 0)));
        for_each_name(|word, known| gazetteer.insert(word, known));
        words::for_each_english(|word| {
            if word.bytes().all(|b| b.is_ascii_alphabetic()) {
                gazetteer.add(hash(word.as_bytes(), 0), Known(Known::ENGLISH));
            }
        });
        gazetteer
    }

    fn insert(&mut self, word: &str, known: Known) {
        let hash = hash(Folded::of(word).as_str().as_bytes(), 0);
        self.add(hash, known);
        if known.in_lower_case() {
            self.lower.insert(hash);
        }
    }

    /// What is said first of a name holds; that it is a word is said besides.
    fn add(&mut self, hash: u64, known: Known) {
        let mut bucket = bucket(hash);
        loop {
            for entry in &mut self.buckets[bucket] {
                if *entry == 0 {
                    *entry = tag(hash) | u32::from(known.0);
                    return;
                }
                if *entry & !u32::from(Known::ALL) == tag(hash) {
                    *entry |= u32::from(known.0 & Known::ENGLISH);
                    return;
                }
            }
            bucket = (bucket + 1) % BUCKETS;
        }
    }

    fn insert_cue(&mut self, word: &str, cue: Cues) {
        let hash = hash(Folded::of(word).as_str().as_bytes(), 0);
        self.cued.insert(hash);
        let mut slot = hash as usize % CUE_SLOTS;
        while self.cues[slot].0 != 0 && self.cues[slot].0 != cue_tag(hash) {
            slot = (slot + 1) % CUE_SLOTS;
        }
        self.cues[slot] = (cue_tag(hash), self.cues[slot].1.and(cue));
    }

    /// What a word says about its neighbours.
    pub(super) fn cues(&self, word: WordHash) -> Cues {
        let hash = word.0;
        if !self.cued.contains(hash) {
            return Cues::NONE;
        }
        let mut slot = hash as usize % CUE_SLOTS;
        while self.cues[slot].0 != 0 {
            if self.cues[slot].0 == cue_tag(hash) {
                return self.cues[slot].1;
            }
            slot = (slot + 1) % CUE_SLOTS;
        }
        Cues::NONE
    }

    /// What is known about a word in any case.
    pub(super) fn get(&self, word: WordHash) -> Known {
        self.find(word.0)
    }

    /// As [`Self::get`], for a word in lower case: only names that are no ordinary words are known, and cues.
    pub(super) fn lower(&self, word: WordHash) -> Known {
        if !self.lower.contains(word.0) {
            return Known::NOTHING;
        }
        let known = self.find(word.0);
        if known.in_lower_case() { known } else { Known::NOTHING }
    }

    /// Whether a word in lower case may be known, or be a short cue.
    pub(super) fn may_tell(&self, word: WordHash) -> bool {
        self.lower.contains(word.0)
    }

    /// Whether `word`, of which `known` was found, is an ordinary word of English.
    pub(super) fn is_ordinary_as(&self, word: &str, known: Known) -> bool {
        match word.bytes().all(|b| b.is_ascii_alphabetic()) {
            true => known.english(),
            false => words::english().contains(word),
        }
    }

    /// Whether `word` is an ordinary word of English, in any case.
    pub(super) fn is_ordinary(&self, word: &str) -> bool {
        match word.bytes().all(|b| b.is_ascii_alphabetic()) {
            true => self.find(hash(word.as_bytes(), LOWER)).english(),
            false => words::english().contains(word),
        }
    }

    fn find(&self, hash: u64) -> Known {
        let (mut bucket, tag) = (bucket(hash), tag(hash));
        loop {
            // All at once, without a branch for each.
            let known = self.buckets[bucket].iter().fold(0, |known, entry| {
                let same = entry & !u32::from(Known::ALL) == tag;
                known | if same { *entry } else { 0 }
            });
            if known != 0 || self.buckets[bucket][ROOM - 1] == 0 {
                return Known(known as u8 & Known::ALL);
            }
            bucket = (bucket + 1) % BUCKETS;
        }
    }
}

/// Calls `each` with every name of the list.
fn for_each_name(mut each: impl FnMut(&str, Known)) {
    let mut word = String::new();
    for line in NAMES.lines() {
        let mut chars = line.chars();
        let (Some(shared), Some(known)) = (chars.next().and_then(|c| c.to_digit(36)), chars.next()) else {
            continue;
        };
        let cut = word.char_indices().nth(shared as usize).map_or(word.len(), |(i, _)| i);
        word.truncate(cut);
        word.push_str(chars.as_str());
        each(&word, Known(known as u8 - b'0'));
    }
}

fn bucket(hash: u64) -> usize {
    (((hash >> 32) * BUCKETS as u64) >> 32) as usize
}

/// The low bits, which do not choose the bucket.
fn tag(hash: u64) -> u32 {
    hash as u32 & !u32::from(Known::ALL)
}

/// The high bits; never zero, which is a free slot.
fn cue_tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

// === impl Filter ===

impl Filter {
    fn insert(&mut self, hash: u64) {
        let at = self.at(hash);
        self.0[at] |= Self::bits(hash);
    }

    fn contains(&self, hash: u64) -> bool {
        self.0[self.at(hash)] & Self::bits(hash) == Self::bits(hash)
    }

    fn at(&self, hash: u64) -> usize {
        (hash >> 40) as usize % self.0.len()
    }

    fn bits(hash: u64) -> u64 {
        1 << (hash >> 22 & 63) | 1 << (hash >> 28 & 63) | 1 << (hash >> 34 & 63)
    }
}

// === impl WordHash ===

/// A word, as all lists look for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordHash(u64);

impl WordHash {
    /// Of a word as it stands.
    pub(super) fn of(word: &str) -> Self {
        match word.bytes().all(|b| b.is_ascii_alphabetic()) {
            true => Self(hash(word.as_bytes(), LOWER)),
            false => Self(hash(Folded::of(word).as_str().as_bytes(), 0)),
        }
    }

    /// Of the ASCII letters at `start..end` of a [`Lowered`] text: without a branch but for long words.
    pub(super) fn of_letters(text: &Lowered, start: usize, end: usize) -> Self {
        let (len, at) = (end - start, &text.0[start..]);
        let eight = |n: usize| at[8 * n..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
        let part = |n: usize| eight(n) & MASKS[len.saturating_sub(8 * n).min(8)];
        let mut state = mix(part(0) ^ len as u64, part(1));
        if len > PADDING {
            state = (2..len.div_ceil(8)).fold(state, |state, n| mix(state, part(n)));
        }
        Self(finish(state))
    }
}

/// Bytes that are read at once.
const PADDING: usize = 16;

/// A text with its ASCII letters in lower case, and some room behind it, so that a word can be read at once.
#[derive(Debug, Default)]
pub(super) struct Lowered(Vec<u8>);

impl Lowered {
    pub(super) fn read(&mut self, text: &str) {
        self.0.clear();
        self.0.extend_from_slice(text.as_bytes());
        self.0.make_ascii_lowercase();
        self.0.extend_from_slice(&[0; PADDING]);
    }

    /// Gives back room beyond `len`.
    pub(super) fn shrink_to(&mut self, len: usize) {
        self.0.clear();
        self.0.shrink_to(len);
    }
}

/// Makes ASCII letters lower-case, eight at a time.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Of eight bytes, so many from the first on.
const MASKS: [u64; 9] = {
    let mut masks = [0; 9];
    let mut n = 1;
    while n < masks.len() {
        masks[n] = u64::MAX >> (64 - 8 * n);
        n += 1;
    }
    masks
};

/// Hashes a folded word, or one of ASCII letters that `case` makes lower.
fn hash(word: &[u8], case: u64) -> u64 {
    let part = |n: usize| {
        let part = word.get(8 * n..).unwrap_or_default();
        let part = &part[..part.len().min(8)];
        let eight = part.iter().rev().fold(0, |eight, byte| eight << 8 | u64::from(*byte));
        (eight | case) & MASKS[part.len()]
    };
    let state = mix(part(0) ^ word.len() as u64, part(1));
    finish((2..word.len().div_ceil(8)).fold(state, |state, n| mix(state, part(n))))
}

fn mix(state: u64, part: u64) -> u64 {
    let product = u128::from(state ^ 0x9e37_79b9_7f4a_7c15) * u128::from(part ^ 0xd6e8_feb8_6659_fd93);
    (product >> 64) as u64 ^ product as u64
}

fn finish(state: u64) -> u64 {
    mix(state, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn known(word: &str) -> Known {
        gazetteer().get(WordHash::of(word))
    }

    #[test]
    fn every_name_is_known_as_what_the_list_says() {
        let mut first = HashMap::new();
        for_each_name(|word, known| {
            first.entry(Folded::of(word).as_str().to_owned()).or_insert(known.0);
        });
        let wrong = first.iter().filter(|(word, says)| known(word).0 & !Known::ENGLISH != **says).count();
        assert_eq!((wrong, first.len() > 180_000), (0, true));
    }

    #[test]
    fn a_word_is_read_alike_from_everywhere() {
        let mut lowered = Lowered::default();
        for word in
            ["a", "Ada", "lovelace", "Lovelaces", "Aaaaaaaabbbbbbbb", "Aaaaaaaabbbbbbbbc", &"Xy".repeat(30)]
        {
            for (head, tail) in [("", ""), ("é 1", ""), ("", "!x"), ("ab ", " and more, 12")] {
                lowered.read(&format!("{head}{word}{tail}"));
                let read = WordHash::of_letters(&lowered, head.len(), head.len() + word.len());
                assert_eq!(read.0, WordHash::of(word).0, "{word}");
                assert_eq!(read.0, hash(word.to_lowercase().as_bytes(), 0), "{word}");
            }
        }
    }

    #[test]
    fn a_word_is_ordinary_when_the_list_of_english_has_it() {
        let mut wrong = 0;
        words::for_each_english(|word| wrong += u32::from(!gazetteer().is_ordinary(word)));
        for_each_name(|word, _| {
            let (listed, known) = (words::english().contains(word), known(word));
            wrong += u32::from(gazetteer().is_ordinary(word) != listed);
            wrong += u32::from(gazetteer().is_ordinary_as(word, known) != listed);
        });
        assert_eq!(wrong, 0);
    }

    #[test]
    fn only_names_that_are_nothing_else_are_known_in_lower_case() {
        let mut wrong = 0;
        for_each_name(|word, _| {
            let hash = WordHash::of(word);
            let (lower, any) = (gazetteer().lower(hash), gazetteer().get(hash));
            wrong += u32::from(lower != if any.in_lower_case() { any } else { Known::NOTHING });
        });
        assert_eq!(wrong, 0);
    }
}
