//! `understudy capture import`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use understudy_captures::interchange::arrivals::{
    Choice, Synthesis, Template, TemplateError, Texts, TextsError,
};
use understudy_captures::interchange::import::{ImportError, Imported, Importer};
use understudy_captures::interchange::{Format, Input};
use understudy_captures::{Capture, CaptureKey, CaptureKeys, Key, Policy, Sanitizer, source};
use understudy_store::Destination;

use super::notes::{notes_json, print_notes};
use super::{print_json, printed, told, unreadable};
use crate::cli::Failure;

/// Environment variable that may hold the key itself, as for the sidecar.
const KEY_VARIABLE: &str = "UNDERSTUDY_KEY";

const EXAMPLES: &str = "Examples:
  understudy capture import requests_0.gor requests_1.gor.gz --out capture
  understudy capture import session.har --policy policy.yaml --key-file key --out capture
  understudy capture import access.log --from nginx --out capture
  understudy capture import trace.csv --texts reviews.txt --preset kubesentiment --out capture

Everything goes through the sanitizer before it is written, as in the sidecar. Records that cannot be read are left
out, counted and named; a file of which nothing can be read is refused.";

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files, plain or gzip, in the order they were written; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Directory of the new capture, which must be empty or missing, or a URL (s3://BUCKET/PREFIX/)
    #[arg(long, value_name = "DIR|URL")]
    out: PathBuf,
    /// What the files are: gor, har, jsonl, azure, mooncake, nginx [default: by their content]
    #[arg(long, value_name = "FORMAT")]
    from: Option<Format>,
    /// Sanitizing policy [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Key of the replacements; may also be in UNDERSTUDY_KEY [default: a random one, not kept]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Encrypt the capture with this key; may also be in UNDERSTUDY_CAPTURE_KEY
    #[arg(long, value_name = "FILE", env = "UNDERSTUDY_CAPTURE_KEY_FILE")]
    capture_key_file: Option<PathBuf>,
    /// Texts for the requests of an arrival trace: lines, .jsonl (strings or `text`), .tsv (column `text`)
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// Request around a text: kubesentiment, tei, huggingface, vllm, openai
    #[arg(long, value_name = "NAME", conflicts_with = "template", requires = "texts")]
    preset: Option<String>,
    /// Request around a text: a JSON file {"method", "target", "headers", "body"} with {{text}} in the body, and
    /// {{input_tokens}}, {{output_tokens}} where numbers belong
    #[arg(long, value_name = "FILE", requires = "texts")]
    template: Option<PathBuf>,
    /// Draw the texts at random under this seed [default: one after the other]
    #[arg(long, value_name = "N", requires = "texts")]
    seed: Option<u64>,
    /// Leave texts as they are [default: joined and cut to the lengths in the trace, at 4 bytes a token]
    #[arg(long, requires = "texts")]
    ignore_lengths: bool,
    /// Print JSON for machines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let sanitizer = Sanitizer::new(policy(args.policy.as_deref())?, key(args.key_file.as_deref())?);
    let encryption = capture_key(args.capture_key_file.as_deref())?;
    let to = Destination::new(&args.out).map_err(|error| told(error.kind(), error.to_string()))?;
    let mut importer = Importer::new(to.dir(), sanitizer, encryption, synthesis(args)?).map_err(failure)?;
    for path in &args.files {
        importer.read(Input::open(path).map_err(failure)?, args.from).map_err(failure)?;
    }
    let imported = importer.finish().map_err(failure)?;
    let keys: Vec<PathBuf> = args.capture_key_file.iter().cloned().collect();
    let keys = CaptureKeys::find(&keys).map_err(|error| Failure::Data(error.to_string()))?;
    let found = source::local(to.dir()).map_err(unreadable)?;
    let stats = Capture::open_found(found, &keys).map_err(unreadable)?.stats();
    to.finish()
        .map_err(|(path, error)| Failure::Output(format!("cannot write {}: {error}", path.display())))?;
    printed(match args.json {
        true => print_json(&to_json(&imported, &args.out, &stats.dataset_id), out),
        false => print(&imported, &args.out, &stats.dataset_id, out),
    })?;
    match imported.conservation.recorded {
        0 => {
            Err(Failure::Data("nothing was imported: every record was left out, as counted above".to_owned()))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn policy(path: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = path else { return Ok(Policy::builtin()) };
    readable(path, "--policy")?;
    Policy::from_file(path).map_err(|error| Failure::Usage(error.to_string()))
}

fn key(path: Option<&Path>) -> Result<Key, Failure> {
    let read = match path {
        Some(path) => {
            readable(path, "--key-file")?;
            Key::from_file(path)
        }
        None if std::env::var_os(KEY_VARIABLE).is_some() => Key::from_env(KEY_VARIABLE),
        None => return Ok(Key::random()),
    };
    read.map_err(|error| Failure::Data(error.to_string()))
}

fn capture_key(path: Option<&Path>) -> Result<Option<CaptureKey>, Failure> {
    if let Some(path) = path {
        readable(path, "--capture-key-file")?;
    }
    CaptureKey::find(path).map_err(|error| Failure::Data(error.to_string()))
}

fn readable(path: &Path, flag: &str) -> Result<(), Failure> {
    File::open(path)
        .map(drop)
        .map_err(|error| Failure::Input(format!("cannot read {flag} {}: {error}", path.display())))
}

fn synthesis(args: &Args) -> Result<Option<Synthesis>, Failure> {
    let Some(path) = &args.texts else { return Ok(None) };
    let template = match (&args.preset, &args.template) {
        (Some(name), _) => Template::preset(name),
        (None, Some(path)) => Template::from_file(path),
        (None, None) => {
            return Err(Failure::Usage(format!(
                "--texts needs the request around a text: --preset NAME ({}) or --template FILE",
                Template::PRESETS.join(", ")
            )));
        }
    };
    let template = template.map_err(|error| match &error {
        TemplateError::Io { .. } => Failure::Input(error.to_string()),
        TemplateError::UnknownPreset { .. } | TemplateError::Malformed { .. } => {
            Failure::Usage(error.to_string())
        }
    })?;
    let choice = args.seed.map_or(Choice::InTurn, Choice::Drawn);
    let texts = Texts::from_file(path, choice, !args.ignore_lengths).map_err(|error| match &error {
        TextsError::Io { .. } => Failure::Input(error.to_string()),
        TextsError::TooLarge { .. } | TextsError::Malformed { .. } | TextsError::Empty { .. } => {
            Failure::Data(error.to_string())
        }
    })?;
    Ok(Some(Synthesis { texts, template }))
}

fn failure(error: ImportError) -> Failure {
    let text = error.to_string();
    match error {
        ImportError::Io { .. } => Failure::Input(text),
        ImportError::UnknownKind { .. } | ImportError::NotImported(_) | ImportError::NoTexts { .. } => {
            Failure::Usage(text)
        }
        ImportError::Foreign { .. } | ImportError::Empty { .. } => Failure::Data(text),
        ImportError::Occupied { .. } | ImportError::Write(_) => Failure::Output(text),
    }
}

fn print(imported: &Imported, dir: &Path, dataset: &str, out: &mut dyn Write) -> io::Result<()> {
    let counts = &imported.conservation;
    let formats: Vec<_> = imported.formats.iter().map(|format| format.name()).collect();
    writeln!(
        out,
        "read {} requests ({}), wrote {} to {}",
        counts.seen,
        formats.join(", "),
        counts.recorded,
        dir.display()
    )?;
    print_notes(&imported.notes, out)?;
    writeln!(out, "dataset {dataset}")?;
    out.flush()
}

fn to_json(imported: &Imported, dir: &Path, dataset: &str) -> Value {
    let counts = &imported.conservation;
    json!({
        "from": imported.formats.iter().map(|format| format.name()).collect::<Vec<_>>(),
        "out": dir.to_string_lossy(),
        "read": counts.seen,
        "written": counts.recorded,
        "conservation": counts,
        "notes": notes_json(&imported.notes),
        "unsanitizable": imported.notes.unsanitizable().map(|(reason, count)| json!({ "reason": reason, "count": count })).collect::<Vec<_>>(),
        "dataset_id": dataset,
    })
}
