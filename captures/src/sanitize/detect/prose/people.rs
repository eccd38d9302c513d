//! Names of people: neighbouring capitalised words, weighed.
//!
//! Each word brings points by what the gazetteer and the list of ordinary words know about it, the words around it
//! bring more (`cues`); from [`ENOUGH`] on it is a name. So `Krisztián` is one wherever it stands, `Mark` and `Rose`
//! with a surname or behind `Dear`, and a word that no list knows where the sentence says so.

use super::cues::{Cues, surname_ending, surname_prefix};
use super::gazetteer::gazetteer;
use super::tokens::{Folded, Shape, Token};
use crate::sanitize::class::Class;
use crate::sanitize::detect::Finding;

mod context;

/// Points that make a name.
const ENOUGH: i32 = 6;

/// Words of one name, particles and initials included.
const LONGEST: usize = 6;

/// Words that may be one name: a range of tokens.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: usize,
    last: usize,
    points: i32,
}

/// A text and its tokens.
#[derive(Clone, Copy)]
pub(super) struct People<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    /// No token has an upper-case letter.
    pub(super) caseless: bool,
    /// Some lower-case word is a name or a cue.
    pub(super) cued: bool,
}

impl People<'_> {
    /// Finds names.
    pub(super) fn find(&self, findings: &mut Vec<Finding>) {
        let mut runs = self.runs();
        for run in &mut runs {
            run.points = self.weigh(*run);
        }
        self.support_lists(&mut runs);
        runs.retain(|run| run.points >= ENOUGH);
        if runs.is_empty() {
            return;
        }
        for run in &runs {
            findings.push(Finding {
                start: self.tokens[run.first].start,
                end: self.tokens[run.last].end,
                class: Class::Person,
            });
        }
        self.find_again(&runs, findings);
    }

    /// All maximal sequences of words that could be a name.
    fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut i = 0;
        while i < self.tokens.len() {
            if !self.can_begin(i) {
                i += 1;
                continue;
            }
            let first = i;
            let mut last = i;
            while last - first < LONGEST {
                match self.next_part(last) {
                    Some(next) => last = next,
                    None => break,
                }
            }
            i = last + 1;
            runs.push(Run { first, last, points: 0 });
        }
        runs
    }

    /// The token that carries the name on behind token `i`: the next word, or one behind an initial or particles.
    fn next_part(&self, i: usize) -> Option<usize> {
        for next in i + 1..i + 4 {
            let token = self.tokens.get(next)?;
            let gap = self.gap(next);
            let after_initial = matches!(self.tokens[next - 1].shape, Shape::Initial)
                || self.caseless && self.tokens[next - 1].len() == 1;
            let joined = matches!(gap, " " | "  " | "-" | "\u{a0}" | "\t")
                || after_initial && matches!(gap, ". " | ".");
            if !joined || self.tokens[next - 1].possessive {
                return None;
            }
            let hyphenated = gap == "-" && token.shape == Shape::Lower && self.tokens[i].is_capital();
            if self.can_continue(next) || hyphenated && !self.is_ordinary(next) {
                return Some(next);
            }
            let initial = token.shape == Shape::Initial
                || self.caseless && token.len() == 1 && !matches!(token.text(self.text), "i" | "a");
            let particle = token.shape == Shape::Lower && token.cues.has(Cues::PARTICLE);
            if !initial && !particle {
                return None;
            }
        }
        None
    }

    fn can_begin(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        match token.shape {
            Shape::Title | Shape::Upper => self.can_continue(i),
            Shape::Lower if !self.cued => false,
            Shape::Lower if self.caseless && self.is_before_surname(i) => true,
            Shape::Lower => token.known.lower() || self.is_led(i) && !self.is_ordinary(i),
            Shape::Initial => self.begins_with_initials(i),
            _ => false,
        }
    }

    /// An uncommon word or a given name before a surname, in a text without capitals: `nijito asano`.
    fn is_before_surname(&self, i: usize) -> bool {
        let next = self.tokens.get(i + 1);
        next.is_some_and(|next| next.known.frequent_surname() && self.gap(i + 1) == " ")
            && self.tokens[i].len() > 2
            && !self.is_ordinary(i)
    }

    /// `J. K. Rowling`: initials with dots.
    fn begins_with_initials(&self, i: usize) -> bool {
        let dotted = self.text[self.tokens[i].end..].starts_with('.');
        dotted
            && self.tokens.get(i + 1).is_some_and(|next| {
                matches!(self.gap(i + 1), "." | ". ")
                    && (next.shape == Shape::Initial && self.begins_with_initials(i + 1)
                        || next.shape == Shape::Title
                            && self.can_continue(i + 1)
                            && self.own_points(i + 1) > 1)
            })
    }

    fn can_continue(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        match token.shape {
            Shape::Title if token.cues.has(Cues::PLACE_PREFIX) => false,
            Shape::Title => {
                token.known.name()
                    || !token.known.any() && !self.is_ordinary(i) && !self.is_noise(i)
                    || !token.known.other() && self.is_led(i)
                    || !token.known.other() && self.is_behind_given(i)
            }
            Shape::Upper => {
                token.len() > 2 && (token.known.name() || !token.known.any() && !self.is_ordinary(i))
            }
            Shape::Lower if i > 0 && self.tokens[i - 1].shape == Shape::Lower => {
                token.known.lower() || token.len() >= 3 && self.caseless && !self.is_ordinary(i)
            }
            _ => false,
        }
    }

    /// An ordinary word with a capital directly behind a given name is its surname: `Zachary Best`.
    fn is_behind_given(&self, i: usize) -> bool {
        let given =
            |token: &Token| token.shape == Shape::Title && token.known.given() && !token.known.ambiguous();
        i > 0 && self.gap(i) == " " && given(&self.tokens[i - 1]) && !self.tokens[i].cues.has(Cues::SENTENCE)
    }

    /// Whether the words before leave no doubt that a name follows. The first checks are there for speed: only a title
    /// and the word `name` bring so much.
    fn is_led(&self, i: usize) -> bool {
        let sure =
            self.cues_before(i, 1).has(Cues::TITLE.and(Cues::NAME)) || self.cues_before(i, 2).has(Cues::NAME);
        sure && {
            let before = &self.tokens[i - 1];
            (before.known.any() || before.len() <= 4 || before.is_capital()) && self.lead(i) >= ENOUGH
        }
    }

    fn is_ordinary(&self, i: usize) -> bool {
        let token = &self.tokens[i];
        if token.is_capital() && !token.known.any() {
            return token.ordinary;
        }
        let word = token.text(self.text);
        let gazetteer = gazetteer();
        if token.is_capital() {
            return gazetteer.is_ordinary_as(word, token.known);
        }
        gazetteer.is_ordinary(word)
            || word
                .strip_suffix('s')
                .is_some_and(|singular| token.shape == Shape::Lower && gazetteer.is_ordinary(singular))
    }

    /// `Soooo`, `Hmm`, `Thx`: drawn out, or without a vowel.
    fn is_noise(&self, i: usize) -> bool {
        let word = self.tokens[i].text(self.text);
        let bytes = word.as_bytes();
        let drawn_out =
            bytes.windows(3).any(|w| w[0].eq_ignore_ascii_case(&w[1]) && w[1].eq_ignore_ascii_case(&w[2]));
        drawn_out || word.is_ascii() && !word.bytes().any(|b| b"aeiouyAEIOUY".contains(&b)) || word.len() < 3
    }

    /// What stands between token `i` and the one before it.
    fn gap(&self, i: usize) -> &str {
        let from = i.checked_sub(1).map_or(0, |before| self.tokens[before].end);
        let gap = &self.text[from..self.tokens[i].start];
        if i > 0 && self.tokens[i - 1].possessive { "'s " } else { gap }
    }

    /// Whether a capital says nothing at token `i`.
    fn begins_sentence(&self, i: usize) -> bool {
        i == 0
            || self.gap(i).contains(['.', '!', '?', ':', '\n', '"', '“', '(', '*', ';', '>', '|', '…', '/'])
            || self.tokens[i - 1].shape == Shape::Tag
    }

    /// What a word brings by itself.
    fn own_points(&self, i: usize) -> i32 {
        let token = &self.tokens[i];
        let known = token.known;
        let word = token.text(self.text);
        let points = match (known.given(), known.surname(), known.ambiguous()) {
            (true, _, false) if token.len() > 2 => 6,
            (true, _, false) => 3,
            (false, true, false) => 4 + i32::from(known.frequent_surname()),
            (true, _, true) => 2,
            (false, true, true) => 1,
            (false, false, true) => 0,
            (false, false, false) if self.is_ordinary(i) => 0,
            (false, false, false) => {
                let shaped = surname_ending(Folded::of(word).as_str()) || surname_prefix(word);
                1 + i32::from(shaped || !self.begins_sentence(i)) + 2 * i32::from(shaped || token.accented)
            }
        };
        match token.shape {
            Shape::Upper => (points - 2).max(i32::from(known.name())),
            Shape::Lower if known.lower() => 4 + 2 * i32::from(self.caseless),
            Shape::Lower if known.frequent_surname() => 3,
            Shape::Lower => points.min(2),
            _ => points,
        }
    }

    fn weigh(&self, run: Run) -> i32 {
        let mut points = 0;
        let mut words = 0;
        let mut initials = 0;
        let mut capitals = 0;
        let mut known = false;
        for i in run.first..=run.last {
            let token = &self.tokens[i];
            if token.shape == Shape::Initial || token.len() == 1 {
                initials += 1;
                continue;
            }
            capitals += i32::from(token.is_capital());
            let own = self.own_points(i);
            if own > 0 {
                words += 1;
            }
            known |= token.known.name();
            points += own;
        }
        if points == 0 && self.lead(run.first) < ENOUGH {
            return 0;
        }
        if words >= 2 && known {
            points += 2;
        }
        points += 2 * initials.min(2) + self.lead(run.first) + self.follow(run.last);
        let particles = run.last - run.first + 1 > (capitals + initials) as usize;
        if particles && capitals >= 2 {
            points += 2;
        }
        if capitals + initials >= 2 && self.is_own_line(run) {
            points += 3;
        }
        points - self.thing(run)
    }

    /// The word that is `back` tokens before token `i`, folded.
    fn word_before(&self, i: usize, back: usize) -> Folded<'_> {
        i.checked_sub(back).map_or_else(|| Folded::of(""), |at| Folded::of(self.tokens[at].text(self.text)))
    }

    /// Whether only name words stand between the beginning of the line and token `i`.
    fn line_begins(&self, i: usize) -> bool {
        let start = self.text[..self.tokens[i].start].rfind('\n').map_or(0, |at| at + 1);
        self.text[start..self.tokens[i].start].chars().all(|c| !c.is_alphanumeric())
    }

    fn is_own_line(&self, run: Run) -> bool {
        if !self.text.contains('\n') {
            return false;
        }
        let (start, end) = (self.tokens[run.first].start, self.tokens[run.last].end);
        let before = self.text[..start].rsplit('\n').next().unwrap_or_default();
        let after = self.text[end..].split('\n').next().unwrap_or_default();
        !before.chars().chain(after.chars()).any(char::is_alphanumeric)
    }

    /// What speaks for a company, a place or a title of something.
    fn thing(&self, run: Run) -> i32 {
        let next = self.tokens.get(run.last + 1);
        let follows = next.is_some_and(|next| {
            matches!(self.gap(run.last + 1), " " | "-" | ", ") && next.cues.has(Cues::THING)
        });
        let last = self.tokens[run.last].cues.has(Cues::THING);
        let joined = next.is_some() && matches!(self.gap(run.last + 1), " & " | "&");
        let numbered =
            next.is_some_and(|next| next.has_digit() && matches!(self.gap(run.last + 1), " " | "-"));
        let one = self.word_before(run.first, 1);
        let single = run.first == run.last;
        let at = single
            && self.gap(run.first) == " "
            && (matches!(one.as_str(), "in" | "near" | "downtown")
                || one.as_str() == "at" && !self.cues_before(run.first, 2).has(Cues::AIMED));
        let saint = self.cues_before(run.first, 1).has(Cues::PLACE_PREFIX)
            && matches!(self.gap(run.first), " " | ". ");
        let the = single
            && !self.tokens[run.first].known.surname()
            && matches!(one.as_str(), "the" | "new" | "a" | "an")
            && self.gap(run.first) == " ";
        4 * i32::from(follows || last)
            + 2 * i32::from(joined)
            + 3 * i32::from(numbered)
            + 3 * i32::from(at)
            + i32::from(the)
            + 8 * i32::from(saint)
    }

    /// `Silvana, Adam and Kristina`: what is joined to a name is likely one.
    fn support_lists(&self, runs: &mut [Run]) {
        for _ in 0..2 {
            for i in 1..runs.len() {
                let (left, right) = (runs[i - 1], runs[i]);
                if !self.are_listed(left, right) {
                    continue;
                }
                if left.points >= ENOUGH && right.points > 0 {
                    runs[i].points = right.points.max(right.points + 3).min(ENOUGH.max(right.points));
                } else if right.points >= ENOUGH && left.points > 0 {
                    runs[i - 1].points = (left.points + 3).min(ENOUGH.max(left.points));
                } else if left.points.min(right.points) >= 2 && left.points.max(right.points) >= 4 {
                    runs[i].points = ENOUGH;
                    runs[i - 1].points = ENOUGH;
                }
            }
        }
    }

    fn are_listed(&self, left: Run, right: Run) -> bool {
        match right.first - left.last {
            1 => matches!(self.gap(right.first), ", " | " & " | "/"),
            2 => matches!(
                Folded::of(self.tokens[left.last + 1].text(self.text)).as_str(),
                "and" | "or" | "to" | "und" | "y" | "et"
            ),
            _ => false,
        }
    }

    /// Words of a name that stand elsewhere in the text alone.
    fn find_again(&self, runs: &[Run], findings: &mut Vec<Finding>) {
        let strong = |i: &usize| {
            let token = &self.tokens[*i];
            token.len() > 2
                && !self.is_ordinary(*i)
                && (token.known.name() || !token.known.ambiguous())
                && matches!(token.shape, Shape::Title | Shape::Upper | Shape::Lower)
        };
        let mut parts: Vec<&str> = runs
            .iter()
            .flat_map(|run| (run.first..=run.last).filter(strong))
            .map(|i| self.tokens[i].text(self.text))
            .collect();
        parts.sort_unstable();
        parts.dedup();
        if parts.len() > 64 {
            return;
        }
        for token in self.tokens {
            let word = token.text(self.text);
            if token.len() > 2 && token.shape != Shape::Tag && parts.binary_search(&word).is_ok() {
                findings.push(Finding { start: token.start, end: token.end, class: Class::Person });
            }
        }
    }
}
