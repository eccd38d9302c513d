//! Texts that must be nowhere, and the forms in which they could hide.

use aho_corasick::{AhoCorasick, MatchKind};

/// Shorter texts stand in every other document by chance.
const SHORTEST: usize = 4;
/// Percent-encodings inside percent-encodings that are undone.
const DEEPEST: usize = 2;

/// Texts planted to be looked for: in any case, and in base64, percent-encoding and JSON escapes.
pub struct Canaries {
    count: usize,
    /// Lower case, by canary.
    plain: AhoCorasick,
    /// Base64 of each at its three alignments, case as it is.
    base64: AhoCorasick,
    /// Which canary each pattern of `base64` is of.
    base64_of: Vec<usize>,
}

/// A canary that was found.
pub(super) struct Found {
    /// Which one, from 0.
    pub(super) canary: usize,
    /// First byte, where the form leaves it known.
    pub(super) offset: Option<usize>,
    pub(super) form: &'static str,
}

/// A list of canaries that cannot be used. Never quotes one.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// Too short to mean anything.
    #[error("canary {number} has fewer than {SHORTEST} characters: it would be found everywhere by chance")]
    TooShort {
        /// Which one, from 1.
        number: usize,
    },
    /// More or longer ones than fit into memory.
    #[error("the canaries are too many to look for at once")]
    TooMany,
}

// === impl Canaries ===

impl Canaries {
    /// Prepares to look for `texts`.
    pub fn new(texts: &[String]) -> Result<Canaries, CanaryError> {
        if let Some(at) = texts.iter().position(|text| text.trim().chars().count() < SHORTEST) {
            return Err(CanaryError::TooShort { number: at + 1 });
        }
        let texts = || texts.iter().map(|text| text.trim());
        let built = |needles: Vec<String>| {
            AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(needles)
                .map_err(|_| CanaryError::TooMany)
        };
        let base64: Vec<_> = texts()
            .enumerate()
            .flat_map(|(n, text)| base64_forms(text.as_bytes()).into_iter().map(move |form| (n, form)))
            .collect();
        Ok(Canaries {
            count: texts().count(),
            plain: built(texts().map(str::to_lowercase).collect())?,
            base64_of: base64.iter().map(|(n, _)| *n).collect(),
            base64: built(base64.into_iter().map(|(_, form)| form).collect())?,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every occurrence in `part`, in the plainest form that shows it.
    pub(super) fn find(&self, part: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        if self.is_empty() || part.is_empty() {
            return found;
        }
        let text = String::from_utf8_lossy(part);
        let lower = text.to_lowercase();
        // Lower-casing and replacing what is no text can move bytes; only then is the place unknown.
        let still = lower.len() == part.len();
        for hit in self.plain.find_overlapping_iter(&lower) {
            let offset = still.then_some(hit.start());
            found.push(Found { canary: hit.pattern().as_usize(), offset, form: "as it is" });
        }
        for hit in self.base64.find_overlapping_iter(part) {
            let canary = self.base64_of[hit.pattern().as_usize()];
            found.push(Found { canary, offset: Some(hit.start()), form: "base64" });
        }
        let mut inner = text.into_owned().into_bytes();
        for _ in 0..DEEPEST {
            if !inner.contains(&b'%') {
                break;
            }
            inner = unpercent(&inner);
            self.hidden(&inner, "percent-encoded", &mut found);
        }
        if part.contains(&b'\\') {
            self.hidden(unescape(&String::from_utf8_lossy(part)).as_bytes(), "JSON-escaped", &mut found);
        }
        found
    }

    /// What a decoded form shows more of than was found before.
    fn hidden(&self, decoded: &[u8], form: &'static str, found: &mut Vec<Found>) {
        let lower = String::from_utf8_lossy(decoded).to_lowercase();
        let mut counts = vec![0usize; self.count];
        for hit in self.plain.find_overlapping_iter(&lower) {
            counts[hit.pattern().as_usize()] += 1;
        }
        for (canary, count) in counts.into_iter().enumerate() {
            let known = found.iter().filter(|f| f.canary == canary && f.form != "base64").count();
            found.extend((known..count).map(|_| Found { canary, offset: None, form }));
        }
    }
}

/// What stands in the base64 of any text that holds `text`, at each of the three places where it can begin: the
/// characters that depend on its bytes alone.
fn base64_forms(text: &[u8]) -> Vec<String> {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut forms = Vec::new();
    for before in 0..3 {
        let bits = text.len() * 8;
        // The first character that lies wholly in the text begins at the next multiple of six bits.
        let first = (before * 8usize).div_ceil(6) * 6 - before * 8;
        let sextet = |at: usize| {
            (at..at + 6)
                .fold(0usize, |value, bit| value << 1 | usize::from(text[bit / 8] >> (7 - bit % 8) & 1))
        };
        let whole = (first..).step_by(6).take_while(|at| at + 6 <= bits);
        let form: String = whole.map(|at| char::from(STANDARD[sextet(at)])).collect();
        // In the alphabet for URLs, too, where it differs.
        let url = form.replace('+', "-").replace('/', "_");
        forms.extend(Some(url).filter(|url| *url != form));
        forms.push(form);
    }
    forms
}

fn unpercent(bytes: &[u8]) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Undoes JSON escapes wherever they stand; anything else stays.
fn unescape(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        units.extend(rest[..at].encode_utf16());
        let escape = &rest[at + 1..];
        let code = escape.strip_prefix('u').and_then(|code| code.get(..4));
        if let Some(unit) = code.and_then(|code| u16::from_str_radix(code, 16).ok()) {
            units.push(unit);
            rest = &escape[5..];
            continue;
        }
        match escape.chars().next() {
            Some(c) if matches!(c, '"' | '\\' | '/') => {
                units.push(c as u16);
                rest = &escape[1..];
            }
            _ => {
                units.push(u16::from(b'\\'));
                rest = escape;
            }
        }
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}
