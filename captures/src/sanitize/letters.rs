//! Which letter may stand for which.

/// Ranges of letters of one script and case: a letter is replaced by one of its own range. All letters of a range have
/// the same length in UTF-8.
const RANGES: &[(char, char)] = &[
    ('à', 'ö'),
    ('ø', 'ÿ'),
    ('À', 'Ö'),
    ('Ø', 'Þ'),
    ('Ā', 'ʯ'),
    ('α', 'ω'),
    ('Α', 'Ρ'),
    ('Σ', 'Ω'),
    ('а', 'я'),
    ('А', 'Я'),
    ('ѐ', 'ҁ'),
    ('Ҋ', 'ӿ'),
    ('ա', 'ֆ'),
    ('Ա', 'Ֆ'),
    ('א', 'ת'),
    ('ؠ', 'ي'),
    ('٠', '٩'),
    ('۰', '۹'),
    ('अ', 'ह'),
    ('ा', 'ौ'),
    ('०', '९'),
    ('অ', 'ঌ'),
    ('ক', 'ন'),
    ('০', '৯'),
    ('ก', 'ะ'),
    ('๐', '๙'),
    ('ა', 'ჰ'),
    ('Ḁ', 'ỹ'),
    ('ぁ', 'ゖ'),
    ('ァ', 'ヺ'),
    ('一', '鿿'),
    ('가', '힣'),
    ('0', '9'),
    ('A', 'Z'),
    ('a', 'z'),
];

/// A character of the kind of `c`, chosen by `random`; `c` itself when it is no letter or digit.
pub(super) fn replace(c: char, random: u32) -> char {
    match c {
        'a'..='z' => pick('a', 'z', random),
        'A'..='Z' => pick('A', 'Z', random),
        '0'..='9' => pick('0', '9', random),
        _ if c.is_ascii() => c,
        _ => replace_beyond_ascii(c, random),
    }
}

/// As [`replace`], but letters stay hex digits.
pub(super) fn replace_hex(c: char, random: u32) -> char {
    match c {
        'a'..='f' => pick('a', 'f', random),
        'A'..='F' => pick('A', 'F', random),
        _ => replace(c, random),
    }
}

fn replace_beyond_ascii(c: char, random: u32) -> char {
    if let Some((first, last)) = RANGES.iter().find(|(first, last)| (*first..=*last).contains(&c)) {
        return pick(*first, *last, random);
    }
    if !c.is_alphanumeric() {
        return c;
    }
    // Letters of rarer scripts: a letter of the same length in UTF-8 from a script that has enough of them.
    let (first, last) = match c.len_utf8() {
        2 => ('à', 'ö'),
        3 => ('一', '鿿'),
        _ => ('\u{20000}', '\u{2a6df}'),
    };
    pick(first, last, random)
}

fn pick(first: char, last: char, random: u32) -> char {
    let (from, to) = (u32::from(first), u32::from(last));
    char::from_u32(from + random % (to - from + 1)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replaceable_character_keeps_its_length_and_can_become_another() {
        for c in (0..=0x10ffff).filter_map(char::from_u32) {
            for random in [0, 1, 2, 77, 12345, u32::MAX] {
                assert_eq!(replace(c, random).len_utf8(), c.len_utf8(), "{c:?}");
            }
            assert!(!(c.is_alphanumeric() && replace(c, 0) == c && replace(c, 1) == c), "{c:?}");
        }
    }

    #[test]
    fn every_character_of_a_range_is_a_letter_or_a_digit() {
        for c in RANGES.iter().flat_map(|(first, last)| *first..=*last) {
            assert!(c.is_alphanumeric(), "{c:?}");
        }
    }

    #[test]
    fn ranges_hold_one_length_and_are_in_order() {
        for (first, last) in RANGES {
            assert!(first < last);
            assert_eq!(first.len_utf8(), last.len_utf8(), "{first}..{last}");
        }
    }

    #[test]
    fn case_script_and_hex_are_kept() {
        for random in 0..200 {
            assert!(replace('q', random).is_ascii_lowercase());
            assert!(replace('Q', random).is_ascii_uppercase());
            assert!(replace('7', random).is_ascii_digit());
            assert!(('а'..='я').contains(&replace('ж', random)));
            assert!(replace_hex('c', random).is_ascii_hexdigit());
            assert_eq!(replace('-', random), '-');
            assert_eq!(replace('\u{1f600}', random), '\u{1f600}');
        }
    }
}
