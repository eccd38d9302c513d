//! Plan files.

use std::path::{Path, PathBuf};

use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};
use understudy_store::Location;

use super::resolve::PlanError;
use super::settings::Settings;

/// Largest plan file that is read; one is a page of text.
const MAX_BYTES: u64 = 1 << 20;

/// Whether a path names a plan rather than a capture.
pub(super) fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Reads the settings of a plan file. Paths in it are relative to the file, so that a plan works from anywhere.
pub(super) fn read(path: &Path) -> Result<Settings, PlanError> {
    let unreadable = |source| PlanError::Unreadable { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(PlanError::Usage(format!("{}: {size} bytes are too many for a plan", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let mut settings = parse(&text, path)?;
    let base = path.parent().unwrap_or(Path::new(""));
    let relative = |path: PathBuf| base.join(path);
    // A URL leads to the same place from anywhere.
    let located = |path: PathBuf| match Location::parse(&path) {
        Ok(Location::Local(local)) if local == path => relative(path),
        _ => path,
    };
    settings.captures = settings.captures.into_iter().map(located).collect();
    settings.capture_key_file = settings.capture_key_file.into_iter().map(relative).collect();
    settings.out = settings.out.map(relative);
    Ok(settings)
}

fn parse(text: &str, path: &Path) -> Result<Settings, PlanError> {
    // An empty document is YAML's null, which is not a map.
    if text.lines().all(|line| line.trim_start().starts_with('#') || line.trim().is_empty()) {
        return Ok(Settings::default());
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        let reason = DefaultMessageFormatter.format_message(error.without_snippet()).into_owned();
        let reason = reason.lines().next().unwrap_or_default();
        PlanError::Usage(format!("{}:{line}:{column}: {reason}", path.display()))
    })
}
