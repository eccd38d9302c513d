//! Reads foreign files through the sanitizer into a capture.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rand::Rng;

use super::arrivals::{Arrivals, Synthesis};
use super::gor::GorReader;
use super::har::HarReader;
use super::jsonl::{JsonlReader, known_class};
use super::nginx::NginxReader;
use super::notes::{Note, Notes};
use super::{Format, Input};
use crate::conservation::{Conservation, Drop};
use crate::exchange::{Exchange, ExchangeId, Redaction, Redactions};
use crate::sanitize::{Sanitized, Sanitizer};
use crate::segment::{CaptureKey, Origin, WriteError, Writer, WriterConfig};

/// A file with this many records of which none can be read is something else.
const PATIENCE: u64 = 1000;
/// Ids that are remembered, to find one that occurs twice: 16 bytes each.
const RECENT_IDS: usize = 1 << 16;
/// Connections that are remembered.
const RECENT_CONNECTIONS: usize = 1 << 16;
/// A block is closed when its records reach this many bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// A new segment is begun after this many bytes.
const SEGMENT_BYTES: u64 = 1 << 30;

/// Why an import ended before its files did.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No such file, no permission, ...
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content gives no format away.
    #[error("{}: cannot tell what kind of file this is; say it with --from", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// Nothing of the file reads as what it was taken for.
    #[error("{} does not read as {format}{}; give another kind with --from", path.display(), in_words(first))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        format: Format,
        /// The first place that could not be read.
        first: Option<String>,
    },
    /// A file without records.
    #[error("{} holds no {format} record: nothing to import", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        format: Format,
    },
    /// A format that is only written.
    #[error(
        "{0} is written and not read; captures are imported from gor, har, jsonl, azure, mooncake, nginx"
    )]
    NotImported(Format),
    /// Arrivals without texts.
    #[error("{}: arrivals have no texts; give --texts FILE and --preset NAME or --template FILE", path.display())]
    NoTexts {
        /// The file.
        path: PathBuf,
    },
    /// The capture would be mixed with what is there.
    #[error("{} is not empty; name a new directory", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// The capture cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a reader found.
pub enum Found {
    /// An exchange.
    Exchange(Box<Exchange>, Identity),
    /// A request that is not read, for a reason of the law.
    Dropped(Drop),
}

/// What the source says of an exchange's id and connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Both, in the exchange.
    Kept,
    /// The connection, under this number.
    Connection(u64),
    /// Nothing.
    Unknown,
}

/// Reads the exchanges of one file.
pub trait Reader {
    /// The next exchange, or a request that cannot be read; what cannot be carried over as it was is noted.
    fn next(&mut self, notes: &mut Notes) -> Result<Option<Found>, ImportError>;

    /// The file.
    fn input(&self) -> &Input;
}

/// What an import did.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// Formats that were read.
    pub formats: Vec<Format>,
    /// The law: what was read, and what became of it.
    pub conservation: Conservation,
    /// What could not be carried over as it was.
    pub notes: Notes,
}

/// Imports files into one capture.
pub struct Importer {
    sanitizer: Sanitizer,
    out: Out,
    synthesis: Option<Rc<RefCell<Synthesis>>>,
    numbers: Numbers,
    imported: Imported,
}

/// The capture; begun with the first exchange, so that a refused file leaves nothing behind.
struct Out {
    dir: PathBuf,
    origin: Origin,
    /// Encrypts the capture.
    key: Option<CaptureKey>,
    writer: Option<Writer>,
}

/// Gives ids and connections to exchanges that have none.
struct Numbers {
    boot: u64,
    next_id: u64,
    next_connection: u64,
    /// By the source's number: ours, and the next position on it.
    connections: HashMap<u64, (u64, u32)>,
    known: HashSet<ExchangeId>,
    recent: VecDeque<ExchangeId>,
}

// === impl Importer ===

