//! Postal codes: behind words that announce one, and forms that hardly anything else has.

use super::gazetteer::gazetteer;
use super::tokens::{Folded, Shape, Token};
use crate::sanitize::class::Class;
use crate::sanitize::detect::Finding;

/// Words back in which `zip` or `postal code` is looked for.
const REACH: usize = 5;

const STATES: &[&str] = &[
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY",
    "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND",
    "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC",
    "PR", "GU", "VI", "NSW", "VIC", "QLD", "ACT", "TAS", "NT", "SA",
];

/// Finds postal codes.
pub(super) fn find(text: &str, tokens: &[Token], findings: &mut Vec<Finding>) {
    for (i, token) in tokens.iter().enumerate() {
        if !token.has_digit() || token.len() > 8 {
            continue;
        }
        let end = if is_announced(text, tokens, i) {
            Some(code_end(text, tokens, i))
        } else {
            formed_end(text, tokens, i)
        };
        if let Some(last) = end {
            // `LV-1010`, `FIQQ 1ZZ`: what stands before the digits belongs to the code.
            let first = i.checked_sub(1).filter(|before| {
                let (before, joint) = (&tokens[*before], &text[tokens[*before].end..token.start]);
                let short = before.len() <= 4 && matches!(before.shape, Shape::Upper | Shape::Initial);
                short && (joint == "-" || joint == " " && token.shape == Shape::Code)
            });
            let start = first.map_or(token.start, |before| tokens[before].start);
            findings.push(Finding { start, end: tokens[last].end, class: Class::PostalCode });
        }
    }
}

/// Whether one of the words before token `i` says that a postal code follows, with nothing between them but small words.
fn is_announced(text: &str, tokens: &[Token], i: usize) -> bool {
    for back in 1..=REACH.min(i) {
        let at = i - back;
        let word = Folded::of(tokens[at].text(text));
        let gap = &text[tokens[at].end..tokens[at + 1].start];
        if gap.contains(['.', '!', ';', '\n']) && !gap.trim().is_empty() && gap.trim() != "." {
            return false;
        }
        match word.as_str() {
            "zip" | "zipcode" | "postcode" | "postcodes" | "plz" | "postleitzahl" | "cep" | "cap"
            | "pincode" | "postnummer" | "eircode" | "postinumero" | "irányítószám" | "psč" | "индекс"
            | "sihtnumber" | "póstnúmer" => return true,
            "code" | "codes" | "pin" | "postal" | "post" | "código" | "codigo" | "codice" | "kod" | "kód"
            | "number" | "poštni" => {
                let neighbours = [at.checked_sub(1), Some(at + 1)];
                let postal = neighbours.into_iter().flatten().filter_map(|n| tokens.get(n)).any(|t| {
                    matches!(
                        Folded::of(t.text(text)).as_str(),
                        "postal" | "zip" | "post" | "pin" | "postale" | "code" | "poštovní" | "pocztowy"
                    )
                });
                if postal || matches!(word.as_str(), "postal") {
                    return true;
                }
            }
            "is" | "s" | "my" | "the" | "a" | "in" | "for" | "to" | "of" | "are" | "and" | "was" | "it"
            | "at" | "please" | "est" | "ist" | "es" | "è" | "user" | "area" | "should" | "be" | "new"
            | "changed" | "updated" | "set" | "as" | "our" | "your" | "correct" | "wrong" | "has"
            | "with" | "here" | "check" | "will" | "must" | "would" => {}
            _ if tokens[at].has_digit() && gap.len() <= 2 => {}
            _ => return false,
        }
    }
    false
}

/// The last token of the code that begins at token `i`: `394 13`, `7412 SL`, `75534-030`, `SW1A 1AA`.
fn code_end(text: &str, tokens: &[Token], i: usize) -> usize {
    let Some(next) = tokens.get(i + 1) else { return i };
    let gap = &text[tokens[i].end..next.start];
    let second = match next.shape {
        Shape::Number => matches!(gap, " " | "-" | "\u{a0}") && next.len() <= 4,
        Shape::Code => matches!(gap, " " | "-") && next.len() <= 4,
        Shape::Upper => matches!(gap, " " | "") && next.len() == 2,
        Shape::Lower => {
            gap == " "
                && next.len() == 2
                && tokens[i].len() == 4
                && !matches!(
                    next.text(text),
                    "in" | "is"
                        | "if"
                        | "it"
                        | "to"
                        | "as"
                        | "at"
                        | "or"
                        | "so"
                        | "on"
                        | "we"
                        | "my"
                        | "by"
                        | "of"
                        | "an"
                )
        }
        _ => false,
    };
    i + usize::from(second)
}

