//! One capture frozen out of the ring: a folder with links to its segments, and a note that says what it is.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use understudy_captures::UnixNanos;

use crate::inventory::{self, Kept};

/// File of the note, in the folder.
const NOTE: &str = "freeze.json";
/// While a file or folder of this ending exists it is not whole.
const UNFINISHED: &str = "unfinished";

/// What is frozen, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) name: String,
    /// Who or what asked for it.
    pub(crate) reason: String,
    /// RFC 3339, for people.
    pub(crate) asked_at: String,
    /// Unix nanoseconds; segments that reach into this span are kept.
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// Nothing comes any more.
    pub(crate) done: bool,
}

/// A capture being frozen, or frozen.
#[derive(Debug)]
pub(crate) struct Freeze {
    folder: PathBuf,
    pub(crate) note: Note,
}

/// The frozen captures below `frozen`, by name.
pub(crate) fn all(frozen: &Path) -> io::Result<Vec<Freeze>> {
    let mut freezes = Vec::new();
    for (folder, metadata) in inventory::files(frozen)? {
        if !metadata.is_dir() || folder.extension().is_some_and(|ending| ending == UNFINISHED) {
            continue;
        }
        match fs::read(folder.join(NOTE)) {
            Ok(json) => {
                let note = serde_json::from_slice(&json).map_err(io::Error::from)?;
                freezes.push(Freeze { folder, note });
            }
            // Somebody else's folder, or one that is just being moved away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    freezes.sort_by(|a, b| a.note.name.cmp(&b.note.name));
    Ok(freezes)
}

fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map(|since| since.as_nanos() as u64).unwrap_or_default()
}

// === impl Freeze ===

impl Freeze {
    /// Makes the folder. It is there with its note, or not at all.
    pub(crate) fn begin(
        frozen: &Path,
        name: &str,
        reason: &str,
        now: SystemTime,
        span: Duration,
    ) -> io::Result<Freeze> {
        let note = Note {
            name: name.to_owned(),
            reason: reason.to_owned(),
            asked_at: UnixNanos(nanos(now)).to_string(),
            from: nanos(now - span),
            until: nanos(now + span),
            done: false,
        };
        let unfinished = frozen.join(format!("{name}.{UNFINISHED}"));
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&unfinished)?;
        write_note(&unfinished, &note)?;
        let folder = frozen.join(name);
        fs::rename(&unfinished, &folder)?;
        fs::File::open(frozen)?.sync_all()?;
        Ok(Freeze { folder, note })
    }

    /// Whether more may come.
    pub(crate) fn is_open(&self) -> bool {
        !self.note.done
    }

    /// Whether its span has ended.
    pub(crate) fn ends_by(&self, now: SystemTime) -> bool {
        nanos(now) >= self.note.until
    }

    /// Whether it wants a segment and does not have it.
    pub(crate) fn lacks(&self, kept: &Kept) -> bool {
        self.wants(kept) && !self.folder.join(&kept.name).exists()
    }

    /// Links what it wants and lacks.
    pub(crate) fn link(&mut self, ring: &[Kept]) -> io::Result<()> {
        for kept in ring.iter().filter(|kept| self.wants(kept)) {
            link(&kept.path, &self.folder.join(&kept.name))?;
        }
        Ok(())
    }

    /// Says that nothing comes any more.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let note = Note { done: true, ..self.note.clone() };
        write_note(&self.folder, &note)?;
        self.note = note;
        Ok(())
    }

    fn wants(&self, kept: &Kept) -> bool {
        nanos(kept.began) <= self.note.until && nanos(kept.ended) >= self.note.from
    }
}

/// Gives a file a second name; where the file system has no links, copies it under a name that readers pass over and
/// then renames it.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => {
            let unfinished = to.with_extension(UNFINISHED);
            fs::copy(from, &unfinished)?;
            fs::File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, to)
        }
    }
}

fn write_note(folder: &Path, note: &Note) -> io::Result<()> {
    let unfinished = folder.join(format!("{NOTE}.{UNFINISHED}"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec_pretty(note)?)?;
    file.sync_all()?;
    fs::rename(unfinished, folder.join(NOTE))
}
