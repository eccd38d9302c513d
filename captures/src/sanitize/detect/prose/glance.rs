//! Whether a text is worth reading into tokens, 64 bytes at a time.
//!
//! Letters, capitals and digits of a block become bits of a word, so that whole words are stepped over without looking
//! at their bytes. Only capitalised words and the words of the gazetteer's filter cost more.

use super::gazetteer::{Gazetteer, Lowered, WordHash};

const BLOCK: usize = 64;

/// One bit for each byte of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    letters: u64,
    capitals: u64,
    digits: u64,
    beyond: u64,
}

/// Whether `text`, which `lowered` holds as well, can hold anything that this module's neighbours find.
pub(super) fn is_worth_reading(text: &str, lowered: &Lowered, gazetteer: &Gazetteer) -> bool {
    let bytes = text.as_bytes();
    let (mut capitals, mut digits) = (false, false);
    let mut within_word = 0;
    for (i, block) in bytes.chunks(BLOCK).enumerate() {
        let masks = match <&[u8; BLOCK]>::try_from(block) {
            Ok(block) => Masks::of(block),
            Err(_) => {
                let mut padded = [0; BLOCK];
                padded[..block.len()].copy_from_slice(block);
                Masks::of(&padded)
            }
        };
        if masks.beyond != 0 {
            return true;
        }
        digits |= masks.digits != 0;
        let starts = masks.letters & !(masks.letters << 1 | within_word);
        within_word = masks.letters >> (BLOCK - 1);
        let words = |starts: u64| {
            Bits(starts).map(|bit| {
                let (start, len) = (i * BLOCK + bit, (masks.letters >> bit).trailing_ones() as usize);
                let behind = if bit + len == BLOCK { letters_at(bytes, start + len) } else { 0 };
                (start, start + len + behind)
            })
        };
        // Words in lower case are many, and hardly one tells anything: no branch for each.
        let lower = starts & !masks.capitals;
        let may_tell = words(lower).fold(false, |may, (start, end)| {
            may | gazetteer.may_tell(WordHash::of_letters(lowered, start, end))
        });
        if may_tell && words(lower).any(|(start, end)| tells(&bytes[start..end], lowered, start, gazetteer)) {
            return true;
        }
        for (start, end) in words(starts & masks.capitals).filter(|(start, end)| end - start > 1) {
            capitals = true;
            let known = gazetteer.get(WordHash::of_letters(lowered, start, end));
            if known.name() || known.is_strange() {
                return true;
            }
        }
    }
    digits && capitals
}

/// Whether a word in lower case is a name or a cue.
fn tells(word: &[u8], lowered: &Lowered, start: usize, gazetteer: &Gazetteer) -> bool {
    match word.len() {
        ..4 => is_short_cue(word),
        len => gazetteer.lower(WordHash::of_letters(lowered, start, start + len)).any(),
    }
}

/// How many ASCII letters stand from `at` on.
fn letters_at(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count()
}

/// Words of at most three letters that announce something even in lower case.
pub(super) const SHORT_CUES: [&str; 13] =
    ["mr", "mrs", "ms", "dr", "dob", "geb", "zip", "plz", "rue", "via", "apt", "psc", "apo"];

/// Whether `word` is one of [`SHORT_CUES`].
pub(super) fn is_short_cue(word: &[u8]) -> bool {
    SHORT_CUES.iter().any(|cue| cue.as_bytes() == word)
}

/// The places of the bits of a word, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        (bit < BLOCK).then_some(bit)
    }
}

// === impl Masks ===

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

impl Masks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self::default();
        for (i, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            let x = u64::from_le_bytes(*eight);
            let beyond = x & HIGHS;
            let low = x & !HIGHS;
            let folded = low | (0x20 * ONES);
            let letters = at_least(folded, b'a') & !at_least(folded, b'z' + 1) & !x & HIGHS;
            let digits = at_least(low, b'0') & !at_least(low, b'9' + 1) & !x & HIGHS;
            let capitals = letters & !(x << 2);
            masks.letters |= gather(letters) << (i * 8);
            masks.capitals |= gather(capitals) << (i * 8);
            masks.digits |= gather(digits) << (i * 8);
            masks.beyond |= gather(beyond) << (i * 8);
        }
        masks
    }
}

/// Sets the high bit of each byte of `low` (all below 128) that is at least `byte`.
fn at_least(low: u64, byte: u8) -> u64 {
    low + u64::from(0x80 - byte) * ONES
}

/// The high bits of eight bytes as the bits of one.
fn gather(highs: u64) -> u64 {
    ((highs >> 7) & ONES).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn masks_tell_what_each_byte_is(block in prop::collection::vec(any::<u8>(), BLOCK)) {
            let masks = Masks::of(block.as_slice().try_into().unwrap());
            for (i, byte) in block.iter().enumerate() {
                let bit = |mask: u64| mask >> i & 1 == 1;
                prop_assert_eq!(bit(masks.letters), byte.is_ascii_alphabetic());
                prop_assert_eq!(bit(masks.capitals), byte.is_ascii_uppercase());
                prop_assert_eq!(bit(masks.digits), byte.is_ascii_digit());
                prop_assert_eq!(bit(masks.beyond), !byte.is_ascii());
            }
        }
    }
}
