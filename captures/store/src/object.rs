//! One segment in a bucket.
//!
//! Objects are read in windows, and windows that are missing next to each other come with one ranged request: opening a
//! segment takes one request for its head and one for its end, and blocks read in order one request for several. The
//! windows read last stay in memory, up to a bound for the whole bucket.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use understudy_captures::source::{Found, ReadAt, Source, is_segment};

use crate::bucket::Bucket;
use crate::location::Remote;

/// Bytes of a window. A block takes some hundred kilobytes.
const WINDOW: u64 = 256 << 10;
/// Windows that are kept: 32 MiB.
const KEPT: usize = 128;
/// Windows fetched ahead of what was asked for, when reading goes on where it ended.
const AHEAD: u64 = 4;
/// How often a body that broke off is asked for again.
const ATTEMPTS: usize = 3;

/// A segment in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    bucket: Arc<Bucket>,
    remote: Remote,
    /// For people: the URL.
    name: PathBuf,
    key: Key,
    size: u64,
    /// What it must still be when it is read.
    e_tag: Option<String>,
}

/// Windows read lately, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    windows: Mutex<VecDeque<Window>>,
}

#[derive(Debug)]
struct Window {
    key: Key,
    index: u64,
    bytes: Bytes,
}

/// The segments at `remote`: itself, or all `*.ucap` under it.
pub(crate) fn find(bucket: &Arc<Bucket>, remote: &Remote) -> io::Result<Vec<Found>> {
    let key = Key::from(&*remote.key);
    let object = |meta: ObjectMeta, named| {
        let remote = Remote { key: meta.location.to_string(), ..remote.clone() };
        let name = PathBuf::from(remote.to_string());
        let object = Object {
            bucket: Arc::clone(bucket),
            remote,
            name,
            key: meta.location,
            size: meta.size,
            e_tag: meta.e_tag,
        };
        Found { source: Arc::new(object), named }
    };
    if is_segment(Path::new(&remote.key)) {
        let meta = bucket.run(remote, |store| async move { store.head(&key).await })?;
        return Ok(vec![object(meta, true)]);
    }
    let listed = bucket.run(remote, |store| async move { store.list_with_delimiter(Some(&key)).await })?;
    let mut metas = listed.objects;
    metas.retain(|meta| is_segment(Path::new(meta.location.as_ref())));
    metas.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(metas.into_iter().map(|meta| object(meta, false)).collect())
}

// === impl Object ===

impl Source for Object {
    fn name(&self) -> &Path {
        &self.name
    }

    fn identity(&self) -> PathBuf {
        self.name.clone()
    }

    fn open(&self) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.clone()))
    }
}

impl ReadAt for Object {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let end = at.checked_add(buffer.len() as u64).filter(|end| *end <= self.size);
        let Some(end) = end else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let mut at = at;
        let mut rest = buffer;
        while !rest.is_empty() {
            let index = at / WINDOW;
            let bytes = self.window(index, (end - 1) / WINDOW)?;
            let from = (at - index * WINDOW) as usize;
            let some = bytes.get(from..).filter(|some| !some.is_empty());
            let some = some.ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = some.len().min(rest.len());
            let (filled, unfilled) = rest.split_at_mut(len);
            filled.copy_from_slice(&some[..len]);
            rest = unfilled;
            at += len as u64;
        }
        Ok(())
    }
}

impl Object {
    /// The window `index`; when it has to be fetched, with those after it that are wanted, up to `last`.
    fn window(&self, index: u64, last: u64) -> io::Result<Bytes> {
        let cache = &self.bucket.cache;
        if let Some(bytes) = cache.get(&self.key, index) {
            return Ok(bytes);
        }
        // Reading on where it ended: what follows will be wanted, too.
        let ahead = if index > 0 && cache.get(&self.key, index - 1).is_some() { AHEAD } else { 0 };
        let final_window = self.size.saturating_sub(1) / WINDOW;
        let last = last.max(index.saturating_add(ahead)).min(final_window).min(index + KEPT as u64 / 2);
        let missing = (index..=last).take_while(|next| cache.get(&self.key, *next).is_none()).count() as u64;
        let (from, to) = (index * WINDOW, ((index + missing) * WINDOW).min(self.size));
        let fetched = self.fetch(from, to)?;
        if fetched.len() as u64 != to - from {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the store sent less than it promised"));
        }
        for next in 0..missing {
            let begin = (next * WINDOW) as usize;
            let end = (begin + WINDOW as usize).min(fetched.len());
            cache.put(Window {
                key: self.key.clone(),
                index: index + next,
                bytes: fetched.slice(begin..end),
            });
        }
        Ok(fetched.slice(..(WINDOW as usize).min(fetched.len())))
    }

    fn fetch(&self, from: u64, to: u64) -> io::Result<Bytes> {
        let (key, e_tag) = (self.key.clone(), self.e_tag.clone());
        self.bucket.run(&self.remote, |store| async move {
            let mut attempt = 1;
            loop {
                let options = GetOptions {
                    range: Some(GetRange::Bounded(from..to)),
                    // Otherwise a replaced object would be read half old, half new.
                    if_match: e_tag.clone(),
                    ..GetOptions::default()
                };
                match store.get_opts(&key, options).await?.bytes().await {
                    Err(_) if attempt < ATTEMPTS => attempt += 1,
                    result => return result,
                }
            }
        })
    }
}

// === impl Cache ===

impl Cache {
    fn get(&self, key: &Key, index: u64) -> Option<Bytes> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let place = windows.iter().rposition(|window| window.index == index && window.key == *key)?;
        let window = windows.remove(place)?;
        let bytes = window.bytes.clone();
        windows.push_back(window);
        Some(bytes)
    }

    fn put(&self, window: Window) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() == KEPT {
            windows.pop_front();
        }
        windows.push_back(window);
    }
}
