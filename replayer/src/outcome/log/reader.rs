//! Reads the file, block by block.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{BLOCK, FILE_NAME, Header, MAGIC, MAX_RAW, columns};
use crate::outcome::Outcome;

/// Longest header: names of a run's candidates.
const MAX_HEADER: usize = 1 << 20;

/// The outcomes of a run, in blocks, in the order in which the requests ended.
pub struct Outcomes {
    path: PathBuf,
    file: BufReader<File>,
    header: Header,
    labels: Vec<String>,
    read: u64,
    over: bool,
}

/// Why outcomes cannot be read, or not to their end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system does not give the file.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It begins with something else.
    #[error("{} is no outcome file of this version", .0.display())]
    Foreign(PathBuf),
    /// The run was killed while it wrote.
    #[error("{} ends after {read} outcomes, in the middle of a block: the run was killed; what it holds until there is good", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// Outcomes of whole blocks.
        read: u64,
    },
    /// It was changed after it was written.
    #[error("{} is damaged after {read} outcomes; restore it from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Outcomes before the damage.
        read: u64,
    },
}

// === impl Outcomes ===

impl Outcomes {
    /// Opens the outcomes of a run.
    ///
    /// # Errors
    ///
    /// When there is no such file, and when it is something else.
    pub fn open(dir: &Path) -> Result<Outcomes, ReadError> {
        let path = dir.join(FILE_NAME);
        let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
        let mut file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let mut start = [0; 9];
        let foreign = || ReadError::Foreign(path.clone());
        file.read_exact(&mut start).map_err(|_| foreign())?;
        let [magic @ .., a, b, c, d] = start;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if magic != MAGIC || length > MAX_HEADER {
            return Err(foreign());
        }
        let mut header = vec![0; length];
        file.read_exact(&mut header).map_err(|_| foreign())?;
        let header = rmp_serde::from_slice(&header).map_err(|_| foreign())?;
        Ok(Outcomes { path, file, header, labels: Vec::new(), read: 0, over: false })
    }

    /// What the file says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Labels by number, so far as blocks were read.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The next block; `None` at the end of a run that came to its end.
    ///
    /// # Errors
    ///
    /// Once, where the file is torn or damaged; what was read before is good.
    pub fn block(&mut self) -> Result<Option<Vec<Outcome>>, ReadError> {
        if self.over {
            return Ok(None);
        }
        let block = self.read_block();
        self.over = !matches!(block, Ok(Some(_)));
        block
    }

    fn read_block(&mut self) -> Result<Option<Vec<Outcome>>, ReadError> {
        let [records, raw, stored, crc] = {
            let mut numbers = [0; 16];
            self.fill(&mut numbers)?;
            let (words, _) = numbers.as_chunks::<4>();
            [0, 1, 2, 3].map(|at| u32::from_le_bytes(words[at]))
        };
        let (records, raw, stored) = (records as usize, raw as usize, stored as usize);
        if records > BLOCK || raw > MAX_RAW || stored > zstd::zstd_safe::compress_bound(MAX_RAW) {
            return Err(self.damaged());
        }
        let mut bytes = vec![0; stored];
        self.fill(&mut bytes)?;
        if crc32fast::hash(&bytes) != crc {
            return Err(self.damaged());
        }
        if records == 0 {
            let total = bytes.try_into().map(u64::from_le_bytes);
            return if total == Ok(self.read) { Ok(None) } else { Err(self.damaged()) };
        }
        let raw = zstd::bulk::decompress(&bytes, raw).map_err(|_| self.damaged())?;
        let (names, outcomes) = columns::read(&raw, records).map_err(|_| self.damaged())?;
        let names: Vec<String> = rmp_serde::from_slice(names).map_err(|_| self.damaged())?;
        self.labels.extend(names);
        self.read += records as u64;
        Ok(Some(outcomes))
    }

    fn fill(&mut self, room: &mut [u8]) -> Result<(), ReadError> {
        self.file.read_exact(room).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Torn { path: self.path.clone(), read: self.read },
            _ => ReadError::Unreadable { path: self.path.clone(), source },
        })
    }

    fn damaged(&self) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), read: self.read }
    }
}