impl Importer {
    /// Imports into `dir`, which must be empty or missing; a key encrypts the capture.
    pub fn new(
        dir: &Path,
        sanitizer: Sanitizer,
        key: Option<CaptureKey>,
        synthesis: Option<Synthesis>,
    ) -> Result<Importer, ImportError> {
        let failed = |source| ImportError::Io { path: dir.to_owned(), source };
        match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(ImportError::Occupied { path: dir.to_owned() });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let boot = rand::rng().next_u64();
        let origin = Origin {
            producer: concat!("understudy ", env!("CARGO_PKG_VERSION"), " import").to_owned(),
            boot,
            policy: sanitizer.policy().digest(),
            key_id: sanitizer.key_id().to_owned(),
            sample: 1.0,
            ..Origin::default()
        };
        Ok(Importer {
            sanitizer,
            out: Out { dir: dir.to_owned(), origin, key, writer: None },
            synthesis: synthesis.map(|synthesis| Rc::new(RefCell::new(synthesis))),
            numbers: Numbers::new(boot),
            imported: Imported::default(),
        })
    }

    /// Imports one file, as `format` or as what its content looks like.
    pub fn read(&mut self, input: Input, format: Option<Format>) -> Result<(), ImportError> {
        let path = input.path().to_owned();
        let format = match format.or_else(|| Format::of_content(input.head())) {
            Some(format) => format,
            None if input.head().is_empty() => {
                return Err(ImportError::Empty { path, format: Format::Jsonl });
            }
            None => return Err(ImportError::UnknownKind { path }),
        };
        let mut reader = self.reader(input, format)?;
        if !self.imported.formats.contains(&format) {
            self.imported.formats.push(format);
        }
        self.imported.notes.enter(&path);
        self.numbers.connections.clear();
        let unreadable = self.unreadable();
        let mut readable = 0;
        let mut failed = 0;
        while let Some(found) = reader.next(&mut self.imported.notes)? {
            match found {
                Found::Exchange(exchange, identity) => {
                    readable += 1;
                    self.take(*exchange, identity)?;
                }
                Found::Dropped(reason) => {
                    failed += 1;
                    self.imported.conservation.seen += 1;
                    self.imported.conservation.add(reason, 1);
                }
            }
            if readable == 0 && failed >= PATIENCE {
                return Err(self.foreign(path, format));
            }
        }
        if reader.input().is_torn() {
            self.imported.notes.add(Note::TornGzip);
        }
        match (readable, failed + self.unreadable() - unreadable) {
            (0, 0) => Err(ImportError::Empty { path, format }),
            (0, _) => Err(self.foreign(path, format)),
            _ => Ok(()),
        }
    }

    /// Closes the capture.
    pub fn finish(mut self) -> Result<Imported, ImportError> {
        let totals = &mut self.imported.conservation;
        // Files of which everything was refused still leave a capture that says so.
        if self.out.writer.is_none() && totals.seen > 0 {
            self.out.open()?;
        }
        if let Some(writer) = self.out.writer.take() {
            writer.finish(&mut |written| {
                totals.recorded += written;
                *totals
            })?;
        }
        Ok(self.imported)
    }

    fn reader(&mut self, input: Input, format: Format) -> Result<Box<dyn Reader>, ImportError> {
        Ok(match format {
            Format::Gor => Box::new(GorReader::new(input)),
            Format::Har => Box::new(HarReader::new(input)),
            Format::Jsonl => Box::new(JsonlReader::new(input)),
            Format::Nginx => Box::new(NginxReader::new(input)),
            Format::Azure | Format::Mooncake => match self.synthesis.clone() {
                Some(synthesis) => Box::new(Arrivals::new(input, format, synthesis)),
                None => return Err(ImportError::NoTexts { path: input.path().to_owned() }),
            },
            Format::K6 | Format::Vegeta | Format::Wrk => return Err(ImportError::NotImported(format)),
        })
    }

