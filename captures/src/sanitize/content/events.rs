//! `text/event-stream`: fields line by line, and the data of an event that spans several lines as one.

use std::ops::Range;

use super::super::encoded::Encoding;
use super::super::json::Rewriter;
use super::super::masker::{Draft, Masker};
use super::super::paths::Treatment;
use super::super::trace::Trace;
use super::{Reason, lines};

/// Rewrites a stream: data are JSON documents, or replaced whole.
pub(super) fn rewrite(json: &mut Rewriter, draft: &mut Draft<'_>, masker: &mut Masker) -> Result<(), Reason> {
    let mut data = Vec::new();
    for line in lines(draft.source, 0..draft.source.len()) {
        let bytes = &draft.source[line.clone()];
        if bytes.is_empty() {
            // A blank line ends an event; what lies between CR and LF is none.
            if !is_inside_a_break(draft.source, &line) {
                event(json, &mut data, draft, masker)?;
            }
            continue;
        }
        let Some(colon) = memchr::memchr(b':', bytes) else {
            // A field without value, or something that is no event stream at all.
            if !matches!(bytes, b"data" | b"event" | b"id" | b"retry") {
                masker.treat(draft, line, Encoding::Plain, Treatment::Replace, "string")?;
            }
            continue;
        };
        let space = usize::from(bytes.get(colon + 1) == Some(&b' '));
        let value = line.start + colon + 1 + space..line.end;
        let content = &draft.source[value.clone()];
        match &bytes[..colon] {
            b"data" => data.push(value),
            b"event" => masker.treat(draft, value, Encoding::Plain, Treatment::Keep, "string")?,
            b"retry" if content.iter().all(u8::is_ascii_digit) => {}
            b"id" | b"retry" | b"" => {
                masker.treat(draft, value, Encoding::Plain, Treatment::Replace, "string")?;
            }
            _ => masker.treat(draft, line, Encoding::Plain, Treatment::Replace, "string")?,
        }
    }
    event(json, &mut data, draft, masker)
}

/// Whether the empty line is what lies between CR and LF.
fn is_inside_a_break(bytes: &[u8], line: &Range<usize>) -> bool {
    line.start > 0 && bytes[line.start - 1] == b'\r' && bytes.get(line.end) == Some(&b'\n')
}

/// Treats the data of one event.
fn event(
    json: &mut Rewriter,
    data: &mut Vec<Range<usize>>,
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<(), Reason> {
    if data.len() > 1 && joined(json, data, draft, masker)? {
        data.clear();
        return Ok(());
    }
    for value in data.drain(..) {
        match draft.source[value.clone()].first() {
            _ if &draft.source[value.clone()] == b"[DONE]" => {}
            Some(b'{' | b'[' | b'"') => json.rewrite(draft, value, masker)?,
            _ => masker.treat(draft, value, Encoding::Plain, Treatment::Replace, "string")?,
        }
    }
    Ok(())
}

/// Treats several data lines as one JSON document if they are one; false if they are not. A line break cannot stand
/// inside a string, so each string lies in one line, and is written back there.
fn joined(
    json: &mut Rewriter,
    data: &[Range<usize>],
    draft: &mut Draft<'_>,
    masker: &mut Masker,
) -> Result<bool, Reason> {
    let mut whole = Vec::new();
    for value in data {
        whole.extend_from_slice(&draft.source[value.clone()]);
        whole.push(b'\n');
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(&whole).is_err() {
        return Ok(false);
    }
    let mut inner = Draft::new(&whole, draft.place);
    let steps = masker.trace.as_ref().map_or(0, Trace::len);
    json.rewrite(&mut inner, 0..whole.len(), masker)?;
    let rewritten = inner.finish();
    let mut at = 0;
    for value in data {
        let line = at..at + value.len();
        at = line.end + 1;
        if let Some(trace) = &mut masker.trace {
            trace.moved(steps, line.clone(), value.start);
        }
        if let Some(rewritten) = &rewritten {
            draft.write(value.clone(), &rewritten[line]);
        }
    }
    Ok(true)
}
