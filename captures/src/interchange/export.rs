//! Writes exchanges of a capture as other tools read them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Format;
use super::gor::GorWriter;
use super::har::HarWriter;
use super::jsonl::JsonlWriter;
use super::k6::K6Writer;
use super::notes::{Note, Notes};
use super::vegeta::VegetaWriter;
use super::wrk::WrkWriter;
use crate::exchange::{Exchange, Headers, HttpVersion, Request};

/// Takes exchanges in order of arrival.
pub trait Sink {
    /// Writes one; `false` when it cannot be represented, which is noted.
    fn write(&mut self, exchange: &Exchange, notes: &mut Notes) -> io::Result<bool>;

    /// Writes what comes at the end.
    fn finish(&mut self, notes: &mut Notes) -> io::Result<()>;
}

/// Where requests go, for files that name whole URLs: scheme, host and port, and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

/// Why an export cannot be begun, or was broken off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The output exists.
    #[error("{} exists; name a new file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The output cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a base of URLs.
    #[error("`{0}` is no target: write http://HOST:PORT, without query")]
    BadTarget(String),
    /// A file that names whole URLs, and nobody said where to.
    #[error("{0} needs --target URL: the recorded host is never made the target of a load test")]
    NoTarget(Format),
    /// A format that is only read.
    #[error("{0} is read and not written; captures are exported to gor, har, jsonl, k6, vegeta, wrk")]
    NotExported(Format),
    /// The format has more than one file.
    #[error("{0} is a script with a data file beside it: name a file with --out")]
    NeedsFile(Format),
}

/// An export that has been begun.
pub struct Exporter {
    sink: Box<dyn Sink>,
    notes: Notes,
    read: u64,
    written: u64,
    path: PathBuf,
    files: Vec<PathBuf>,
}

/// What an export did.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Exchanges read.
    pub read: u64,
    /// Exchanges that are in the output.
    pub written: u64,
    /// What could not be carried over as it was.
    pub notes: Notes,
    /// The files that were written; empty for standard output.
    pub files: Vec<PathBuf>,
}

// === impl Target ===

impl Target {
    /// Reads `http://HOST[:PORT][/PREFIX]`, or with `https`.
    pub fn parse(text: &str) -> Result<Target, ExportError> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
        let is_plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\"'\\<>".contains(&b));
        if !is_plain || rest.is_empty() || rest.starts_with('/') {
            return Err(ExportError::BadTarget(text.to_owned()));
        }
        Ok(Target(text.trim_end_matches('/').to_owned()))
    }

    /// The URL of an origin-form request target.
    pub(super) fn url(&self, target: &str) -> String {
        format!("{}{target}", self.0)
    }
}

// === impl Exporter ===

impl Exporter {
    /// Begins an export to a new file; of the name's `.gz` the content is compressed.
    pub fn to_file(path: &Path, format: Format, target: Option<Target>) -> Result<Exporter, ExportError> {
        let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
        check(format, target.as_ref())?;
        if format == Format::K6 {
            let data_path = path.with_extension("data.json");
            let data = create(&data_path)?;
            let script = create(path).inspect_err(|_| {
                fs::remove_file(&data_path).ok();
            })?;
            let name = data_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let sink = K6Writer::new(BufWriter::new(data), BufWriter::new(script), name);
            return Ok(Self::with(Box::new(sink), path, vec![path.to_owned(), data_path]));
        }
        let file = BufWriter::with_capacity(1 << 16, create(path)?);
        let sink = match is_gzip {
            true => sink(GzipFile(Some(GzEncoder::new(file, Compression::default()))), format, target)?,
            false => sink(file, format, target)?,
        };
        Ok(Self::with(sink, path, vec![path.to_owned()]))
    }

    /// Begins an export to a stream.
    pub fn to_stream(
        out: impl Write + 'static,
        format: Format,
        target: Option<Target>,
    ) -> Result<Exporter, ExportError> {
        check(format, target.as_ref())?;
        Ok(Self::with(sink(out, format, target)?, Path::new("standard output"), Vec::new()))
    }

    fn with(sink: Box<dyn Sink>, path: &Path, files: Vec<PathBuf>) -> Exporter {
        Exporter { sink, notes: Notes::default(), read: 0, written: 0, path: path.to_owned(), files }
    }

    /// Takes the next exchange, in order of arrival.
    pub fn write(&mut self, exchange: &Exchange) -> Result<(), ExportError> {
        self.read += 1;
        let written = self.sink.write(exchange, &mut self.notes).map_err(|source| self.failed(source))?;
        self.written += u64::from(written);
        Ok(())
    }

    /// Ends the export.
    pub fn finish(mut self) -> Result<Exported, ExportError> {
        if let Err(source) = self.sink.finish(&mut self.notes) {
            return Err(self.failed(source));
        }
        let Exporter { read, written, notes, files, .. } = self;
        Ok(Exported { read, written, notes, files })
    }

    fn failed(&self, source: io::Error) -> ExportError {
        ExportError::Io { path: self.path.clone(), source }
    }
}

fn check(format: Format, target: Option<&Target>) -> Result<(), ExportError> {
    match format {
        format if !format.is_exported() => Err(ExportError::NotExported(format)),
        Format::Vegeta if target.is_none() => Err(ExportError::NoTarget(format)),
        _ => Ok(()),
    }
}

