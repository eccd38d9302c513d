//! `understudy report`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::Failure;
use crate::report::{self, ReportError};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of the run, with its run.json
    #[arg(value_name = "RUN_DIR")]
    run_dir: PathBuf,
}

/// Writes `report.html` and `report.md` again from `run.json` alone. Success says that they were written, not how the
/// run ended: its verdict is in them.
pub fn run(args: Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    if !args.run_dir.is_dir() {
        return Err(Failure::Input(format!(
            "{}: no such directory: name the directory of a run, as printed by `understudy replay`",
            args.run_dir.display()
        )));
    }
    let files = report::rewrite(&args.run_dir)?;
    let printed = writeln!(out, "report: {}\nmarkdown: {}", files.html.display(), files.markdown.display());
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Output(format!("cannot write the result: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let text = error.to_string();
        match error {
            ReportError::Write { .. } => Failure::Output(text),
            ReportError::Read { .. } => Failure::Input(text),
            ReportError::Malformed { .. } | ReportError::Newer { .. } => Failure::Data(text),
            ReportError::Render(_) | ReportError::Encode(_) => Failure::Bug(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::tests::{rehearsed, written};

    fn failure(dir: &Path) -> Failure {
        run(Args { run_dir: dir.to_owned() }, &mut Vec::new()).unwrap_err()
    }

    #[test]
    fn a_report_is_rendered_again_from_run_json_alone() {
        let dir = tempfile::tempdir().unwrap();
        let files = written(dir.path(), &rehearsed());
        let html = std::fs::read(&files.html).unwrap();
        let markdown = std::fs::read(&files.markdown).unwrap();
        std::fs::remove_file(&files.html).unwrap();
        std::fs::remove_file(&files.markdown).unwrap();

        let mut out = Vec::new();
        run(Args { run_dir: dir.path().to_owned() }, &mut out).unwrap();
        assert_eq!(std::fs::read(&files.html).unwrap(), html);
        assert_eq!(std::fs::read(&files.markdown).unwrap(), markdown);
        assert!(String::from_utf8(out).unwrap().contains("report.html"));
    }

    #[test]
    fn what_is_no_run_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(failure(&dir.path().join("absent")).code(), 66);
        assert_eq!(failure(dir.path()).code(), 66);

        let json = dir.path().join("run.json");
        std::fs::write(&json, "{\n  \"schema\": 1,\n  oops }").unwrap();
        let broken = failure(dir.path());
        assert_eq!(broken.code(), 65);
        assert!(broken.to_string().contains("run.json:3:3: not the record of a run"), "{broken}");

        std::fs::write(&json, "{\"schema\": 2, \"runs\": []}").unwrap();
        let newer = failure(dir.path());
        assert_eq!(newer.code(), 65);
        assert!(newer.to_string().contains("its schema is 2"), "{newer}");
    }
}
