//! Check digits. Every function takes ASCII digits and upper-case letters without separators, of the length that its
//! users' forms ask for.

/// The value of a digit, or of a letter counted on from ten (`A` is 10), as ISO 7064 and the card schemes do it.
pub(in crate::sanitize) fn value(c: u8) -> u32 {
    match c {
        b'0'..=b'9' => u32::from(c - b'0'),
        _ => u32::from(c.to_ascii_uppercase().wrapping_sub(b'A')) + 10,
    }
}

/// The sum of the values times `weights`; what has no weight counts nothing.
pub(super) fn weighted(chars: &[u8], weights: &[u32]) -> u32 {
    chars.iter().zip(weights).map(|(c, weight)| value(*c) * weight).sum()
}

/// The number modulo `modulus`.
pub(super) fn modulo(digits: &[u8], modulus: u64) -> u64 {
    digits.iter().fold(0, |rest, d| (rest * 10 + u64::from(value(*d))) % modulus)
}

/// The sum of the Luhn algorithm (ISO/IEC 7812-1); a multiple of ten for a valid number.
pub(in crate::sanitize) fn luhn_sum(digits: &[u8]) -> u32 {
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let doubled = u32::from(d - b'0') << (i & 1);
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum()
}

/// Luhn's check.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

/// Verhoeff's check over the dihedral group of order ten.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let product = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (i, d)| product(check, PERMUTED[i % 8][usize::from(d - b'0')]))
        == 0
}

/// ISO 7064, mod 11,10.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, d| {
        let sum = (product + value(*d)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (product + value(*check)) % 10 == 1
}

/// ISO 7064, mod 11-2; the check character may be an `X`.
pub(super) fn mod_11_2(chars: &[u8]) -> bool {
    let ten = |c: u8| if c == b'X' { 10 } else { value(c) };
    chars.iter().fold(0, |rest, c| (rest * 2 + ten(*c)) % 11) == 1
}

/// Whether the weighted sum of all but the last digit, modulo 11, leads to the last: 11 minus the remainder, where ten
/// stands for itself and matches nothing, or `X` or `K`.
pub(super) fn mod_11(chars: &[u8], weights: &[u32]) -> bool {
    let Some((check, body)) = chars.split_last() else { return false };
    match (11 - weighted(body, weights) % 11) % 11 {
        10 => matches!(check, b'X' | b'K'),
        digit => *check == b'0' + digit as u8,
    }
}

/// As [`mod_11`], where ten is written as zero.
pub(super) fn mod_11_or_zero(digits: &[u8], weights: &[u32]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let digit = (11 - weighted(body, weights) % 11) % 11;
    value(*check) == if digit == 10 { 0 } else { digit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_neighbours_fail() {
        assert!(luhn(b"79927398713") && !luhn(b"79927398714"));
        assert!(verhoeff(b"2363") && !verhoeff(b"2364"));
        assert!(mod_11_10(b"86095742719") && !mod_11_10(b"86095742718"));
        assert!(mod_11_2(b"11010519491231002X") && !mod_11_2(b"110105194912310021"));
        assert_eq!(modulo(b"1000", 97), 30);
    }

    #[test]
    fn verhoeff_finds_every_single_error_and_transposition() {
        let valid = b"234123412346".to_vec();
        assert!(verhoeff(&valid));
        for at in 0..valid.len() {
            for digit in b'0'..=b'9' {
                let mut other = valid.clone();
                other[at] = digit;
                assert_eq!(verhoeff(&other), digit == valid[at]);
            }
        }
        for at in 0..valid.len() - 1 {
            let mut other = valid.clone();
            other.swap(at, at + 1);
            assert!(other == valid || !verhoeff(&other));
        }
    }
}
