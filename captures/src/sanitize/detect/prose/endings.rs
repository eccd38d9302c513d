//! Endings of words, by their last byte: of a hundred, a word is compared with a handful.

/// A set of endings.
pub(super) struct Endings([Vec<&'static str>; 256]);

// === impl Endings ===

impl Endings {
    /// Those of a list, with spaces between them.
    pub(super) fn of(list: &'static str) -> Self {
        let mut endings = Self([const { Vec::new() }; 256]);
        for ending in list.split(' ') {
            if let Some(last) = ending.bytes().next_back() {
                endings.0[usize::from(last)].push(ending);
            }
        }
        endings
    }

    /// Whether `word` ends with one of them.
    pub(super) fn end(&self, word: &str) -> bool {
        let last = word.bytes().next_back();
        last.is_some_and(|last| self.0[usize::from(last)].iter().any(|ending| word.ends_with(ending)))
    }
}
