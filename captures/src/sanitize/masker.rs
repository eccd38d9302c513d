//! Replaces what must not stay in one piece of text, in place, and keeps count of it.

use std::sync::Arc;

use super::class::Class;
use super::detect::{Detectors, Finding, Scope, numbers};
use super::encoded::{Decoder, Encoding, Undecodable};
use super::known::Known;
use super::paths::Treatment;
use super::pseudonym::Pseudonyms;
use super::trace::{Step, Trace};
use super::vocabulary::{Rewriter, Vocabulary};
use crate::exchange::{Place, Redaction};

/// What is allowed to stay is a name: a label, a model, a status. Longer strings are treated as unknown.
pub(super) const LONGEST_KEPT: usize = 128;

/// A shorter value costs less to look at than to look up.
const SHORTEST_REMEMBERED: usize = 16;

/// Integers with fewer digits name nobody.
const SHORTEST_INTEGER: usize = 9;

/// Counts words that the vocabulary does not list.
pub(super) const WORD: &str = "word";

/// Replaces findings and whole values.
pub(super) struct Masker {
    pseudonyms: Pseudonyms,
    detectors: Detectors,
    decoder: Decoder,
    findings: Vec<Finding>,
    /// In vocabulary mode: what may stay of free text.
    vocabulary: Option<Arc<Vocabulary>>,
    rewriter: Rewriter,
    /// Values in which nothing is found though they have the signals of it.
    clean: Known,
    tally: Vec<(&'static str, Place, u32)>,
    names: Names,
    pub(super) trace: Option<Trace>,
}

/// The names of classes as redactions share them.
#[derive(Default)]
struct Names(Vec<(&'static str, Arc<str>)>);

/// A document being rewritten: copied on the first change only.
pub(super) struct Draft<'a> {
    /// The original.
    pub(super) source: &'a [u8],
    /// The original as text, when all of it is known to be some.
    text: Option<&'a str>,
    /// Where in the exchange it stands.
    pub(super) place: Place,
    changed: Option<Vec<u8>>,
}

// === impl Draft ===

impl<'a> Draft<'a> {
    pub(super) fn new(source: &'a [u8], place: Place) -> Self {
        Self { source, text: None, place, changed: None }
    }

    /// Checks that the original is text, once for all of its parts.
    pub(super) fn read_as_text(&mut self) -> Result<(), Undecodable> {
        self.text = Some(std::str::from_utf8(self.source).map_err(|_| Undecodable)?);
        Ok(())
    }

    /// Writes over a part.
    pub(super) fn write(&mut self, range: std::ops::Range<usize>, bytes: &[u8]) {
        self.changed.get_or_insert_with(|| self.source.to_vec())[range].copy_from_slice(bytes);
    }

    /// Overwrites a part with zeros.
    pub(super) fn blank(&mut self, range: std::ops::Range<usize>) {
        self.changed.get_or_insert_with(|| self.source.to_vec())[range].fill(0);
    }

    /// The rewritten document; `None` when nothing changed.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        self.changed
    }
}

// === impl Names ===

impl Names {
    fn get(&mut self, class: &'static str) -> Arc<str> {
        if let Some((_, name)) = self.0.iter().find(|(known, _)| std::ptr::eq(*known, class)) {
            return name.clone();
        }
        let name = Arc::from(class);
        self.0.push((class, Arc::clone(&name)));
        name
    }
}

// === impl Masker ===

impl Masker {
    pub(super) fn new(pseudonyms: Pseudonyms, detectors: Detectors) -> Self {
        Self {
            pseudonyms,
            detectors,
            decoder: Decoder::default(),
            findings: Vec::new(),
            vocabulary: None,
            rewriter: Rewriter::default(),
            clean: Known::default(),
            tally: Vec::new(),
            names: Names::default(),
            trace: None,
        }
    }

    /// Holds free text to a vocabulary, too.
    pub(super) fn within(self, vocabulary: Option<Arc<Vocabulary>>) -> Self {
        Self { vocabulary, ..self }
    }

    /// Counts one thing replaced or dropped.
    pub(super) fn count(&mut self, class: &'static str, place: Place) {
        self.count_many(class, place, 1);
    }

    /// Counts things replaced or dropped.
    pub(super) fn count_many(&mut self, class: &'static str, place: Place, more: u32) {
        // A class that is named by two texts of the same letters is counted twice here, and added up in the end.
        match self.tally.iter_mut().find(|(c, p, _)| *p == place && std::ptr::eq(*c, class)) {
            Some((_, _, count)) => *count = count.saturating_add(more),
            None if more > 0 => self.tally.push((class, place, more)),
            None => {}
        }
    }

    /// Forgets what was counted for an exchange that is not written.
    pub(super) fn forget(&mut self) {
        self.tally.clear();
    }

    /// What was counted since the last call, added to what was counted `earlier`, in a fixed order.
    pub(super) fn redactions(&mut self, earlier: Vec<Redaction>) -> Vec<Redaction> {
        let mut redactions = earlier;
        redactions.reserve(self.tally.len());
        for (class, place, count) in self.tally.drain(..) {
            match redactions.iter_mut().find(|r| *r.class == *class && r.place == place) {
                Some(known) => known.count = known.count.saturating_add(count),
                None => redactions.push(Redaction { class: self.names.get(class), place, count }),
            }
        }
        redactions.sort_unstable_by(|a, b| (a.place, &a.class).cmp(&(b.place, &b.class)));
        redactions
    }

