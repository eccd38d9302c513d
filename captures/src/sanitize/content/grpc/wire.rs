//! The wire format of protocol buffers, as far as it has to be understood to find the fields of a message.

use std::ops::Range;

/// The longest varint has this many bytes.
pub(super) const LONGEST_VARINT: usize = 10;

/// How the value of a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint,
    Fixed64,
    Bytes,
    Fixed32,
}

/// One field of a message, found by its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: u32,
    pub(super) wire: WireType,
    /// Where the value stands; without the length before it.
    pub(super) value: Range<usize>,
}

/// Not the wire format, or a group, which nothing has written for many years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads the field at `range.start`; `None` at the end. Leaves `range` behind it.
pub(super) fn field(bytes: &[u8], range: &mut Range<usize>) -> Result<Option<Found>, Malformed> {
    if range.start == range.end {
        return Ok(None);
    }
    let tag = varint(bytes, range)?;
    let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n)).ok_or(Malformed)?;
    let wire = match tag & 7 {
        0 => WireType::Varint,
        1 => WireType::Fixed64,
        2 => WireType::Bytes,
        5 => WireType::Fixed32,
        _ => return Err(Malformed),
    };
    let len = match wire {
        WireType::Varint => {
            let start = range.start;
            varint(bytes, range)?;
            return Ok(Some(Found { number, wire, value: start..range.start }));
        }
        WireType::Fixed64 => 8,
        WireType::Fixed32 => 4,
        WireType::Bytes => usize::try_from(varint(bytes, range)?).map_err(|_| Malformed)?,
    };
    if len > range.len() {
        return Err(Malformed);
    }
    let value = range.start..range.start + len;
    range.start = value.end;
    Ok(Some(Found { number, wire, value }))
}

/// Reads a varint at `range.start` and leaves `range` behind it.
pub(super) fn varint(bytes: &[u8], range: &mut Range<usize>) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for (i, byte) in bytes[range.clone()].iter().take(LONGEST_VARINT).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if i == LONGEST_VARINT - 1 && bits > 1 {
            return Err(Malformed);
        }
        value |= bits << (7 * i);
        if byte & 0x80 == 0 {
            range.start += i + 1;
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Writes a varint in as few bytes as it needs.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `value` in exactly `len` bytes, cut to what these hold: readers take bytes that add nothing.
pub(super) fn padded_varint(value: u64, len: usize) -> Vec<u8> {
    let byte = |i: usize| (value.checked_shr(7 * i as u32).unwrap_or(0) & 0x7f) as u8;
    (0..len).map(|i| byte(i) | if i + 1 < len { 0x80 } else { 0 }).collect()
}

/// Writes the tag of a field, and of what is written with a length that length.
pub(super) fn write_tag(number: u32, wire: WireType, len: usize, out: &mut Vec<u8>) {
    let code = match wire {
        WireType::Varint => 0,
        WireType::Fixed64 => 1,
        WireType::Bytes => 2,
        WireType::Fixed32 => 5,
    };
    write_varint(u64::from(number) << 3 | code, out);
    if wire == WireType::Bytes {
        write_varint(len as u64, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back_in_any_length() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            for len in bytes.len()..=LONGEST_VARINT {
                let padded = padded_varint(value, len);
                assert_eq!((padded.len(), varint(&padded, &mut (0..len))), (len, Ok(value)));
            }
        }
        assert_eq!(padded_varint(300, 1), [44]);
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for bad in [
            &b"\x00\x01"[..],
            b"\x08",
            b"\x0a\x02a",
            b"\x0b\x0c",
            b"\x0f\x00",
            b"\x09\0\0\0",
            b"\x0d\0\0\0",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(field(bad, &mut (0..bad.len())), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_field_is_found_and_left_behind() {
        let bytes = b"\x12\x02hi\x08\x96\x01";
        let mut range = 0..bytes.len();
        let hi = Found { number: 2, wire: WireType::Bytes, value: 2..4 };
        assert_eq!(field(bytes, &mut range), Ok(Some(hi)));
        let number = Found { number: 1, wire: WireType::Varint, value: 5..7 };
        assert_eq!(field(bytes, &mut range), Ok(Some(number)));
        assert_eq!(field(bytes, &mut range), Ok(None));
    }
}
