//! Secrets that machines made: keys, web tokens, random-looking strings.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::{Finding, before};
use crate::sanitize::class::Class;

/// No secret of this module has a shorter run of token characters (the first part of a JSON web token, a UUID's and a
/// key's prefix with it included).
pub(super) const SHORTEST_RUN: usize = 14;

/// A random-looking string is a secret from this length on; 20 characters of base 32 hold 100 bits.
const SHORTEST_TOKEN: usize = 20;

/// Prefixes of well-known issuers, the shortest rest that follows, and what the rest is made of.
const ISSUERS: &[(&str, usize, Rest)] = &[
    ("AKIA", 16, Rest::Upper),
    ("ASIA", 16, Rest::Upper),
    ("AROA", 16, Rest::Upper),
    ("AIDA", 16, Rest::Upper),
    ("AGPA", 16, Rest::Upper),
    ("ANPA", 16, Rest::Upper),
    ("ABIA", 16, Rest::Upper),
    ("ACCA", 16, Rest::Upper),
    ("AIPA", 16, Rest::Upper),
    ("ANVA", 16, Rest::Upper),
    ("AIza", 30, Rest::Url),
    ("ya29.", 20, Rest::Url),
    ("GOCSPX-", 20, Rest::Url),
    ("1//0", 25, Rest::Url),
    ("ghp_", 30, Rest::Alnum),
    ("gho_", 30, Rest::Alnum),
    ("ghu_", 30, Rest::Alnum),
    ("ghs_", 30, Rest::Alnum),
    ("ghr_", 30, Rest::Alnum),
    ("github_pat_", 22, Rest::Url),
    ("glpat-", 20, Rest::Url),
    ("gldt-", 20, Rest::Url),
    ("glrt-", 20, Rest::Url),
    ("glcbt-", 20, Rest::Url),
    ("glptt-", 20, Rest::Url),
    ("glft-", 20, Rest::Url),
    ("glimt-", 20, Rest::Url),
    ("glagent-", 20, Rest::Url),
    ("glsoat-", 20, Rest::Url),
    ("gloas-", 20, Rest::Url),
    ("xoxa-", 10, Rest::Url),
    ("xoxb-", 10, Rest::Url),
    ("xoxc-", 10, Rest::Url),
    ("xoxd-", 10, Rest::Url),
    ("xoxe-", 10, Rest::Url),
    ("xoxe.", 10, Rest::Url),
    ("xoxo-", 10, Rest::Url),
    ("xoxp-", 10, Rest::Url),
    ("xoxr-", 10, Rest::Url),
    ("xoxs-", 10, Rest::Url),
    ("xapp-", 10, Rest::Url),
    ("xwfp-", 10, Rest::Url),
    ("sk_live_", 10, Rest::Alnum),
    ("sk_test_", 10, Rest::Alnum),
    ("rk_live_", 10, Rest::Alnum),
    ("rk_test_", 10, Rest::Alnum),
    ("pk_live_", 10, Rest::Alnum),
    ("pk_test_", 10, Rest::Alnum),
    ("whsec_", 20, Rest::Alnum),
    ("sk-", 20, Rest::Url),
    ("sk-ant-", 20, Rest::Url),
    ("sk-proj-", 20, Rest::Url),
    ("sk-or-", 20, Rest::Url),
    ("sk-svcacct-", 20, Rest::Url),
    ("gsk_", 20, Rest::Alnum),
    ("xai-", 20, Rest::Url),
    ("pplx-", 20, Rest::Url),
    ("r8_", 20, Rest::Alnum),
    ("nvapi-", 20, Rest::Url),
    ("tvly-", 20, Rest::Url),
    ("jina_", 20, Rest::Url),
    ("lsv2_pt_", 20, Rest::Url),
    ("lsv2_sk_", 20, Rest::Url),
    ("pcsk_", 20, Rest::Url),
    ("hf_", 30, Rest::Alnum),
    ("api_org_", 30, Rest::Alnum),
    ("npm_", 30, Rest::Alnum),
    ("pypi-", 40, Rest::Url),
    ("rubygems_", 40, Rest::Alnum),
    ("dckr_pat_", 20, Rest::Url),
    ("dop_v1_", 60, Rest::Alnum),
    ("doo_v1_", 60, Rest::Alnum),
    ("dor_v1_", 60, Rest::Alnum),
    ("fo1_", 30, Rest::Url),
    ("nfp_", 30, Rest::Alnum),
    ("sbp_", 30, Rest::Alnum),
    ("HRKU-", 30, Rest::Url),
    ("hvs.", 20, Rest::Url),
    ("hvb.", 20, Rest::Url),
    ("hvr.", 20, Rest::Url),
    ("dp.pt.", 30, Rest::Alnum),
    ("dp.st.", 30, Rest::Url),
    ("pul-", 40, Rest::Hex),
    ("dapi", 32, Rest::Hex),
    ("shpat_", 30, Rest::Alnum),
    ("shpca_", 30, Rest::Alnum),
    ("shppa_", 30, Rest::Alnum),
    ("shpss_", 30, Rest::Alnum),
    ("sq0atp-", 20, Rest::Url),
    ("sq0csp-", 20, Rest::Url),
    ("EAAA", 40, Rest::Url),
    ("EZAK", 40, Rest::Alnum),
    ("EZTK", 40, Rest::Alnum),
    ("shippo_live_", 30, Rest::Alnum),
    ("shippo_test_", 30, Rest::Alnum),
    ("access_token$production$", 30, Rest::Url),
    ("SG.", 20, Rest::Url),
    ("key-", 32, Rest::Hex),
    ("AC", 32, Rest::Hex),
    ("SK", 32, Rest::Hex),
    ("xkeysib-", 40, Rest::Url),
    ("re_", 20, Rest::Url),
    ("PMAK-", 30, Rest::Url),
    ("lin_api_", 30, Rest::Alnum),
    ("NRAK-", 20, Rest::Upper),
    ("NRJS-", 15, Rest::Alnum),
    ("NRII-", 20, Rest::Url),
    ("glsa_", 30, Rest::Url),
    ("glc_", 30, Rest::Url),
    ("figd_", 30, Rest::Url),
    ("ntn_", 30, Rest::Alnum),
    ("secret_", 40, Rest::Alnum),
    ("CFPAT-", 30, Rest::Url),
    ("ATATT3", 50, Rest::Url),
    ("ATCTT3", 50, Rest::Url),
    ("sntrys_", 30, Rest::Url),
    ("sntryu_", 30, Rest::Alnum),
    ("sgp_", 40, Rest::Alnum),
    ("pscale_tkn_", 30, Rest::Url),
    ("pscale_pw_", 30, Rest::Url),
    ("pscale_oauth_", 30, Rest::Url),
    ("rdme_", 40, Rest::Alnum),
    ("AGE-SECRET-KEY-1", 50, Rest::Upper),
    ("phc_", 30, Rest::Alnum),
    ("phx_", 30, Rest::Alnum),
    ("fio-u-", 30, Rest::Url),
    ("sl.", 60, Rest::Url),
    ("eyJ", 10, Rest::Jwt),
];

