//! Header and trailer fields: an allow-list, and keyed tokens where equality matters.

use bytes::Bytes;

use super::content::boundary;
use super::encoded::Encoding;
use super::masker::{Draft, Masker};
use super::policy::{KeptHeader, Rules};
use crate::exchange::{Body, Headers, Place};

/// Fields that would be wrong once the body is sanitized, whatever a policy allows: codings that were removed, digests
/// and signatures over bytes that changed, and the trace context that the recorder has already read.
const NEVER: &[&str] = &[
    "content-encoding",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "want-content-digest",
    "signature",
    "signature-input",
    "etag",
    "if-match",
    "if-none-match",
    "traceparent",
    "tracestate",
    "baggage",
];

/// Longer values are not kept to compare with.
const LONGEST_REMEMBERED: usize = 256;

/// Which fields of one direction stay.
pub(super) struct Fields {
    /// Names in lower case with what becomes of them, by their length: two or three a length.
    by_len: Vec<Vec<Named>>,
    /// Names with a wildcard at their end.
    prefixes: Vec<KeptHeader>,
    place: Place,
}

/// A field that the policy names.
struct Named {
    /// In lower case.
    name: Box<[u8]>,
    fate: Fate,
    /// The last value that stays as it is, when that follows from the value alone: most fields of a service say the same
    /// in every message.
    same: Vec<u8>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Dropped, whatever the policy says.
    Never,
    /// Replaced by a keyed token.
    Token,
    /// Kept, after the detectors.
    Kept,
    /// Kept, and a boundary in it replaced.
    ContentType,
    /// Made right.
    ContentLength,
}

/// What became of a body, as far as the fields that describe it go.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLen {
    /// A body went by (a response to HEAD declares a length and has none).
    present: bool,
    sanitized: usize,
}

/// What is written in the place of a value.
enum Value {
    Same,
    New(Bytes),
}

// === impl Fate ===

impl Fate {
    /// What becomes of a field that the policy keeps.
    fn of_kept(name: &[u8]) -> Self {
        match name {
            _ if name.eq_ignore_ascii_case(b"content-type") => Self::ContentType,
            _ if name.eq_ignore_ascii_case(b"content-length") => Self::ContentLength,
            _ => Self::Kept,
        }
    }
}

// === impl BodyLen ===

impl BodyLen {
    pub(super) fn of(sanitized: &Body) -> Self {
        Self {
            present: sanitized.original_len > 0 || !sanitized.bytes.is_empty(),
            sanitized: sanitized.bytes.len(),
        }
    }
}

// === impl Fields ===

impl Fields {
    pub(super) fn of_requests(rules: &Rules) -> Self {
        Self::new(rules.headers.request.iter(), rules, Place::RequestHeader)
    }

    pub(super) fn of_responses(rules: &Rules) -> Self {
        Self::new(rules.headers.response.iter(), rules, Place::ResponseHeader)
    }

