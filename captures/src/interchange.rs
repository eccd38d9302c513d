//! Captures from and to the files of other tools (`docs/interchange.md`).
//!
//! # Layout
//!
//! - [`import`]: reads foreign files through the sanitizer into a capture. Readers yield one exchange at a time.
//! - [`export`]: writes exchanges of a capture as another tool reads them.
//! - [`notes`]: what could not be carried over as it was, counted; nothing is dropped without one.
//! - [`gor`], [`har`], [`jsonl`], [`nginx`], [`arrivals`], `k6`, `vegeta`, `wrk`: one format each.
//! - `input`: files, plain or gzip, and their lines; everything in them is bounded before it is believed.
//!
//! What is imported is untrusted: a record that cannot be read costs that record, is counted, and the next one is
//! tried; a file of which nothing can be read is refused as foreign.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub mod arrivals;
mod encoding;
pub mod export;
pub mod gor;
pub mod har;
pub mod import;
mod input;
pub mod jsonl;
mod k6;
pub mod nginx;
pub mod notes;
mod vegeta;
mod wrk;

#[cfg(test)]
mod tests;

pub use input::Input;
pub use notes::{Count, Effect, Note, Notes};

/// A kind of file that captures are imported from or exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// GoReplay.
    Gor,
    /// HTTP Archive 1.2.
    Har,
    /// One exchange a line, as `capture cat --json` prints it.
    Jsonl,
    /// Arrivals of the Azure LLM inference traces: CSV.
    Azure,
    /// Arrivals of the Mooncake traces: JSON Lines.
    Mooncake,
    /// Access logs of nginx.
    Nginx,
    /// A script for k6, with its data beside it.
    K6,
    /// Targets for `vegeta attack -format=json`.
    Vegeta,
    /// A script for wrk.
    Wrk,
}

/// There is no format of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no format is called `{name}`; there are: {}", Format::ALL.map(Format::name).join(", "))]
pub struct UnknownFormat {
    /// The name that was asked for.
    pub name: String,
}

// === impl Format ===

impl Format {
    /// Every format.
    pub const ALL: [Format; 9] = [
        Format::Gor,
        Format::Har,
        Format::Jsonl,
        Format::Azure,
        Format::Mooncake,
        Format::Nginx,
        Format::K6,
        Format::Vegeta,
        Format::Wrk,
    ];

    /// Name in arguments and summaries.
    pub fn name(self) -> &'static str {
        match self {
            Format::Gor => "gor",
            Format::Har => "har",
            Format::Jsonl => "jsonl",
            Format::Azure => "azure",
            Format::Mooncake => "mooncake",
            Format::Nginx => "nginx",
            Format::K6 => "k6",
            Format::Vegeta => "vegeta",
            Format::Wrk => "wrk",
        }
    }

    /// Whether captures are made from it.
    pub fn is_imported(self) -> bool {
        !matches!(self, Format::K6 | Format::Vegeta | Format::Wrk)
    }

    /// Whether captures are written as it.
    pub fn is_exported(self) -> bool {
        !matches!(self, Format::Azure | Format::Mooncake | Format::Nginx)
    }

    /// The format that the name of an output file asks for; `.gz` aside.
    pub fn of_output(path: &Path) -> Option<Format> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "gor" => Some(Format::Gor),
            "har" => Some(Format::Har),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "js" => Some(Format::K6),
            "lua" => Some(Format::Wrk),
            _ => None,
        }
    }

    /// The format of an input, by the bytes it begins with. Names are not asked: a log of JSON lines, a trace and a
    /// capture in text are all called `.jsonl`.
    pub fn of_content(head: &[u8]) -> Option<Format> {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let text = head.trim_ascii_start();
        let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let names = |name: &str| memchr::memmem::find(line, name.as_bytes()).is_some();
        if gor::is_meta(line) {
            return Some(Format::Gor);
        }
        if let Some(members) = text.strip_prefix(b"{") {
            return Some(if members.trim_ascii_start().starts_with(b"\"log\"") {
                Format::Har
            } else if names("\"input_length\"") && names("\"timestamp\"") {
                Format::Mooncake
            } else if names("\"request\"") && names("\"arrival\"") {
                Format::Jsonl
            } else {
                Format::Nginx
            });
        }
        if line.to_ascii_lowercase().starts_with(b"timestamp,") {
            return Some(Format::Azure);
        }
        nginx::is_combined(line).then_some(Format::Nginx)
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Format::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