/// What follows an issuer's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Upper-case letters and digits.
    Upper,
    /// Lower-case hex digits.
    Hex,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-`, `_` and `.`.
    Url,
    /// The rest of a JSON web token: two or three parts of base 64 (URL alphabet) joined by dots.
    Jwt,
}

/// Built once; a clone shares the tables.
static PREFIXES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(ISSUERS.iter().map(|(prefix, ..)| prefix))
        .expect("some dozens of short fixed patterns fit any automaton")
});

/// Finds keys by the prefixes of their issuers, and JSON web tokens by theirs.
#[derive(Clone, Debug)]
pub(super) struct ApiKeys {
    prefixes: AhoCorasick,
}

// === impl ApiKeys ===

impl ApiKeys {
    pub(super) fn new() -> Self {
        Self { prefixes: PREFIXES.clone() }
    }

    pub(super) fn find(&self, text: &str, findings: &mut Vec<Finding>) {
        for hit in self.prefixes.find_iter(text) {
            let (prefix, shortest, kind) = ISSUERS[hit.pattern().as_usize()];
            if before(text, hit.start()).is_some_and(|c| c.is_ascii_alphanumeric()) {
                continue;
            }
            let rest = &text[hit.end()..];
            let rest = &rest[..rest.find(|c: char| !kind.holds(c)).unwrap_or(rest.len())];
            let rest = rest.trim_end_matches(['.', '-']);
            let class = if kind == Rest::Jwt { Class::Jwt } else { Class::ApiKey };
            let real = match kind {
                Rest::Jwt => is_jwt_rest(rest, shortest),
                // Short prefixes also begin words; a key has digits.
                _ => rest.len() >= shortest && (prefix.len() > 4 || rest.bytes().any(|b| b.is_ascii_digit())),
            };
            if real {
                findings.push(Finding { start: hit.start(), end: hit.end() + rest.len(), class });
            }
        }
    }
}

impl Rest {
    fn holds(self, c: char) -> bool {
        match self {
            Self::Hex => c.is_ascii_digit() || ('a'..='f').contains(&c),
            Self::Upper => c.is_ascii_uppercase() || c.is_ascii_digit(),
            Self::Alnum => c.is_ascii_alphanumeric(),
            Self::Url | Self::Jwt => c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'),
        }
    }
}

fn is_jwt_rest(rest: &str, shortest: usize) -> bool {
    let mut parts = rest.split('.');
    parts.next().is_some_and(|header| header.len() >= shortest)
        && parts.next().is_some_and(|claims| claims.len() >= shortest)
}

/// How many leading bytes of a finding name its kind rather than its value.
pub(in crate::sanitize) fn prefix_len(class: Class, text: &str) -> usize {
    let of_class = |kind: Rest| (kind == Rest::Jwt) == (class == Class::Jwt);
    ISSUERS
        .iter()
        .filter(|(prefix, _, kind)| of_class(*kind) && text.starts_with(prefix) && text.len() > prefix.len())
        .map(|(prefix, ..)| prefix.len())
        .max()
        .unwrap_or(0)
}

/// PEM and PGP blocks; one that is cut off reaches to the end of the text.
pub(super) fn find_private_keys(text: &str, findings: &mut Vec<Finding>) {
    let mut at = 0;
    while let Some(begin) = text[at..].find("-----BEGIN ").map(|i| at + i) {
        let label = &text[begin + 11..];
        let Some(label_end) = label.find("-----") else { return };
        at = begin + 11 + label_end + 5;
        if !label[..label_end].contains("PRIVATE KEY") {
            continue;
        }
        let end = match text[at..].find("-----END ") {
            Some(tail) => {
                let tail = at + tail + 9;
                text[tail..].find("-----").map_or(text.len(), |dashes| tail + dashes + 5)
            }
            None => text.len(),
        };
        findings.push(Finding { start: begin, end, class: Class::PrivateKey });
        at = end;
    }
}

/// UUIDs and strings that no person would write.
pub(super) fn find_tokens(text: &str, findings: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|b| is_token_byte(*b)).map(|i| at + i) {
        let end =
            start + bytes[start..].iter().position(|b| !is_token_byte(*b)).unwrap_or(bytes.len() - start);
        at = end;
        if end - start < SHORTEST_TOKEN {
            continue;
        }
        if is_token(&text[start..end]) {
            findings.push(Finding { start, end, class: Class::Token });
            continue;
        }
        // A path or an assignment: its parts may be tokens.
        let mut part = start;
        for piece in text[start..end].split(['/', '=']) {
            if is_token(piece) {
                findings.push(Finding { start: part, end: part + piece.len(), class: Class::Token });
            }
            part += piece.len() + 1;
        }
    }
}

/// What random-looking strings are made of: base 64 in both alphabets, and UUIDs.
pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

static TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < table.len() {
        let byte = b as u8;
        table[b] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=');
        b += 1;
    }
    table
};

/// Whether `text` looks random: long, of mixed kinds, and not built from words.
pub(in crate::sanitize) fn is_token(text: &str) -> bool {
    is_uuid(text) || text.len() >= SHORTEST_TOKEN && Mixture::of(text.as_bytes()).is_random()
}

pub(in crate::sanitize) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// What a string is mixed from.
#[derive(Default)]
struct Mixture {
    upper: usize,
    lower: usize,
    digits: usize,
    /// Letters in runs of three or more lower-case ones: words look so, random strings rarely do.
    in_words: usize,
    /// Neighbours of which one is a digit and the other a letter.
    changes: usize,
}

impl Mixture {
    fn of(bytes: &[u8]) -> Self {
        let mut mixture = Self::default();
        let mut run = 0;
        let mut previous = b' ';
        for &b in bytes {
            mixture.upper += usize::from(b.is_ascii_uppercase());
            mixture.digits += usize::from(b.is_ascii_digit());
            let change = b.is_ascii_digit() && previous.is_ascii_alphabetic()
                || b.is_ascii_alphabetic() && previous.is_ascii_digit();
            mixture.changes += usize::from(change);
            if b.is_ascii_lowercase() {
                mixture.lower += 1;
                run += 1;
                mixture.in_words += match run {
                    0..=2 => 0,
                    3 => 3,
                    _ => 1,
                };
            } else {
                run = 0;
            }
            previous = b;
        }
        mixture
    }

    fn is_random(&self) -> bool {
        let letters = self.upper + self.lower;
        if self.upper > 0 && self.lower > 0 {
            // In random base 62, a sixth of the characters is in such runs; in words joined by case, most are.
            return self.digits >= 2 && self.in_words * 5 < (letters + self.digits) * 2;
        }
        self.digits >= 3 && letters >= 3 && self.changes >= 5
    }
}
