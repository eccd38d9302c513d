//! Header fields: owned while they are made, shared once they are read from a capture.
//!
//! Nearly every exchange of a service has the same fields but for a few values. Those read from a segment share one
//! list per block and add the values that vary, so that an exchange costs no allocation per field.

use std::fmt;
use std::slice;
use std::sync::Arc;

use bytes::Bytes;

use crate::segment::msgpack::Cursor;

/// Header fields in wire order. Names keep their case and compare without it.
#[derive(Clone)]
pub struct Headers(Repr);

#[derive(Clone)]
enum Repr {
    Own(Vec<(Bytes, Bytes)>),
    Shared {
        list: Arc<FieldList>,
        /// Where in the block of the list its values are, one for each field that has none: MessagePack binaries. A
        /// slice of their own would be one more reference to count, for every message.
        values: (u32, u32),
    },
}

/// Fields that many messages have in common, and the names of those whose value varies.
#[derive(Debug)]
pub(crate) struct FieldList {
    /// A field without value takes the next one of the message.
    fields: Vec<(Bytes, Option<Bytes>)>,
    /// How many have none.
    pub(crate) varying: u32,
    /// What the values of messages are slices of.
    block: Bytes,
}

/// Iterator over fields in wire order, by [`Headers::iter`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    own: slice::Iter<'a, (Bytes, Bytes)>,
    shared: slice::Iter<'a, (Bytes, Option<Bytes>)>,
    values: Cursor<'a>,
}

// === impl Headers ===

impl Headers {
    /// Fields of a list that was read, with the values that vary: from and to where in the list's block there are as many
    /// binaries as the list leaves open.
    pub(crate) fn shared(list: Arc<FieldList>, values: (u32, u32)) -> Self {
        Self(Repr::Shared { list, values })
    }

    /// First value of `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| v)
    }

    /// First value of `name` as text, when it is valid UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|v| std::str::from_utf8(v).ok())
    }

    /// Fields in wire order.
    pub fn iter(&self) -> Fields<'_> {
        match &self.0 {
            Repr::Own(fields) => Fields { own: fields.iter(), shared: [].iter(), values: Cursor::new(&[]) },
            Repr::Shared { list, values } => {
                let values = list.block.get(values.0 as usize..values.1 as usize).unwrap_or_default();
                Fields { own: [].iter(), shared: list.fields.iter(), values: Cursor::new(values) }
            }
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Own(fields) => fields.len(),
            Repr::Shared { list, .. } => list.fields.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.to_mut().push((name.into(), value.into()));
    }

    /// The fields to change; those of a capture are copied first.
    pub fn to_mut(&mut self) -> &mut Vec<(Bytes, Bytes)> {
        let fields = std::mem::take(self).into_fields();
        self.0 = Repr::Own(fields);
        match &mut self.0 {
            Repr::Own(fields) => fields,
            Repr::Shared { .. } => unreachable!("set above"),
        }
    }

    /// The fields, to take apart.
    pub fn into_fields(self) -> Vec<(Bytes, Bytes)> {
        match self.0 {
            Repr::Own(fields) => fields,
            Repr::Shared { .. } => self.copied(),
        }
    }

    fn copied(&self) -> Vec<(Bytes, Bytes)> {
        let copy =
            |(name, value): (&[u8], &[u8])| (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value));
        self.iter().map(copy).collect()
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self(Repr::Own(Vec::new()))
    }
}

impl From<Vec<(Bytes, Bytes)>> for Headers {
    fn from(fields: Vec<(Bytes, Bytes)>) -> Self {
        Self(Repr::Own(fields))
    }
}

impl FromIterator<(Bytes, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(fields: I) -> Self {
        Self(Repr::Own(fields.into_iter().collect()))
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Headers").field(&self.copied()).finish()
    }
}

// === impl FieldList ===

impl FieldList {
    /// An empty list for the messages of a block.
    pub(crate) fn of(block: Bytes) -> Self {
        Self { fields: Vec::new(), varying: 0, block }
    }

    /// Adds a field; without value when it varies.
    pub(crate) fn push(&mut self, name: Bytes, value: Option<Bytes>) {
        self.varying += u32::from(value.is_none());
        self.fields.push((name, value));
    }
}

// === impl Fields ===

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((name, value)) = self.own.next() {
            return Some((name, value));
        }
        let (name, value) = self.shared.next()?;
        match value {
            Some(value) => Some((name, value)),
            // The reader counted the values before it made this.
            None => Some((name, self.values.bin().unwrap_or_default())),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.own.len() + self.shared.len();
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> Headers {
        let mut list = FieldList::of(Bytes::from_static(b"?\xc4\x011\xc4\x022!"));
        list.push("Host".into(), Some("a".into()));
        list.push("X-Id".into(), None);
        list.push("Date".into(), None);
        Headers::shared(Arc::new(list), (1, 8))
    }

    #[test]
    fn fields_read_and_fields_made_are_the_same_to_whoever_looks() {
        let own: Headers = [("Host", "a"), ("X-Id", "1"), ("Date", "2!")]
            .map(|(name, value)| (Bytes::from(name), Bytes::from(value)))
            .into_iter()
            .collect();
        assert_eq!(shared(), own);
        assert_eq!((shared().len(), shared().get_str("date")), (3, Some("2!")));
        assert_eq!(format!("{:?}", shared()), format!("{own:?}"));
        assert_eq!(shared().into_fields(), own.into_fields());
    }

    #[test]
    fn changing_fields_that_were_read_changes_no_other_message() {
        let (before, mut after) = (shared(), shared());
        after.push("X-More", "3");
        assert_eq!((before.len(), after.len()), (3, 4));
        assert_eq!(after.get("x-id"), Some(&b"1"[..]));
    }
}
