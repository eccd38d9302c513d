//! `understudy capture copy`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use understudy_store::Destination;

use super::{printed, told, unreadable};
use crate::cli::Failure;

/// Arguments of `copy`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Copies are the same to the byte, so the capture keeps its dataset id; encrypted segments need no key.

  understudy capture copy captures/ s3://recordings/monday/
  understudy capture copy s3://recordings/monday/ captures/

Credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL;
GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY."
)]
pub(super) struct Args {
    /// Segments (*.ucap), directories of them, or URLs: s3://, gs://, az://BUCKET/PREFIX/
    #[arg(required = true, value_name = "PATH|URL")]
    from: Vec<PathBuf>,
    /// Directory or URL to copy them to; made when missing
    #[arg(required = true, value_name = "TO")]
    to: PathBuf,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let to = Destination::new(&args.to).map_err(|error| told(error.kind(), error.to_string()))?;
    let found = understudy_store::find(&args.from).map_err(unreadable)?;
    for segment in &found {
        let name = to.copy(segment).map_err(|(path, error)| failed(&path, segment.source.name(), &error))?;
        printed(writeln!(out, "{}", name.display()))?;
    }
    printed(out.flush())?;
    Ok(ExitCode::SUCCESS)
}

/// Which of the two sides failed is told by the name.
fn failed(path: &std::path::Path, from: &std::path::Path, error: &io::Error) -> Failure {
    let verb = if path == from { "read" } else { "write" };
    let what = format!("cannot {verb} {}: {error}", path.display());
    match told(error.kind(), what) {
        Failure::Input(what) if path != from => Failure::Output(what),
        failure => failure,
    }
}
