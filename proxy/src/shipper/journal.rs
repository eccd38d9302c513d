//! The account of what was shipped: one line of JSON for each segment, in the captures directory.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// File of the account.
const NAME: &str = "shipped.jsonl";
/// Lines beyond which the oldest half is summed up in one.
const MOST_LINES: usize = 4096;

/// What was shipped in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) segments: u64,
    pub(crate) bytes: u64,
}

/// One segment that is safe elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// RFC 3339.
    pub(crate) at: String,
    pub(crate) segment: String,
    /// Its path or URL there.
    pub(crate) object: PathBuf,
    pub(crate) bytes: u64,
    /// Of its bytes, hex.
    pub(crate) blake3: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Entry(Entry),
    /// Entries that are not listed any more.
    Earlier {
        earlier: Totals,
    },
}

/// The account, open for more.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    entries: VecDeque<Entry>,
    known: BTreeSet<String>,
    earlier: Totals,
}

// === impl Journal ===

impl Journal {
    /// Opens the account of `dir`, or begins one. A line that a kill cut short is not counted.
    pub(crate) fn open(dir: &Path) -> io::Result<Journal> {
        let path = dir.join(NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        let mut journal = Journal {
            path,
            file,
            entries: VecDeque::new(),
            known: BTreeSet::new(),
            earlier: Totals::default(),
        };
        for line in text.lines() {
            match serde_json::from_str(line) {
                Ok(Line::Entry(entry)) => journal.count(entry),
                Ok(Line::Earlier { earlier }) => journal.earlier = earlier,
                Err(_) => {}
            }
        }
        Ok(journal)
    }

    /// What was shipped in all.
    pub(crate) fn totals(&self) -> Totals {
        let bytes = self.entries.iter().map(|entry| entry.bytes).sum::<u64>();
        Totals {
            segments: self.earlier.segments + self.entries.len() as u64,
            bytes: self.earlier.bytes + bytes,
        }
    }

    /// Notes a segment, once. It is on the disk when this returns.
    pub(crate) fn note(&mut self, entry: Entry) -> io::Result<()> {
        if self.known.contains(&entry.segment) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.count(entry);
        if self.entries.len() > MOST_LINES {
            self.sum_up()?;
        }
        Ok(())
    }

    fn count(&mut self, entry: Entry) {
        if self.known.insert(entry.segment.clone()) {
            self.entries.push_back(entry);
        }
    }

    fn sum_up(&mut self) -> io::Result<()> {
        for entry in self.entries.drain(..MOST_LINES / 2) {
            self.known.remove(&entry.segment);
            self.earlier.segments += 1;
            self.earlier.bytes += entry.bytes;
        }
        let mut text = serde_json::to_vec(&Line::Earlier { earlier: self.earlier })?;
        text.push(b'\n');
        for entry in &self.entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        let unfinished = self.path.with_extension("unfinished");
        fs::write(&unfinished, text)?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        Ok(())
    }
}
