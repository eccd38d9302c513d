//! Bytes of traffic, spans and sizes as text for a terminal.

use std::fmt::{self, Write};

/// Bytes as text that cannot steer a terminal: control characters and what is not UTF-8 are escaped.
pub(super) struct Shown<'a> {
    bytes: &'a [u8],
    lines: bool,
}

// === impl Shown ===

impl<'a> Shown<'a> {
    /// On one line.
    pub(super) fn line(bytes: &'a [u8]) -> Self {
        Self { bytes, lines: false }
    }

    /// With its own line breaks and tabs.
    pub(super) fn lines(bytes: &'a [u8]) -> Self {
        Self { bytes, lines: true }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' | '\t' if self.lines => f.write_char(c)?,
                    c if is_unsafe(c) => write!(f, "{}", c.escape_default())?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Control characters, and those that change the direction of the text after them.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A span of nanoseconds with three significant digits and its unit.
pub(super) fn span(nanos: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
    let nanos = nanos as f64;
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| nanos >= *unit).unwrap_or((1.0, "ns"));
    let value = nanos / unit;
    let digits = if unit == 1.0 || value >= 100.0 { 0 } else { 1 + usize::from(value < 10.0) };
    format!("{value:.digits$} {name}")
}

/// A number of bytes with three significant digits and its unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut name = "B";
    for unit in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        name = unit;
    }
    let digits = if name == "B" || value >= 100.0 { 0 } else { 1 + usize::from(value < 10.0) };
    format!("{value:.digits$} {name}")
}
