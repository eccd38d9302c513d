//! Files to import: plain or gzip, read in pieces; lines of bounded length.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::import::ImportError;

/// Largest record or line that is read.
pub(super) const MAX_RECORD: usize = 64 << 20;

/// Bytes that are looked at to tell formats apart.
const HEAD: u64 = 16 << 10;

/// A file being read.
pub struct Input {
    path: PathBuf,
    head: Vec<u8>,
    reader: Box<dyn BufRead>,
    torn: Rc<Cell<bool>>,
    line: Vec<u8>,
    lines: u64,
}

/// The next line of an input.
pub(super) enum Line<'a> {
    /// Without its line break.
    Text(&'a [u8]),
    /// Longer than [`MAX_RECORD`].
    TooLong,
}

/// Reads a gzip stream and takes damage for its end.
struct Tolerant<R> {
    inner: R,
    torn: Rc<Cell<bool>>,
}

// === impl Input ===

impl Input {
    /// Opens a file, or standard input as `-`.
    pub fn open(path: &Path) -> Result<Input, ImportError> {
        let failed = |source| ImportError::Io { path: path.to_owned(), source };
        if path == Path::new("-") {
            return Input::new(Path::new("standard input"), io::stdin()).map_err(failed);
        }
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Input::new(path, file).map_err(failed)
    }

    /// Reads from anything; `path` names it in notes and errors.
    pub fn new(path: &Path, mut source: impl Read + 'static) -> io::Result<Input> {
        let torn = Rc::new(Cell::new(false));
        let mut head = Vec::new();
        (&mut source).take(HEAD).read_to_end(&mut head)?;
        let is_gzip = head.starts_with(&[0x1f, 0x8b]);
        let whole = Cursor::new(head.clone()).chain(source);
        let reader: Box<dyn BufRead> = if is_gzip {
            let decoder = flate2::read::MultiGzDecoder::new(whole);
            let mut plain = Tolerant { inner: decoder, torn: Rc::clone(&torn) };
            head.clear();
            (&mut plain).take(HEAD).read_to_end(&mut head)?;
            Box::new(BufReader::with_capacity(1 << 16, Cursor::new(head.clone()).chain(plain)))
        } else {
            Box::new(BufReader::with_capacity(1 << 16, whole))
        };
        Ok(Input { path: path.to_owned(), head, reader, torn, line: Vec::new(), lines: 0 })
    }

    /// What it is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes it begins with, decompressed.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether its gzip stream turned out damaged.
    pub(super) fn is_torn(&self) -> bool {
        self.torn.get()
    }

    /// Number of the line read last, from 1.
    pub(super) fn line_number(&self) -> u64 {
        self.lines
    }

    /// Reads the next line.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, ImportError> {
        self.line.clear();
        let limit = MAX_RECORD as u64 + 1;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line);
        let read = read.map_err(|source| ImportError::Io { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.lines += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        } else if read as u64 == limit {
            self.line.clear();
            self.reader
                .skip_until(b'\n')
                .map_err(|source| ImportError::Io { path: self.path.clone(), source })?;
            return Ok(Some(Line::TooLong));
        }
        let start = if self.lines == 1 && self.line.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Ok(Some(Line::Text(&self.line[start..])))
    }

    /// Appends up to `room` bytes to `buffer`; 0 at the end.
    pub(super) fn fill(&mut self, buffer: &mut Vec<u8>, room: usize) -> Result<usize, ImportError> {
        let read = (&mut self.reader).take(room as u64).read_to_end(buffer);
        read.map_err(|source| ImportError::Io { path: self.path.clone(), source })
    }

    /// The bytes that are buffered, read further when there are none; empty at the end.
    pub(super) fn chunk(&mut self) -> Result<&[u8], ImportError> {
        let path = &self.path;
        self.reader.fill_buf().map_err(|source| ImportError::Io { path: path.clone(), source })
    }

    /// Goes on after `n` bytes of the chunk.
    pub(super) fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

impl<R: Read> Read for Tolerant<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.torn.get() {
            return Ok(0);
        }
        match self.inner.read(buffer) {
            Err(error) if is_damage(&error) => {
                self.torn.set(true);
                Ok(0)
            }
            result => result,
        }
    }
}

/// What a decoder says of its stream, and not the system of the file.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
    )
}
