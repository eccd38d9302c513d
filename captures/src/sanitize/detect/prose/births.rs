//! Dates of birth: dates near a word of birth.

use super::cues::Cues;
use super::tokens::Token;
use crate::sanitize::class::Class;
use crate::sanitize::detect::Finding;

/// Words before or behind a date in which a word of birth is looked for.
const BEFORE: usize = 7;
const BEHIND: usize = 4;

/// Finds dates of birth.
pub(super) fn find(text: &str, tokens: &[Token], findings: &mut Vec<Finding>) {
    for birth in 0..tokens.len() {
        let token = &tokens[birth];
        if !token.cues.has(Cues::BIRTH) {
            continue;
        }
        let (from, to) = (birth.saturating_sub(BEHIND), (birth + BEFORE).min(tokens.len()));
        let mut i = from;
        while i < to {
            match date_end(text, tokens, i) {
                Some(last) => {
                    findings.push(Finding {
                        start: tokens[i].start,
                        end: tokens[last].end,
                        class: Class::BirthDate,
                    });
                    i = last + 1;
                }
                None => i += 1,
            }
        }
    }
}

/// The last token of the date that begins at token `i`.
fn date_end(text: &str, tokens: &[Token], i: usize) -> Option<usize> {
    let number = |at: usize| -> Option<u32> {
        let word = tokens.get(at)?.text(text);
        let digits = word.trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']);
        if digits.len() > 4 { None } else { digits.parse().ok() }
    };
    let gap = |at: usize| tokens.get(at).map_or("", |t| &text[tokens[at - 1].end..t.start]);
    let month = |at: usize| tokens.get(at).is_some_and(|t| t.cues.has(Cues::MONTH));
    let word = tokens[i].text(text);
    if word.len() == 8
        && word.bytes().all(|b| b.is_ascii_digit())
        && (word.starts_with("19") || word.starts_with("20"))
    {
        return Some(i);
    }
    if let (Some(a), Some(b), Some(c)) = (number(i), number(i + 1), number(i + 2)) {
        let separators =
            matches!(gap(i + 1), "/" | "-" | "." | ". " | " " | " / ") && gap(i + 1) == gap(i + 2);
        let day_month = |d: u32, m: u32| (1..=31).contains(&d) && (1..=12).contains(&m);
        if separators && (day_month(a, b) || day_month(b, a) || a > 31 && day_month(c, b)) {
            return Some(i + 2);
        }
    }
    let year = |at: usize| {
        number(at).is_some_and(|y| (1900..=2030).contains(&y) || y < 100 && tokens[at].len() == 2)
            && matches!(gap(at), " " | ", " | "-" | "." | ". " | " de " | "'" | " '")
    };
    if number(i).is_some_and(|d| (1..=31).contains(&d)) {
        // `12 May 1990`, `12th of May`, `12 de mayo de 1990`.
        let of = usize::from(tokens.get(i + 1).is_some_and(|t| matches!(t.text(text), "of" | "de")));
        if month(i + 1 + of) {
            let at = i + 1 + of;
            let of_year =
                usize::from(tokens.get(at + 1).is_some_and(|t| matches!(t.text(text), "of" | "de")));
            return Some(if year(at + 1 + of_year) { at + 1 + of_year } else { at });
        }
    }
    if month(i)
        && number(i + 1).is_some_and(|d| (1..=31).contains(&d))
        && matches!(gap(i + 1), " " | ". " | "-")
    {
        return Some(if year(i + 2) { i + 2 } else { i + 1 });
    }
    if month(i) && number(i + 1).is_some_and(|y| (1900..=2030).contains(&y)) {
        return Some(i + 1);
    }
    None
}
