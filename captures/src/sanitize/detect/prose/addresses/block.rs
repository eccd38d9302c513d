//! What belongs to an address behind its street: flats, towns, regions, countries, codes, over line ends.

use super::Addresses;
use crate::sanitize::detect::prose::cues::Cues;
use crate::sanitize::detect::prose::gazetteer::gazetteer;
use crate::sanitize::detect::prose::tokens::Shape;

/// Parts behind the core: flat, town, region, country, postal code, with some to spare.
const MOST_PARTS: usize = 14;

impl Addresses<'_> {
    /// The end of the address whose core ends with token `last`.
    pub(super) fn grow(&self, mut last: usize) -> usize {
        let mut lone_lower = false;
        let mut i = last + 1;
        for _ in 0..MOST_PARTS {
            if i >= self.tokens.len() || !self.continues(i) {
                break;
            }
            if let Some(end) = self.boxed(i).or_else(|| self.unit_end(i)) {
                last = end;
            } else if self.tokens[i].has_digit() {
                if !self.is_postal_part(i) {
                    break;
                }
                last = i;
            } else if self.is_name(i) || self.tokens[i].shape == Shape::Initial {
                last = i;
            } else if self.cues(i).has(Cues::JOINT)
                && i + 1 < self.tokens.len()
                && self.gap(i + 1) == " "
                && self.is_name(i + 1)
            {
                last = i + 1;
            } else if let Some(postal) = self.postal_behind(i).filter(|_| !lone_lower) {
                lone_lower = true;
                last = postal;
            } else if !lone_lower && self.is_region(i) {
                lone_lower = true;
                last = i;
            } else {
                break;
            }
            i = last + 1;
        }
        last
    }

    /// An abbreviation in lower case: `Birmensdorf zh`.
    fn is_region(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        token.shape == Shape::Lower
            && (2..=3).contains(&token.len())
            && matches!(self.gap(i), " " | ", ")
            && !gazetteer().is_ordinary(token.text(self.text))
    }

    /// A code behind one short word in lower case that ends a line: `ASKER nan 1386`.
    fn postal_behind(&self, i: usize) -> Option<usize> {
        let next = self.tokens.get(i + 1)?;
        let short = self.tokens[i].len() <= 3 && !gazetteer().is_ordinary(self.tokens[i].text(self.text));
        let code = next.has_digit() && self.is_postal_part(i + 1) && self.gap(i + 1).trim().is_empty();
        let ends =
            self.text[next.end..].trim_start_matches([' ', '.']).chars().next().is_none_or(|c| c == '\n');
        (short && code && ends).then_some(i + 1)
    }

    /// Whether what stands before token `i` may stand inside of an address.
    fn continues(&self, i: usize) -> bool {
        let gap = self.gap(i);
        let gap = gap.strip_prefix("'s").or(gap.strip_prefix("'S")).unwrap_or(gap);
        let allowed = gap.chars().all(|c| {
            !c.is_ascii()
                || matches!(
                    c,
                    ' ' | ',' | '.' | '-' | '\n' | '\r' | '\t' | '>' | '?' | '|' | '(' | ')' | '/' | '\u{a0}'
                )
        }) && gap.chars().filter(|c| *c == '\n').count() <= 2;
        if !allowed {
            return false;
        }
        if gap.contains('\n') {
            return self.line_belongs(i);
        }
        // `5. We`: a sentence ends, unless a flat follows or an abbreviation stood before.
        if gap.contains(". ") {
            let before = &self.tokens[i - 1];
            return self.cues(i).has(Cues::UNIT) || !before.has_digit() && before.len() <= 3;
        }
        if gap.contains('?') {
            return false;
        }
        !self.cues(i).has(Cues::SENTENCE)
    }

    /// Whether the line that begins with token `i` is made of names and codes only.
    fn line_belongs(&self, i: usize) -> bool {
        let start = self.tokens[i].start;
        let line =
            &self.text[start..start + self.text[start..].find('\n').unwrap_or(self.text.len() - start)];
        let head = line.split([',', '?', '!']).next().unwrap_or_default();
        let digits = head.bytes().filter(u8::is_ascii_digit).count();
        if head.contains([':', '@', '+', ';'])
            || digits > 8 && self.boxed(i).is_none()
            || self.cues(i).has(Cues::SENTENCE)
        {
            return false;
        }
        // `Follow up tomorrow` is no town.
        self.tokens[i].has_digit()
            || !self.tokens[i].ordinary
            || !self.tokens.get(i + 1).is_some_and(|next| {
                next.shape == Shape::Lower
                    && matches!(self.gap(i + 1), " ")
                    && !self.cues(i + 1).has(Cues::JOINT)
                    && gazetteer().is_ordinary(next.text(self.text))
                    && !self.caseless
            })
    }

    pub(super) fn is_postal_part(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        let next_is_digits = self
            .tokens
            .get(i + 1)
            .is_some_and(|t| t.shape == Shape::Number && self.gap(i + 1) == " " && t.len() >= 3);
        (2..=8).contains(&token.len())
            && !(next_is_digits && token.len() + self.tokens[i + 1].len() > 7)
            && !self.is_phone_part(i)
    }

    /// Whether the line goes on with more groups of digits, as telephone numbers do.
    pub(super) fn is_phone_part(&self, i: usize) -> bool {
        let start = self.tokens[i].start;
        let rest = &self.text[start..];
        let digits: usize = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')'))
            .filter(char::is_ascii_digit)
            .count();
        let opened = self.text[..start].ends_with(['+', '(']);
        digits > 9 || opened
    }
}
