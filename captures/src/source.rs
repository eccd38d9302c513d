//! Where the bytes of a segment lie: a file here, or whatever else can be read at a place.
//!
//! The reader of segments asks for bytes through [`Source`] and [`ReadAt`] alone, so that a capture in an object store
//! is read by the same code, and this crate needs to know no network.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capture::CaptureError;

/// A segment somewhere. Opening is cheap and happens for every block: a capture of a thousand pods would otherwise
/// hold a thousand descriptors.
pub trait Source: fmt::Debug + Send + Sync {
    /// What it is called, for people: a path or a URL without credentials.
    fn name(&self) -> &Path;

    /// Equal for two names of one thing, so that nothing is read twice.
    fn identity(&self) -> PathBuf;

    /// Opens it for reading.
    fn open(&self) -> io::Result<Box<dyn ReadAt>>;
}

/// Bytes that can be read at any place.
#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait ReadAt: fmt::Debug {
    /// How many there are, as of now.
    fn len(&self) -> u64;

    /// Fills `buffer` from byte `at` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] when the bytes end before that, else what the system or the store said.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

/// A segment that a name led to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The segment.
    pub source: Arc<dyn Source>,
    /// Whether it was named itself, rather than found in a directory.
    pub named: bool,
}

/// A segment in a file of this machine.
#[derive(Clone, Debug)]
pub struct LocalFile {
    path: PathBuf,
}

/// A file with its length when it was opened.
#[derive(Debug)]
struct OpenFile {
    file: File,
    len: u64,
}

// === impl LocalFile ===

impl LocalFile {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Source for LocalFile {
    fn name(&self) -> &Path {
        &self.path
    }

    fn identity(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn open(&self) -> io::Result<Box<dyn ReadAt>> {
        let file = File::open(&self.path)?;
        let len = file.metadata()?.len();
        Ok(Box::new(OpenFile { file, len }))
    }
}

// === impl OpenFile ===

impl ReadAt for OpenFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, at)
    }
}

// === impl ReadAt for memory ===

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The segments that a path of this machine names: a file itself, or all `*.ucap` in a directory, not below it.
///
/// # Errors
///
/// The path cannot be read, or is a directory without segments.
pub fn local(path: &Path) -> Result<Vec<Found>, CaptureError> {
    let found = |path: PathBuf, named| Found { source: Arc::new(LocalFile::new(path)), named };
    let failed = |source| CaptureError::Io { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![found(path.to_owned(), true)]);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    let mut paths: Vec<_> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| is_segment(path)).collect();
    if paths.is_empty() {
        return Err(CaptureError::Nothing { path: path.to_owned() });
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| found(path, false)).collect())
}

/// Whether something of this name is a segment.
pub fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ucap")
}
