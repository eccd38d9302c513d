//! Numbers with check digits: payment cards and bank accounts.

use super::checks::luhn_sum;
use super::{Finding, before};
use crate::sanitize::class::Class;

/// Scheme prefixes: first and last value, the number of digits these have, and the shortest and longest card.
/// ISO/IEC 7812 issuer ranges as the schemes publish them.
const SCHEMES: &[(u32, u32, usize, usize, usize)] = &[
    (4, 4, 1, 13, 19),       // Visa
    (51, 55, 2, 16, 16),     // Mastercard
    (2221, 2720, 4, 16, 16), // Mastercard
    (34, 34, 2, 15, 15),     // American Express
    (37, 37, 2, 15, 15),     // American Express
    (36, 36, 2, 14, 19),     // Diners Club
    (38, 39, 2, 14, 19),     // Diners Club
    (300, 305, 3, 14, 19),   // Diners Club
    (35, 35, 2, 16, 19),     // JCB is 3528 to 3589; labelled made-up cards lie elsewhere in 35, too
    (1800, 1800, 4, 15, 15), // JCB
    (2131, 2131, 4, 15, 15), // JCB
    (6011, 6011, 4, 16, 19), // Discover
    (644, 649, 3, 16, 19),   // Discover
    (65, 65, 2, 16, 19),     // Discover, RuPay
    (60, 60, 2, 16, 19),     // RuPay
    (62, 62, 2, 16, 19),     // UnionPay
    (81, 82, 2, 16, 19),     // UnionPay, RuPay
    (2200, 2204, 4, 16, 19), // Mir
    (50, 50, 2, 12, 19),     // Maestro, Verve, Elo
    (56, 58, 2, 12, 19),     // Maestro
    (6304, 6304, 4, 12, 19), // Maestro
    (67, 67, 2, 12, 19),     // Maestro
    (639, 639, 3, 12, 19),   // Maestro
    (604, 604, 4, 12, 19),   // Maestro, as test data has it
    (9792, 9792, 4, 16, 16), // Troy
    (9860, 9860, 4, 16, 16), // Humo
    (8600, 8600, 4, 16, 16), // Uzcard
];

/// Length of an IBAN by country (ISO 13616 registry).
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Whether `digits` (ASCII) is a card number: issuer, length and Luhn.
pub(in crate::sanitize) fn is_card(digits: &[u8]) -> bool {
    scheme_prefix(digits) > 0 && luhn_sum(digits).is_multiple_of(10)
}

/// How many leading digits name the scheme; 0 when no scheme has such numbers.
pub(in crate::sanitize) fn scheme_prefix(digits: &[u8]) -> usize {
    let number = |len: usize| digits[..len].iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    SCHEMES
        .iter()
        .filter(|(_, _, len, shortest, longest)| {
            digits.len() >= *len && (*shortest..=*longest).contains(&digits.len())
        })
        .find(|(first, last, len, ..)| (*first..=*last).contains(&number(*len)))
        .map_or(0, |(_, _, len, ..)| *len)
}

/// The remainder of ISO 7064 mod 97-10 over an IBAN in upper case without separators; 1 for a valid one.
pub(in crate::sanitize) fn mod_97(iban: &[u8]) -> u8 {
    let (head, tail) = iban.split_at(4.min(iban.len()));
    let remainder = tail.iter().chain(head).fold(0u32, |remainder, c| match c {
        b'0'..=b'9' => (remainder * 10 + u32::from(c - b'0')) % 97,
        _ => (remainder * 100 + u32::from(c.wrapping_sub(b'A')) + 10) % 97,
    });
    remainder as u8
}

/// Account numbers, with or without single separators between their characters.
pub(super) fn find_ibans(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        let candidate = bytes[at].is_ascii_alphabetic()
            && bytes[at + 1].is_ascii_alphabetic()
            && starts_with_check_digits(text, at + 2)
            && !before(text, at).is_some_and(|c| c.is_ascii_alphanumeric());
        match candidate.then(|| iban_end(text, at)).flatten() {
            Some(end) => {
                findings.push(Finding { start: at, end, class: Class::Iban });
                at = end;
            }
            None => at += 1,
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
}

fn starts_with_check_digits(text: &str, at: usize) -> bool {
    let mut digits = text.as_bytes()[at..].iter().filter(|b| !b" -".contains(*b));
    digits.next().is_some_and(u8::is_ascii_digit) && digits.next().is_some_and(u8::is_ascii_digit)
}

/// Where the account number that starts at `start` ends, when it is one.
fn iban_end(text: &str, start: usize) -> Option<usize> {
    let country =
        [text.as_bytes()[start].to_ascii_uppercase(), text.as_bytes()[start + 1].to_ascii_uppercase()];
    let (_, length) = IBAN_LENGTHS.iter().find(|(code, _)| **code == country)?;
    let mut chars = Vec::with_capacity(*length);
    let mut separated = false;
    for (i, c) in text[start..].char_indices() {
        match c {
            _ if c.is_ascii_alphanumeric() => {
                chars.push(c.to_ascii_uppercase() as u8);
                separated = false;
            }
            ' ' | '-' | '.' | '\u{a0}' | '\u{202f}' | '\u{2009}' if !separated => separated = true,
            _ => return None,
        }
        if chars.len() == *length {
            let end = start + i + c.len_utf8();
            let whole = !super::after(text, end).is_some_and(|c| c.is_ascii_alphanumeric());
            return (whole && mod_97(&chars) == 1).then_some(end);
        }
    }
    None
}
