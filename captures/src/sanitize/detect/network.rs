//! Network addresses and URLs.

use std::net::Ipv6Addr;

use super::{Finding, Scope, after, before};
use crate::sanitize::class::Class;

/// Top-level domains that end no sentence by chance: a word behind a full stop without a space is none of these.
const CERTAIN_DOMAINS: &str = "ae ai app ar ar au az biz bg br bz ca ch cl cn co com cy cz de dev dk ec edu ee es eu fi fm fr \
    gov gr hk hr hu ie il info int io ir jp ke kr kw kz lk lt lu lv ly mil mobi mt mx net ng nl nz org pe ph pk pl pt ro ru \
    sa se sg si sk su th tn tr tv tw ua ug uk uy uz ve vn xyz za";

/// URLs: in prose the whole of each behind its scheme; in values what may carry a secret, which is what stands before an
/// at sign of the authority, and everything from the query on.
pub(super) fn find_urls(text: &str, scope: Scope, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    for at in memchr::memchr_iter(b':', bytes).filter(|at| bytes[at + 1..].starts_with(b"//")) {
        let start = at + 3;
        if !before(text, at).is_some_and(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        let rest = &text[start..];
        let url = &rest[..rest.find(ends_url).unwrap_or(rest.len())];
        let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        let authority = &url[..host_end];
        if scope == Scope::Prose {
            // A lone word is the name of nothing outside; with a path or a port it is somebody's machine.
            let url = url.trim_end_matches(is_punctuation);
            if authority.contains(['.', '@', ':', '[']) || url.len() > host_end + 1 {
                push(text, start, start + url.len(), findings);
            }
            continue;
        }
        if let Some(credentials) = authority.rfind('@') {
            push(text, start, start + credentials, findings);
        }
        if let Some(query) = url.find(['?', '#']) {
            push(text, start + query + 1, start + url.len(), findings);
        }
    }
}

/// Domains without a scheme, and the path behind them: `www.example.it/a`, `example.com`.
pub(super) fn find_domains(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for dot in memchr::memchr_iter(b'.', bytes) {
        let inner = bytes.get(dot + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80)
            && dot > done
            && (bytes[dot - 1].is_ascii_alphanumeric() || bytes[dot - 1] >= 0x80);
        if !inner {
            continue;
        }
        let part = |c: char| c.is_alphanumeric() || c == '-';
        let start = text[..dot].trim_end_matches(part).len();
        let reach = text[dot..].find(|c: char| !part(c) && c != '.').unwrap_or(text.len() - dot);
        let host = text[start..dot + reach].trim_end_matches(['.', '-']);
        let host_end = start + host.len();
        done = dot + reach;
        if matches!(before(text, start), Some('@' | '/' | '_' | '.' | '#' | '='))
            || after(text, host_end) == Some('@')
        {
            continue;
        }
        let path = matches!(after(text, host_end), Some('/' | '?'))
            && bytes.get(host_end + 1).is_some_and(u8::is_ascii_alphanumeric);
        if is_domain(host, path) {
            let tail = if path || after(text, host_end) == Some(':') { &text[host_end..] } else { "" };
            let tail = &tail[..tail.find(ends_url).unwrap_or(tail.len())];
            let end = host_end + tail.trim_end_matches(is_punctuation).len();
            findings.push(Finding { start, end, class: Class::Url });
            done = end;
        }
    }
}

/// Whether these labels are a domain: by its first (`www`) or last one, or by being more than two before a path.
fn is_domain(host: &str, path: bool) -> bool {
    let Some((name, top)) = host.rsplit_once('.') else { return false };
    let known =
        |top: &str| CERTAIN_DOMAINS.split_ascii_whitespace().any(|known| top.eq_ignore_ascii_case(known));
    let www = name.len() >= 3 && name.as_bytes()[..3].eq_ignore_ascii_case(b"www");
    let alphabetic = top.chars().all(char::is_alphabetic) || top.to_ascii_lowercase().starts_with("xn--");
    let named = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.len() >= 2 && label.chars().any(char::is_alphabetic));
    // `example.co.in`, `example.com.my`.
    let second = name
        .rsplit_once('.')
        .is_some_and(|(_, label)| matches!(label, "co" | "com" | "org" | "net" | "gov" | "edu" | "ac"));
    (2..=24).contains(&top.chars().count())
        && alphabetic
        && (www || named && (known(top) || second || path && top.is_ascii() && top.len() <= 3))
}

fn is_punctuation(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '}' | '\'' | '*' | '…' | '’' | '”' | '»')
}

fn push(text: &str, start: usize, end: usize, findings: &mut Vec<Finding>) {
    if text[start..end].chars().any(char::is_alphanumeric) {
        findings.push(Finding { start, end, class: Class::Url });
    }
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '`' | '|' | '\\' | '^')
}

/// What addresses are made of.
static PARTS: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        let byte = b as u8;
        table[b] = byte.is_ascii_hexdigit() || matches!(byte, b':' | b'-' | b'.');
        b += 1;
    }
    table
};

/// IP addresses of version 6 and Ethernet addresses. (Version 4 is found with the other numbers.)
pub(super) fn find_addresses(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let is_part = |b: u8| PARTS[usize::from(b)];
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
