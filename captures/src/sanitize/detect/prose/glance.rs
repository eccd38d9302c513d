//! Whether a text is worth reading into tokens, 64 bytes at a time.
//!
//! Letters, capitals and digits of a block become bits of a word, so that whole words are stepped over without looking
//! at their bytes. Only capitalised words and the words of the gazetteer's filter cost more.

use super::gazetteer::{Gazetteer, WordHash};

const BLOCK: usize = 64;

/// One bit for each byte of a block.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    letters: u64,
    capitals: u64,
    digits: u64,
    beyond: u64,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    capitals: bool,
    digits: bool,
    names: bool,
}

/// Whether `text` can hold anything that this module's neighbours find.
pub(super) fn is_worth_reading(text: &str, gazetteer: &Gazetteer) -> bool {
    let bytes = text.as_bytes();
    let mut seen = Seen::default();
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
        seen.digits |= masks.digits != 0;
        let mut starts = masks.letters & !(masks.letters << 1 | within_word);
        within_word = masks.letters >> (BLOCK - 1);
        while starts != 0 {
            let bit = starts.trailing_zeros() as usize;
            starts &= starts - 1;
            let start = i * BLOCK + bit;
            let mut len = (masks.letters >> bit).trailing_ones() as usize;
            if bit + len == BLOCK {
                len += bytes[start + len..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
            }
            if masks.capitals >> bit & 1 == 0 {
                seen.names |= if len < 4 {
                    is_short_cue(&bytes[start..start + len])
                } else {
                    gazetteer.lower(WordHash::of_ascii(text, start, start + len)).any()
                };
            } else if len > 1 {
                seen.capitals = true;
                let known = gazetteer.get(WordHash::of_ascii(text, start, start + len));
                seen.names |= known.name() || known.is_strange();
            }
            if seen.names {
                return true;
            }
        }
    }
    seen.digits && seen.capitals
}

/// Words of at most three letters that announce something even in lower case.
pub(super) fn is_short_cue(word: &[u8]) -> bool {
    matches!(
        word,
        b"mr"
            | b"mrs"
            | b"ms"
            | b"dr"
            | b"dob"
            | b"geb"
            | b"zip"
            | b"plz"
            | b"rue"
            | b"via"
            | b"apt"
            | b"psc"
            | b"apo"
    )
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
