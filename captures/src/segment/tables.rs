//! What the records of one block have in common: their lists of header fields and of redactions, told once.
//!
//! A service's messages have the same fields with the same values, but for a few (lengths, dates, request ids). A list
//! names the fields; those whose value turned out to vary have none in it, and the records tell theirs.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use rmp::encode::{write_array_len, write_bin, write_map_len, write_str, write_uint};

use super::msgpack::Cursor;
use super::wire::Encoding;
use crate::exchange::{FieldList, Headers, Place, Redaction, Redactions, Stamp};

/// A field varies when it brought more new values than this...
const NOVEL: u32 = 4;
/// ... and at least one in this many messages brings one: a date at one message a second does, at a hundred not.
const NOVEL_SHARE: u32 = 8;
/// Values of a field that are remembered to tell a new one.
const RECENT: usize = 4;
/// Sets of names remembered from block to block; a client that invents names forgets them all.
const MAX_SHAPES: usize = 1024;

/// Collects the tables of the block being written.
#[derive(Default)]
pub(super) struct TableBuilder {
    /// By the hash of their names; kept from block to block, so that what varies is known from the start.
    shapes: HashMap<u64, Shape, FixedState>,
    lists: Encoded,
    redactions: HashMap<u64, (u32, Redactions), FixedState>,
    redaction_lists: Encoded,
    hasher: FixedState,
}

/// Elements of a MessagePack array whose length is known at the end.
#[derive(Default)]
struct Encoded {
    count: u32,
    bytes: Vec<u8>,
}

/// Messages with the same names in the same order.
struct Shape {
    names: Vec<Vec<u8>>,
    fields: Vec<Habit>,
    messages: u32,
    /// Lists of this block by the hash of their fixed values.
    lists: HashMap<u64, Known, FixedState>,
    /// The list that the last message had.
    last: u64,
}

/// What is known of the values of one field.
#[derive(Default)]
struct Habit {
    varies: bool,
    novel: u32,
    recent: [u64; RECENT],
}

struct Known {
    id: u32,
    values: Vec<Option<Vec<u8>>>,
}

/// The tables of a block that is read.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Arrival that those of the records are told from.
    pub(super) base: u64,
    /// Policy and key of the segment.
    pub(super) stamp: Stamp,
    lists: Vec<Arc<FieldList>>,
    redactions: Vec<Redactions>,
}

// === impl TableBuilder ===

impl TableBuilder {
    /// Bytes of the tables so far.
    pub(super) fn len(&self) -> usize {
        self.lists.bytes.len() + self.redaction_lists.bytes.len()
    }

    /// Writes what stands for `headers` in a record: the number of a list, or an array of it and the values that vary.
    pub(super) fn write_fields(&mut self, headers: &Headers, out: &mut Vec<u8>) -> Encoding {
        let key = self.shape_of(headers);
        let Some(shape) = self.shapes.get_mut(&key) else { return Ok(()) };
        shape.messages = shape.messages.saturating_add(1);
        let known = match shape.lists.get(&shape.last) {
            Some(last) if last.fits(headers) => last,
            _ => {
                let hash = shape.observe(headers, &self.hasher);
                shape.last = hash;
                if !shape.lists.get(&hash).is_some_and(|known| known.fits(headers)) {
                    let known = Known::add(headers, &shape.fields, &mut self.lists)?;
                    shape.lists.insert(hash, known);
                }
                &shape.lists[&hash]
            }
        };
        let varying = known.values.iter().filter(|value| value.is_none()).count();
        if varying == 0 {
            write_uint(out, known.id.into())?;
            return Ok(());
        }
        write_array_len(out, 1 + varying as u32)?;
        write_uint(out, known.id.into())?;
        for ((_, value), fixed) in headers.iter().zip(&known.values) {
            if fixed.is_none() {
                write_bin(out, value)?;
            }
        }
        Ok(())
    }

    /// Writes the number of a list of redactions.
    pub(super) fn write_redactions(&mut self, redactions: &Redactions, out: &mut Vec<u8>) -> Encoding {
        let mut hasher = self.hasher.build_hasher();
        for redaction in redactions {
            hasher.write(redaction.class.as_bytes());
            hasher.write_u64(u64::from(redaction.count) << 8 | u64::from(redaction.place.code()));
        }
        let hash = hasher.finish();
        if let Some((id, known)) = self.redactions.get(&hash)
            && known == redactions
        {
            write_uint(out, (*id).into())?;
            return Ok(());
        }
        let list = &mut self.redaction_lists;
        write_array_len(&mut list.bytes, redactions.len() as u32)?;
        for redaction in redactions {
            write_array_len(&mut list.bytes, 3)?;
            write_str(&mut list.bytes, &redaction.class)?;
            write_uint(&mut list.bytes, redaction.place.code().into())?;
            write_uint(&mut list.bytes, redaction.count.into())?;
        }
        let id = list.count;
        list.count += 1;
        self.redactions.insert(hash, (id, redactions.clone()));
        write_uint(out, id.into())?;
        Ok(())
    }

    /// Appends the map of all tables and begins those of the next block.
    pub(super) fn seal(&mut self, base: u64, out: &mut Vec<u8>) -> Encoding {
        write_map_len(out, 3)?;
        write_str(out, "a")?;
        write_uint(out, base)?;
        for (key, table) in [("h", &mut self.lists), ("r", &mut self.redaction_lists)] {
            write_str(out, key)?;
            write_array_len(out, table.count)?;
            out.append(&mut table.bytes);
            table.count = 0;
        }
        Ok(())
    }

