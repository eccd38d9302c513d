//! Whether a text can hold one of some words at all, at a few instructions a byte.
//!
//! Of each word four neighbouring characters are chosen that English hardly has. A text without any of these fours holds
//! none of the words, and the automaton that would find them need not run. Letters count without case, everything beyond
//! ASCII as one kind, so a gate may open for nothing and never stays shut for something.

/// Kinds of characters: 26 letters, what is beyond ASCII, digits, brackets, the rest.
const KIND_BITS: u32 = 5;
const KINDS: u8 = 1 << KIND_BITS;
const OTHER: u8 = 0;
const BEYOND: u8 = 27;
const DIGIT: u8 = 28;
const OPENING: u8 = 29;
const CLOSING: u8 = 30;

/// Three kinds in a row.
const TRIGRAMS: usize = 1 << (3 * KIND_BITS);

/// Bytes between two looks at whether the gate is open.
const STRIDE: usize = 64;

/// The letters from the most frequent one on: a rare one tells more.
const BY_FREQUENCY: &[u8; 26] = b"etaoinshrdlcumwfgypbvkjxqz";

/// How a word must stand for whoever looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Anywhere, also within a longer word.
    Anywhere,
    /// With no letter or digit before it.
    BeginsWord,
}

/// The chosen fours, each as the three characters that it begins with and the three that it ends with.
#[derive(Debug)]
pub(super) struct Gate {
    heads: Box<[u64]>,
    tails: Box<[u64]>,
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [OTHER; 256];
    let mut b = 0;
    while b < kinds.len() {
        kinds[b] = match b as u8 {
            letter @ b'a'..=b'z' => letter - b'a' + 1,
            letter @ b'A'..=b'Z' => letter - b'A' + 1,
            b'0'..=b'9' => DIGIT,
            b'(' | b'[' => OPENING,
            b')' | b']' => CLOSING,
            0x80.. => BEYOND,
            _ => OTHER,
        };
        b += 1;
    }
    kinds
}

static KIND_OF: [u8; 256] = kinds();

// === impl Gate ===

impl Gate {
    /// A gate for these words, each of at least three bytes.
    pub(super) fn of<'a>(words: impl IntoIterator<Item = (&'a str, Standing)>) -> Self {
        let shut = || vec![0; TRIGRAMS / 64].into_boxed_slice();
        let mut gate = Self { heads: shut(), tails: shut() };
        for (word, standing) in words {
            let kinds: Vec<u8> = word.bytes().map(|b| KIND_OF[usize::from(b)]).collect();
            match standing {
                // Any character behind a word of three.
                Standing::Anywhere if kinds.len() < 4 => {
                    (0..KINDS).for_each(|last| gate.open_for([kinds[0], kinds[1], kinds[2], last]));
                }
                Standing::Anywhere => gate.open_for(rarest(&kinds)),
                Standing::BeginsWord => {
                    // What is beyond ASCII may be a letter or none.
                    for before in [OTHER, BEYOND, OPENING, CLOSING] {
                        gate.open_for(rarest(&[&[before], &kinds[..]].concat()));
                    }
                }
            }
        }
        gate
    }

    fn open_for(&mut self, [a, b, c, d]: [u8; 4]) {
        let trigram = |kinds: [u8; 3]| kinds.into_iter().fold(0, step);
        set(&mut self.heads, trigram([a, b, c]));
        set(&mut self.tails, trigram([b, c, d]));
    }

    /// Whether one of the words may be in `text`.
    pub(super) fn is_open(&self, text: &str) -> bool {
        let (mut before, mut open) = (0, 0);
        for stride in text.as_bytes().chunks(STRIDE) {
            for byte in stride {
                let trigram = step(before, KIND_OF[usize::from(*byte)]);
                open |= get(&self.heads, before) & get(&self.tails, trigram);
                before = trigram;
            }
            if open & 1 == 1 {
                return true;
            }
        }
        get(&self.heads, before) & get(&self.tails, step(before, OTHER)) & 1 == 1
    }
}

/// The trigram behind `trigram` when a character of `kind` follows.
fn step(trigram: usize, kind: u8) -> usize {
    (trigram << KIND_BITS | usize::from(kind)) % TRIGRAMS
}

fn set(bits: &mut [u64], trigram: usize) {
    bits[trigram / 64] |= 1 << (trigram % 64);
}

/// The bit of a trigram, below others.
fn get(bits: &[u64], trigram: usize) -> u64 {
    bits[trigram / 64] >> (trigram % 64)
}

/// The four neighbours that are seen least; at least four kinds must be given.
fn rarest(kinds: &[u8]) -> [u8; 4] {
    let rarity = |kind: &u8| match *kind {
        OTHER => 0,
        letter @ 1..=26 => BY_FREQUENCY.iter().position(|l| *l == b'a' + letter - 1).unwrap_or_default() + 4,
        _ => 2 * BY_FREQUENCY.len(),
    };
    let best = kinds.windows(4).max_by_key(|four| four.iter().map(rarity).sum::<usize>());
    best.and_then(|four| four.try_into().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gate() -> Gate {
        Gate::of([("pwd", Standing::Anywhere), ("пароль", Standing::Anywhere), ("a/c", Standing::BeginsWord)])
    }

    #[test]
    fn it_stays_shut_for_ordinary_texts() {
        for text in ["", "p", "nothing to see here, not even 12 of them (or more)", "pw d", "sea/cliff"] {
            assert!(!gate().is_open(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_opens_for_its_words_wherever_they_stand(head in ".{0,70}", tail in ".{0,70}", upper: bool) {
            let opens = |word: &str| {
                let word = if upper { word.to_ascii_uppercase() } else { word.to_owned() };
                gate().is_open(&(head.clone() + &word + &tail))
            };
            prop_assert!(opens("pwd") && opens("пароль"));
            let begins = !head.ends_with(|c: char| c.is_ascii_alphanumeric());
            prop_assert!(!begins || opens("a/c"));
        }
    }
}
