//! Names and values joined by `=` and `&`: queries and forms.

use std::ops::Range;

/// The longest parameter name; a longer one is rather a value.
const LONGEST_NAME: usize = 64;

/// Splits `range` of `bytes` into pairs. What has no `=` has no name: it is a value.
pub(in crate::sanitize) fn pairs(
    bytes: &[u8],
    range: Range<usize>,
) -> Vec<(Option<Range<usize>>, Range<usize>)> {
    let mut pairs = Vec::new();
    let mut start = range.start;
    let ends = memchr::memchr2_iter(b'&', b';', &bytes[range.clone()]).map(|at| range.start + at);
    for end in ends.chain([range.end]) {
        pairs.push(match memchr::memchr(b'=', &bytes[start..end]) {
            Some(equals) => (Some(start..start + equals), start + equals + 1..end),
            None => (None, start..end),
        });
        start = end + 1;
    }
    pairs
}

/// Whether `raw` reads as the name of a parameter: short, letters, digits and `_-.[]` only, and not mostly digits. A body
/// with the wrong type, say JSON declared as a form, has no such names, so none of it passes as one.
pub(in crate::sanitize) fn is_plain_name(raw: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    let digits = raw.iter().filter(|b| b.is_ascii_digit()).count();
    !raw.is_empty() && raw.len() <= LONGEST_NAME && raw.iter().all(plain) && digits * 2 <= raw.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_cover_everything_between_the_separators() {
        let bytes = b"a=1&b&&c=d=e;f=";
        let read: Vec<_> = pairs(bytes, 0..bytes.len())
            .into_iter()
            .map(|(n, v)| (n.map(|n| &bytes[n]), &bytes[v]))
            .collect();
        let expected: Vec<(Option<&[u8]>, &[u8])> =
            vec![(Some(b"a"), b"1"), (None, b"b"), (None, b""), (Some(b"c"), b"d=e"), (Some(b"f"), b"")];
        assert_eq!(read, expected);
    }

    #[test]
    fn values_do_not_pass_as_names() {
        assert!(is_plain_name(b"user_id") && is_plain_name(b"items[0]"));
        for value in [&b"{\"text\":\"hi\"}"[..], b"a b", b"4111111111111111", b"", &[b'a'; 65]] {
            assert!(!is_plain_name(value));
        }
    }
}
