//! Replacements whose digits obey a rule: check digits, ranges, country codes.

use super::{Stream, shaped};
use crate::sanitize::class::Class;
use crate::sanitize::detect::{accounts, checks, identity, phones};
use crate::sanitize::letters;

/// A card number of the same scheme and length with a right Luhn digit.
pub(super) fn card(text: &str, key: &[u8; 32]) -> String {
    let original = digits_of(text);
    let mut stream = Stream::new(key, &original);
    let scheme = accounts::scheme_prefix(&original);
    let drawn = retry(&original, |digits| {
        let Some((check, body)) = digits.split_last_mut() else { return };
        body.iter_mut().skip(scheme).for_each(|d| *d = stream.digit());
        *check = b'0';
        let missing = (10 - checks::luhn_sum(digits) % 10) % 10;
        if let Some(check) = digits.last_mut() {
            *check = b'0' + missing as u8;
        }
    });
    written(text, drawn, &mut stream)
}

/// An account of the same country and form with right check digits.
pub(super) fn iban(text: &str, key: &[u8; 32]) -> String {
    let original: Vec<u8> =
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase()).collect();
    let mut stream = Stream::new(key, &original);
    let has_check_digits = original.get(2..4).is_some_and(|check| check.iter().all(u8::is_ascii_digit));
    if !has_check_digits {
        return shaped(text, &mut stream, letters::replace);
    }
    let drawn = retry(&original, |chars| {
        for c in chars.iter_mut().skip(4) {
            *c = letters::replace(char::from(*c), stream.next()) as u8;
        }
        chars[2..4].copy_from_slice(b"00");
        let check = 98 - accounts::mod_97(chars);
        chars[2] = b'0' + check / 10;
        chars[3] = b'0' + check % 10;
    });
    written(text, drawn, &mut stream)
}

/// A telephone number of the same form: country code and trunk digit stay, the subscriber's digits do not.
pub(super) fn phone(text: &str, key: &[u8; 32]) -> String {
    // An extension does not change whose number it is, so it is replaced on its own.
    let (text, extension) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    if !extension.is_empty() {
        let digit = |c: char, random| if c.is_ascii_digit() { letters::replace(c, random) } else { c };
        let extension = shaped(extension, &mut Stream::new(key, extension.as_bytes()), digit);
        return phone(text, key) + &extension;
    }
    let original = digits_of(text);
    let kept = phones::dialling_prefix_len(text, &original);
    let mut stream = Stream::new(key, &original[kept..]);
    let drawn = retry(&original, |digits| {
        for (i, d) in digits.iter_mut().enumerate().skip(kept) {
            // No zero turns up in front, where it would be a trunk digit.
            *d = if i == kept && *d != b'0' { stream.between(b'2', b'9') } else { stream.digit() };
        }
    });
    written(text, drawn, &mut stream)
}

/// A number that could have been issued.
pub(super) fn ssn(text: &str, key: &[u8; 32]) -> String {
    let original = digits_of(text);
    let mut stream = Stream::new(key, &original);
    let drawn = retry(&original, |digits| {
        for (i, d) in digits.iter_mut().enumerate() {
            // Area 100-599, group and serial without a leading zero: always valid.
            *d = match i {
                0 => stream.between(b'1', b'5'),
                3 | 5 => stream.between(b'1', b'9'),
                _ => stream.digit(),
            };
        }
    });
    written(text, drawn, &mut stream)
}

/// An identity, tax or bank number of the same form with right check digits; where the form is unknown, other
/// characters of the same kinds.
pub(super) fn identity(class: Class, text: &str, key: &[u8; 32]) -> String {
    let original: Vec<u8> =
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase()).collect();
    let mut stream = Stream::new(key, &original);
    match identity::redraw(class, &original, |limit| stream.next() % limit.max(1)) {
        Some(drawn) => written(text, Some(drawn), &mut stream),
        None => shaped(text, &mut stream, letters::replace),
    }
}

/// An address with as many digits in each part.
pub(super) fn ipv4(text: &str, key: &[u8; 32]) -> String {
    let original = digits_of(text);
    let mut stream = Stream::new(key, text.as_bytes());
    let drawn = retry(&original, |digits| {
        let mut rest = digits;
        for part in text.split('.') {
            let (slot, tail) = rest.split_at_mut(part.len().min(rest.len()));
            let value = match slot.len() {
                1 => stream.between(1, 9),
                2 => stream.between(10, 99),
                _ => stream.between(100, 254),
            };
            slot.iter_mut().zip(value.to_string().bytes()).for_each(|(d, new)| *d = new);
            rest = tail;
        }
    });
    written(text, drawn, &mut stream)
}

fn digits_of(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).collect()
}

/// Draws until the result differs from the original; a short number may need a second draw. `None` after so many draws
/// that only a value without room for change can be the cause.
fn retry(original: &[u8], mut draw: impl FnMut(&mut [u8])) -> Option<Vec<u8>> {
    (0..64).find_map(|_| {
        let mut drawn = original.to_vec();
        draw(&mut drawn);
        (drawn != original).then_some(drawn)
    })
}

/// Writes `drawn` over the digits (and letters, if it has some) of `text`, in their case; separators stay. Without a
/// draw, or for a text that is not of its class after all (a finding cut by another), every digit and letter changes.
fn written(text: &str, drawn: Option<Vec<u8>>, stream: &mut Stream) -> String {
    let Some(drawn) = drawn else { return shaped(text, stream, letters::replace) };
    let only_digits = drawn.iter().all(u8::is_ascii_digit);
    let mut next = drawn.iter();
    text.chars()
        .map(|c| {
            let replaceable = if only_digits { c.is_ascii_digit() } else { c.is_ascii_alphanumeric() };
            match replaceable.then(|| next.next()).flatten() {
                Some(new) if c.is_ascii_lowercase() => char::from(new.to_ascii_lowercase()),
                Some(new) => char::from(*new),
                None => c,
            }
        })
        .collect()
}
