//! Where segments are put.
//!
//! Segments are written to a directory of this machine, because a writer begins, rotates and closes them there; for a
//! store that directory is a temporary one, and finishing puts what is in it. A segment is put with one conditional
//! request: either all of it is there, under a name that was free, or nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{PutMode, PutPayload};
use understudy_captures::source::{Found, ReadAt};

use crate::bucket::{Bucket, Connections};
use crate::location::{Location, Remote};

/// The largest segment that is put into a store; it is held in memory for that. An upload in parts could take more, but
/// knows no condition: it would overwrite what has the name already.
const MAX_SEGMENT: u64 = 1 << 30;

/// A directory, or a prefix of a store.
#[derive(Debug)]
pub struct Destination(Place);

#[derive(Debug)]
enum Place {
    Local(PathBuf),
    Remote { remote: Remote, bucket: Arc<Bucket>, staging: tempfile::TempDir },
}

// === impl Destination ===

impl Destination {
    /// Takes a path or URL of a directory. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// The URL is none, or the environment configures no store for it; the message says the way out.
    pub fn new(path: &Path) -> io::Result<Destination> {
        Ok(Destination(match Location::parse(path)? {
            Location::Local(path) => Place::Local(path),
            Location::Remote(remote) => {
                let bucket = Connections::default().bucket(&remote)?;
                Place::Remote { remote, bucket, staging: tempfile::tempdir()? }
            }
        }))
    }

    /// The directory to write segments to.
    pub fn dir(&self) -> &Path {
        match &self.0 {
            Place::Local(dir) => dir,
            Place::Remote { staging, .. } => staging.path(),
        }
    }

    /// What it is called, for people.
    pub fn name(&self) -> PathBuf {
        match &self.0 {
            Place::Local(dir) => dir.clone(),
            Place::Remote { remote, .. } => remote.to_string().into(),
        }
    }

    /// Puts what was written to [`Destination::dir`] where it belongs; nothing is left to do for a local one.
    ///
    /// # Errors
    ///
    /// What the store said, or that a segment of that name exists. What was put before stays.
    pub fn finish(self) -> Result<(), (PathBuf, io::Error)> {
        let Place::Remote { remote, bucket, staging } = &self.0 else { return Ok(()) };
        let failed = |error| (staging.path().to_owned(), error);
        let entries = fs::read_dir(staging.path()).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<PathBuf> =
            entries.map_err(failed)?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let object = remote.child(&name);
            let shown = PathBuf::from(object.to_string());
            let bytes = fs::read(&path).map_err(|error| (path, error))?;
            put(bucket, &object, bytes).map_err(|error| (shown, error))?;
        }
        Ok(())
    }

    /// Copies one segment there as it is, byte for byte, under its own name. Returns its new name.
    ///
    /// # Errors
    ///
    /// It cannot be read, or not written; a segment of that name is never overwritten.
    pub fn copy(&self, found: &Found) -> Result<PathBuf, (PathBuf, io::Error)> {
        let from = found.source.name();
        let name = from.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes =
            found.source.open().and_then(|file| all(&*file)).map_err(|error| (from.to_owned(), error))?;
        match &self.0 {
            Place::Local(dir) => {
                let path = dir.join(name);
                create(&path, &bytes).map_err(|error| (path.clone(), error))?;
                Ok(path)
            }
            Place::Remote { remote, bucket, .. } => {
                let object = remote.child(&name);
                let path = PathBuf::from(object.to_string());
                put(bucket, &object, bytes).map_err(|error| (path.clone(), error))?;
                Ok(path)
            }
        }
    }
}

fn all(file: &dyn ReadAt) -> io::Result<Vec<u8>> {
    let len = file.len();
    within_limit(len)?;
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

pub(crate) fn within_limit(len: u64) -> io::Result<()> {
    if len <= MAX_SEGMENT {
        return Ok(());
    }
    let what = format!(
        "a segment of {len} bytes is too large to be put there as one: cut it anew with `capture merge SEGMENT --rotate 256 \
         --out DIR`, and record smaller ones (--segment-bytes)"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        // Half a segment would look like one whose recorder was killed.
        fs::remove_file(path).ok();
    }
    written
}

fn put(bucket: &Bucket, object: &Remote, bytes: Vec<u8>) -> io::Result<()> {
    within_limit(bytes.len() as u64)?;
    let key = Key::from(&*object.key);
    let payload = PutPayload::from(bytes);
    bucket.run(object, |store| async move {
        store.put_opts(&key, payload, PutMode::Create.into()).await.map(drop)
    })
}
