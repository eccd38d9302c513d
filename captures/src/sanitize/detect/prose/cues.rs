//! Words around names and addresses, of many languages, and word endings that names have.
//!
//! The words stand in `data/cues.txt`, a kind at the beginning of each line. The gazetteer looks them up.

use std::sync::LazyLock;

use super::endings::Endings;

const LISTS: &str = include_str!("data/cues.txt");

/// What a word says about its neighbours: a set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cues(u32);

// === impl Cues ===

impl Cues {
    pub(super) const NONE: Self = Self(0);
    /// Stands before names only: `Dr`.
    pub(super) const TITLE: Self = Self(1 << 0);
    /// Stands before names, and elsewhere: `captain`.
    pub(super) const HONOUR: Self = Self(1 << 1);
    /// Says that a name follows: `starring`.
    pub(super) const LEAD5: Self = Self(1 << 2);
    /// As good as says it: `dear`.
    pub(super) const LEAD4: Self = Self(1 << 3);
    /// Often has a name behind it: `by`.
    pub(super) const LEAD3: Self = Self(1 << 4);
    /// Has a name behind it now and then: `with`.
    pub(super) const LEAD1: Self = Self(1 << 5);
    /// What somebody is: `singer`, `wife`.
    pub(super) const ROLE: Self = Self(1 << 6);
    /// What people do, and hardly anything else does: `said`.
    pub(super) const SPEECH: Self = Self(1 << 7);
    /// What people do more than things: `plays`.
    pub(super) const DEED: Self = Self(1 << 8);
    /// Makes a company, a place or a thing of the words before it: `Inc`.
    pub(super) const THING: Self = Self(1 << 9);
    /// A word of a name that is written small: `van`.
    pub(super) const PARTICLE: Self = Self(1 << 10);
    /// The first word of a place: `San`.
    pub(super) const PLACE_PREFIX: Self = Self(1 << 11);
    /// What one does at somebody: `shouted`.
    pub(super) const AIMED: Self = Self(1 << 12);
    /// Stands behind the name of a street: `road`.
    pub(super) const STREET: Self = Self(1 << 13);
    /// As `STREET`, and elsewhere: `square`.
    pub(super) const WAY: Self = Self(1 << 14);
    /// Stands before the name of a street: `rua`.
    pub(super) const BEFORE: Self = Self(1 << 15);
    /// A part of a house, with a number behind it: `floor`.
    pub(super) const UNIT: Self = Self(1 << 16);
    /// A part of a house that needs no street before it: `apt`.
    pub(super) const SURE_UNIT: Self = Self(1 << 17);
    /// Stands before a colon and an address.
    pub(super) const LABEL: Self = Self(1 << 18);
    /// What moves something to an address: `deliver`.
    pub(super) const SENDS: Self = Self(1 << 19);
    /// The word `name`.
    pub(super) const NAME: Self = Self(1 << 20);
    /// A word of birth.
    pub(super) const BIRTH: Self = Self(1 << 21);
    /// A month.
    pub(super) const MONTH: Self = Self(1 << 22);
    /// A small word inside of names of streets and towns.
    pub(super) const JOINT: Self = Self(1 << 23);
    /// Begins sentences rather than names towns.
    pub(super) const SENTENCE: Self = Self(1 << 24);

    /// A weekday.
    pub(super) const WEEKDAY: Self = Self(1 << 25);

    /// Begins the address of a box: `PSC`.
    pub(super) const BOXED: Self = Self(1 << 26);

    const KINDS: [(&str, Self); 27] = [
        ("boxed", Self::BOXED),
        ("weekday", Self::WEEKDAY),
        ("title", Self::TITLE),
        ("honour", Self::HONOUR),
        ("lead5", Self::LEAD5),
        ("lead4", Self::LEAD4),
        ("lead3", Self::LEAD3),
        ("lead1", Self::LEAD1),
        ("role", Self::ROLE),
        ("speech", Self::SPEECH),
        ("deed", Self::DEED),
        ("thing", Self::THING),
        ("particle", Self::PARTICLE),
        ("place_prefix", Self::PLACE_PREFIX),
        ("aimed", Self::AIMED),
        ("street", Self::STREET),
        ("way", Self::WAY),
        ("before", Self::BEFORE),
        ("unit", Self::UNIT),
        ("sure_unit", Self::SURE_UNIT),
        ("label", Self::LABEL),
        ("sends", Self::SENDS),
        ("name", Self::NAME),
        ("birth", Self::BIRTH),
        ("month", Self::MONTH),
        ("joint", Self::JOINT),
        ("sentence", Self::SENTENCE),
    ];

    /// Calls `each` with every word of the lists.
    pub(super) fn for_each(mut each: impl FnMut(&str, Self)) {
        for line in LISTS.lines() {
            let Some((kind, words)) = line.split_once(": ") else { continue };
            let Some((_, cue)) = Self::KINDS.iter().find(|(name, _)| *name == kind) else { continue };
            words.split(' ').for_each(|word| each(word, *cue));
        }
    }

    /// Whether it is of one of the kinds of `other`.
    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// How surely a title says that a name follows, in points of `people::ENOUGH`.
    pub(super) fn title(self) -> i32 {
        if self.has(Self::TITLE) { 6 } else { 4 * i32::from(self.has(Self::HONOUR)) }
    }

    /// As [`Self::title`], for words that are none.
    pub(super) fn lead(self) -> i32 {
        let points = [(Self::LEAD5, 5), (Self::LEAD4, 4), (Self::LEAD3, 3), (Self::LEAD1, 1)];
        points.iter().find(|(cue, _)| self.has(*cue)).map_or(0, |(_, points)| *points)
    }
}

/// Endings of surnames, without accents or with them, of languages that form them regularly.
pub(super) fn surname_ending(word: &str) -> bool {
    const ENDINGS: &str = "ov ova ev eva yev yeva off eff sky ski ska cki cka ský ská cký cká ić vić vic ovic evic cić ič ović \
        sen sson sdottir sdóttir dottir dóttir escu eanu oglu oğlu ian yan shvili dze enko chuk czuk nen \
        poulos poulou idis akis iadis ová stein mann ström strom lund quist qvist gren berg borg zadeh pour \
        nejad wicz czyk ellini etti elli ucci azzi asz aitis auskas ytė iene iņš ffy ssy ssen huizen stra \
        sma inski insky ndez guez ález ínez chev chenko kov kova lını nkov ов ова ев ева ин ина ский ская \
        енко ович овна евич евна όπουλος ίδης άκης";
    static BY_LAST: LazyLock<Endings> = LazyLock::new(|| Endings::of(ENDINGS));
    word.len() >= 5 && BY_LAST.end(word) && word.chars().count() >= 5
}

/// `McDonald`, `O'Brien`, `MacLeod`, `FitzGerald`, `DeAngelo`.
pub(super) fn surname_prefix(word: &str) -> bool {
    ["Mc", "Mac", "O'", "O’", "D'", "D’", "Fitz", "De", "Di", "La", "Le", "Van"].iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            rest.chars().next().is_some_and(char::is_uppercase)
                && rest.chars().nth(1).is_some_and(char::is_lowercase)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_lists_is_of_a_known_kind() {
        for line in LISTS.lines() {
            let kind = line.split_once(": ").map(|(kind, _)| kind);
            assert!(Cues::KINDS.iter().any(|(name, _)| Some(*name) == kind), "{line}");
        }
    }
}