    /// Whether somebody asks for every piece that is treated.
    pub(super) fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    /// Replaces a mark that means nothing to the service (the boundary of a form), so it does not count.
    pub(super) fn rename(
        &mut self,
        draft: &mut Draft<'_>,
        range: std::ops::Range<usize>,
    ) -> Result<(), Undecodable> {
        let decoded = self.decoder.decode(&draft.source[range.clone()], Encoding::Plain)?;
        let new = self.pseudonyms.leaf(decoded.text);
        draft.write(range, new.as_bytes());
        Ok(())
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
        self.rewritten(draft, range, encoding, treatment, class).map(|_| ())
    }

    /// Replaces what the detectors of structured classes find; returns whether they found something.
    pub(super) fn scan(
        &mut self,
        draft: &mut Draft<'_>,
        range: std::ops::Range<usize>,
        encoding: Encoding,
        class: &'static str,
    ) -> Result<bool, Undecodable> {
        self.rewritten(draft, range, encoding, Treatment::Scan, class)
    }

    /// Treats one string; returns whether it changed.
    fn rewritten(
        &mut self,
        draft: &mut Draft<'_>,
        range: std::ops::Range<usize>,
        encoding: Encoding,
        treatment: Treatment,
        class: &'static str,
    ) -> Result<bool, Undecodable> {
        if let Some(trace) = &mut self.trace {
            trace.push(Step { place: draft.place, range: range.clone(), encoding, treatment, class });
            if trace.only {
                return Ok(false);
            }
        }
        let decoded = match draft.text {
            Some(text) => self.decoder.decode_text(text.get(range.clone()).ok_or(Undecodable)?, encoding),
            None => self.decoder.decode(&draft.source[range.clone()], encoding),
        }?;
        let (whole, scope) = match treatment {
            Treatment::Replace => (true, Scope::Value),
            Treatment::Keep => (is_longer(decoded.text, LONGEST_KEPT), Scope::Value),
            Treatment::Scan => (false, Scope::Value),
            Treatment::FreeText => (false, Scope::Prose),
        };
        if whole {
            let new = self.pseudonyms.leaf(decoded.text);
            if new != decoded.text {
                let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
                decoded.write(0, &new, &mut out[range]);
                self.count(class, draft.place);
                return Ok(true);
            }
            return Ok(false);
        }
        let may_repeat = scope == Scope::Value && decoded.text.len() >= SHORTEST_REMEMBERED;
        if may_repeat && self.clean.contains(decoded.text.as_bytes()) {
            return Ok(false);
        }
        self.detectors.scan(decoded.text, scope, &mut self.findings);
        if let (Treatment::FreeText, Some(vocabulary)) = (treatment, &self.vocabulary) {
            let rewritten = self.rewriter.rewrite(decoded.text, &self.findings, vocabulary, &self.pseudonyms);
            if let Some((new, words)) = rewritten {
                let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
                decoded.write(0, new, &mut out[range]);
                self.count_findings(words, draft.place);
                return Ok(true);
            }
            return Ok(false);
        }
        if self.findings.is_empty() {
            if may_repeat {
                self.clean.insert(decoded.text.as_bytes());
            }
            return Ok(false);
        }
        let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
        for finding in &self.findings {
            let new = self.pseudonyms.finding(finding.class, &decoded.text[finding.start..finding.end]);
            decoded.write(finding.start, &new, &mut out[range.clone()]);
        }
        self.count_findings(0, draft.place);
        Ok(true)
    }

    /// Counts what was found in a text, and words that the vocabulary does not list.
    fn count_findings(&mut self, words: u32, place: Place) {
        for i in 0..self.findings.len() {
            self.count(self.findings[i].class.name(), place);
        }
        self.count_many(WORD, place, words);
    }

    /// Replaces the digits of a JSON number when they name somebody. The first digit of a replacement is never zero, so
    /// the number stays one.
    pub(super) fn number(&mut self, draft: &mut Draft<'_>, range: std::ops::Range<usize>) {
        if range.len() < SHORTEST_INTEGER {
            return;
        }
        let Ok(digits) = std::str::from_utf8(&draft.source[range.clone()]) else { return };
        let Some((class, new)) = self.named_integer(digits) else { return };
        if let Some(trace) = &mut self.trace {
            let (encoding, treatment) = (Encoding::Plain, Treatment::Scan);
            trace.push(Step {
                place: draft.place,
                range: range.clone(),
                encoding,
                treatment,
                class: "number",
            });
            if trace.only {
                return;
            }
        }
        let out = draft.changed.get_or_insert_with(|| draft.source.to_vec());
        out[range].copy_from_slice(new.as_bytes());
        self.count(class.name(), draft.place);
    }

    /// The class of an integer that names somebody, and the digits to write for it.
    pub(super) fn named_integer(&self, digits: &str) -> Option<(Class, String)> {
        let class = self.number_class(digits.as_bytes())?;
        // A token may be spelled in letters; digits alone are what stands for a secret of digits.
        let drawn_as = if class == Class::Token { Class::Secret } else { class };
        let mut new = self.pseudonyms.finding(drawn_as, digits);
        if new.starts_with('0') {
            new.replace_range(..1, "1");
        }
        Some((class, new))
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

    pub(super) fn number_class(&self, digits: &[u8]) -> Option<Class> {
        if digits.len() < SHORTEST_INTEGER || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = std::str::from_utf8(digits).ok()?;
        let class = numbers::integer(digits).filter(|class| self.detectors.is_on(*class));
        class.or_else(|| {
            // Identity numbers of many countries are told by their check digits.
            let mut findings = Vec::new();
            self.detectors.scan(digits, Scope::Value, &mut findings);
            findings.iter().find(|f| (f.start, f.end) == (0, digits.len())).map(|f| f.class)
        })
    }
}

/// Whether `text` has more than `limit` characters.
fn is_longer(text: &str, limit: usize) -> bool {
    text.len() > limit && text.chars().nth(limit).is_some()
}