    /// Forgets the lists of the block, and what varies when there is too much of it to remember.
    pub(super) fn clear(&mut self) {
        if self.shapes.len() > MAX_SHAPES {
            self.shapes.clear();
        }
        self.shapes.values_mut().for_each(|shape| shape.lists.clear());
        self.redactions.clear();
        self.lists = Encoded::default();
        self.redaction_lists = Encoded::default();
    }

    fn shape_of(&mut self, headers: &Headers) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (name, _) in headers.iter() {
            hasher.write(name);
            hasher.write_u8(b':');
        }
        let key = hasher.finish();
        let same = |shape: &Shape| shape.names.iter().map(|n| &n[..]).eq(headers.iter().map(|(n, _)| n));
        if !self.shapes.get(&key).is_some_and(same) {
            self.shapes.insert(key, Shape::of(headers));
        }
        key
    }
}

// === impl Shape ===

impl Shape {
    fn of(headers: &Headers) -> Self {
        Self {
            names: headers.iter().map(|(name, _)| name.to_vec()).collect(),
            fields: headers.iter().map(|_| Habit::default()).collect(),
            messages: 0,
            lists: HashMap::default(),
            last: 0,
        }
    }

    /// Learns from the values of a message; returns the hash of those that do not vary.
    fn observe(&mut self, headers: &Headers, hasher: &FixedState) -> u64 {
        let mut fixed = hasher.build_hasher();
        for ((_, value), habit) in headers.iter().zip(&mut self.fields) {
            if !habit.varies {
                let hash = hasher.hash_one(value);
                habit.observe(hash, self.messages);
                fixed.write_u64(hash);
            }
            fixed.write_u8(habit.varies.into());
        }
        fixed.finish()
    }
}

// === impl Habit ===

impl Habit {
    fn observe(&mut self, hash: u64, messages: u32) {
        if self.recent.contains(&hash) {
            return;
        }
        self.recent[self.novel as usize % RECENT] = hash;
        self.novel = self.novel.saturating_add(1);
        self.varies = self.novel > NOVEL && self.novel.saturating_mul(NOVEL_SHARE) > messages;
    }
}

// === impl Known ===

impl Known {
    fn add(headers: &Headers, habits: &[Habit], lists: &mut Encoded) -> Result<Self, std::io::Error> {
        let mut values = Vec::with_capacity(habits.len());
        write_array_len(&mut lists.bytes, habits.len() as u32)?;
        for ((name, value), habit) in headers.iter().zip(habits) {
            write_array_len(&mut lists.bytes, if habit.varies { 1 } else { 2 })?;
            write_bin(&mut lists.bytes, name)?;
            if !habit.varies {
                write_bin(&mut lists.bytes, value)?;
            }
            values.push((!habit.varies).then(|| value.to_vec()));
        }
        let id = lists.count;
        lists.count += 1;
        Ok(Self { id, values })
    }

    /// Whether a message of the same names has these fixed values.
    fn fits(&self, headers: &Headers) -> bool {
        headers.iter().zip(&self.values).all(|((_, value), fixed)| fixed.as_ref().is_none_or(|f| *f == value))
    }
}

// === impl Tables ===

impl Tables {
    /// The tables of a block, whose map is `table` within `block`; `None` when they are not as documented.
    pub(super) fn read(table: &[u8], block: &Bytes) -> Option<Self> {
        let mut tables = Self::default();
        let mut cursor = Cursor::new(table);
        for _ in 0..cursor.map()? {
            match cursor.key()? {
                b"a" => tables.base = cursor.wrapping()?,
                b"h" => {
                    for _ in 0..cursor.array()? {
                        tables.lists.push(Arc::new(field_list(&mut cursor, block)?));
                    }
                }
                b"r" => {
                    for _ in 0..cursor.array()? {
                        tables.redactions.push(redactions(&mut cursor)?);
                    }
                }
                _ => cursor.skip()?,
            }
        }
        cursor.is_at_end().then_some(tables)
    }

    /// The fields that a record names, the cursor being at what stands for them.
    pub(super) fn fields(&self, cursor: &mut Cursor<'_>, block: &Bytes) -> Option<Headers> {
        let values = if cursor.is_at_array() { cursor.array()?.checked_sub(1)? } else { 0 };
        let list = self.lists.get(cursor.uint::<usize>()?)?;
        if list.varying != values {
            return None;
        }
        let begin = cursor.rest();
        for _ in 0..values {
            cursor.bin()?;
        }
        let told = &begin[..begin.len() - cursor.rest().len()];
        Some(Headers::shared(Arc::clone(list), within(block, told)?))
    }

    pub(super) fn redactions(&self, list: usize) -> Option<Redactions> {
        self.redactions.get(list).cloned()
    }
}

/// Where `part` of `block` begins and ends.
fn within(block: &Bytes, part: &[u8]) -> Option<(u32, u32)> {
    let begin = part.as_ptr().addr().checked_sub(block.as_ptr().addr())?;
    Some((u32::try_from(begin).ok()?, u32::try_from(begin + part.len()).ok()?))
}

fn field_list(cursor: &mut Cursor<'_>, block: &Bytes) -> Option<FieldList> {
    let mut list = FieldList::of(block.clone());
    for _ in 0..cursor.array()? {
        let parts = cursor.array()?;
        let name = block.slice_ref(cursor.bin()?);
        let value = match parts {
            1 => None,
            2 => Some(block.slice_ref(cursor.bin()?)),
            _ => return None,
        };
        list.push(name, value);
    }
    Some(list)
}

fn redactions(cursor: &mut Cursor<'_>) -> Option<Redactions> {
    let mut list = Vec::new();
    for _ in 0..cursor.array()? {
        if cursor.array()? != 3 {
            return None;
        }
        let class = cursor.text()?.into();
        list.push(Redaction { class, place: Place::from_code(cursor.uint()?), count: cursor.uint()? });
    }
    Some(list.into())
}
