//! The run directory: `run.json`, `report.html`, `report.md`; and the table on the terminal.
//!
//! `run.json` holds everything that the two pages show, so that a report can be written again from it alone, years
//! later, without the capture. The pages are rendered from the file as read back, never from memory: what
//! `understudy report` renders is what the run rendered.
//!
//! # Layout
//!
//! - [`summary`]: the plan in the words of the command line.
//! - [`environment`]: the generator's machine.
//! - [`series`]: what the plots show.
//! - [`reread`]: scheduled instants and texts, from the capture.
//! - [`svg`], [`charts`]: the plots.
//! - [`page`]: the page, `report.html`.
//! - [`markdown`]: the short form, `report.md`.
//! - [`terminal`]: the table.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::judge::Judgement;
use crate::outcome::{Dataset, Rehearsal};
use crate::schedule::Arrivals;

pub mod charts;
pub mod environment;
pub mod markdown;
pub mod page;
pub mod reread;
pub mod series;
pub mod summary;
pub mod svg;
pub mod terminal;

pub use terminal::print;

use environment::Environment;
use reread::Reread;
use series::CandidateSeries;
use summary::PlanSummary;

/// Version of `run.json`. It grows when a field changes its meaning; new fields alone do not change it.
pub const SCHEMA: u32 = 1;

const RUN_JSON: &str = "run.json";
const HTML: &str = "report.html";
const MARKDOWN: &str = "report.md";

/// Everything that is known of a run: `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the tool.
    pub version: String,
    /// Names the run and its directory.
    pub run_id: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, seconds.
    pub took_s: f64,
    /// It was stopped before its end.
    pub interrupted: bool,
    /// What was asked.
    pub plan: PlanSummary,
    /// What was replayed.
    pub dataset: Dataset,
    /// What the schedule made of the recorded arrivals.
    pub arrivals: Arrivals,
    /// The generator's machine.
    pub environment: Environment,
    /// What the generator did, by candidate.
    pub certificates: Vec<Certificate>,
    /// What the run says.
    pub judgement: Judgement,
    /// What the plots show, by candidate.
    pub series: Vec<CandidateSeries>,
    /// Sanitized texts of the exchanges that are listed as flips.
    pub texts: BTreeMap<u32, String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

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
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not a `run.json`.
    #[error("{}:{}:{}: not the record of a run: {}", path.display(), source.line(), source.column(), bare(source))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A file of a later version.
    #[error("{}: its schema is {schema}, and this version reads up to {SCHEMA}: use the understudy that wrote it, or a later one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: u32,
    },
    /// A report cannot be rendered: a bug of ours.
    #[error("cannot render the report: {0}")]
    Render(#[from] askama::Error),
    /// A report cannot be encoded: a bug of ours.
    #[error("cannot encode the record of the run: {0}")]
    Encode(serde_json::Error),
}

/// Writes `run.json`, `report.html` and `report.md` into `dir`.
pub fn write(dir: &Path, rehearsal: &Rehearsal, judgement: &Judgement) -> Result<Files, ReportError> {
    let report = RunReport::of(rehearsal, judgement);
    let mut json = serde_json::to_vec_pretty(&report).map_err(ReportError::Encode)?;
    json.push(b'\n');
    put(&dir.join(RUN_JSON), &json)?;
    rewrite(dir)
}

/// Writes `report.html` and `report.md` again, from the `run.json` in `dir`.
pub fn rewrite(dir: &Path) -> Result<Files, ReportError> {
    let report = RunReport::read(&dir.join(RUN_JSON))?;
    let files = Files { run_json: dir.join(RUN_JSON), html: dir.join(HTML), markdown: dir.join(MARKDOWN) };
    put(&files.html, page::render(&report)?.as_bytes())?;
    put(&files.markdown, markdown::render(&report).as_bytes())?;
    Ok(files)
}

// === impl RunReport ===

impl RunReport {
    /// Gathers everything that the pages show. Reads the capture once more, for texts.
    pub fn of(rehearsal: &Rehearsal, judgement: &Judgement) -> Self {
        let reread = Reread::of(rehearsal, judgement);
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: rehearsal.run_id.clone(),
            started: rehearsal.started.to_string(),
            took_s: rehearsal.took.as_secs_f64(),
            interrupted: rehearsal.interrupted,
            plan: PlanSummary::of(&rehearsal.plan),
            dataset: rehearsal.dataset.clone(),
            arrivals: rehearsal.arrivals,
            environment: Environment::here(),
            certificates: rehearsal.certificates.clone(),
            judgement: judgement.clone(),
            series: CandidateSeries::all(rehearsal, &reread.instants),
            texts: reread.texts,
            notes: reread.note.into_iter().collect(),
        }
    }

    /// Reads a `run.json`.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let json =
            std::fs::read(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })?;
        let malformed = |source| ReportError::Malformed { path: path.to_owned(), source };
        let Version { schema } = serde_json::from_slice(&json).map_err(malformed)?;
        if schema > SCHEMA {
            return Err(ReportError::Newer { path: path.to_owned(), schema });
        }
        serde_json::from_slice(&json).map_err(malformed)
    }
}

/// Writes a file whole or not at all: a reader never sees half a report.
fn put(path: &Path, content: &[u8]) -> Result<(), ReportError> {
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, content).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

/// serde_json's message without its own line and column.
fn bare(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((bare, _)) => bare.to_owned(),
        None => message,
    }
}

#[cfg(test)]
pub(crate) mod tests;
