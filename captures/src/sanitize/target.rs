//! The request target: path structure and parameter names stay, identifiers and values do not.

use std::ops::Range;

use bytes::Bytes;

use super::content::{is_plain_name, pairs};
use super::detect::secrets;
use super::encoded::{Decoder, Encoding, Undecodable};
use super::known::Known;
use super::masker::{Draft, Masker};
use super::paths::{PathPattern, Pattern, Treatment};
use super::policy::Rules;
use crate::exchange::Place;

/// A path segment of so many digits and nothing else is an identifier rather than a version or a page.
const IDENTIFIER_DIGITS: usize = 4;
/// So many digits in a row are an identifier wherever they stand; eight may be a date.
const LONG_NUMBER: usize = 9;
/// Hex digits of this length, letters and digits mixed, are an identifier.
const HEX_IDENTIFIER: usize = 8;

/// What stays of targets.
pub(super) struct Targets {
    query: Vec<String>,
    identifiers: Vec<PathPattern>,
    decoder: Decoder,
    /// Targets that stay as they are.
    clean: Known,
}

// === impl Targets ===

impl Targets {
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            query: rules.target.query.iter().cloned().collect(),
            identifiers: rules.target.identifiers.iter().map(Pattern::compiled).collect(),
            decoder: Decoder::default(),
            clean: Known::default(),
        }
    }

    /// What may be written of `target`.
    pub(super) fn sanitize(&mut self, target: Bytes, masker: &mut Masker) -> Result<Bytes, Undecodable> {
        // Who asks for every piece wants to see these, too; and then nothing may be replaced.
        let remembers = !masker.is_traced();
        if remembers && self.clean.contains(&target) {
            return Ok(target);
        }
        let mut draft = Draft::new(&target, Place::Target);
        let path = self.authority(&mut draft, masker)?;
        let query = memchr::memchr2(b'?', b'#', &target[path..]).map_or(target.len(), |at| path + at);
        let fragment = memchr::memchr(b'#', &target[query..]).map_or(target.len(), |at| query + at);
        self.path(&mut draft, path..query, masker)?;
        if query < fragment {
            self.query(&mut draft, query + 1..fragment, masker)?;
        }
        masker.treat(&mut draft, fragment..target.len(), Encoding::Percent, Treatment::Replace, "query")?;
        Ok(match draft.finish() {
            Some(changed) => changed.into(),
            None => {
                if remembers {
                    self.clean.insert(&target);
                }
                target
            }
        })
    }

    /// Treats scheme and authority of a target in absolute form; returns where the path begins.
    fn authority(&mut self, draft: &mut Draft<'_>, masker: &mut Masker) -> Result<usize, Undecodable> {
        let target = draft.source;
        if target.starts_with(b"/") || target == b"*" {
            return Ok(0);
        }
        let start = memchr::memmem::find(target, b"://").map_or(0, |at| at + 3);
        let end =
            start + target[start..].iter().position(|b| b"/?#".contains(b)).unwrap_or(target.len() - start);
        let host = memchr::memrchr(b'@', &target[start..end]).map_or(start, |at| start + at);
        masker.treat(draft, start..host, Encoding::Percent, Treatment::Replace, "path")?;
        masker.treat(draft, host..end, Encoding::Percent, Treatment::Scan, "path")?;
        Ok(end)
    }

    fn path(
        &mut self,
        draft: &mut Draft<'_>,
        range: Range<usize>,
        masker: &mut Masker,
    ) -> Result<(), Undecodable> {
        let path = std::str::from_utf8(&draft.source[range.clone()]).map_err(|_| Undecodable)?;
        let mut walked: Vec<&str> = Vec::new();
        let mut start = range.start;
        for segment in path.split('/') {
            let end = start + segment.len();
            // `;name=value` behind a segment (RFC 3986, 3.3) is where session ids travel.
            let name_end = start + segment.find(';').unwrap_or(segment.len());
            let name = &segment[..name_end - start];
            if start > range.start || !name.is_empty() {
                walked.push(name);
            }
            let listed = self.identifiers.iter().any(|p| p.matches(&walked));
            let treatment = if listed || self.is_identifier(name, masker)? {
                Treatment::Replace
            } else {
                Treatment::Scan
            };
            masker.treat(draft, start..name_end, Encoding::Percent, treatment, "path")?;
            if name_end < end {
                self.query(draft, name_end + 1..end, masker)?;
            }
            start = end + 1;
        }
        Ok(())
    }

    fn query(
        &mut self,
        draft: &mut Draft<'_>,
        range: Range<usize>,
        masker: &mut Masker,
    ) -> Result<(), Undecodable> {
        for (name, value) in pairs(draft.source, range) {
            let treatment = match &name {
                Some(name) if is_plain_name(&draft.source[name.clone()]) => {
                    masker.treat(draft, name.clone(), Encoding::Form, Treatment::Scan, "query")?;
                    self.value_treatment(&draft.source[name.clone()])
                }
                Some(name) => {
                    masker.treat(draft, name.clone(), Encoding::Form, Treatment::Replace, "query")?;
                    Treatment::Replace
                }
                // A flag is its own name.
                None => self.value_treatment(&draft.source[value.clone()]),
            };
            masker.treat(draft, value, Encoding::Form, treatment, "query")?;
        }
        Ok(())
    }

    fn value_treatment(&self, name: &[u8]) -> Treatment {
        match self.query.iter().any(|kept| kept.as_bytes() == name) {
            true => Treatment::Keep,
            false => Treatment::Replace,
        }
    }

    /// Whether a path segment names something of somebody rather than a route.
    fn is_identifier(&mut self, segment: &str, masker: &mut Masker) -> Result<bool, Undecodable> {
        let decoded = self.decoder.decode(segment.as_bytes(), Encoding::Percent)?;
        let text = decoded.text;
        // Encoded twice: what it says to the service is not what is read here.
        let encoded_again = text.split('%').skip(1).any(|rest| {
            rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
        Ok(encoded_again
            || is_number(text)
            || text.split(is_joint).any(is_identifier_word)
            || masker.finds(text))
    }
}

fn is_joint(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ':' | ',' | '~' | ' ')
}

fn is_number(text: &str) -> bool {
    text.len() >= IDENTIFIER_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_identifier_word(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.len() >= HEX_IDENTIFIER
        && word.bytes().all(|b| b.is_ascii_hexdigit())
        && digits > 0
        && digits < word.len();
    let number = digits == word.len() && digits >= LONG_NUMBER;
    // `bert2bert` and `v1beta1` change once or twice between letters and digits, `k3j9x2p7` changes at every step.
    let bytes = word.as_bytes();
    let changes = bytes.windows(2).filter(|w| w[0].is_ascii_digit() != w[1].is_ascii_digit()).count();
    let scrambled = word.len() >= HEX_IDENTIFIER && digits >= 2 && changes >= 4;
    let mixed_case = word.len() >= 16
        && digits >= 2
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().any(u8::is_ascii_lowercase);
    hex || number || scrambled || mixed_case || secrets::is_token(word)
}

#[cfg(test)]
mod tests;
