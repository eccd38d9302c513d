//! Encryption at rest: every frame of a segment sealed with a key of the segment's own.
//!
//! What is sealed is a frame as it would otherwise stand in the file, so nothing above this layer knows of it. The
//! outer header is in the clear and has a checksum of its own: after damage the next frame is found without the key's
//! help, and a frame that does not open is told from one that was torn. Each frame is bound to the head of its segment
//! and to its place in the file, so it cannot be moved, repeated, or carried into another segment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};
use rand::Rng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::frame::{FRAME_PREFIX, u32_at, u64_at};
use crate::secret::{KeyError, Secret};
use crate::source::ReadAt;

/// Environment variable that may hold the key of encrypted captures.
pub const CAPTURE_KEY_VARIABLE: &str = "UNDERSTUDY_CAPTURE_KEY";

pub(super) const SEALED_MAGIC: [u8; 8] = *b"\x8bUSEA\r\n\x1a";
/// Magic, counter, length, checksum.
pub(super) const OUTER_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// The one cipher. Chosen over AES-GCM because it is as fast in plain software, on every processor.
const CIPHER: &str = "chacha20-poly1305";

const MASTER_CONTEXT: &str = "understudy 2026 capture encryption key";
const ID_CONTEXT: &str = "understudy 2026 capture encryption key id";
const SEGMENT_CONTEXT: &str = "understudy 2026 capture encryption key of one segment";

/// The secret that encrypts captures. Unrelated to the sanitizing key, even when made of the same material.
#[derive(Clone)]
pub struct CaptureKey(Secret);

/// The keys that a reader has.
#[derive(Clone, Debug, Default)]
pub struct CaptureKeys(Vec<CaptureKey>);

/// In the header of an encrypted segment: what opens it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SealHeader {
    cipher: String,
    /// Random, so that no two segments have the same key.
    #[serde(with = "serde_bytes")]
    salt: [u8; 32],
    /// Names the key that the segment's key is derived from.
    pub(super) key_id: String,
}

/// Seals the frames of one segment.
pub(super) struct Sealer {
    opener: Opener,
    /// Frames sealed so far, written or not: a number is never used twice, also after a failed write.
    counter: u64,
}

/// Opens the frames of one segment.
#[derive(Clone)]
pub(super) struct Opener {
    cipher: ChaCha20Poly1305,
    /// BLAKE3 of the segment's head.
    head: [u8; 32],
}

/// What is at a place of a sealed segment.
pub(super) enum Outer {
    /// No outer header that can be trusted.
    Nothing,
    /// A frame that runs past the end.
    Torn,
    /// A frame whose length is known.
    Frame {
        /// As in the file.
        bytes: Vec<u8>,
        /// What was sealed; `None` when it was changed, moved, or sealed with another key.
        inner: Option<Vec<u8>>,
    },
}

// === impl CaptureKey ===

impl CaptureKey {
    /// Reads a key: at least 32 bytes, or at least 64 hex digits (white space around them is ignored).
    pub fn from_file(path: &Path) -> Result<CaptureKey, KeyError> {
        Secret::from_file(path, MASTER_CONTEXT).map(CaptureKey)
    }

    /// Reads a key from the environment variable `name`, in the forms that [`CaptureKey::from_file`] takes.
    pub fn from_env(name: &str) -> Result<CaptureKey, KeyError> {
        Secret::from_env(name, MASTER_CONTEXT).map(CaptureKey)
    }

    /// A random key, for tests: what it encrypts is lost with it.
    pub fn random() -> CaptureKey {
        CaptureKey(Secret::random())
    }

