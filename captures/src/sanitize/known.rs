//! Remembers short texts that need nothing done, so that what every exchange repeats is looked at once.

/// Longer texts are rarely said twice.
const LONGEST: usize = 128;

/// Texts remembered at once; two that meet in a slot take turns. A power of two.
const SLOTS: usize = 256;

/// A bounded set of texts for which one question was answered "nothing to do". The answer must follow from the text alone.
/// It holds what is written to the capture anyway, and dies with the sanitizer.
#[derive(Debug)]
pub(super) struct Known {
    slots: Vec<Option<Box<[u8]>>>,
}

// === impl Known ===

impl Known {
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        text.len() <= LONGEST && self.slots[slot(0, text, SLOTS)].as_deref() == Some(text)
    }

    pub(super) fn insert(&mut self, text: &[u8]) {
        if text.len() <= LONGEST {
            self.slots[slot(0, text, SLOTS)] = Some(text.into());
        }
    }
}

impl Default for Known {
    fn default() -> Self {
        Self { slots: vec![None; SLOTS] }
    }
}

/// Where among `slots` (a power of two) a text belongs: a multiplicative hash over words of eight bytes. Who chooses texts
/// that meet makes only the memory useless, so a fast hash will do.
pub(super) fn slot(seed: u32, text: &[u8], slots: usize) -> usize {
    let mix = |hash: u64, word: [u8; 8]| {
        (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().fold(u64::from(seed) ^ text.len() as u64, |hash, word| mix(hash, *word));
    (mix(hash, last) >> 40) as usize & (slots - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_it_was_told_and_nothing_else() {
        let mut known = Known::default();
        for n in 0..5000 {
            let text = format!("value {n}");
            assert!(!known.contains(text.as_bytes()));
            known.insert(text.as_bytes());
            assert!(known.contains(text.as_bytes()));
        }
        let kept = (0..5000).filter(|n| known.contains(format!("value {n}").as_bytes())).count();
        assert!((SLOTS / 2..=SLOTS).contains(&kept), "{kept} of {SLOTS} slots hold something");
    }

    #[test]
    fn long_texts_are_not_kept() {
        let mut known = Known::default();
        known.insert(&[b'a'; LONGEST + 1]);
        assert!(!known.contains(&[b'a'; LONGEST + 1]));
        known.insert(&[b'a'; LONGEST]);
        assert!(known.contains(&[b'a'; LONGEST]) && !known.contains(&[b'a'; LONGEST - 1]));
    }
}
