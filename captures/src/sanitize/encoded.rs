//! Text inside an encoding: JSON escapes, percent-encoding. It is read decoded and written back in place.
//!
//! Nothing hides from a detector behind `\u0040` or `%40`, and because a replacement keeps the length of each character,
//! it is written over the original in the original's own spelling: escapes stay escapes, and no offset moves.

/// How a text is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// The inside of a JSON string.
    Json,
    /// Percent-encoded (RFC 3986), as in a path.
    Percent,
    /// Percent-encoded with `+` for a space, as in a query or a form.
    Form,
}

/// Scratch space for decoding.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    text: Vec<u8>,
    units: Vec<Unit>,
}

/// A decoded text that remembers where it came from.
pub(super) struct Decoded<'a> {
    /// What a reader of the document would see.
    pub(super) text: &'a str,
    units: &'a [Unit],
}

/// A piece of decoded text that is spelled in one way, up to the next unit.
#[derive(Clone, Copy, Debug)]
struct Unit {
    decoded: usize,
    raw: usize,
    spelling: Spelling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// Byte for byte.
    Literal,
    /// `%XX` for one byte.
    Percent,
    /// `\uXXXX`, or two of them, for one character.
    Unicode,
    /// `\n` and the like: never a letter, so never replaced.
    Short,
}

/// The text is not what its encoding asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecodable;

// === impl Encoding ===

impl Encoding {
    /// Whether a character of `raw` is spelled in another way than byte for byte.
    fn is_used_in(self, raw: &[u8]) -> bool {
        match self {
            Self::Plain => false,
            Self::Json => memchr::memchr(b'\\', raw).is_some(),
            Self::Percent => memchr::memchr(b'%', raw).is_some(),
            Self::Form => memchr::memchr2(b'%', b'+', raw).is_some(),
        }
    }
}

// === impl Decoder ===

impl Decoder {
    /// Reads `raw`. JSON must have been checked for its grammar before.
    pub(super) fn decode<'a>(
        &'a mut self,
        raw: &'a [u8],
        encoding: Encoding,
    ) -> Result<Decoded<'a>, Undecodable> {
        match encoding.is_used_in(raw) {
            true => self.decode_spelled(raw, encoding),
            false => Ok(Decoded { text: std::str::from_utf8(raw).map_err(|_| Undecodable)?, units: &[] }),
        }
    }

    /// Reads what is known to be text before it is decoded.
    pub(super) fn decode_text<'a>(
        &'a mut self,
        raw: &'a str,
        encoding: Encoding,
    ) -> Result<Decoded<'a>, Undecodable> {
        match encoding.is_used_in(raw.as_bytes()) {
            true => self.decode_spelled(raw.as_bytes(), encoding),
            false => Ok(Decoded { text: raw, units: &[] }),
        }
    }

    fn decode_spelled(&mut self, raw: &[u8], encoding: Encoding) -> Result<Decoded<'_>, Undecodable> {
        self.text.clear();
        self.units.clear();
        match encoding {
            Encoding::Json => self.unescape(raw)?,
            _ => self.unpercent(raw, encoding == Encoding::Form),
        }
        let text = std::str::from_utf8(&self.text).map_err(|_| Undecodable)?;
        Ok(Decoded { text, units: &self.units })
    }

    fn push(&mut self, raw: usize, bytes: &[u8], spelling: Spelling) {
        let joins =
            spelling == Spelling::Literal && self.units.last().is_some_and(|u| u.spelling == spelling);
        if !joins {
            self.units.push(Unit { decoded: self.text.len(), raw, spelling });
        }
        self.text.extend_from_slice(bytes);
    }

    fn unpercent(&mut self, raw: &[u8], plus_is_space: bool) {
        let mut at = 0;
        while at < raw.len() {
            match (raw[at], raw.get(at + 1).and_then(hex), raw.get(at + 2).and_then(hex)) {
                (b'%', Some(high), Some(low)) => {
                    self.push(at, &[(high << 4 | low) as u8], Spelling::Percent);
                    at += 3;
                }
                (b'+', ..) if plus_is_space => {
                    self.push(at, b" ", Spelling::Literal);
                    at += 1;
                }
                (byte, ..) => {
                    self.push(at, &[byte], Spelling::Literal);
                    at += 1;
                }
            }
        }
    }

    fn unescape(&mut self, raw: &[u8]) -> Result<(), Undecodable> {
        let mut at = 0;
        while at < raw.len() {
            let literal = memchr::memchr(b'\\', &raw[at..]).unwrap_or(raw.len() - at);
            if literal > 0 {
                self.push(at, &raw[at..at + literal], Spelling::Literal);
                at += literal;
                continue;
            }
            let escape = *raw.get(at + 1).ok_or(Undecodable)?;
            if escape != b'u' {
                self.push(at, &[short_escape(escape).ok_or(Undecodable)?], Spelling::Short);
                at += 2;
                continue;
            }
            let first = code_unit(raw, at).ok_or(Undecodable)?;
            let pair = match first {
                0xd800..=0xdbff => code_unit(raw, at + 6).filter(|low| (0xdc00..=0xdfff).contains(low)),
                _ => None,
            };
            let (code, len) = match pair {
                Some(low) => (0x10000 + ((first - 0xd800) << 10 | (low - 0xdc00)), 12),
                None => (first, 6),
            };
            // Half of a pair alone stands for no character; Python writes such. It is no letter either, so it stays.
            let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            self.push(at, c.encode_utf8(&mut [0; 4]).as_bytes(), Spelling::Unicode);
            at += len;
        }
        Ok(())
    }
}

