//! Sets of words: the ordinary words of English, compiled in, and those of a file.
//!
//! A lookup is one hash over the bytes in lower case and, almost always, one comparison; nothing is allocated. The
//! English list (`words/README.md`) holds dictionary words with their inflections, contractions, what daily messages
//! write (`omg`, `dont`), and the words and emoticons of a sentiment lexicon. It holds no word that is only a name.

use std::sync::LazyLock;

/// Front-coded: each line is the length of what it shares with the line before (one digit, base 36) and the rest.
const ENGLISH: &str = include_str!("words/english.txt");

/// No word of a language is longer in lower case, in bytes; what is longer is in no set.
pub(super) const LONGEST: usize = 64;

/// A set of words, whatever their case.
#[derive(Clone, Debug, Default)]
pub(super) struct WordSet {
    /// All words in lower case, end to end, in the order in which they came.
    arena: Vec<u8>,
    /// Open addressing; the length is a power of two, at most half full.
    slots: Vec<Slot>,
    count: usize,
}

/// A word's place in the arena; a `len` of zero is a free slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    tag: u32,
    start: u32,
    len: u8,
}

/// A word in lower case.
struct Folded {
    bytes: [u8; LONGEST],
    len: usize,
}

/// The word is longer than [`LONGEST`] bytes, or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAWord;

/// The ordinary words of English.
pub(super) fn english() -> &'static WordSet {
    static WORDS: LazyLock<WordSet> = LazyLock::new(|| {
        let mut words = WordSet::default();
        for_each_english(|word| words.insert(word).expect("the list is covered by a test"));
        words
    });
    &WORDS
}

/// Calls `each` with every ordinary word of English.
pub(super) fn for_each_english(each: impl FnMut(&str)) {
    for_each_front_coded(ENGLISH, each);
}

// === impl WordSet ===

impl WordSet {
    /// Whether `word` is in the set, in any case.
    pub(super) fn contains(&self, word: &str) -> bool {
        match Folded::of(word) {
            Some(folded) => self.find(&folded).is_ok(),
            None => false,
        }
    }

    /// Adds a word; nothing happens when it is there already.
    pub(super) fn insert(&mut self, word: &str) -> Result<(), NotAWord> {
        let folded = Folded::of(word).ok_or(NotAWord)?;
        if self.slots.len() < (self.count + 1) * 2 {
            self.grow();
        }
        if let Err(free) = self.find(&folded) {
            let start = u32::try_from(self.arena.len()).map_err(|_| NotAWord)?;
            self.slots[free] = Slot { tag: folded.hash() as u32, start, len: folded.len as u8 };
            self.arena.extend_from_slice(folded.bytes());
            self.count += 1;
        }
        Ok(())
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Every word, in lower case, sorted.
    pub(super) fn sorted(&self) -> Vec<&[u8]> {
        let used = self.slots.iter().filter(|slot| slot.len > 0);
        let mut words: Vec<&[u8]> = used.map(|slot| self.word(slot)).collect();
        words.sort_unstable();
        words
    }

    fn word(&self, slot: &Slot) -> &[u8] {
        &self.arena[slot.start as usize..][..usize::from(slot.len)]
    }

    /// The slot of the word, or the free one where it belongs.
    fn find(&self, word: &Folded) -> Result<usize, usize> {
        let hash = word.hash();
        let Some(mask) = self.slots.len().checked_sub(1) else { return Err(0) };
        let mut at = (hash >> 32) as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.len == 0 {
                return Err(at);
            }
            if slot.tag == hash as u32 && self.word(slot) == word.bytes() {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(64);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); len]);
        for slot in old.into_iter().filter(|slot| slot.len > 0) {
            let hash = hash(self.word(&slot));
            let mut at = (hash >> 32) as usize & (len - 1);
            while self.slots[at].len > 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = slot;
        }
    }
}

// === impl Folded ===

impl Folded {
    /// `word` in lower case; `None` when it is empty or too long to be in a set.
    fn of(word: &str) -> Option<Folded> {
        if word.is_empty() || word.len() > LONGEST {
            return None;
        }
        let mut folded = Folded { bytes: [0; LONGEST], len: word.len() };
        if word.is_ascii() {
            let bytes = &mut folded.bytes[..word.len()];
            bytes.copy_from_slice(word.as_bytes());
            bytes.make_ascii_lowercase();
            return Some(folded);
        }
        folded.len = 0;
        for c in word.chars().flat_map(char::to_lowercase) {
            // A final sigma is a sigma like any other.
            let c = if c == 'ς' { 'σ' } else { c };
            let end = folded.len + c.len_utf8();
            c.encode_utf8(folded.bytes.get_mut(folded.len..end)?);
            folded.len = end;
        }
        Some(folded)
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn hash(&self) -> u64 {
        hash(self.bytes())
    }
}

/// Eight bytes at a time, each folded into the state by a multiplication whose upper half is mixed into the lower one.
/// The sets are fixed when traffic is read, so nobody can choose words that collide.
fn hash(word: &[u8]) -> u64 {
    let mix = |state: u64, chunk: u64| {
        let product = u128::from(state ^ chunk) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = 0x243f_6a88_85a3_08d3 ^ word.len() as u64;
    let (chunks, rest) = word.as_chunks::<8>();
    for chunk in chunks {
        state = mix(state, u64::from_le_bytes(*chunk));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state, u64::from_le_bytes(last))
}

/// Calls `each` with every word of a front-coded list.
fn for_each_front_coded(list: &str, mut each: impl FnMut(&str)) {
    let mut word = String::new();
    for line in list.lines() {
        let shared = line.chars().next().and_then(|digit| digit.to_digit(36));
        word.truncate(shared.unwrap_or(0) as usize);
        word.push_str(line.get(1..).unwrap_or_default());
        each(&word);
    }
}

#[cfg(test)]
mod tests;
