//! The ways to spell a character, and how to spell another one in the same way and length.

/// How a character stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As it is.
    Literal,
    /// By a character of another block: full-width, another script's digit, a mathematical letter.
    Styled,
    /// As percent escapes of its bytes; the first digits stand so many bytes in (`%2540` escapes the escape).
    Percent { skip: usize },
    /// As a character reference of so many decimal digits.
    Decimal { skip: usize, digits: usize },
    /// As hex digits: a character reference, `\u0040`, `\x40`.
    Hex { skip: usize, digits: usize },
    /// By a name or a short escape: `&commat;`, `\n`. Never a letter or digit, so never replaced.
    Named,
}

/// Character references by name, for the marks that stand in and around numbers and addresses.
const NAMES: &[(&str, char)] = &[
    ("amp", '&'),
    ("apos", '\''),
    ("colon", ':'),
    ("commat", '@'),
    ("dash", '-'),
    ("emsp", ' '),
    ("ensp", ' '),
    ("equals", '='),
    ("gt", '>'),
    ("hyphen", '-'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lt", '<'),
    ("mdash", '-'),
    ("minus", '-'),
    ("nbsp", ' '),
    ("ndash", '-'),
    ("numsp", ' '),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("puncsp", ' '),
    ("quot", '"'),
    ("rpar", ')'),
    ("sol", '/'),
    ("thinsp", ' '),
];

/// Where the ten decimal digits of a script begin.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0x2080, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x11066, 0x1d7ce,
    0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
];

/// What is seen for a character beyond ASCII: `Some(None)` for nothing at all, `None` for the character itself.
pub(super) fn plain(c: char) -> Option<Option<char>> {
    let code = u32::from(c);
    let seen = match code {
        0x80..=0x9f => return None,
        0xad | 0x34f | 0x61c | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0xfeff => None,
        0xfe00..=0xfe0f | 0xe0000..=0xe007f => None,
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Some(' '),
        0x2010..=0x2015 | 0x2212 | 0xfe58 | 0xfe63 => Some('-'),
        0x2024 | 0xfe52 => Some('.'),
        0xfe6b => Some('@'),
        0xb2 | 0xb3 => shifted('2', code - 0xb2),
        0xb9 => Some('1'),
        0x2070 => Some('0'),
        0x2074..=0x2079 => shifted('4', code - 0x2074),
        0x2460..=0x2468 => shifted('1', code - 0x2460),
        0x24b6..=0x24cf => shifted('A', code - 0x24b6),
        0x24d0..=0x24e9 => shifted('a', code - 0x24d0),
        0x24ea => Some('0'),
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0x1d400..=0x1d6a3 => match (code - 0x1d400) % 52 {
            upper @ 0..26 => shifted('A', upper),
            lower => shifted('a', lower - 26),
        },
        0..0x660 => return None,
        _ => {
            let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
            if code - zero > 9 {
                return None;
            }
            shifted('0', code - zero)
        }
    };
    Some(seen)
}

fn shifted(first: char, by: u32) -> Option<char> {
    char::from_u32(u32::from(first) + by)
}

/// The escape at byte `at` of the text: its length, how it is spelled, and the character it stands for.
pub(super) fn escape_at(text: &str, at: usize) -> Option<(usize, Spelling, char)> {
    let rest = &text.as_bytes()[at..];
    match rest {
        [b'%', ..] => percent(rest),
        [b'&', b'a', b'm', b'p', b';', b'#', ..] => reference(rest, 5),
        [b'&', b'#', ..] => reference(rest, 1),
        [b'&', name @ ..] => {
            let len = name.iter().take(8).position(|b| *b == b';')?;
            let (_, seen) = NAMES.iter().find(|(known, _)| known.as_bytes() == &name[..len])?;
            Some((len + 2, Spelling::Named, *seen))
        }
        [b'\\', ..] => backslash(rest),
        _ => None,
    }
}

