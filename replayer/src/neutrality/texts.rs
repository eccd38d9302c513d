//! The texts that are looked at: of a file, or the built-in samples.

use std::path::{Path, PathBuf};

use serde_json::Value;
use understudy_captures::samples;

/// Where a text is in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line is the text.
    Line,
    /// A column of a tab-separated file whose first line names them.
    Column(String),
    /// A JSON pointer into each line.
    Pointer(String),
}

/// Why texts cannot be read; says the line, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum BadTexts {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {says}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        says: String,
    },
    /// There is no text.
    #[error("{}: holds no text", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Rated tweets and sentences of product reviews.
pub fn built_in() -> Vec<String> {
    samples::texts().map(|text| text.text.to_owned()).collect()
}

/// Every text of a file; blank lines are none.
pub fn read(path: &Path, place: &Place) -> Result<Vec<String>, BadTexts> {
    let bytes =
        std::fs::read(path).map_err(|source| BadTexts::Unreadable { path: path.to_owned(), source })?;
    let texts =
        parse(&bytes, place).map_err(|(line, says)| BadTexts::Line { path: path.to_owned(), line, says })?;
    if texts.is_empty() {
        return Err(BadTexts::Empty { path: path.to_owned() });
    }
    Ok(texts)
}

fn parse(bytes: &[u8], place: &Place) -> Result<Vec<String>, (usize, String)> {
    let mut texts = Vec::new();
    let mut column = None;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let bad = |says: &str| (index + 1, says.to_owned());
        let line = std::str::from_utf8(line).map_err(|_| bad("not UTF-8"))?.trim_end_matches('\r');
        if line.trim().is_empty() {
            continue;
        }
        let text = match (place, column) {
            (Place::Line, _) => line.to_owned(),
            (Place::Column(name), None) => {
                let names: Vec<&str> = line.split('\t').collect();
                column = names.iter().position(|known| known == name);
                if column.is_none() {
                    // The line may be a text, so it is not quoted.
                    return Err(bad(&format!(
                        "names no column `{name}`; name one of its columns with --column"
                    )));
                }
                continue;
            }
            (Place::Column(name), Some(at)) => {
                let field = line.split('\t').nth(at);
                field.ok_or_else(|| bad(&format!("no column `{name}` in this line")))?.to_owned()
            }
            (Place::Pointer(pointer), _) => {
                let value: Value = serde_json::from_str(line).map_err(|_| bad("not JSON"))?;
                let text = value.pointer(pointer).and_then(Value::as_str);
                text.ok_or_else(|| bad(&format!("no text at {pointer}; name its place with --pointer")))?
                    .to_owned()
            }
        };
        if !text.trim().is_empty() {
            texts.push(text);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_line_column_and_pointer() {
        let read = |file: &str, place: Place| parse(file.as_bytes(), &place);
        assert_eq!(read("one\r\n\n two\n", Place::Line).unwrap(), ["one", " two"]);
        let column = || Place::Column("text".into());
        assert_eq!(read("id\ttext\n1\tone\n2\ttwo\n", column()).unwrap(), ["one", "two"]);
        let pointer = || Place::Pointer("/a/0".into());
        assert_eq!(read("{\"a\":[\"one\"]}\n\n{\"a\":[\"two\"]}", pointer()).unwrap(), ["one", "two"]);
    }

    #[test]
    fn what_is_wrong_is_said_by_its_line_and_not_quoted() {
        let refused = |file: &[u8], place: Place| parse(file, &place).unwrap_err();
        let column = || Place::Column("text".into());
        assert_eq!(
            refused(b"id\tbody\n", column()),
            (1, "names no column `text`; name one of its columns with --column".into())
        );
        assert_eq!(refused(b"id\ttext\nsecret\n", column()), (2, "no column `text` in this line".into()));
        let pointer = || Place::Pointer("/text".into());
        assert_eq!(refused(b"\nsecret\n", pointer()), (2, "not JSON".into()));
        assert!(refused(b"{\"secret\":1}", pointer()).1.starts_with("no text at /text"));
        assert_eq!(refused(b"one\n\xff\n", Place::Line), (2, "not UTF-8".into()));
    }
}
