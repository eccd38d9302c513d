//! The secret behind every replacement: derived, never used raw, never printed, zeroed when dropped.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

pub use crate::secret::KeyError;
use crate::secret::Secret;

const MASTER_CONTEXT: &str = "understudy 2026 capture sanitizing key";
const ID_CONTEXT: &str = "understudy 2026 capture sanitizing key id";

/// The secret that makes replacements deterministic and unguessable. Never written anywhere; zeroed when dropped.
///
/// Captures made under one key replace equal values by equal ones, so they can be joined; whoever holds the key can
/// test a guess of a replaced value, so it deserves the care of a password.
#[derive(Clone)]
pub struct Key {
    master: Secret,
}

// === impl Key ===

impl Key {
    /// A random key that dies with the process: replacements cannot be linked across recorders.
    pub fn random() -> Key {
        Key { master: Secret::random() }
    }

    /// Reads a key: at least 32 bytes, or at least 64 hex digits (white space around them is ignored).
    pub fn from_file(path: &Path) -> Result<Key, KeyError> {
        Secret::from_file(path, MASTER_CONTEXT).map(|master| Key { master })
    }

    /// Reads a key from the environment variable `name`, in the forms that [`Key::from_file`] takes.
    pub fn from_env(name: &str) -> Result<Key, KeyError> {
        Secret::from_env(name, MASTER_CONTEXT).map(|master| Key { master })
    }

    /// Names the key without revealing it, 16 hex digits.
    pub fn id(&self) -> String {
        self.master.id(ID_CONTEXT)
    }

    /// A number that is the same for `value` wherever this key is used, and says nothing of it to whoever lacks the key:
    /// recorders that sample by it agree.
    pub fn number_of(&self, value: &[u8]) -> u64 {
        let digest = blake3::keyed_hash(&self.derive("sampling"), value);
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// A key for one purpose; replacements of different purposes cannot be compared.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*blake3::keyed_hash(self.master.bytes(), purpose.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id()).finish_non_exhaustive()
    }
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
        let master: String = key.master.bytes().iter().map(|b| format!("{b:02x}")).collect();
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