    fn new<'a>(keep: impl Iterator<Item = &'a KeptHeader>, rules: &Rules, place: Place) -> Self {
        let mut fields = Self { by_len: Vec::new(), prefixes: Vec::new(), place };
        // What is said first of a name holds.
        NEVER.iter().for_each(|name| fields.say(name, Fate::Never));
        rules.headers.tokenize.iter().for_each(|name| fields.say(&String::from(name.clone()), Fate::Token));
        for kept in keep {
            let name = String::from(kept.clone());
            match name.ends_with('*') {
                true => fields.prefixes.push(kept.clone()),
                false => fields.say(&name, Fate::of_kept(name.as_bytes())),
            }
        }
        fields
    }

    fn say(&mut self, name: &str, fate: Fate) {
        self.by_len.resize_with(self.by_len.len().max(name.len() + 1), Vec::new);
        self.by_len[name.len()].push(Named { name: name.as_bytes().into(), fate, same: Vec::new() });
    }

    /// What becomes of the field `name`, in any case; `None` for one that the policy does not name.
    fn fate(&self, name: &[u8]) -> Option<Fate> {
        match self.named(name) {
            Some(at) => Some(self.by_len[name.len()][at].fate),
            None => self.fate_by_prefix(name),
        }
    }

    fn fate_by_prefix(&self, name: &[u8]) -> Option<Fate> {
        self.prefixes.iter().any(|prefix| prefix.matches(name)).then(|| Fate::of_kept(name))
    }

    /// Where among the names of its length `name` stands.
    fn named(&self, name: &[u8]) -> Option<usize> {
        let last = name.last()?.to_ascii_lowercase();
        let is = |known: &Named| known.name.last() == Some(&last) && known.name.eq_ignore_ascii_case(name);
        self.by_len.get(name.len())?.iter().position(is)
    }

    /// What may be written of `headers`; fields that may not stay are left out.
    pub(super) fn sanitize(&mut self, headers: Headers, body: BodyLen, masker: &mut Masker) -> Headers {
        let mut fields = headers.into_fields();
        let observed = fields.len();
        fields.retain_mut(|(name, value)| match self.value(name, value, body, masker) {
            Some(Value::Same) => true,
            Some(Value::New(new)) => {
                *value = new;
                true
            }
            None => false,
        });
        if fields.len() < observed {
            masker.count_many("header", self.place, (observed - fields.len()) as u32);
        }
        fields.into()
    }

    /// Whether a keyed token stands for the value of this field.
    pub(super) fn is_tokenized(&self, name: &[u8]) -> bool {
        self.fate(name) == Some(Fate::Token)
    }

    /// The value to write; `None` for a field that is left out.
    fn value(&mut self, name: &[u8], value: &Bytes, body: BodyLen, masker: &mut Masker) -> Option<Value> {
        let Some(at) = self.named(name) else {
            return self.looked_at(self.fate_by_prefix(name)?, value, body, masker);
        };
        let known = &self.by_len[name.len()][at];
        let fate = known.fate;
        // Who asks for every piece wants to see the known ones, too.
        let remembers = matches!(fate, Fate::Kept | Fate::ContentType) && !masker.is_traced();
        if remembers && !value.is_empty() && known.same == *value {
            return Some(Value::Same);
        }
        let new = self.looked_at(fate, value, body, masker);
        if remembers && value.len() <= LONGEST_REMEMBERED && matches!(new, Some(Value::Same)) {
            let same = &mut self.by_len[name.len()][at].same;
            same.clear();
            same.extend_from_slice(value);
        }
        new
    }

    /// As [`Self::value`], of a value that is not known.
    fn looked_at(&self, fate: Fate, value: &[u8], body: BodyLen, masker: &mut Masker) -> Option<Value> {
        match fate {
            Fate::Never => None,
            Fate::Token => {
                masker.count("header_token", self.place);
                Some(Value::New(masker.token(value.trim_ascii()).into()))
            }
            Fate::ContentLength if body.present => {
                let mut buffer = itoa::Buffer::new();
                let right = buffer.format(body.sanitized).as_bytes();
                Some(if value == right { Value::Same } else { Value::New(Bytes::copy_from_slice(right)) })
            }
            Fate::ContentLength => value.iter().all(u8::is_ascii_digit).then_some(Value::Same),
            Fate::ContentType => {
                // The boundary of a form is replaced as in the body, where it stands before each part.
                let boundary = boundary(value).unwrap_or(value.len()..value.len());
                let mut draft = Draft::new(value, self.place);
                masker.scan(&mut draft, 0..boundary.start, Encoding::Plain, "header").ok()?;
                masker.scan(&mut draft, boundary.end..value.len(), Encoding::Plain, "header").ok()?;
                if !boundary.is_empty() {
                    masker.rename(&mut draft, boundary).ok()?;
                }
                Some(draft.finish().map_or(Value::Same, |new| Value::New(new.into())))
            }
            Fate::Kept => {
                let mut draft = Draft::new(value, self.place);
                masker.scan(&mut draft, 0..value.len(), Encoding::Plain, "header").ok()?;
                Some(draft.finish().map_or(Value::Same, |new| Value::New(new.into())))
            }
        }
    }
}
