//! Replaces what must not stay in one piece of text, in place, and keeps count of it.

use super::class::Class;
use super::detect::{Detectors, Finding, Scope, numbers};
use super::encoded::{Decoder, Encoding, Undecodable};
use super::paths::Treatment;
use super::pseudonym::Pseudonyms;
use crate::exchange::{Place, Redaction};

/// What is allowed to stay is a name: a label, a model, a status. Longer strings are treated as unknown.
const LONGEST_KEPT: usize = 128;

/// Integers with fewer digits name nobody.
const SHORTEST_INTEGER: usize = 9;

/// Replaces findings and whole values.
pub(super) struct Masker {
    pseudonyms: Pseudonyms,
    detectors: Detectors,
    decoder: Decoder,
    findings: Vec<Finding>,
    tally: Vec<(&'static str, Place, u32)>,
}

/// A document being rewritten: copied on the first change only.
pub(super) struct Draft<'a> {
    /// The original.
    pub(super) source: &'a [u8],
    /// Where in the exchange it stands.
    pub(super) place: Place,
    changed: Option<Vec<u8>>,
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) fn new(source: &'a [u8], place: Place) -> Self {
        Self { source, place, changed: None }
    }

    /// The rewritten document; `None` when nothing changed.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        self.changed
    }
}

// === impl Masker ===

impl Masker {
    pub(super) fn new(pseudonyms: Pseudonyms, detectors: Detectors) -> Self {
        Self { pseudonyms, detectors, decoder: Decoder::default(), findings: Vec::new(), tally: Vec::new() }
    }

    /// Counts one thing replaced or dropped.
    pub(super) fn count(&mut self, class: &'static str, place: Place) {
        match self.tally.iter_mut().find(|(c, p, _)| *c == class && *p == place) {
            Some((_, _, count)) => *count = count.saturating_add(1),
            None => self.tally.push((class, place, 1)),
        }
    }

    /// Forgets what was counted for an exchange that is not written.
    pub(super) fn forget(&mut self) {
        self.tally.clear();
    }

    /// What was counted since the last call, in a fixed order.
    pub(super) fn redactions(&mut self) -> Vec<Redaction> {
        self.tally.sort_unstable_by_key(|(class, place, _)| (*place, *class));
        let drained = self.tally.drain(..);
        drained.map(|(class, place, count)| Redaction { class: class.to_owned(), place, count }).collect()
    }

    /// Treats one string as the policy says; `class` counts a replacement of the whole.
    pub(super) fn treat(
        &mut self,
        draft: &mut Draft<'_>,
        range: std::ops::Range<usize>,
        encoding: Encoding,
        treatment: Treatment,
        class: &'static str,
    ) -> Result<(), Undecodable> {
        let raw = &draft.source[range.clone()];
        let decoded = self.decoder.decode(raw, encoding)?;
        let (whole, scope) = match treatment {
            Treatment::Replace => (true, Scope::Value),
            Treatment::Keep => (decoded.text.chars().nth(LONGEST_KEPT).is_some(), Scope::Value),
            Treatment::Scan => (false, Scope::Value),
            Treatment::FreeText => (false, Scope::Prose),
        };
        if whole {
            let new = self.pseudonyms.leaf(decoded.text);
            if new != decoded.text {
                let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
                decoded.write(0, &new, &mut out[range]);
                self.count(class, draft.place);
            }
            return Ok(());
        }
        self.detectors.scan(decoded.text, scope, &mut self.findings);
        if self.findings.is_empty() {
            return Ok(());
        }
        let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
        for finding in &self.findings {
            let new = self.pseudonyms.finding(finding.class, &decoded.text[finding.start..finding.end]);
            decoded.write(finding.start, &new, &mut out[range.clone()]);
        }
        for finding in std::mem::take(&mut self.findings) {
            self.count(finding.class.name(), draft.place);
        }
        Ok(())
    }

    /// Replaces the digits of a JSON number when they name somebody. The first digit of a replacement is never zero, so
    /// the number stays one.
    pub(super) fn number(&mut self, draft: &mut Draft<'_>, range: std::ops::Range<usize>) {
        let Some(class) = self.number_class(&draft.source[range.clone()]) else { return };
        let Ok(digits) = std::str::from_utf8(&draft.source[range.clone()]) else { return };
        let new = self.pseudonyms.finding(class, digits);
        let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
        out[range].copy_from_slice(new.as_bytes());
        self.count(class.name(), draft.place);
    }

    /// Whether the detectors find anything in `text`.
    pub(super) fn finds(&mut self, text: &str) -> bool {
        self.detectors.scan(text, Scope::Value, &mut self.findings);
        !self.findings.is_empty() || self.number_class(text.as_bytes()).is_some()
    }

    /// What an escaped JSON string says.
    pub(super) fn decoded(&mut self, raw: &[u8]) -> Result<String, Undecodable> {
        self.decoder.decode(raw, Encoding::Json).map(|decoded| decoded.text.to_owned())
    }

    /// A text in place of a header value whose equality matters.
    pub(super) fn token(&self, value: &[u8]) -> String {
        self.pseudonyms.token(value)
    }

    fn number_class(&self, digits: &[u8]) -> Option<Class> {
        if digits.len() < SHORTEST_INTEGER || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        numbers::integer(std::str::from_utf8(digits).ok()?).filter(|class| self.detectors.is_on(*class))
    }
}