/// Codes known by their form: `SW1A 1AA`, `K1A 0B1`, `CA 90210`, `10115 Berlin`, `Boston 02134`, `1012 AB Amsterdam`.
fn formed_end(text: &str, tokens: &[Token], i: usize) -> Option<usize> {
    let (token, word) = (&tokens[i], tokens[i].text(text));
    let next = tokens.get(i + 1);
    let near = |from: &Token, to: &Token| matches!(&text[from.end..to.start], " " | ", " | "\u{a0}");
    if token.shape == Shape::Code {
        let second =
            next.filter(|n| n.shape == Shape::Code && &text[token.end..n.start] == " ").map(|n| n.text(text));
        let outward = form(word);
        return match (outward.as_str(), second.map(form).as_deref()) {
            ("A9" | "A99" | "AA9" | "AA99" | "A9A" | "AA9A", Some("9AA")) | ("A9A", Some("9A9")) => {
                Some(i + 1)
            }
            ("A9A9A9", _) => Some(i),
            _ => None,
        };
    }
    if token.shape != Shape::Number {
        return None;
    }
    let previous = i.checked_sub(1).map(|p| &tokens[p]);
    let five = token.len() == 5;
    let state = previous.is_some_and(|p| near(p, token) && STATES.contains(&p.text(text)))
        && (five || token.len() == 4 && previous.is_some_and(|p| p.len() == 3));
    let town_before = five && previous.is_some_and(|p| p.known.place() && p.is_capital() && near(p, token));
    let town = |t: &Token| t.known.place() && t.is_capital();
    let town_behind = five && next.is_some_and(|n| town(n) && &text[token.end..n.start] == " ");
    if state || town_before {
        return Some(
            if next
                .is_some_and(|n| n.shape == Shape::Number && n.len() == 4 && &text[token.end..n.start] == "-")
            {
                i + 1
            } else {
                i
            },
        );
    }
    if town_behind {
        return Some(i);
    }
    let split = token.len() == 3
        && next.is_some_and(|n| n.shape == Shape::Number && n.len() == 2 && &text[token.end..n.start] == " ");
    if (five || split || token.len() == 4 && !matches!(word.get(..2), Some("19" | "20")))
        && follows_town(text, tokens, i)
    {
        let hyphenated = next.is_some_and(|n| {
            n.shape == Shape::Number && (3..=4).contains(&n.len()) && &text[token.end..n.start] == "-"
        });
        return Some(i + usize::from(split || hyphenated));
    }
    let dutch = token.len() == 4
        && next.is_some_and(|n| n.shape == Shape::Upper && n.len() == 2 && near(token, n))
        && tokens.get(i + 2).is_some_and(|t| town(t) && near(&tokens[i + 1], t));
    dutch.then_some(i + 1)
}

/// Whether token `i` follows a word behind `in` or the like: `in Överturingen 840 24`, `in barra de carrasco 15000`.
fn follows_town(text: &str, tokens: &[Token], i: usize) -> bool {
    for at in (i.saturating_sub(5)..i).rev() {
        let token = &tokens[at];
        if &text[token.end..tokens[at + 1].start] != " " || token.shape == Shape::Tag || token.has_digit() {
            return false;
        }
        let word = Folded::of(token.text(text));
        if matches!(word.as_str(), "in" | "from" | "near" | "at" | "to") {
            return at + 1 < i;
        }
        let town = if token.is_capital() {
            !token.known.other()
        } else {
            matches!(
                word.as_str(),
                "de" | "la" | "del" | "do" | "da" | "of" | "an" | "am" | "der" | "le" | "les" | "di" | "sur"
            ) || !gazetteer().is_ordinary(word.as_str())
        };
        if !town {
            return false;
        }
    }
    false
}

/// `A` for each upper-case letter, `9` for each digit, `a` for anything else.
fn form(word: &str) -> String {
    word.chars()
        .map(|c| {
            if c.is_ascii_digit() {
                '9'
            } else if c.is_ascii_uppercase() {
                'A'
            } else {
                'a'
            }
        })
        .collect()
}
