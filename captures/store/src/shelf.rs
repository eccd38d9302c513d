//! Where a recorder ships its closed segments: one at a time, each proved to be there before it is called delivered.
//!
//! Nothing is staged on this machine: a recorder may write nowhere but in its captures directory.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutMode, PutPayload};

use crate::bucket::{Bucket, Connections};
use crate::destination::within_limit;
use crate::location::{Location, Remote};

/// While a file of this ending exists it is not whole.
const UNFINISHED: &str = "unfinished";

/// A directory, or a prefix of a store.
#[derive(Debug)]
pub struct Shelf(Place);

#[derive(Debug)]
enum Place {
    Local(PathBuf),
    Remote { remote: Remote, bucket: Arc<Bucket> },
}

/// A file that is there, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its path or URL there.
    pub object: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of it, hex.
    pub digest: String,
    /// It was there already: an earlier delivery whose answer got lost.
    pub was_there: bool,
}

// === impl Shelf ===

impl Shelf {
    /// Takes a path or URL of a directory. Nothing is written or sent yet.
    ///
    /// # Errors
    ///
    /// The URL is none, or the environment configures no store for it; the message says the way out.
    pub fn new(path: &Path) -> io::Result<Shelf> {
        Ok(Shelf(match Location::parse(path)? {
            Location::Local(path) => Place::Local(path),
            Location::Remote(remote) => {
                let bucket = Connections::default().bucket(&remote)?;
                Place::Remote { remote, bucket }
            }
        }))
    }

    /// What it is called, for people.
    pub fn name(&self) -> PathBuf {
        match &self.0 {
            Place::Local(dir) => dir.clone(),
            Place::Remote { remote, .. } => remote.to_string().into(),
        }
    }

    /// Copies a file there under `name`, which may begin with folders, and makes sure that all of it arrived: its size
    /// and what the store calls its content are asked for again. What is there already is read back and compared.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] when something else is there under this name, which trying again does not change;
    /// otherwise what the system or the store said. The file may be there nevertheless: deliver it again to know.
    pub fn deliver(&self, file: &Path, name: &str) -> io::Result<Receipt> {
        let bytes = Bytes::from(fs::read(file)?);
        within_limit(bytes.len() as u64)?;
        let receipt = |object, was_there| Receipt {
            object,
            bytes: bytes.len() as u64,
            digest: blake3::hash(&bytes).to_hex().to_string(),
            was_there,
        };
        match &self.0 {
            Place::Local(dir) => {
                let to = dir.join(name);
                Ok(receipt(to.clone(), copy(&bytes, &to)?))
            }
            Place::Remote { remote, bucket } => {
                let object = remote.child(name);
                let was_there = match put(bucket, &object, bytes.clone()) {
                    Ok(()) => false,
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        same(&get(bucket, &object)?, &bytes)?;
                        true
                    }
                    Err(error) => return Err(error),
                };
                Ok(receipt(object.to_string().into(), was_there))
            }
        }
    }
}

/// Whether it was there already.
fn copy(bytes: &[u8], to: &Path) -> io::Result<bool> {
    match fs::read(to) {
        Ok(there) => return same(&there, bytes).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    let unfinished = to.with_extension(UNFINISHED);
    fs::write(&unfinished, bytes)?;
    fs::File::open(&unfinished)?.sync_all()?;
    same(&fs::read(&unfinished)?, bytes)?;
    fs::rename(&unfinished, to)?;
    Ok(false)
}

/// Puts it where nothing is, and asks whether it is there.
fn put(bucket: &Bucket, object: &Remote, bytes: Bytes) -> io::Result<()> {
    let (key, len) = (Key::from(&*object.key), bytes.len() as u64);
    let (put, meta) = bucket.run(object, |store| async move {
        let put = store.put_opts(&key, PutPayload::from(bytes), PutMode::Create.into()).await?;
        Ok((put, store.head(&key).await?))
    })?;
    let same_content = match (&put.e_tag, &meta.e_tag) {
        (Some(put), Some(there)) => put == there,
        _ => true,
    };
    if meta.size == len && same_content {
        return Ok(());
    }
    Err(io::Error::other("the store took it and shows another size or content: it is not called delivered"))
}

fn get(bucket: &Bucket, object: &Remote) -> io::Result<Bytes> {
    let key = Key::from(&*object.key);
    bucket.run(object, |store| async move { store.get(&key).await?.bytes().await })
}

fn same(there: &[u8], bytes: &[u8]) -> io::Result<()> {
    if there == bytes {
        return Ok(());
    }
    Err(io::Error::new(
        ErrorKind::InvalidData,
        "something else is there under this name, and it is never overwritten",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_delivered_once_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.ucap");
        fs::write(&file, "segment").unwrap();
        let shelf = Shelf::new(&dir.path().join("shelf")).unwrap();
        let first = shelf.deliver(&file, "one/a.ucap").unwrap();
        assert_eq!((first.bytes, first.was_there), (7, false));
        assert_eq!(fs::read(&first.object).unwrap(), b"segment");
        let again = shelf.deliver(&file, "one/a.ucap").unwrap();
        assert_eq!(again, Receipt { was_there: true, ..first.clone() });
        fs::write(&file, "another").unwrap();
        let error = shelf.deliver(&file, "one/a.ucap").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(fs::read(&first.object).unwrap(), b"segment");
    }
}
