//! Writes the file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::columns::Columns;
use super::{BLOCK, FILE_NAME, Header, MAGIC};
use crate::outcome::{Labels, Outcome};

/// Fast: a fraction of a microsecond for each record.
const LEVEL: i32 = 1;

/// Longest that a record stays in memory once its turn is over.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes outcomes to a file.
pub struct OutcomeLog {
    file: BufWriter<File>,
    compressor: zstd::bulk::Compressor<'static>,
    columns: Columns,
    raw: Vec<u8>,
    /// Labels that the file names already.
    named: usize,
    written: u64,
    last: Instant,
}

// === impl OutcomeLog ===

impl OutcomeLog {
    /// Creates the file in `dir`.
    ///
    /// # Errors
    ///
    /// When there is one already, and when the system refuses.
    pub fn create(dir: &Path, header: &Header) -> io::Result<OutcomeLog> {
        let mut file = BufWriter::new(File::create_new(dir.join(FILE_NAME))?);
        let header = rmp_serde::to_vec_named(header).map_err(io::Error::other)?;
        file.write_all(&MAGIC)?;
        file.write_all(&(header.len() as u32).to_le_bytes())?;
        file.write_all(&header)?;
        Ok(OutcomeLog {
            file,
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            columns: Columns::default(),
            raw: Vec::new(),
            named: 0,
            written: 0,
            last: Instant::now(),
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub fn append(&mut self, outcome: &Outcome, labels: &Labels) -> io::Result<()> {
        self.columns.push(outcome);
        if self.columns.records() < BLOCK { Ok(()) } else { self.block(labels) }
    }

    /// Called when a turn is over: makes what was appended readable, even if the run is killed, unless that was done a
    /// moment ago. Blocks of few records compress badly.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub fn rest(&mut self, labels: &Labels) -> io::Result<()> {
        if self.columns.records() == 0 || self.last.elapsed() < PATIENCE {
            return Ok(());
        }
        self.block(labels)?;
        self.file.flush()
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub fn finish(mut self, labels: &Labels) -> io::Result<()> {
        if self.columns.records() > 0 {
            self.block(labels)?;
        }
        let total = self.written.to_le_bytes();
        self.put(0, total.len(), &total)?;
        self.file.flush()
    }

    fn block(&mut self, labels: &Labels) -> io::Result<()> {
        let records = self.columns.records();
        let new = labels.names().get(self.named..).unwrap_or_default();
        let names = rmp_serde::to_vec(new).map_err(io::Error::other)?;
        self.named += new.len();
        self.raw.clear();
        self.columns.drain_into(&names, &mut self.raw);
        let stored = self.compressor.compress(&self.raw)?;
        self.put(records, self.raw.len(), &stored)?;
        self.written += records as u64;
        self.last = Instant::now();
        Ok(())
    }

    fn put(&mut self, records: usize, raw: usize, stored: &[u8]) -> io::Result<()> {
        let crc = crc32fast::hash(stored);
        for number in [records as u32, raw as u32, stored.len() as u32, crc] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.file.write_all(stored)
    }
}