fn percent(rest: &[u8]) -> Option<(usize, Spelling, char)> {
    let byte = |at: usize| (rest.get(at) == Some(&b'%')).then(|| number(rest, at + 1, 2, 16)).flatten();
    let first = byte(0)?;
    if first == u32::from(b'%')
        && let Some(inner) = number(rest, 3, 2, 16)
        && (0x20..0x7f).contains(&inner)
    {
        return Some((5, Spelling::Percent { skip: 3 }, char::from_u32(inner)?));
    }
    let mut bytes = [0; 4];
    let count = match first {
        0x20..0x7f | 0x9 | 0xa | 0xd => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    for (i, slot) in bytes[..count].iter_mut().enumerate() {
        *slot = byte(3 * i)? as u8;
    }
    let seen = std::str::from_utf8(&bytes[..count]).ok()?.chars().next()?;
    Some((3 * count, Spelling::Percent { skip: 1 }, seen))
}

/// A numeric reference whose number sign stands at `sign`; browsers read one without a semicolon, too.
fn reference(rest: &[u8], sign: usize) -> Option<(usize, Spelling, char)> {
    let hex = matches!(rest.get(sign + 1), Some(b'x' | b'X'));
    let skip = sign + 1 + usize::from(hex);
    let is_digit = |b: &&u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
    let digits = rest.get(skip..)?.iter().take(8).take_while(is_digit).count();
    let seen =
        char::from_u32(number(rest, skip, digits, if hex { 16 } else { 10 })?).filter(|c| *c >= ' ')?;
    let spelling = if hex { Spelling::Hex { skip, digits } } else { Spelling::Decimal { skip, digits } };
    Some((skip + digits + usize::from(rest.get(skip + digits) == Some(&b';')), spelling, seen))
}

/// `\u0040`, `\x40`, `\n`; also behind several backslashes, as in JSON within JSON.
fn backslash(rest: &[u8]) -> Option<(usize, Spelling, char)> {
    let letter = rest.iter().take(8).position(|b| *b != b'\\')?;
    let hex = |digits: usize| {
        let seen = char::from_u32(number(rest, letter + 1, digits, 16)?).filter(|c| *c >= ' ')?;
        Some((letter + 1 + digits, Spelling::Hex { skip: letter + 1, digits }, seen))
    };
    let short = |seen| Some((letter + 1, Spelling::Named, seen));
    match rest[letter] {
        b'u' => hex(4),
        b'x' => hex(2),
        b'n' => short('\n'),
        b'r' => short('\r'),
        b't' => short('\t'),
        mark @ (b'"' | b'/') => short(char::from(mark)),
        _ => None,
    }
}

/// The number that `digits` digits at `at` make.
fn number(bytes: &[u8], at: usize, digits: usize, radix: u32) -> Option<u32> {
    let slice = bytes.get(at..at + digits).filter(|slice| !slice.is_empty())?;
    slice.iter().try_fold(0u32, |n, b| n.checked_mul(radix)?.checked_add(char::from(*b).to_digit(radix)?))
}

// === impl Spelling ===

impl Spelling {
    /// Writes `new` as `source` spells `old`, in as many bytes.
    pub(super) fn write(self, source: &str, old: char, new: char, out: &mut String) {
        match self {
            Self::Literal => out.push(new),
            Self::Named => out.push_str(source),
            Self::Styled => out.push(source.chars().next().map_or(new, |styled| restyled(styled, old, new))),
            Self::Percent { skip } => {
                let mut bytes = [0; 4];
                new.encode_utf8(&mut bytes);
                let mut rest = source;
                for byte in &bytes[..old.len_utf8()] {
                    let (head, tail) = rest.split_at(skip);
                    out.push_str(head);
                    let (digits, tail) = tail.split_at(2);
                    push_number(u32::from(*byte), digits, 16, out);
                    rest = tail;
                }
                out.push_str(rest);
            }
            Self::Decimal { skip, digits } => numeric(source, skip, digits, 10, new, out),
            Self::Hex { skip, digits } => numeric(source, skip, digits, 16, new, out),
        }
    }
}

fn numeric(source: &str, skip: usize, digits: usize, radix: u32, new: char, out: &mut String) {
    let limit = u64::from(radix).pow(digits as u32);
    // Of the lower-case letters only three have two decimal digits; all capitals have.
    let fitting = [new, new.to_ascii_uppercase(), 'X'].into_iter().find(|c| u64::from(u32::from(*c)) < limit);
    out.push_str(&source[..skip]);
    push_number(u32::from(fitting.unwrap_or('0')), &source[skip..skip + digits], radix, out);
    out.push_str(&source[skip + digits..]);
}

/// Writes `value` in place of `digits`: as many, in their case.
fn push_number(mut value: u32, digits: &str, radix: u32, out: &mut String) {
    let lower = digits.bytes().any(|b| b.is_ascii_lowercase());
    let mut fresh = [b'0'; 8];
    for slot in fresh[..digits.len()].iter_mut().rev() {
        let digit = char::from_digit(value % radix, radix).unwrap_or('0');
        *slot = (if lower { digit } else { digit.to_ascii_uppercase() }) as u8;
        value /= radix;
    }
    out.extend(fresh[..digits.len()].iter().map(|b| char::from(*b)));
}

/// The character of the block of `styled` (which stands for `old`) that stands for `new`; where the block has none of
/// the same length, the next one that it has.
fn restyled(styled: char, old: char, new: char) -> char {
    let range = match new {
        '0'..='9' => '0'..='9',
        'A'..='Z' => 'A'..='Z',
        _ => 'a'..='z',
    };
    let at = |plain_char: char| {
        let code =
            i64::from(u32::from(styled)) + i64::from(u32::from(plain_char)) - i64::from(u32::from(old));
        char::from_u32(u32::try_from(code).ok()?)
            .filter(|c| c.len_utf8() == styled.len_utf8() && plain(*c) == Some(Some(plain_char)))
    };
    let onwards = range.clone().skip_while(|c| *c != new).chain(range.clone());
    onwards.filter_map(at).find(|c| *c != styled || new == old).unwrap_or(styled)
}