    /// The key of `file`, or else of the environment ([`CAPTURE_KEY_VARIABLE`]); `None` when neither names one.
    pub fn find(file: Option<&Path>) -> Result<Option<CaptureKey>, KeyError> {
        match file {
            Some(path) => Self::from_file(path).map(Some),
            None if std::env::var_os(CAPTURE_KEY_VARIABLE).is_some_and(|value| !value.is_empty()) => {
                Self::from_env(CAPTURE_KEY_VARIABLE).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Names the key without revealing it, 16 hex digits.
    pub fn id(&self) -> String {
        self.0.id(ID_CONTEXT)
    }

    fn cipher(&self, salt: &[u8; 32]) -> ChaCha20Poly1305 {
        let material = Zeroizing::new([*self.0.bytes(), *salt].concat());
        let key = Zeroizing::new(blake3::derive_key(SEGMENT_CONTEXT, &material));
        ChaCha20Poly1305::new(&Key::from(*key))
    }
}

impl fmt::Debug for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

// === impl CaptureKeys ===

impl CaptureKeys {
    /// No key: encrypted captures are refused.
    pub fn none() -> CaptureKeys {
        CaptureKeys::default()
    }

    /// The keys of `files`, or else the one of the environment ([`CAPTURE_KEY_VARIABLE`]), if any.
    pub fn find(files: &[PathBuf]) -> Result<CaptureKeys, KeyError> {
        if files.is_empty() {
            return Ok(CaptureKeys(CaptureKey::find(None)?.into_iter().collect()));
        }
        files.iter().map(|path| CaptureKey::from_file(path)).collect::<Result<_, _>>().map(CaptureKeys)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key to encrypt with what is made of the captures that these open.
    pub fn first(&self) -> Option<&CaptureKey> {
        self.0.first()
    }

    /// Names of the keys.
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(CaptureKey::id).collect()
    }

    /// What opens a segment with this header and head; `None` without its key.
    pub(super) fn opener(&self, header: &SealHeader, head: &[u8]) -> Option<Opener> {
        let key = self.0.iter().find(|key| key.id() == header.key_id)?;
        Some(Opener { cipher: key.cipher(&header.salt), head: *blake3::hash(head).as_bytes() })
    }
}

impl From<CaptureKey> for CaptureKeys {
    fn from(key: CaptureKey) -> CaptureKeys {
        CaptureKeys(vec![key])
    }
}

// === impl SealHeader ===

impl SealHeader {
    /// A header for a new segment under `key`.
    pub(super) fn new(key: &CaptureKey) -> SealHeader {
        let mut salt = [0; 32];
        rand::rng().fill_bytes(&mut salt);
        SealHeader { cipher: CIPHER.to_owned(), salt, key_id: key.id() }
    }

    /// The cipher, when this program does not know it.
    pub(super) fn unknown_cipher(&self) -> Option<&str> {
        (self.cipher != CIPHER).then_some(&*self.cipher)
    }
}

// === impl Sealer ===

impl Sealer {
    /// For the segment that begins with `head`, made of `header`.
    pub(super) fn new(key: &CaptureKey, header: &SealHeader, head: &[u8]) -> Sealer {
        let opener = Opener { cipher: key.cipher(&header.salt), head: *blake3::hash(head).as_bytes() };
        Sealer { opener, counter: 0 }
    }

    /// `frame` as it goes into the file at `offset`.
    pub(super) fn seal(&mut self, frame: &[u8], offset: u64) -> io::Result<Vec<u8>> {
        let len = u32::try_from(frame.len() + TAG_LEN).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(OUTER_LEN + frame.len() + TAG_LEN);
        bytes.extend_from_slice(&SEALED_MAGIC);
        bytes.extend_from_slice(&self.counter.to_le_bytes());
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(frame);
        let nonce = nonce(self.counter);
        self.counter += 1;
        let place = self.opener.place(offset);
        let tag = self
            .opener
            .cipher
            .encrypt_inout_detached(&nonce, &place, (&mut bytes[OUTER_LEN..]).into())
            .map_err(io::Error::other)?;
        bytes.extend_from_slice(&tag);
        Ok(bytes)
    }
}

// === impl Opener ===

impl Opener {
    /// Reads the frame at `at`, of which at most `room` bytes are left.
    pub(super) fn read(&self, file: &dyn ReadAt, at: u64, room: u64) -> io::Result<Outer> {
        let Some((_, whole)) = outer(file, at, room)? else { return Ok(Outer::Nothing) };
        if whole > room {
            return Ok(Outer::Torn);
        }
        let mut bytes = vec![0; whole as usize];
        file.read_exact_at(&mut bytes, at)?;
        let inner = self.open_frame(&mut bytes.clone(), at).map(<[u8]>::to_vec);
        Ok(Outer::Frame { bytes, inner })
    }

    /// Opens the frame in `bytes`, which stands at `offset` of the file, in its place; `None` when it is not one of this
    /// segment and place, whole.
    pub(super) fn open_frame<'a>(&self, bytes: &'a mut [u8], offset: u64) -> Option<&'a [u8]> {
        let (counter, whole) = parse_outer(bytes)?;
        if whole != bytes.len() as u64 {
            return None;
        }
        let (text, tag) = bytes[OUTER_LEN..].split_last_chunk_mut::<TAG_LEN>()?;
        let (place, tag) = (self.place(offset), Tag::from(*tag));
        self.cipher.decrypt_inout_detached(&nonce(counter), &place, (&mut *text).into(), &tag).ok()?;
        Some(text)
    }

    /// What a frame is bound to: its segment, and where it stands there.
    fn place(&self, offset: u64) -> [u8; 40] {
        let mut place = [0; 40];
        place[..32].copy_from_slice(&self.head);
        place[32..].copy_from_slice(&offset.to_le_bytes());
        place
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    Nonce::from(nonce)
}

// === the outer header ===

/// Bytes in the file of a sealed frame of `len` bytes.
pub(super) fn sealed_len(len: u64) -> u64 {
    (OUTER_LEN + TAG_LEN) as u64 + len
}

/// Counter and whole length of the sealed frame at `at`; `None` when there is no outer header whose checksum is right.
pub(super) fn outer(file: &dyn ReadAt, at: u64, room: u64) -> io::Result<Option<(u64, u64)>> {
    let mut header = [0; OUTER_LEN];
    if room < OUTER_LEN as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut header, at)?;
    Ok(parse_outer(&header))
}

fn parse_outer(bytes: &[u8]) -> Option<(u64, u64)> {
    debug_assert!(SEALED_MAGIC.starts_with(FRAME_PREFIX));
    let right = bytes.starts_with(&SEALED_MAGIC) && crc32fast::hash(&bytes[..20]) == u32_at(bytes, 20)?;
    let whole = OUTER_LEN as u64 + u64::from(u32_at(bytes, 16)?);
    Some((u64_at(bytes, 8)?, whole)).filter(|_| right)
}

#[cfg(test)]
mod tests;
