//! Captures by URL: a directory of this machine, or an object store (S3, Google Cloud Storage, Azure Blob Storage).
//!
//! # Layout
//!
//! - [`Location`]: what a path or URL names; nothing that holds a credential is one.
//! - `bucket`: a connection to one bucket, configured by the usual environment variables; blocking for its callers.
//! - `object`: one segment in a bucket, read by ranges with a small cache.
//! - `fault`: what a store's refusal means for people, without its words or any credential.
//! - [`Destination`]: where segments are put, none ever overwritten.
//! - [`Shelf`]: where a recorder ships its segments, each proved to be there.
//!
//! `understudy-captures` knows no network; this crate is its one bridge there. It is blocking because everything that
//! reads a capture is; a small runtime inside waits for the network.

mod bucket;
mod destination;
mod fault;
mod location;
mod object;
mod shelf;

use std::path::{Path, PathBuf};

use understudy_captures::capture::CaptureError;
use understudy_captures::source::{self, Found};
use understudy_captures::{Capture, CaptureKeys};

pub use destination::Destination;
pub use location::{Location, Remote, Scheme};
pub use shelf::{Receipt, Shelf};

use bucket::Connections;

/// Opens files, directories and URLs as one capture; encrypted segments with their keys.
///
/// # Errors
///
/// As [`Capture::open`]. What a store refused is [`CaptureError::Io`] with the URL as path, a message that says the way
/// out, and a kind that tells what cannot be read from what does not answer.
pub fn open<P: AsRef<Path>>(paths: &[P], keys: &CaptureKeys) -> Result<Capture, CaptureError> {
    Capture::open_found(find(paths)?, keys)
}

/// The segments that paths and URLs name: a segment itself, or all `*.ucap` in a directory or under a prefix, not below.
///
/// # Errors
///
/// As [`open`].
pub fn find<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Found>, CaptureError> {
    let mut connections = Connections::default();
    let mut found = Vec::new();
    for path in paths {
        let location = Location::parse(path.as_ref())
            .map_err(|error| CaptureError::Io { path: error.shown().into(), source: error.into() })?;
        match location {
            Location::Local(path) => found.extend(source::local(&path)?),
            Location::Remote(remote) => {
                let failed = |source| CaptureError::Io { path: PathBuf::from(remote.to_string()), source };
                let bucket = connections.bucket(&remote).map_err(failed)?;
                let objects = object::find(&bucket, &remote).map_err(failed)?;
                if objects.is_empty() {
                    return Err(CaptureError::Nothing { path: remote.to_string().into() });
                }
                found.extend(objects);
            }
        }
    }
    Ok(found)
}
