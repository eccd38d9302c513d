//! What sanitizing did to an exchange: shared by all exchanges of a block that it did the same to.

use std::ops::Deref;
use std::slice;
use std::sync::Arc;

use super::Place;

/// What sanitizing did in one place of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// What was found: `email`, `card`, `header`, `string`, ...
    pub class: Arc<str>,
    /// Where it was found.
    pub place: Place,
    /// How many times.
    pub count: u32,
}

/// What sanitizing did to an exchange, by place and class. Reading a capture makes one for many exchanges, so that an
/// exchange costs neither an allocation nor a reference for each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redactions(Arc<[Redaction]>);

// === impl Redactions ===

impl Deref for Redactions {
    type Target = [Redaction];

    fn deref(&self) -> &[Redaction] {
        &self.0
    }
}

impl From<Vec<Redaction>> for Redactions {
    fn from(redactions: Vec<Redaction>) -> Self {
        Self(redactions.into())
    }
}

impl FromIterator<Redaction> for Redactions {
    fn from_iter<I: IntoIterator<Item = Redaction>>(redactions: I) -> Self {
        Self(redactions.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Redactions {
    type Item = &'a Redaction;
    type IntoIter = slice::Iter<'a, Redaction>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
