//! The secret behind every replacement: derived, never used raw, never printed, zeroed when dropped.

use std::fmt;
use std::path::Path;

use rand::Rng;
use zeroize::{Zeroize, Zeroizing};

/// Material shorter than this is guessable, and whoever guesses the key can test guesses of what was replaced.
const MIN_BYTES: usize = 32;

/// A key file of one repeated character is a placeholder somebody forgot to fill.
const MIN_DISTINCT_BYTES: usize = 8;

const MASTER_CONTEXT: &str = "understudy 2026 capture sanitizing key";
const ID_CONTEXT: &str = "understudy 2026 capture sanitizing key id";

/// The secret that makes replacements deterministic and unguessable. Never written anywhere; zeroed when dropped.
///
/// Captures made under one key replace equal values by equal ones, so they can be joined; whoever holds the key can
/// test a guess of a replaced value, so it deserves the care of a password.
#[derive(Clone)]
pub struct Key {
    master: Zeroizing<[u8; 32]>,
}

/// A key that cannot be used; says where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub String);

// === impl Key ===

impl Key {
    /// A random key that dies with the process: replacements cannot be linked across recorders.
    pub fn random() -> Key {
        let mut master = Zeroizing::new([0; 32]);
        rand::rng().fill_bytes(&mut master[..]);
        Key { master }
    }

    /// Reads a key: at least 32 bytes, or at least 64 hex digits (white space around them is ignored).
    pub fn from_file(path: &Path) -> Result<Key, KeyError> {
        let source = format!("key file {}", path.display());
        let material = std::fs::read(path).map_err(|e| KeyError(format!("{source}: {e}")))?;
        Self::from_material(Zeroizing::new(material), &source)
    }

    /// Reads a key from the environment variable `name`, in the forms that [`Key::from_file`] takes.
    pub fn from_env(name: &str) -> Result<Key, KeyError> {
        let source = format!("key in environment variable {name}");
        match std::env::var(name) {
            Ok(value) => Self::from_material(Zeroizing::new(value.into_bytes()), &source),
            Err(std::env::VarError::NotPresent) => {
                Err(KeyError(format!("{source}: the variable is not set")))
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(KeyError(format!("{source}: not UTF-8; write the key as 64 hex digits")))
            }
        }
    }

    /// Names the key without revealing it, 16 hex digits.
    pub fn id(&self) -> String {
        let id = blake3::derive_key(ID_CONTEXT, &self.master[..]);
        id[..8].iter().map(|b| format!("{b:02x}")).collect()
    }

    /// A key for one purpose; replacements of different purposes cannot be compared.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*blake3::keyed_hash(&self.master, purpose.as_bytes()).as_bytes())
    }

    fn from_material(material: Zeroizing<Vec<u8>>, source: &str) -> Result<Key, KeyError> {
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
        Ok(Key { master: Zeroizing::new(blake3::derive_key(MASTER_CONTEXT, &secret)) })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id()).finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> Result<Key, KeyError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, content).unwrap();
        Key::from_file(&path)
    }

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    #[test]
    fn hex_and_raw_forms_of_one_key_agree() {
        let raw: Vec<u8> = (0..32).collect();
        assert_eq!(file(HEX.as_bytes()).unwrap().id(), file(&raw).unwrap().id());
        assert_eq!(file(format!("{HEX}\n").as_bytes()).unwrap().id(), file(&raw).unwrap().id());
    }

    #[test]
    fn short_and_placeholder_keys_are_refused_without_quoting_them() {
        let short = file(b"hunter2-hunter2").unwrap_err().to_string();
        assert!(short.contains("15 bytes") && !short.contains("hunter2"), "{short}");
        let short_hex = file(&HEX.as_bytes()[..62]).unwrap_err().to_string();
        assert!(short_hex.contains("31 bytes"), "{short_hex}");
        assert!(file(&[b'x'; 64]).unwrap_err().to_string().contains("can be guessed"));
    }

    #[test]
    fn a_missing_file_or_variable_is_named() {
        let file = Key::from_file(Path::new("does-not-exist.key")).unwrap_err().to_string();
        assert!(file.contains("does-not-exist.key"), "{file}");
        let env = Key::from_env("UNDERSTUDY_NO_SUCH_VARIABLE").unwrap_err().to_string();
        assert!(env.contains("UNDERSTUDY_NO_SUCH_VARIABLE"), "{env}");
    }

    #[test]
    fn debug_and_id_reveal_nothing_of_the_key() {
        let key = file(HEX.as_bytes()).unwrap();
        let shown = format!("{key:?}");
        assert_eq!(key.id().len(), 16);
        assert!(shown.contains(&key.id()));
        let master: String = key.master.iter().map(|b| format!("{b:02x}")).collect();
        assert!(!shown.contains(&master[..8]) && !HEX.contains(&key.id()[..6]));
    }

    #[test]
    fn random_keys_differ() {
        assert_ne!(Key::random().id(), Key::random().id());
    }

    #[test]
    fn purposes_get_unrelated_keys() {
        let key = file(HEX.as_bytes()).unwrap();
        assert_ne!(*key.derive("card"), *key.derive("email"));
        assert_eq!(*key.derive("card"), *key.derive("card"));
    }
}
