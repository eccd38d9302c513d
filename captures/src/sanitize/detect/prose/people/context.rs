//! What the words before and behind a name bring.

use super::People;
use crate::sanitize::detect::prose::cues::Cues;
use crate::sanitize::detect::prose::tokens::{Folded, Shape};

/// How many words back a `name` is looked for.
const NAME_REACH: usize = 12;

impl People<'_> {
    /// What the token `back` before token `i` says about its neighbours.
    pub(super) fn cues_before(&self, i: usize, back: usize) -> Cues {
        i.checked_sub(back).map_or(Cues::NONE, |at| self.tokens[at].cues)
    }

    /// What the words before token `i` bring.
    pub(super) fn lead(&self, i: usize) -> i32 {
        if i == 0 {
            return 0;
        }
        let gap = self.gap(i);
        let cue = self.cues_before(i, 1);
        let (one, two) = (self.word_before(i, 1), self.word_before(i, 2));
        let (one, two) = (one.as_str(), two.as_str());
        if matches!(one, "the" | "a" | "an" | "young" | "old" | "early" | "late") && gap == " " && i > 1 {
            return self.cues_before(i, 2).lead().min(1);
        }
        if matches!(gap, " " | ". " | "  " | "." | ".\u{a0}" | "\u{a0}") && cue.title() > 0 {
            return if self.tokens[i - 1].shape == Shape::Lower && gap == " " {
                cue.title() - 1
            } else {
                cue.title()
            };
        }
        if let Some(points) = self.name_label(i, one, cue) {
            return points;
        }
        match (two, one) {
            ("call" | "calls" | "calling", "me" | "him" | "her") if gap.trim().is_empty() => return 5,
            ("i", "am") | ("this", "is") | ("to", "mr") => return if gap == " " { 2 } else { 0 },
            (
                "directed" | "written" | "produced" | "composed" | "performed" | "sung" | "signed"
                | "authored",
                "by",
            ) => return 5,
            ("my" | "his" | "her" | "our" | "their" | "your", _) if cue.has(Cues::ROLE) && gap.len() <= 2 => {
                return 4;
            }
            _ => {}
        }
        if one == "im" && gap == " " {
            return 2;
        }
        if cue.has(Cues::ROLE) && matches!(gap, " " | ", " | ": ") {
            return 3;
        }
        if gap.contains(['.', '?', '!', ')']) {
            return 0;
        }
        cue.lead()
    }

    /// `my name is X`, `last name? X`, `Name: X`, `name on the account is X`, `change the name to X`.
    fn name_label(&self, i: usize, one: &str, cue: Cues) -> Option<i32> {
        let gap = self.gap(i);
        if cue.has(Cues::NAME) && (gap.contains([':', '?', '=']) || gap.trim().is_empty() || gap == "'s ") {
            return if gap == " " && self.tokens[i].shape == Shape::Lower {
                None
            } else {
                Some(if gap == " " { 4 } else { 6 })
            };
        }
        if !matches!(one, "is" | "to" | "as" | "user" | "be" | "ist" | "es" | "est" | "was" | "är" | "er") {
            return None;
        }
        for back in 2..=NAME_REACH.min(i) {
            let word = self.cues_before(i, back);
            if word.has(Cues::NAME) {
                return Some(match (back, one) {
                    (2, "is" | "ist" | "es" | "est" | "was" | "är" | "er") => 6,
                    (_, "to" | "user" | "is" | "as") => 4,
                    _ => 2,
                });
            }
        }
        None
    }

    /// What the words behind token `i` bring.
    pub(super) fn follow(&self, i: usize) -> i32 {
        let token = &self.tokens[i];
        if token.possessive {
            return 1;
        }
        let rest = &self.text[token.end..];
        let Some(next) = self.tokens.get(i + 1) else { return 0 };
        let gap = self.gap(i + 1);
        let word = Folded::of(next.text(self.text));
        let word = word.as_str();
        if gap == " " && next.shape == Shape::Lower {
            return if next.cues.has(Cues::SPEECH) {
                5
            } else if next.cues.has(Cues::DEED) {
                1
            } else {
                0
            };
        }
        if rest.starts_with(':') && (self.line_begins(i) || self.text[..token.start].ends_with("\" ")) {
            return 3;
        }
        if gap == ", "
            && matches!(
                word,
                "can"
                    | "could"
                    | "please"
                    | "i"
                    | "you"
                    | "your"
                    | "are"
                    | "aged"
                    | "who"
                    | "do"
                    | "would"
                    | "what"
                    | "how"
            )
        {
            return 3;
        }
        if rest.starts_with(" (") && matches!(word, "born" | "b" | "aged") { 3 } else { 0 }
    }
}