fn hex(byte: &u8) -> Option<u32> {
    char::from(*byte).to_digit(16)
}

/// The code unit of the `\uXXXX` at `at`.
fn code_unit(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | hex(digit)?))
}

fn short_escape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}

// === impl Decoded ===

impl Decoded<'_> {
    /// Writes `new` over the decoded text at byte `at`, into the raw bytes `raw`. Each character of `new` has the length
    /// in UTF-8 of the one it replaces.
    pub(super) fn write(&self, at: usize, new: &str, raw: &mut [u8]) {
        if self.units.is_empty() {
            raw[at..at + new.len()].copy_from_slice(new.as_bytes());
            return;
        }
        let end = at + new.len();
        let first = self.units.partition_point(|u| u.decoded <= at).saturating_sub(1);
        for (i, unit) in self.units.iter().enumerate().skip(first) {
            if unit.decoded >= end {
                break;
            }
            let unit_end = self.units.get(i + 1).map_or(self.text.len(), |next| next.decoded);
            let (from, to) = (unit.decoded.max(at), unit_end.min(end));
            let (old, fresh) = (&self.text.as_bytes()[from..to], &new.as_bytes()[from - at..to - at]);
            if old == fresh {
                continue;
            }
            match unit.spelling {
                Spelling::Literal => {
                    let target = &mut raw[unit.raw + from - unit.decoded..][..to - from];
                    for ((slot, old), new) in target.iter_mut().zip(old).zip(fresh) {
                        // A `+` reads as a space; only what changed is written.
                        if old != new {
                            *slot = *new;
                        }
                    }
                }
                Spelling::Percent => write_hex(u32::from(fresh[0]), &mut raw[unit.raw + 1..unit.raw + 3]),
                Spelling::Unicode => {
                    let mut units = [0; 2];
                    let c = new[from - at..to - at].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                    for (n, unit16) in c.encode_utf16(&mut units).iter().enumerate() {
                        let start = unit.raw + 6 * n + 2;
                        write_hex(u32::from(*unit16), &mut raw[start..start + 4]);
                    }
                }
                Spelling::Short => {}
            }
        }
    }
}

fn write_hex(mut value: u32, slots: &mut [u8]) {
    for slot in slots.iter_mut().rev() {
        *slot = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(raw: &str, encoding: Encoding, find: &str, new: &str) -> String {
        let mut decoder = Decoder::default();
        let mut out = raw.as_bytes().to_vec();
        let decoded = decoder.decode(raw.as_bytes(), encoding).unwrap();
        let at = decoded.text.find(find).unwrap();
        decoded.write(at, new, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replacements_keep_the_spelling_of_what_they_replace() {
        assert_eq!(rewrite("say hello", Encoding::Plain, "hello", "world"), "say world");
        assert_eq!(rewrite(r"a\u0062c\n\/d", Encoding::Json, "abc", "xyz"), r"x\u0079z\n\/d");
        assert_eq!(rewrite(r"\u0436\ud83d\ude00z", Encoding::Json, "ж😀z", "д😀q"), r"\u0434\ud83d\ude00q");
        assert_eq!(rewrite("j%6Fhn%C3%A9", Encoding::Percent, "johné", "kurtü"), "k%75rt%C3%bc");
        assert_eq!(rewrite("a+b%20c", Encoding::Form, "a b c", "x y z"), "x+y%20z");
        assert_eq!(rewrite("a+b", Encoding::Percent, "a+b", "x+y"), "x+y");
    }

    #[test]
    fn supplementary_characters_stay_pairs() {
        assert_eq!(rewrite(r"\ud840\udc00", Encoding::Json, "\u{20000}", "\u{20001}"), r"\ud840\udc01");
    }

    #[test]
    fn a_lone_surrogate_is_read_and_left_alone() {
        assert_eq!(rewrite(r"\ud800ab", Encoding::Json, "ab", "cd"), r"\ud800cd");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut decoder = Decoder::default();
        assert!(decoder.decode(b"%ff%fe", Encoding::Percent).is_err());
        assert!(decoder.decode(b"\xff", Encoding::Plain).is_err());
        assert_eq!(decoder.decode(b"100%", Encoding::Percent).unwrap().text, "100%");
    }
}
