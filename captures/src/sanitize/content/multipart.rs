//! `multipart/form-data` (RFC 7578): parts between boundaries, each with a name and a type of its own.
//!
//! Everything is rewritten where it stands, the boundary too. A part that is not read is overwritten with zeros, so
//! that the form keeps its length. What two readers could read differently (line breaks without CR, folded fields,
//! transfer encodings, a part in parts) is refused.

use std::ops::Range;

use super::super::encoded::Encoding;
use super::super::masker::{Draft, Masker};
use super::super::paths::Treatment;
use super::{Bodies, ContentKind, Reason, is_plain_name, lines};

const MALFORMED: Reason = "not a valid multipart form";
/// The longest boundary that RFC 2046 allows.
const LONGEST_BOUNDARY: usize = 70;

/// What the fields of a part say.
struct Part {
    name: Option<Range<usize>>,
    content_type: Option<Range<usize>>,
}

/// Where the boundary stands in the value of a content type.
pub(in crate::sanitize) fn boundary(content_type: &[u8]) -> Option<Range<usize>> {
    let mut found = parameters(content_type, 0..content_type.len())?.into_iter();
    let boundary = found.find(|(name, _)| content_type[name.clone()].eq_ignore_ascii_case(b"boundary"));
    let (_, value) = boundary?;
    let another = found.any(|(name, _)| content_type[name].eq_ignore_ascii_case(b"boundary"));
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(b);
    let text = &content_type[value.clone()];
    let good = (1..=LONGEST_BOUNDARY).contains(&text.len()) && text.iter().all(allowed);
    (good && !another && !text.ends_with(b" ")).then_some(value)
}

/// Rewrites the form in `draft`.
pub(super) fn rewrite(
    bodies: &mut Bodies,
    boundary: &[u8],
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    let source = draft.source;
    let delimiter = [b"\r\n--", boundary].concat();
    if !source.starts_with(&delimiter[2..]) {
        // Readers skip what stands before the first boundary; nobody knows what it is.
        return Err(MALFORMED);
    }
    let mut at = delimiter.len() - 2;
    loop {
        masker.rename(draft, at - boundary.len()..at)?;
        let line = at + memchr::memmem::find(&source[at..], b"\r\n").unwrap_or(source.len() - at);
        let rest = &source[at..line];
        if let Some(padding) = rest.strip_prefix(b"--") {
            let blank = padding.iter().chain(&source[line..]).all(u8::is_ascii_whitespace);
            return if blank { Ok(()) } else { Err(MALFORMED) };
        }
        if !rest.iter().all(|b| matches!(b, b' ' | b'\t')) || line == source.len() {
            return Err(MALFORMED);
        }
        // The break of the boundary's line may be the one before the next boundary: an empty part without fields.
        let end = line + memchr::memmem::find(&source[line..], &delimiter).ok_or(MALFORMED)?;
        let head = line + memchr::memmem::find(&source[line..end], b"\r\n\r\n").ok_or(MALFORMED)?;
        let fields = if head == line { line..line } else { line + 2..head };
        let part = part_fields(fields, draft, masker)?;
        part_content(bodies, &part, head + 4..end, draft, masker)?;
        at = end + delimiter.len();
    }
}

fn part_fields(range: Range<usize>, draft: &mut Draft<'_>, masker: &mut Masker) -> Result<Part, Reason> {
    let source = draft.source;
    let mut part = Part { name: None, content_type: None };
    let mut disposed = false;
    for line in lines(source, range).into_iter().filter(|line| !line.is_empty()) {
        let colon = line.start + memchr::memchr(b':', &source[line.clone()]).ok_or(MALFORMED)?;
        let name = &source[line.start..colon];
        if name.is_empty() || !name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return Err(MALFORMED);
        }
        let value = trimmed(source, colon + 1..line.end);
        if name.eq_ignore_ascii_case(b"content-disposition") && !disposed {
            disposed = true;
            part.name = disposition(value, draft, masker)?;
        } else if name.eq_ignore_ascii_case(b"content-type") && part.content_type.is_none() {
            masker.treat(draft, value.clone(), Encoding::Plain, Treatment::Keep, "string")?;
            part.content_type = Some(value);
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            let encoding = &source[value];
            if ![&b"7bit"[..], b"8bit", b"binary"].iter().any(|e| encoding.eq_ignore_ascii_case(e)) {
                return Err("a part of the form is in a transfer encoding");
            }
        } else if name.eq_ignore_ascii_case(b"content-disposition")
            || name.eq_ignore_ascii_case(b"content-type")
            || name.eq_ignore_ascii_case(b"content-encoding")
        {
            return Err(MALFORMED);
        } else {
            masker.treat(draft, line, Encoding::Plain, Treatment::Replace, "header")?;
        }
    }
    if disposed { Ok(part) } else { Err(MALFORMED) }
}

