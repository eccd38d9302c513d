//! Names the place of a byte for people: a JSON pointer, a parameter, a line.

use std::ops::Range;

use super::super::content::{ContentKind, is_plain_name, pairs};

/// Where byte `at` of a request target stands.
pub(super) fn in_target(target: &[u8], at: usize) -> String {
    let query = memchr::memchr(b'?', target).unwrap_or(target.len());
    let fragment = memchr::memchr(b'#', target).unwrap_or(target.len());
    if at > fragment {
        return "fragment".to_owned();
    }
    if at > query {
        return format!("?{}", in_pairs(target, query + 1..fragment.max(query + 1), at));
    }
    let segment = target[..at.min(target.len())].iter().filter(|b| **b == b'/').count();
    format!("path segment {segment}")
}

/// Where byte `at` of a decoded body stands.
pub(super) fn in_body(kind: ContentKind, body: &[u8], at: usize) -> String {
    let line = || 1 + memchr::memchr_iter(b'\n', &body[..at]).count();
    let line_start = memchr::memrchr(b'\n', &body[..at]).map_or(0, |end| end + 1);
    match kind {
        ContentKind::Json | ContentKind::Tensors if body.get(at).is_some() => {
            pointer(body, 0, at).unwrap_or_else(|| format!("byte {at}"))
        }
        ContentKind::JsonLines => {
            format!("line {} {}", line(), pointer(body, line_start, at).unwrap_or_default())
        }
        ContentKind::Events => {
            let value = line_start + memchr::memchr2(b'{', b'[', &body[line_start..at]).unwrap_or(0);
            format!("line {} {}", line(), pointer(body, value, at).unwrap_or_default()).trim_end().to_owned()
        }
        ContentKind::Form => in_pairs(body, 0..body.len(), at),
        ContentKind::Multipart => {
            let part = memchr::memmem::find_iter(&body[..at], b"\r\n\r\n").count();
            let content = memchr::memmem::rfind(&body[..at], b"\r\n\r\n").map_or(0, |end| end + 4);
            let inside = pointer(body, content, at).unwrap_or_default();
            format!("part {part} {inside}").trim_end().to_owned()
        }
        _ => format!("line {}", line()),
    }
}

fn in_pairs(bytes: &[u8], range: Range<usize>, at: usize) -> String {
    let pair = pairs(bytes, range).into_iter().find(|(_, value)| at <= value.end);
    match pair.and_then(|(name, _)| name) {
        Some(name) if at >= name.end && is_plain_name(&bytes[name.clone()]) => {
            String::from_utf8_lossy(&bytes[name]).into_owned()
        }
        Some(name) if at >= name.end => "the value of a name that is no word".to_owned(),
        _ => "a name".to_owned(),
    }
}

/// The JSON pointer of the value or key at byte `at` of the document that begins at `start`. The document was read
/// before, so its grammar is known to hold; `None` when `at` is not in it.
fn pointer(body: &[u8], start: usize, at: usize) -> Option<String> {
    enum Level {
        /// The key of the present member.
        Object(String),
        Array(usize),
    }
    let mut levels: Vec<Level> = Vec::new();
    let mut key_next = false;
    let mut i = start;
    let path = |levels: &[Level], key: bool| {
        let mut path = String::new();
        let shown = if key { levels.len() - 1 } else { levels.len() };
        for level in &levels[..shown] {
            path.push('/');
            match level {
                Level::Object(name) => path.push_str(name),
                Level::Array(index) => path.push_str(&index.to_string()),
            }
        }
        if key { format!("{path}/ (a name)") } else { path }
    };
    while i <= at {
        match body.get(i)? {
            b'{' => {
                levels.push(Level::Object(String::new()));
                key_next = true;
            }
            b'[' => levels.push(Level::Array(0)),
            b'}' | b']' => {
                levels.pop()?;
                key_next = false;
            }
            b',' => match levels.last_mut()? {
                Level::Array(index) => *index += 1,
                Level::Object(_) => key_next = true,
            },
            b'"' => {
                let begin = i + 1;
                i = begin;
                while *body.get(i)? != b'"' {
                    i += if body[i] == b'\\' { 2 } else { 1 };
                }
                if at <= i {
                    return Some(path(&levels, key_next));
                }
                if key_next {
                    let name = String::from_utf8_lossy(&body[begin..i]).replace('~', "~0").replace('/', "~1");
                    levels.pop()?;
                    levels.push(Level::Object(name));
                    key_next = false;
                }
            }
            _ if i == at => return Some(path(&levels, key_next)),
            _ => {}
        }
        i += 1;
    }
    None
}
