//! Huffman's code of header texts (RFC 7541, 5.2), decoded by the length of its codes.

use crate::tap::h2::tables::CODE_BITS;

const LONGEST: usize = 30;
/// The code of this means the end, which no text may contain.
const END: u16 = 256;

/// Where the codes of one length lie among all 30-bit numbers, and which bytes they mean.
#[derive(Clone, Copy)]
struct Length {
    /// The first code of this length, at the high end of 32 bits; those of all greater lengths are greater.
    first: u32,
    /// The first number above the codes of this length, in 33 bits.
    end: u64,
    /// Place in [`SYMBOLS`] of the first code's byte.
    symbol: u16,
}

/// Bytes in the order of their codes.
const SYMBOLS: [u16; 257] = symbols();
const LENGTHS: [Length; LONGEST + 1] = lengths();

const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut bits, mut at) = (1, 0);
    while bits <= LONGEST {
        let mut symbol = 0;
        while symbol < CODE_BITS.len() {
            if CODE_BITS[symbol] as usize == bits {
                symbols[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

const fn lengths() -> [Length; LONGEST + 1] {
    let mut lengths = [Length { first: 0, end: 0, symbol: 0 }; LONGEST + 1];
    let (mut bits, mut next, mut at) = (1, 0u64, 0);
    while bits <= LONGEST {
        let step = 1u64 << (32 - bits);
        lengths[bits].first = next as u32;
        lengths[bits].symbol = at;
        let mut symbol = 0;
        while symbol < CODE_BITS.len() {
            if CODE_BITS[symbol] as usize == bits {
                next += step;
                at += 1;
            }
            symbol += 1;
        }
        lengths[bits].end = next;
        bits += 1;
    }
    lengths
}

/// Appends the text that `coded` means; `None` when it is none.
pub(crate) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // The bits not yet decoded, at the high end.
    let (mut bits, mut have) = (0u64, 0usize);
    let mut rest = coded.iter();
    loop {
        while have <= 56
            && let Some(byte) = rest.next()
        {
            bits |= u64::from(*byte) << (56 - have);
            have += 8;
        }
        let window = (bits >> 32) as u32;
        let length = (5..=LONGEST).find(|length| u64::from(window) < LENGTHS[*length].end);
        // What is left when no code is complete must be the begin of the end's code: less than a byte of ones.
        let Some(length) = length.filter(|length| *length <= have) else {
            let is_padding = have < 8 && bits == !(u64::MAX >> have.min(63));
            return (have == 0 || is_padding).then_some(());
        };
        let Length { first, symbol, .. } = LENGTHS[length];
        let offset = (window - first) >> (32 - length);
        let symbol = SYMBOLS[symbol as usize + offset as usize];
        if symbol == END {
            return None;
        }
        out.push(symbol as u8);
        bits <<= length;
        have -= length;
    }
}
