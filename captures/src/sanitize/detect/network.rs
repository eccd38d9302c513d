//! Network addresses and URLs.

use std::net::Ipv6Addr;

use super::{Finding, after, before};
use crate::sanitize::class::Class;

/// The parts of a URL that carry secrets: what stands before an at sign of the authority, and everything from the query
/// on.
pub(super) fn find_urls(text: &str, findings: &mut Vec<Finding>) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        if !before(text, at).is_some_and(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        let rest = &text[start..];
        let url = &rest[..rest.find(ends_url).unwrap_or(rest.len())];
        let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
        if let Some(credentials) = authority.rfind('@') {
            push(text, start, start + credentials, findings);
        }
        if let Some(query) = url.find(['?', '#']) {
            push(text, start + query + 1, start + url.len(), findings);
        }
    }
}

fn push(text: &str, start: usize, end: usize, findings: &mut Vec<Finding>) {
    if text[start..end].chars().any(char::is_alphanumeric) {
        findings.push(Finding { start, end, class: Class::Url });
    }
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`' | '|' | '\\' | '^')
}

/// IP addresses of version 6 and Ethernet addresses. (Version 4 is found with the other numbers.)
pub(super) fn find_addresses(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let is_part = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'-' | b'.');
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().position(|b| !is_part(*b)).unwrap_or(bytes.len() - at);
        let start = at;
        at = end;
        if end - start < 6 || glued(before(text, start)) || glued(after(text, end)) {
            continue;
        }
        let trimmed = text[start..end].trim_end_matches(['.', '-']).trim_start_matches(['.', '-']);
        let offset = start + text[start..end].find(trimmed).unwrap_or(0);
        // A trailing colon is punctuation unless it is half of a `::`.
        let core = match trimmed.strip_suffix(':') {
            Some(core) if !core.ends_with(':') => core,
            _ => trimmed,
        };
        let class = if is_mac(core) {
            Class::Mac
        } else if is_ipv6(core) {
            Class::Ip
        } else {
            continue;
        };
        findings.push(Finding { start: offset, end: offset + core.len(), class });
    }
}

fn glued(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Six pairs joined by one of `:` and `-`, or three groups of four joined by dots.
fn is_mac(text: &str) -> bool {
    let joined = |by: char, parts: usize, len: usize| {
        text.len() == parts * (len + 1) - 1
            && text.split(by).all(|p| p.len() == len && p.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    joined(':', 6, 2) || joined('-', 6, 2) || joined('.', 3, 4) && text.bytes().any(|b| b.is_ascii_digit())
}

/// An address that says something: not loopback, and not the `a::b` of program text.
fn is_ipv6(text: &str) -> bool {
    text.bytes().filter(|b| *b == b':').count() >= 2
        && text.bytes().any(|b| b.is_ascii_digit())
        && text.parse::<Ipv6Addr>().is_ok_and(|a| !a.is_loopback() && !a.is_unspecified())
}
