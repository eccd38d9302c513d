//! Addresses by structure: a street with a number is the core, what else belongs to an address grows around it.
//!
//! A core is a number with words that name a street (`street`, `-strasse`, `rua`), words between two numbers
//! (`92597 Jahu 80`), a post office or military box, a flat, or words with a number behind `lives at` and the like. From there
//! on flats, towns, regions, countries and postal codes are taken along, over commas and line ends, until something
//! comes that is no part of an address.

use super::cues::Cues;
use super::gazetteer::gazetteer;
use super::streets;
use super::tokens::{Folded, Shape, Token};
use crate::sanitize::class::Class;
use crate::sanitize::detect::Finding;

mod block;

/// Words between a house number and the word that names a street.
const LONGEST_NAME: usize = 6;

/// A text and its tokens.
#[derive(Clone, Copy)]
pub(super) struct Addresses<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    /// No token has an upper-case letter: every word that is no ordinary one may be a name.
    pub(super) caseless: bool,
}

impl Addresses<'_> {
    /// Finds addresses.
    pub(super) fn find(&self, findings: &mut Vec<Finding>) {
        let mut i = 0;
        let mut number = 0;
        while i < self.tokens.len() {
            while number < self.tokens.len() && (number < i || !self.tokens[number].has_digit()) {
                number += 1;
            }
            let near = number < self.tokens.len() && number - i <= LONGEST_NAME + 1;
            let Some((first, last)) = self.core(i, near) else {
                i += 1;
                continue;
            };
            let first = self.grow_back(first);
            let mut last = self.grow(last);
            if self.is_corner(first) {
                last = self.joined_street(last).map_or(last, |end| self.grow(end));
            }
            findings.push(Finding {
                start: self.tokens[first].start,
                end: self.tokens[last].end,
                class: Class::Address,
            });
            i = last + 1;
        }
    }

    /// The street, flat or box that begins at token `i`: its first and last token. `near` says that a number follows
    /// soon.
    fn core(&self, i: usize, near: bool) -> Option<(usize, usize)> {
        let token = &self.tokens[i];
        if token.shape == Shape::Tag
            || !near && (token.shape == Shape::Lower || !self.is_corner(i) && !self.is_on(i))
        {
            return None;
        }
        if let Some(last) = self.boxed(i) {
            return Some((i, last));
        }
        if self.is_house_number(i) {
            return self.numbered(i).map(|last| (i, last));
        }
        if token.shape == Shape::Lower
            && !token.accented
            && (token.len() < 2 || !self.caseless && token.known.any())
        {
            return None;
        }
        if token.cues.has(Cues::SURE_UNIT)
            && self.unit_end(i).is_some_and(|last| self.tokens[last].has_digit())
            && self.is_name(i)
        {
            return self.unit_end(i).map(|last| (i, last));
        }
        self.named_first(i).map(|last| (i, last))
    }

    /// `12 Baker Street`, `12 rue de la Paix`, `92597 Jahu 80`, and behind a cue `12 Jahu`.
    fn numbered(&self, i: usize) -> Option<usize> {
        let cued = self.is_cued(i);
        let long = self.tokens[i].len() >= 2 || self.line_of_town_follows(i);
        let mut names = 0;
        let mut at = i + 1;
        // A second number: `3536 1659 Hoog St`.
        if self.tokens.get(at).is_some_and(|t| t.has_digit())
            && self.same_line(at)
            && self.tokens[i].len() <= 6
        {
            at += 1;
        }
        let begin = at;
        let mut best = None;
        while at < begin + LONGEST_NAME && at < self.tokens.len() && self.same_line(at) {
            let name = self.is_name(at);
            let word = self.folded(at);
            if !name
                && names == 0
                && self.tokens[at].shape == Shape::Lower
                && !self.cues(at).has(Cues::BEFORE)
                && !self.cues(at).has(Cues::JOINT)
            {
                break;
            }
            let gap = self.gap(at);
            if gap.contains(',') && at > begin {
                break;
            }
            if self.tokens[at].has_digit() {
                if names > 0
                    && self.is_house_number(at)
                    && (cued || self.tokens[i].len() >= 3 || self.has_street(begin, at))
                    && !self.is_phone_part(at)
                {
                    best = Some(at);
                }
                break;
            }
            if let (true, Some(sure)) = (names > 0, self.behind(at))
                && (name || sure && (cued || long))
                && (sure || long || cued)
            {
                best = Some(at);
            }
            if name && streets::one_word(word.as_str()) && (long || cued) {
                best = Some(at);
            }
            if self.cues(at).has(Cues::BEFORE)
                && names == 0
                && self.tokens.get(at + 1).is_some_and(|_| self.name_within(at + 1))
                && word.as_str().len() > 2
            {
                best = self.name_end(at + 1).or(best);
            }
            if !name
                && !self.cues(at).has(Cues::JOINT)
                && !self.cues(at).has(Cues::BEFORE)
                && self.behind(at).is_none()
            {
                let foreign = names > 0 && cued && !gazetteer().is_ordinary(self.tokens[at].text(self.text));
                if !foreign {
                    break;
                }
            }
            names += usize::from(name);
            at += 1;
        }
        if best.is_none() && cued && names > 0 && self.tokens[i].len() <= 5 && self.is_name(begin) {
            best = self.name_end(begin);
        }
        best.map(|last| self.with_house_number(last))
    }

    /// Whether the next line begins with a capitalised word that is no ordinary one.
    fn line_of_town_follows(&self, i: usize) -> bool {
        let town = (i + 1..self.tokens.len().min(i + LONGEST_NAME)).find(|at| self.gap(*at).contains('\n'));
        town.is_some_and(|at| self.tokens[at].is_capital() && !self.tokens[at].ordinary)
    }

    /// `Rua do Arenque 1634`, `Hauptstrasse 5`, `Rákóczi út 13`, and behind a cue `Jahu 80`.
    fn named_first(&self, i: usize) -> Option<usize> {
        let word = self.folded(i);
        let cued = self.is_cued(i);
        let calle = word.as_str() == "c" && self.text[self.tokens[i].end..].starts_with('/')
            || self.text[self.tokens[i].end..].starts_with(". ") && word.as_str().len() == 2;
        if self.cues(i).has(Cues::BEFORE) && (self.is_name(i) || cued || word.as_str().len() > 2 || calle) {
            let last = self.name_end(i + 1)?;
            let with = self.with_house_number(last);
            return (with > last || cued && self.is_name(i)).then_some(with);
        }
        if self.tokens[i].shape == Shape::Lower && !cued && !streets::one_word(word.as_str())
            || !self.is_name(i)
        {
            return None;
        }
        let mut last = i;
        let mut street = streets::one_word(word.as_str());
        while last + 1 < self.tokens.len()
            && last < i + LONGEST_NAME
            && matches!(self.gap(last + 1), " " | "-" | ". ")
        {
            let next = self.folded(last + 1);
            let behind = self.behind(last + 1);
            if behind.is_some() && (self.is_name(last + 1) || behind == Some(true)) {
                street = true;
            } else if !self.is_name(last + 1) && !self.cues(last + 1).has(Cues::JOINT) {
                break;
            }
            street |= self.is_name(last + 1) && streets::one_word(next.as_str());
            last += 1;
        }
        let with = self.with_house_number(last);
        if with > last && (street && self.tokens[with].len() <= 5 || cued || self.postal_follows(with)) {
            return Some(with);
        }
        // `Leon and Eyrarodda 66`, `159 Jahu and Rennie Union` behind `corner of` or `address is`.
        if self.is_corner(i) {
            return Some(with);
        }
        if self.is_on(i) && last > i && self.behind(last) == Some(true) {
            return Some(last);
        }
        if cued {
            return self.joined_street(with).filter(|end| self.tokens[*end].has_digit());
        }
        None
    }

    fn is_on(&self, i: usize) -> bool {
        matches!(self.folded_before(i, 1).as_str(), "on" | "along")
    }

    /// `, 3144 Jannemark`, a line with `85-225 Katowice`: a code and a town behind token `i`.
    fn postal_follows(&self, i: usize) -> bool {
        let Some(code) = self.tokens.get(i + 1) else { return false };
        let digits = code.text(self.text).bytes().filter(u8::is_ascii_digit).count();
        let gap = self.gap(i + 1);
        let apart = gap.trim_matches([' ', ',', '.']) == "\n" || gap == ", ";
        let parts = if self.tokens.get(i + 2).is_some_and(Token::has_digit) { 3 } else { 2 };
        apart
            && code.has_digit()
            && (2..=8).contains(&digits)
            && (parts == 3 || digits >= 4)
            && matches!(self.tokens.get(i + parts), Some(town) if town.is_capital() && matches!(self.gap(i + parts), " " | ", "))
    }

    /// Whether `corner of` stands before token `i`.
    fn is_corner(&self, i: usize) -> bool {
        self.folded_before(i, 1).as_str() == "of" && self.folded_before(i, 2).as_str() == "corner"
    }

    /// `and Rennie Union`, `and Jahu 80` behind token `i`.
    fn joined_street(&self, i: usize) -> Option<usize> {
        let joined = matches!(self.folded(i + 1).as_str(), "and" | "und" | "y" | "et")
            && matches!(self.gap(i + 1), " " | ". ");
        if !joined || i + 2 >= self.tokens.len() {
            return None;
        }
        if self.is_house_number(i + 2) {
            return self.name_end(i + 3).map(|last| self.with_house_number(last));
        }
        let last = self.name_end(i + 2)?;
        Some(self.with_house_number(last))
    }

    /// `P.O. Box 242`, `PSC 4095, Box 8316`, `Unit 5022 Box 1225`, `USNS Mahler FPO AA 65728`.
    fn boxed(&self, i: usize) -> Option<usize> {
        if !self.cues(i).has(Cues::BOXED) {
            return None;
        }
        let word = self.folded(i);
        let number = |at: usize| self.tokens.get(at).is_some_and(Token::has_digit);
        match word.as_str() {
            "psc" | "unit" | "cmr"
                if number(i + 1) && self.folded(i + 2).as_str() == "box" && number(i + 3) =>
            {
                Some(i + 3)
            }
            "p" if self.folded(i + 1).as_str() == "o"
                && self.folded(i + 2).as_str() == "box"
                && number(i + 3) =>
            {
                Some(i + 3)
            }
            "po" | "pob" if self.folded(i + 1).as_str() == "box" && number(i + 2) => Some(i + 2),
            "postfach" | "postbus" | "postboks" | "casilla" | "apartado" if number(i + 1) => Some(i + 1),
            "apo" | "fpo" | "dpo"
                if matches!(self.folded(i + 1).as_str(), "aa" | "ae" | "ap") && number(i + 2) =>
            {
                Some(i + 2)
            }
            "uss" | "usns" | "usnv" | "uscgc" => {
                let ship =
                    (i + 1..i + 5).find(|at| matches!(self.folded(*at).as_str(), "apo" | "fpo" | "dpo"))?;
                self.boxed(ship)
            }
            _ => None,
        }
    }

    /// The number or letter of the flat that token `i` announces.
    fn unit_end(&self, i: usize) -> Option<usize> {
        if !self.cues(i).has(Cues::UNIT) {
            return None;
        }
        let next = self.tokens.get(i + 1)?;
        let near = matches!(self.gap(i + 1), " " | ". " | "." | " #" | ". #");
        (near && (next.has_digit() || next.shape == Shape::Initial)).then_some(i + 1)
    }

    /// Numbers and flats directly before the core: `Suite 541 6343 Skogstien 106`.
    fn grow_back(&self, mut first: usize) -> usize {
        while first > 0
            && self.same_line(first)
            && self.gap(first).trim_matches([' ', ',', '.', '/', '\u{a0}']).is_empty()
        {
            let number = self.tokens[first - 1].shape == Shape::Number
                && self.tokens[first - 1].len() <= 6
                && !self.gap(first).contains([',', '.']);
            if number {
                first -= 1;
            } else if first > 1 && self.unit_end(first - 2) == Some(first - 1) {
                first -= 2;
            } else {
                break;
            }
        }
        first
    }

    /// The house number behind token `last`, if there is one: `5`, `9a/8`, `nr. 3`.
    fn with_house_number(&self, last: usize) -> usize {
        let next = last + 1;
        let Some(token) = self.tokens.get(next) else { return last };
        let gap = self.gap(next);
        let near = matches!(gap, " " | ", " | ". " | ", nr " | " #" | "-" | " n. ");
        let mut end = last;
        if near
            && self.is_house_number(next)
            && !self.is_phone_part(next)
            && !(gap == ", " && token.len() > 4)
        {
            end = next;
        } else {
            let numero = matches!(
                self.folded(next).as_str(),
                "nr" | "no" | "n" | "nº" | "n°" | "num" | "numero" | "número"
            );
            if numero && self.tokens.get(next + 1).is_some_and(Token::has_digit) {
                end = next + 1;
            }
        }
        while end > last
            && self.tokens.get(end + 1).is_some_and(|part| part.has_digit() && part.len() <= 4)
            && matches!(self.gap(end + 1), "/" | "-" | " - " | " / ")
        {
            end += 1;
        }
        end
    }

    /// The last of the words of a name that begins at token `i`.
    fn name_end(&self, i: usize) -> Option<usize> {
        let mut last = None;
        let mut at = i;
        while at < self.tokens.len()
            && at < i + LONGEST_NAME
            && (matches!(self.gap(at), " " | ". " | "-" | "/ " | "/" | "'") || at == i)
            && self.same_line(at)
        {
            if self.is_name(at) || self.tokens[at].shape == Shape::Initial {
                last = Some(at);
            } else if !self.cues(at).has(Cues::JOINT) {
                break;
            }
            at += 1;
        }
        if last.is_none()
            && i < self.tokens.len()
            && self.tokens[i].shape == Shape::Lower
            && !gazetteer().is_ordinary(self.tokens[i].text(self.text))
        {
            return Some(i);
        }
        last
    }

    fn name_within(&self, i: usize) -> bool {
        self.same_line(i) && self.name_end(i).is_some()
    }

    fn has_street(&self, first: usize, end: usize) -> bool {
        (first..end).any(|i| {
            self.cues(i).has(Cues::STREET.and(Cues::WAY).and(Cues::BEFORE))
                || streets::one_word(self.folded(i).as_str())
        })
    }

    /// Whether token `i` can stand behind the name of a street, and whether it does hardly anything else.
    fn behind(&self, i: usize) -> Option<bool> {
        let cues = self.cues(i);
        cues.has(Cues::STREET.and(Cues::WAY)).then(|| cues.has(Cues::STREET))
    }

    fn cues(&self, i: usize) -> Cues {
        self.tokens.get(i).map_or(Cues::NONE, |token| token.cues)
    }

    fn is_house_number(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        let digits = token.text(self.text).bytes().take_while(u8::is_ascii_digit).count();
        let before = self.text[..token.start].chars().next_back();
        let after = self.text[token.end..].chars().next();
        token.has_digit()
            && (1..=6).contains(&digits)
            && token.len() <= digits + 1
            && !matches!(before, Some('$' | '€' | '£' | '#' | '.' | ':' | '-' | '%'))
            && !matches!(after, Some('%' | ':' | '$' | '€' | '\''))
    }

    /// A capitalised word that may be of a street or a town.
    fn is_name(&self, i: usize) -> bool {
        let Some(token) = self.tokens.get(i) else { return false };
        if token.is_capital() {
            return !(token.cues.has(Cues::MONTH.and(Cues::WEEKDAY)));
        }
        token.shape == Shape::Lower
            && (token.accented
                && !self.text.is_ascii()
                && !token.text(self.text).chars().any(char::is_lowercase)
                || self.caseless
                    && token.len() > 2
                    && (!gazetteer().is_ordinary(token.text(self.text)) || self.behind(i).is_some()))
    }

    fn is_cued(&self, i: usize) -> bool {
        // What is looked for below ends with a short word or a label.
        let possible = i > 0 && (self.tokens[i - 1].len() <= 4 || self.cues(i - 1).has(Cues::LABEL));
        if !possible || self.gap(i).contains(['.', '!', '?']) {
            return false;
        }
        let (mut two, mut one) = (self.folded_before(i, 2), self.folded_before(i, 1));
        // `at the corner of`, `to the same:`, `User:`.
        if matches!(one.as_str(), "the" | "now" | "address" | "same") && self.gap(i).trim() != ":" {
            (two, one) = (self.folded_before(i, 3), self.folded_before(i, 2));
        }
        if self.gap(i).contains(':') {
            return i > 0 && self.cues(i - 1).has(Cues::LABEL) || streets::cue(two.as_str(), one.as_str());
        }
        let sent =
            one.as_str() == "to" && (2..=5).any(|back| i >= back && self.cues(i - back).has(Cues::SENDS));
        sent || streets::cue(two.as_str(), one.as_str())
    }

    fn folded(&self, i: usize) -> Folded<'_> {
        self.tokens.get(i).map_or_else(|| Folded::of(""), |token| Folded::of(token.text(self.text)))
    }

    fn folded_before(&self, i: usize, back: usize) -> Folded<'_> {
        i.checked_sub(back).map_or_else(|| Folded::of(""), |at| self.folded(at))
    }

    fn gap(&self, i: usize) -> &str {
        let from = i.checked_sub(1).map_or(0, |before| self.tokens[before].end);
        &self.text[from..self.tokens[i].start]
    }

    fn same_line(&self, i: usize) -> bool {
        i < self.tokens.len()
            && self.gap(i).len() <= 3
            && !self.gap(i).contains(['\n', ':', '!', '?', '(', ')', '"'])
    }
}
