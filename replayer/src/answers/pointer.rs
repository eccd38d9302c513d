//! Scalars of a JSON document by pointer, read in one pass.
//!
//! A classifier's answer is two members of a body of a few hundred bytes, and a run reads one for every request: building
//! a tree of the whole body first costs several times what finding them does.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::BadPointer;

/// A JSON pointer (RFC 6901), checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    text: String,
    /// Unescaped.
    tokens: Vec<String>,
}

/// What a pointer leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(Number),
    Bool(bool),
}

/// One that is looked for.
struct Wanted<'p, 'de> {
    tokens: &'p [String],
    found: Option<Scalar<'de>>,
}

/// A place in the document: which of those wanted may be at it or below.
struct Place<'w, 'p, 'de> {
    wanted: &'w mut [Wanted<'p, 'de>],
    /// One bit for each whose first tokens led here.
    here: u8,
    depth: usize,
}

/// What `pointers` lead to in a document, or `None` when it is not JSON. At most eight.
pub(super) fn scalars<'a, const N: usize>(
    body: &'a [u8],
    pointers: [&Pointer; N],
) -> Option<[Option<Scalar<'a>>; N]> {
    const { assert!(N <= 8, "a place has eight bits") };
    let mut wanted = pointers.map(|pointer| Wanted { tokens: &pointer.tokens, found: None });
    let mut document = serde_json::Deserializer::from_slice(body);
    let here = ((1u16 << N) - 1) as u8;
    Place { wanted: &mut wanted, here, depth: 0 }.deserialize(&mut document).ok()?;
    document.end().ok()?;
    Some(wanted.map(|wanted| wanted.found))
}

// === impl Pointer ===

impl Pointer {
    /// Checks a pointer to `what`. The empty one, which means the whole document, is none.
    pub(super) fn parse(pointer: &str, what: &'static str) -> Result<Pointer, BadPointer> {
        let escapes_hold = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !pointer.starts_with('/') || !escapes_hold {
            return Err(BadPointer { pointer: pointer.to_owned(), what });
        }
        Ok(Pointer::to(pointer))
    }

    /// A pointer that is known to be one.
    pub(super) fn to(pointer: &str) -> Pointer {
        let tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
        Pointer { text: pointer.to_owned(), tokens: tokens.collect() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What it leads to in a tree.
    pub(super) fn of<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        document.pointer(&self.text)
    }
}

// === impl Place ===

impl<'p, 'de> Place<'_, 'p, 'de> {
    /// Those wanted whose next token is this one.
    fn below(&self, token: impl Fn(&str) -> bool) -> u8 {
        let mut below = 0;
        for (bit, wanted) in self.wanted.iter().enumerate() {
            let leads =
                self.here & (1 << bit) != 0 && wanted.tokens.get(self.depth).is_some_and(|t| token(t));
            below |= u8::from(leads) << bit;
        }
        below
    }

    /// Goes on below. What an earlier member of the same name led to counts no more.
    fn enter(&mut self, below: u8) -> Place<'_, 'p, 'de> {
        for (bit, wanted) in self.wanted.iter_mut().enumerate() {
            if below & (1 << bit) != 0 {
                wanted.found = None;
            }
        }
        Place { wanted: self.wanted, here: below, depth: self.depth + 1 }
    }

    fn note(self, scalar: &Scalar<'de>) {
        for (bit, wanted) in self.wanted.iter_mut().enumerate() {
            if self.here & (1 << bit) != 0 && wanted.tokens.len() == self.depth {
                wanted.found = Some(scalar.clone());
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            match self.below(|token| token == key) {
                0 => drop(map.next_value::<IgnoredAny>()?),
                below => map.next_value_seed(self.enter(below))?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        for index in 0usize.. {
            let mut room = itoa::Buffer::new();
            let name = room.format(index);
            let more = match self.below(|token| token == name) {
                0 => items.next_element::<IgnoredAny>()?.map(|_| ()),
                below => items.next_element_seed(self.enter(below))?,
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.note(&Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.note(&Scalar::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.note(&Scalar::Bool(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.note(&Scalar::Number(value.into()));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.note(&Scalar::Number(value.into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if let Some(number) = Number::from_f64(value) {
            self.note(&Scalar::Number(number));
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The name of a member, copied only where it has escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i32>().prop_map(|n| n.to_string()),
            (-1e9..1e9f64).prop_map(|n| serde_json::to_string(&n).unwrap()),
            "[ab~/é\"\\\\]{0,3}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec(("[ab~/]{0,2}", inner), 0..4).prop_map(|members| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(name, value)| format!("{}:{value}", serde_json::to_string(&name).unwrap()))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    fn expected(document: &Value, pointer: &Pointer) -> Option<Scalar<'static>> {
        match pointer.of(document)? {
            Value::String(text) => Some(Scalar::Text(Cow::Owned(text.clone()))),
            Value::Number(number) => Some(Scalar::Number(number.clone())),
            Value::Bool(value) => Some(Scalar::Bool(*value)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    proptest! {
        /// Members of one name twice included: the last one counts, as it does in a tree.
        #[test]
        fn finds_what_a_tree_would(
            body in tree(),
            one in "(/(a|b|0|1|~0|~1|ab)){1,3}",
            two in "(/(a|b|0|1|~0|~1|ab)){1,3}",
        ) {
            let document: Value = serde_json::from_str(&body).unwrap();
            let (one, two) = (Pointer::to(&one), Pointer::to(&two));
            let found = scalars(body.as_bytes(), [&one, &two]).unwrap();
            prop_assert_eq!(found, [expected(&document, &one), expected(&document, &two)]);
        }
    }

    #[test]
    fn what_is_not_one_whole_document_has_nothing() {
        let label = Pointer::to("/label");
        for body in ["", "{", r#"{"label":"A""#, r#"{"label":"A"} x"#, r#"{"label":"A","score":}"#] {
            assert_eq!(scalars(body.as_bytes(), [&label]), None, "{body}");
        }
    }
}