fn sink(
    out: impl Write + 'static,
    format: Format,
    target: Option<Target>,
) -> Result<Box<dyn Sink>, ExportError> {
    Ok(match (format, target) {
        (Format::Gor, _) => Box::new(GorWriter::new(out)),
        (Format::Har, target) => Box::new(HarWriter::new(out, target)),
        (Format::Jsonl, _) => Box::new(JsonlWriter::new(out)),
        (Format::Wrk, _) => Box::new(WrkWriter::new(out)),
        (Format::Vegeta, Some(target)) => Box::new(VegetaWriter::new(out, target)),
        (Format::Vegeta, None) => return Err(ExportError::NoTarget(format)),
        (Format::K6, _) => return Err(ExportError::NeedsFile(format)),
        (Format::Azure | Format::Mooncake | Format::Nginx, _) => {
            return Err(ExportError::NotExported(format));
        }
    })
}

fn create(path: &Path) -> Result<File, ExportError> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ExportError::Exists { path: path.to_owned() },
        _ => ExportError::Io { path: path.to_owned(), source },
    })
}

/// Ends its stream when it is flushed, which a sink does once, last.
struct GzipFile<W: Write>(Option<GzEncoder<W>>);

impl<W: Write> Write for GzipFile<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(encoder) => encoder.write(bytes),
            None => Err(io::Error::other("the stream has ended")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.take() {
            Some(encoder) => encoder.finish()?.flush(),
            None => Ok(()),
        }
    }
}

// === requests for load generators ===

/// Fields of the recorded connection, which a generator makes anew.
const OF_THE_CONNECTION: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "traceparent",
    "tracestate",
];

/// Fields that carry credentials: a test gets its own.
const OF_CREDENTIALS: [&str; 5] =
    ["authorization", "proxy-authorization", "proxy-authenticate", "cookie", "x-api-key"];

/// A request that a load generator can send.
pub(super) struct Load<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Load<'a> {
    /// What of `exchange` can be sent; notes what cannot.
    pub(super) fn of(exchange: &'a Exchange, notes: &mut Notes) -> Option<Load<'a>> {
        let request = &exchange.request;
        if request.body.truncated {
            notes.add(Note::RequestIncomplete);
            return None;
        }
        if request.headers.get("upgrade").is_some() || request.method.eq_ignore_ascii_case(b"CONNECT") {
            notes.add(Note::Upgrade);
            return None;
        }
        let Some((method, target)) = line(request) else {
            notes.add(Note::Unsendable);
            return None;
        };
        let Some(fields) = fields(&request.headers, notes) else {
            notes.add(Note::Unsendable);
            return None;
        };
        if request.version == HttpVersion::Http2 {
            notes.add(Note::Http2AsHttp1);
        }
        if !request.trailers.is_empty() {
            notes.add(Note::Trailers);
        }
        if exchange.response.is_some() {
            notes.add(Note::Responses);
        }
        if request.body.decoded_from.is_some() {
            notes.add(Note::Decoded);
        }
        Some(Load { method, target, fields })
    }
}

fn line(request: &Request) -> Option<(&str, &str)> {
    let method = std::str::from_utf8(&request.method).ok()?;
    let target = std::str::from_utf8(&request.target).ok()?;
    let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_target = target.starts_with('/') && target.bytes().all(|b| b > b' ' && b != 0x7f);
    (is_method && is_target).then_some((method, target))
}

/// Fields without those of the connection, of credentials, and `host`; `None` when one cannot stand in a text.
fn fields<'a>(headers: &'a Headers, notes: &mut Notes) -> Option<Vec<(&'a str, &'a str)>> {
    let mut fields = Vec::with_capacity(headers.len());
    let (mut connection, mut credentials, mut host) = (false, false, false);
    for (name, value) in headers.iter() {
        let name = std::str::from_utf8(name).ok()?;
        let value = std::str::from_utf8(value).ok()?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !is_name || value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return None;
        }
        let is_one_of = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is_one_of(&OF_THE_CONNECTION) {
            connection = true;
        } else if is_one_of(&OF_CREDENTIALS) {
            credentials = true;
        } else if is_one_of(&["host"]) {
            host = true;
        } else {
            fields.push((name, value));
        }
    }
    let met = [
        (connection, Note::ConnectionFields),
        (credentials, Note::CredentialFields),
        (host, Note::HostReplaced),
    ];
    met.into_iter().filter(|(met, _)| *met).for_each(|(_, note)| notes.add(note));
    Some(fields)
}

/// Fields by name, for tools that keep one value of each.
pub(super) fn by_name<'a>(fields: &[(&'a str, &'a str)], notes: &mut Notes) -> Vec<(&'a str, String)> {
    let mut joined: Vec<(&str, String)> = Vec::with_capacity(fields.len());
    let mut repeated = false;
    for (name, value) in fields {
        match joined.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => {
                repeated = true;
                values.push_str(", ");
                values.push_str(value);
            }
            None => joined.push((name, (*value).to_owned())),
        }
    }
    if repeated {
        notes.add(Note::RepeatedFields);
    }
    joined
}
