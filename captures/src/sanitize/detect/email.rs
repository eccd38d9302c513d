//! E-mail addresses.

use super::Finding;
use crate::sanitize::class::Class;

/// An address: local part, at sign, a domain with a dot. Letters beyond ASCII are allowed (RFC 6531).
pub(super) fn find(text: &str, findings: &mut Vec<Finding>) {
    for (at, _) in text.match_indices('@') {
        let local = text[..at].char_indices().rev().take_while(|(_, c)| is_local(*c)).last();
        let Some((start, _)) = local else { continue };
        let domain = &text[at + 1..];
        let reach = domain.find(|c: char| !is_domain(c)).unwrap_or(domain.len());
        let domain = domain[..reach].trim_end_matches(['.', '-']);
        if has_top_level(domain) {
            findings.push(Finding { start, end: at + 1 + domain.len(), class: Class::Email });
        }
    }
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
