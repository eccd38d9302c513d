//! Reads MessagePack in place: a cursor over bytes that allocates and copies nothing.
//!
//! Records are read a million times a second, which serde's way through a deserializer does not reach. The maps of
//! header, checkpoint and footer, a few a second, go through `rmp_serde`.

use rmp::Marker;

/// What is left to read. Every reading gives `None` when the next value is of another type or runs past the end.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn marker(&mut self) -> Option<Marker> {
        self.first().map(Marker::from_u8)
    }

    /// The byte that says what comes. The kinds below are told by it rather than by [`Marker`]: a match over that is an
    /// indirect jump, taken a hundred times in a record.
    #[inline]
    fn first(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn array_of<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    #[inline]
    fn be8(&mut self) -> Option<u64> {
        self.first().map(u64::from)
    }

    #[inline]
    fn be16(&mut self) -> Option<u64> {
        self.array_of().map(|b| u64::from(u16::from_be_bytes(b)))
    }

    #[inline]
    fn be32(&mut self) -> Option<u64> {
        self.array_of().map(|b| u64::from(u32::from_be_bytes(b)))
    }

    /// An integer of any width, modulo 2^64: a negative one as its two's complement.
    #[inline]
    pub(super) fn wrapping(&mut self) -> Option<u64> {
        match self.first()? {
            first @ ..=0x7f => Some(first.into()),
            first @ 0xe0.. => Some(i64::from(first.cast_signed()) as u64),
            0xcc => self.be8(),
            0xcd => self.be16(),
            0xce => self.be32(),
            0xcf => self.array_of().map(u64::from_be_bytes),
            0xd0 => self.array_of().map(|b| i64::from(i8::from_be_bytes(b)) as u64),
            0xd1 => self.array_of().map(|b| i64::from(i16::from_be_bytes(b)) as u64),
            0xd2 => self.array_of().map(|b| i64::from(i32::from_be_bytes(b)) as u64),
            0xd3 => self.array_of().map(|b| i64::from_be_bytes(b) as u64),
            _ => None,
        }
    }

    /// An integer that fits `T` and is not negative.
    #[inline]
    pub(super) fn uint<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let signed = matches!(self.peek()?, 0xd0..=0xd3 | 0xe0..);
        let value = self.wrapping()?;
        if signed && i64::try_from(value).is_err() {
            return None;
        }
        T::try_from(value).ok()
    }

    /// The byte that says what comes.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether an array comes.
    #[inline]
    pub(super) fn is_at_array(&self) -> bool {
        matches!(self.peek(), Some(0x90..=0x9f | 0xdc | 0xdd))
    }

    /// Whether a binary comes.
    #[inline]
    pub(super) fn is_at_bin(&self) -> bool {
        matches!(self.peek(), Some(0xc4..=0xc6))
    }

    #[inline]
    pub(crate) fn bin(&mut self) -> Option<&'a [u8]> {
        let len = match self.first()? {
            0xc4 => self.be8()?,
            0xc5 => self.be16()?,
            0xc6 => self.be32()?,
            _ => return None,
        };
        self.take(usize::try_from(len).ok()?)
    }

    /// Text as bytes: keys are compared, not shown.
    #[inline]
    pub(super) fn key(&mut self) -> Option<&'a [u8]> {
        let len = match self.first()? {
            first @ 0xa0..=0xbf => (first & 0x1f).into(),
            0xd9 => self.be8()?,
            0xda => self.be16()?,
            0xdb => self.be32()?,
            _ => return None,
        };
        self.take(usize::try_from(len).ok()?)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.key()?).ok()
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.first()? {
            0xc2 => Some(false),
            0xc3 => Some(true),
            _ => None,
        }
    }

    /// The length of an array, whose values follow.
    #[inline]
    pub(super) fn array(&mut self) -> Option<u32> {
        match self.first()? {
            first @ 0x90..=0x9f => Some((first & 0x0f).into()),
            0xdc => self.be16().map(|len| len as u32),
            0xdd => self.be32().map(|len| len as u32),
            _ => None,
        }
    }

    /// The number of pairs of a map, which follow.
    #[inline]
    pub(super) fn map(&mut self) -> Option<u32> {
        match self.first()? {
            first @ 0x80..=0x8f => Some((first & 0x0f).into()),
            0xde => self.be16().map(|len| len as u32),
            0xdf => self.be32().map(|len| len as u32),
            _ => None,
        }
    }

    /// Steps over one value, whatever it is and however deep: without recursion, so that no file exhausts the stack.
    pub(super) fn skip(&mut self) -> Option<()> {
        let mut left = 1_u64;
        while left > 0 {
            left -= 1;
            let payload = match self.marker()? {
                Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
                Marker::U8 | Marker::I8 => 1,
                Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
                Marker::FixExt2 => 3,
                Marker::U32 | Marker::I32 | Marker::F32 => 4,
                Marker::FixExt4 => 5,
                Marker::U64 | Marker::I64 | Marker::F64 => 8,
                Marker::FixExt8 => 9,
                Marker::FixExt16 => 17,
                Marker::FixStr(len) => len.into(),
                Marker::Str8 | Marker::Bin8 => self.be8()?,
                Marker::Str16 | Marker::Bin16 => self.be16()?,
                Marker::Str32 | Marker::Bin32 => self.be32()?,
                Marker::Ext8 => self.be8()? + 1,
                Marker::Ext16 => self.be16()? + 1,
                Marker::Ext32 => self.be32()? + 1,
                Marker::FixArray(len) => {
                    left += u64::from(len);
                    0
                }
                Marker::Array16 => {
                    left += self.be16()?;
                    0
                }
                Marker::Array32 => {
                    left += self.be32()?;
                    0
                }
                Marker::FixMap(len) => {
                    left += 2 * u64::from(len);
                    0
                }
                Marker::Map16 => {
                    left += 2 * self.be16()?;
                    0
                }
                Marker::Map32 => {
                    left += 2 * self.be32()?;
                    0
                }
                Marker::Reserved => return None,
            };
            self.take(usize::try_from(payload).ok()?)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width_are_read_and_foreign_types_are_not() {
        for value in
            [0_i64, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 40, -1, -32, -33, -200, -40_000, i64::MIN]
        {
            let mut bytes = Vec::new();
            rmp::encode::write_sint(&mut bytes, value).unwrap();
            assert_eq!(Cursor::new(&bytes).wrapping(), Some(value as u64), "{value}");
            assert_eq!(Cursor::new(&bytes).uint::<u64>(), u64::try_from(value).ok(), "{value}");
        }
        assert_eq!(Cursor::new(b"\xcd\x01\x00").uint::<u8>(), None);
        assert_eq!(Cursor::new(b"\xa1x").wrapping(), None);
        assert_eq!(Cursor::new(b"\xcd\x01").wrapping(), None);
    }

    #[test]
    fn every_kind_of_value_is_stepped_over() {
        let value = serde_json::json!({"a": [1, -5, 1.5, null, true, "x".repeat(40)], "b": {"c": {}}});
        let mut bytes = rmp_serde::to_vec(&value).unwrap();
        bytes.extend(b"\xd4\x01\x02\xc7\x03\x01abc\xd8\x01aaaabbbbccccdddd\xc4\x02xy");
        let mut cursor = Cursor::new(&bytes);
        for _ in 0..5 {
            cursor.skip().unwrap();
        }
        assert!(cursor.is_at_end());
        for len in 0..bytes.len() {
            let mut cut = Cursor::new(&bytes[..len]);
            while cut.skip().is_some() && !cut.is_at_end() {}
        }
        assert_eq!(Cursor::new(b"\xdf\xff\xff\xff\xff").skip(), None);
    }
}
