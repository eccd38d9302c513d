//! E-mail addresses, also those spelled in words ("jo at example dot com").

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::Finding;
use super::gate::Standing;
use crate::sanitize::class::Class;

/// Words in place of an at sign, and of a dot.
const AT_WORDS: &[&str] =
    &["at", "(at)", "[at]", "{at}", "<at>", "-at-", "_at_", "arroba", "@", "(@)", "[@]"];
const DOT_WORDS: &[&str] = &[
    "dot", "(dot)", "[dot]", "{dot}", "<dot>", "-dot-", "_dot_", "punto", "punkt", "ponto", "point", ".",
    "(.)", "[.]",
];

/// Words that stand behind "at" without being a domain.
const NO_DOMAINS: &[&str] =
    &["the", "a", "an", "my", "your", "our", "this", "that", "all", "least", "home", "work"];

/// An address: local part, at sign, a domain with a dot or an IP address in brackets. Letters beyond ASCII are allowed
/// (RFC 6531), and so is a local part in quotation marks.
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let Some(start) = local_start(text, at) else { continue };
        let domain = &text[at + 1..];
        if let Some(literal) = domain.strip_prefix('[') {
            let reach =
                literal.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | ':'))).unwrap_or(0);
            if reach > 0 && literal[reach..].starts_with(']') {
                findings.push(Finding { start, end: at + 2 + reach, class: Class::Email });
            }
            continue;
        }
        let reach = domain.find(|c: char| !is_domain(c)).unwrap_or(domain.len());
        let domain = domain[..reach].trim_end_matches(['.', '-']);
        if has_top_level(domain) {
            findings.push(Finding { start, end: at + 1 + domain.len(), class: Class::Email });
        }
    }
}

fn local_start(text: &str, at: usize) -> Option<usize> {
    let head = &text[..at];
    if let Some(quoted) = head.strip_suffix('"') {
        let open = quoted.rfind('"')?;
        return (at - open <= 66 && open + 1 < quoted.len()).then_some(open + 1);
    }
    let start = head.trim_end_matches(is_local).len();
    (start < at).then_some(start)
}

/// One of these is in every text that holds an address spelled in words.
const SIGNS: [&str; 10] = ["dot", "DOT", "Dot", "[.]", "(.)", "arroba", "(at)", "[at]", "(AT)", "[AT]"];

/// What a gate must open for, so that no address spelled in words is missed.
pub(super) fn signs() -> impl Iterator<Item = (&'static str, Standing)> {
    SIGNS.into_iter().map(|sign| (sign, Standing::Anywhere))
}

/// Whether a text can hold an address spelled in words.
pub(super) fn may_be_spelled(text: &str) -> bool {
    static ANY: LazyLock<AhoCorasick> =
        LazyLock::new(|| AhoCorasick::new(SIGNS).expect("ten short patterns fit any automaton"));
    ANY.is_match(text)
}

/// Addresses with words for the signs: `jo [at] example [dot] com`, `jo dot doe at example dot com`, `jo(at)example.com`.
pub(super) fn find_spelled(text: &str, findings: &mut Vec<Finding>) {
    let pieces = pieces(text);
    let is = |i: usize, words: &[&str]| {
        pieces.get(i).is_some_and(|(s, e)| words.iter().any(|w| text[*s..*e].eq_ignore_ascii_case(w)))
    };
    let label = |i: usize| {
        let piece = pieces.get(i).map_or("", |(s, e)| &text[*s..*e]);
        !piece.is_empty()
            && piece.chars().all(|c| is_domain(c) || matches!(c, '_' | '+'))
            && !is(i, DOT_WORDS)
            && !is(i, AT_WORDS)
    };
    for at in (1..pieces.len()).filter(|i| is(*i, AT_WORDS)) {
        if !label(at - 1) || !label(at + 1) || is(at + 1, NO_DOMAINS) {
            continue;
        }
        let mut first = at - 1;
        while first >= 2 && is(first - 1, DOT_WORDS) && label(first - 2) {
            first -= 2;
        }
        let mut last = at + 1;
        while is(last + 1, DOT_WORDS) && label(last + 2) {
            last += 2;
        }
        let text_of = |i: usize| &text[pieces[i].0..pieces[i].1];
        let top = text_of(last).trim_end_matches('.');
        let spelled =
            last > at + 1 && (2..=6).contains(&top.len()) && top.bytes().all(|b| b.is_ascii_alphabetic());
        let marked = text_of(at).len() > 2 && has_top_level(top);
        if spelled || marked {
            let end = pieces[last].0 + top.len();
            findings.push(Finding { start: pieces[first].0, end, class: Class::Email });
        }
    }
}

/// Words and marks, and what stands in brackets as words of its own: `jo[at]example` has three.
fn pieces(text: &str) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut start = None;
    for (i, c) in text.char_indices() {
        let opens = matches!(c, '(' | '[' | '{');
        let mark = matches!(c, ',' | ';' | ':' | '"' | '!' | '?');
        if opens || mark || c.is_whitespace() {
            pieces.extend(start.take().map(|from| (from, i)));
        }
        if mark {
            pieces.push((i, i + 1));
        } else if start.is_none() && !c.is_whitespace() {
            start = Some(i);
        }
        if matches!(c, ')' | ']' | '}') {
            pieces.extend(start.take().map(|from| (from, i + 1)));
        }
    }
    pieces.extend(start.map(|from| (from, text.len())));
    pieces
}

fn is_local(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '&' | '#' | '~' | '^' | '!' | '=')
}

fn is_domain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-')
}

/// Whether a dot is followed by what can be a top-level domain, with something before it.
fn has_top_level(domain: &str) -> bool {
    domain.rsplit_once('.').is_some_and(|(rest, last)| {
        !rest.is_empty() && last.chars().count() >= 2 && last.chars().any(char::is_alphabetic)
    })
}
