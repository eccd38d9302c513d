//! What a path or a value looks like: text in which `*` stands for any characters.

/// Text in which `*` stands for any characters, also none and also `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Exactly this.
    Exact(String),
    /// Anything that begins so.
    Prefix(String),
    /// The pieces between two or more stars, or around one in the middle, in this order.
    Pieces(Vec<String>),
}

// === impl PathPattern ===

impl PathPattern {
    /// Reads a pattern; every text is one.
    pub fn parse(text: &str) -> PathPattern {
        let mut pieces: Vec<String> = text.split('*').map(str::to_owned).collect();
        match (pieces.len(), pieces.last()) {
            (1, _) => PathPattern::Exact(text.to_owned()),
            (2, Some(last)) if last.is_empty() => PathPattern::Prefix(pieces.swap_remove(0)),
            _ => PathPattern::Pieces(pieces),
        }
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            PathPattern::Exact(exact) => text == exact.as_bytes(),
            PathPattern::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            PathPattern::Pieces(pieces) => in_order(pieces, text),
        }
    }
}

/// The leftmost place of each piece is as good as any other, since only stars stand between them.
fn in_order(pieces: &[String], text: &[u8]) -> bool {
    let [first, middle @ .., last] = pieces else { return false };
    let Some(mut rest) = text.strip_prefix(first.as_bytes()) else { return false };
    for piece in middle {
        match memchr::memmem::find(rest, piece.as_bytes()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        PathPattern::parse(pattern).matches(text.as_bytes())
    }

    #[test]
    fn stars_stand_for_anything_and_the_rest_for_itself() {
        assert!(matches("/predict", "/predict") && !matches("/predict", "/predict/x"));
        assert!(matches("/v1/*", "/v1/") && matches("/v1/*", "/v1/a/b") && !matches("/v1/*", "/v1"));
        assert!(matches("/v*/models/*:predict", "/v1/models/a/b:predict"));
        assert!(!matches("/v*/models/*:predict", "/v1/models/a:predict/x"));
        assert!(matches("*", "") && matches("*.png", "/a.png") && !matches("*.png", "png"));
        assert!(!matches("ab*ba", "aba"), "pieces do not overlap");
    }

    /// The definition, letter by letter.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|n| defined(rest, &text[n..])),
            [byte, rest @ ..] => text.split_first().is_some_and(|(t, text)| t == byte && defined(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_its_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(matches(&pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
