//! Header compression of HTTP/2 (RFC 7541), decoding only. Bounded in memory and in what a block may say; every error
//! is one that a receiver must end the connection for.

use std::collections::VecDeque;

use crate::tap::Reason;
use crate::tap::h2::huffman;
use crate::tap::h2::tables::STATIC_FIELDS;

/// Size of the dynamic table until something else is agreed on.
pub(crate) const DEFAULT_TABLE: u32 = 4096;
/// Largest dynamic table that is followed: what browsers ask for. It costs as much memory on each connection.
const MAX_TABLE: u32 = 64 * 1024;
/// What an entry counts besides its bytes.
const ENTRY_OVERHEAD: usize = 32;
/// Continuation bytes of a number: up to 28 bits, beyond any length here.
const MAX_NUMBER_BYTES: u32 = 4;

/// Decodes the header blocks of one direction.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The dynamic table, newest first.
    entries: VecDeque<Entry>,
    /// Size of the entries, as the standard counts.
    size: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Entry {
    bytes: Box<[u8]>,
    name: usize,
}

/// What is left of a block.
struct Cursor<'a>(&'a [u8]);

// === impl Decoder ===

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { entries: VecDeque::new(), size: 0, capacity: DEFAULT_TABLE as usize }
    }
}

impl Decoder {
    /// Gives the fields of a whole block to `sink`, in their order. `limit` is the table's largest size that the
    /// receiver allows.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        limit: u32,
        sink: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Reason> {
        let mut cursor = Cursor(block);
        // Changes of the table's size stand before the fields.
        while let Some(first) = cursor.peek()
            && first & 0xe0 == 0x20
        {
            self.resize(cursor.number(5)?, limit)?;
        }
        // A receiver that allows less than it did must be obeyed at once.
        if self.capacity > limit as usize {
            return Err(Reason::BadHeaderBlock);
        }
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while let Some(first) = cursor.peek() {
            if first & 0x80 != 0 {
                let (name, value) = self.field(cursor.number(7)?)?;
                sink(name, value);
                continue;
            }
            let (prefix, keep) = match first {
                _ if first & 0x40 != 0 => (6, true),
                _ if first & 0x20 != 0 => return Err(Reason::BadHeaderBlock),
                _ => (4, false),
            };
            name.clear();
            match cursor.number(prefix)? {
                0 => cursor.text(&mut name)?,
                index => name.extend_from_slice(self.field(index)?.0),
            }
            value.clear();
            cursor.text(&mut value)?;
            sink(&name, &value);
            if keep {
                self.insert(&name, &value);
            }
        }
        Ok(())
    }

    fn resize(&mut self, size: u32, limit: u32) -> Result<(), Reason> {
        if size > limit {
            return Err(Reason::BadHeaderBlock);
        }
        if size > MAX_TABLE {
            return Err(Reason::HeaderTableTooLarge);
        }
        self.capacity = size as usize;
        self.make_room(0);
        Ok(())
    }

    /// The field of a number: static ones first, then dynamic ones, newest first.
    fn field(&self, index: u32) -> Result<(&[u8], &[u8]), Reason> {
        let index = (index as usize).checked_sub(1).ok_or(Reason::BadHeaderBlock)?;
        if let Some((name, value)) = STATIC_FIELDS.get(index) {
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let entry = self.entries.get(index - STATIC_FIELDS.len()).ok_or(Reason::BadHeaderBlock)?;
        Ok(entry.bytes.split_at(entry.name))
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.make_room(size);
        // A field larger than the table only empties it.
        if size <= self.capacity {
            self.size += size;
            self.entries.push_front(Entry { bytes: [name, value].concat().into(), name: name.len() });
        }
    }

    fn make_room(&mut self, size: usize) {
        while self.size + size > self.capacity
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.bytes.len() + ENTRY_OVERHEAD;
        }
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Result<u8, Reason> {
        let (first, rest) = self.0.split_first().ok_or(Reason::BadHeaderBlock)?;
        self.0 = rest;
        Ok(*first)
    }

    /// A number whose first byte has `prefix` bits of it.
    fn number(&mut self, prefix: u32) -> Result<u32, Reason> {
        let mask = (1 << prefix) - 1;
        let mut value = u32::from(self.byte()?) & mask;
        if value < mask {
            return Ok(value);
        }
        for nth in 0..MAX_NUMBER_BYTES {
            let byte = self.byte()?;
            value += u32::from(byte & 0x7f) << (7 * nth);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Reason::BadHeaderBlock)
    }

    /// A text, plain or in Huffman's code.
    fn text(&mut self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let coded = self.peek().is_some_and(|first| first & 0x80 != 0);
        let length = self.number(7)? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Reason::BadHeaderBlock)?;
        self.0 = rest;
        if coded {
            return huffman::decode(text, out).ok_or(Reason::BadHeaderBlock);
        }
        out.extend_from_slice(text);
        Ok(())
    }
}
