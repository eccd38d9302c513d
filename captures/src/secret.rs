//! What is common to all keys: where they come from, what is refused, and that they never show.

use std::path::Path;

use rand::Rng;
use zeroize::{Zeroize, Zeroizing};

/// Material shorter than this is guessable.
const MIN_BYTES: usize = 32;

/// A key file of one repeated character is a placeholder somebody forgot to fill.
const MIN_DISTINCT_BYTES: usize = 8;

/// Derived from key material for one use, so that one file given for two uses makes two unrelated secrets. Never
/// written anywhere; zeroed when dropped.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

/// A key that cannot be used; says where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub String);

// === impl Secret ===

impl Secret {
    /// A random secret that dies with the process.
    pub(crate) fn random() -> Secret {
        let mut secret = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut secret[..]);
        Secret(secret)
    }

    /// Reads key material from a file: at least 32 bytes, or at least 64 hex digits (white space around them is
    /// ignored). `context` names the use.
    pub(crate) fn from_file(path: &Path, context: &str) -> Result<Secret, KeyError> {
        let source = format!("key file {}", path.display());
        let material = std::fs::read(path).map_err(|e| KeyError(format!("{source}: {e}")))?;
        Self::from_material(Zeroizing::new(material), &source, context)
    }

    /// Reads key material from the environment variable `name`, in the forms that [`Secret::from_file`] takes.
    pub(crate) fn from_env(name: &str, context: &str) -> Result<Secret, KeyError> {
        let source = format!("key in environment variable {name}");
        match std::env::var(name) {
            Ok(value) => Self::from_material(Zeroizing::new(value.into_bytes()), &source, context),
            Err(std::env::VarError::NotPresent) => {
                Err(KeyError(format!("{source}: the variable is not set")))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(KeyError(format!("{source}: not UTF-8; write the key as 64 hex digits")))
            }
        }
    }

    /// Names the secret without revealing it, 16 hex digits.
    pub(crate) fn id(&self, context: &str) -> String {
        let id = blake3::derive_key(context, &self.0[..]);
        id[..8].iter().map(|b| format!("{b:02x}")).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn from_material(material: Zeroizing<Vec<u8>>, source: &str, context: &str) -> Result<Secret, KeyError> {
        let trimmed = material.trim_ascii();
        let secret = match decode_hex(trimmed) {
            Some(decoded) => decoded,
            None => Zeroizing::new(trimmed.to_vec()),
        };
        if secret.len() < MIN_BYTES {
            return Err(KeyError(format!(
                "{source}: holds {} bytes of key, at least {MIN_BYTES} are needed (64 hex digits); \
                 make one with `openssl rand -hex 32`",
                secret.len()
            )));
        }
        let mut seen = [false; 256];
        secret.iter().for_each(|b| seen[usize::from(*b)] = true);
        let distinct = seen.iter().filter(|s| **s).count();
        seen.zeroize();
        if distinct < MIN_DISTINCT_BYTES {
            return Err(KeyError(format!(
                "{source}: only {distinct} different bytes, so it can be guessed; make one with `openssl rand -hex 32`"
            )));
        }
        Ok(Secret(Zeroizing::new(blake3::derive_key(context, &secret))))
    }
}

/// The bytes of an even run of hex digits; `None` for anything else.
fn decode_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks_exact(2) {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(bytes)
}