/// Treats a `Content-Disposition`; returns where the name of the field stands, if it reads as one.
fn disposition(
    value: Range<usize>,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<Option<Range<usize>>, Reason> {
    let source = draft.source;
    let kind = value.start..value.start + source[value.clone()].iter().take_while(|b| **b != b';').count();
    if !source[kind].trim_ascii().eq_ignore_ascii_case(b"form-data") {
        return Err(MALFORMED);
    }
    let mut field = None;
    for (name, value) in parameters(source, value).ok_or(MALFORMED)? {
        let is_name = source[name.clone()].eq_ignore_ascii_case(b"name");
        if is_name && field.is_some() {
            return Err(MALFORMED);
        }
        if is_name && is_plain_name(&source[value.clone()]) {
            masker.treat(draft, value.clone(), Encoding::Plain, Treatment::Scan, "key")?;
            field = Some(value);
            continue;
        }
        let plain = [&b"name"[..], b"filename", b"filename*"];
        if !plain.iter().any(|p| source[name.clone()].eq_ignore_ascii_case(p)) {
            masker.treat(draft, name, Encoding::Plain, Treatment::Replace, "string")?;
        }
        // `UTF-8''na%C3%AFve.txt` (RFC 8187): the character set stays.
        let set = &b"UTF-8''"[..];
        let extended = source[value.clone()].get(..set.len()).is_some_and(|v| v.eq_ignore_ascii_case(set));
        let text = if extended { value.start + set.len()..value.end } else { value };
        masker.treat(draft, text, Encoding::Percent, Treatment::Replace, "string")?;
    }
    Ok(field)
}

fn part_content(
    bodies: &mut Bodies,
    part: &Part,
    content: Range<usize>,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    let source = draft.source;
    let declared = part.content_type.clone().map(|value| &source[value]);
    let kind = declared.map_or(ContentKind::Text, |declared| bodies.kind_of(declared));
    let name = part.name.clone().map(|name| &source[name]);
    let treatment = name.map_or(Treatment::Replace, |name| bodies.json.member(name));
    match kind {
        ContentKind::Multipart => Err("a part of the form is a multipart itself"),
        ContentKind::Refuse => Err("the policy refuses content of this type"),
        _ if content.is_empty() => Ok(()),
        ContentKind::Text => Ok(masker.treat(draft, content, Encoding::Plain, treatment, "string")?),
        ContentKind::Json => {
            super::utf8(&source[content.clone()])?;
            Ok(bodies.json.rewrite_member(draft, content, name, masker)?)
        }
        _ => {
            draft.blank(content);
            masker.count("body", draft.place);
            Ok(())
        }
    }
}

/// The parameters behind the first `;` of a field's value: names, and values without their quotes. `None` when they are
/// not of that form.
fn parameters(bytes: &[u8], value: Range<usize>) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let mut found = Vec::new();
    let mut at = value.start + memchr::memchr(b';', &bytes[value.clone()]).unwrap_or(value.len());
    while at < value.end {
        // At a `;`. One that ends the value is common.
        let from = at + 1;
        let stop = bytes[from..value.end].iter().position(|b| matches!(b, b'=' | b';')).map(|p| from + p);
        let Some(equals) = stop.filter(|stop| bytes[*stop] == b'=') else {
            let blank = bytes[from..stop.unwrap_or(value.end)].trim_ascii().is_empty();
            return (blank && stop.is_none()).then_some(found);
        };
        let name = trimmed(bytes, from..equals);
        let start = trimmed(bytes, equals + 1..value.end).start;
        let (text, end) = if bytes.get(start) == Some(&b'"') && start < value.end {
            let close = closing_quote(&bytes[..value.end], start + 1)?;
            (start + 1..close, close + 1)
        } else {
            let len = bytes[start..value.end].iter().take_while(|b| **b != b';').count();
            (trimmed(bytes, start..start + len), start + len)
        };
        found.push((name, text));
        at = end + bytes[end..value.end].iter().take_while(|b| b.is_ascii_whitespace()).count();
        if at < value.end && bytes[at] != b';' {
            return None;
        }
    }
    Some(found)
}

fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// `range` without white space at its ends.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &bytes[range.clone()];
    let start = range.start + text.len() - text.trim_ascii_start().len();
    let end = range.end - (text.len() - text.trim_ascii_end().len());
    start.min(end)..end
}