    fn take(&mut self, mut exchange: Exchange, identity: Identity) -> Result<(), ImportError> {
        self.imported.conservation.seen += 1;
        if exchange.response.is_none() {
            self.imported.notes.add(Note::NoResponse);
        }
        self.numbers.identify(&mut exchange, &identity, &mut self.imported.notes);
        let claimed = std::mem::take(&mut exchange.redactions);
        let mut sanitized = match self.sanitizer.sanitize(exchange) {
            Ok(sanitized) => sanitized,
            Err(refused) => {
                self.imported.conservation.unsanitizable += 1;
                self.imported.notes.refuse(refused.to_string());
                return Ok(());
            }
        };
        remember(&mut sanitized, &claimed, &mut self.imported.notes);
        let totals = &mut self.imported.conservation;
        let writer = self.out.open()?;
        let written = writer.append(&sanitized)?;
        if written > 0 {
            totals.recorded += written;
            writer.flush(&mut |more| {
                totals.recorded += more;
                *totals
            })?;
        }
        Ok(())
    }

    fn unreadable(&self) -> u64 {
        [Note::Unreadable, Note::NotHttp, Note::BadInstant, Note::OverLimit, Note::TornTail]
            .map(|note| self.imported.notes.count(note))
            .iter()
            .sum()
    }

    fn foreign(&self, path: PathBuf, format: Format) -> ImportError {
        let first = self.imported.notes.iter().find_map(|(_, count)| count.first.first().cloned());
        ImportError::Foreign { path, format, first }
    }
}

impl Out {
    fn open(&mut self) -> Result<&mut Writer, WriteError> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            none => Ok(none.insert(Writer::create(WriterConfig {
                dir: self.dir.clone(),
                max_bytes: SEGMENT_BYTES,
                max_age: Duration::MAX,
                block_bytes: BLOCK_BYTES,
                origin: self.origin.clone(),
                key: self.key.clone(),
            })?)),
        }
    }
}

/// Puts back what an earlier sanitizing did: without it, nobody would know that the input is not the one that was
/// answered.
fn remember(sanitized: &mut Sanitized, claimed: &Redactions, notes: &mut Notes) {
    if claimed.is_empty() {
        return;
    }
    let mut redactions = sanitized.0.redactions.to_vec();
    for claim in claimed {
        let class = known_class(&claim.class).unwrap_or_else(|| {
            notes.add(Note::RedactionUnknown);
            "unknown"
        });
        match redactions.iter_mut().find(|r| &*r.class == class && r.place == claim.place) {
            // What is replaced again is counted once.
            Some(redaction) => redaction.count = redaction.count.max(claim.count),
            None => redactions.push(Redaction { class: class.into(), ..claim.clone() }),
        }
    }
    sanitized.0.redactions = redactions.into();
}

// === impl Numbers ===

impl Numbers {
    fn new(boot: u64) -> Numbers {
        Numbers {
            boot,
            next_id: 0,
            next_connection: 0,
            connections: HashMap::new(),
            known: HashSet::new(),
            recent: VecDeque::new(),
        }
    }

    fn identify(&mut self, exchange: &mut Exchange, identity: &Identity, notes: &mut Notes) {
        match identity {
            Identity::Kept => {
                if !self.known.insert(exchange.id) {
                    notes.add(Note::DuplicateId);
                    exchange.id = self.fresh_id();
                    return;
                }
                self.recent.push_back(exchange.id);
                if self.recent.len() > RECENT_IDS
                    && let Some(oldest) = self.recent.pop_front()
                {
                    self.known.remove(&oldest);
                }
            }
            Identity::Connection(number) => {
                exchange.id = self.fresh_id();
                if self.connections.len() >= RECENT_CONNECTIONS {
                    self.connections.clear();
                }
                let next_connection = &mut self.next_connection;
                let (connection, index) = self.connections.entry(*number).or_insert_with(|| {
                    *next_connection += 1;
                    (*next_connection - 1, 0)
                });
                exchange.connection = *connection;
                exchange.index = *index;
                *index = index.saturating_add(1);
            }
            Identity::Unknown => {
                notes.add(Note::NoConnection);
                exchange.id = self.fresh_id();
                exchange.connection = self.next_connection;
                exchange.index = 0;
                self.next_connection += 1;
            }
        }
    }

    fn fresh_id(&mut self) -> ExchangeId {
        self.next_id += 1;
        ExchangeId(u128::from(self.boot) << 64 | u128::from(self.next_id))
    }
}

fn in_words(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(" (first at {place})")).unwrap_or_default()
}
