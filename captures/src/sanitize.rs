//! Turns an observed exchange into one that may be written, or refuses.

use std::ops::Deref;
use std::path::Path;

use crate::exchange::Exchange;

/// An exchange that went through a [`Sanitizer`], or came out of a capture: the only kind that a segment takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sanitized(pub(crate) Exchange);

/// What may stay, what is free text, what is dropped. YAML, with a built-in default that is safe for an unknown service.
#[derive(Clone, Debug)]
pub struct Policy;

/// The secret that makes replacements deterministic and unguessable. Never written anywhere; zeroed when dropped.
pub struct Key;

/// Sanitizes exchanges under one policy and one key.
pub struct Sanitizer;

/// Why an exchange cannot be sanitized with certainty, and so is not written.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Unsanitizable {
    /// `request body`, `response body`, ...
    pub place: &'static str,
    /// What stood in the way; never quotes the traffic.
    pub reason: &'static str,
}

/// A policy file that cannot be used; says file, line and column.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// A key that cannot be used; says where it was looked for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub String);

impl Deref for Sanitized {
    type Target = Exchange;
    fn deref(&self) -> &Exchange {
        &self.0
    }
}

impl Sanitized {
    /// The exchange itself.
    pub fn into_inner(self) -> Exchange {
        self.0
    }
}

impl Policy {
    /// The built-in default.
    pub fn builtin() -> Policy {
        todo!()
    }
    /// Reads a policy file.
    pub fn from_file(_path: &Path) -> Result<Policy, PolicyError> {
        todo!()
    }
    /// BLAKE3 of the canonical policy, hex.
    pub fn digest(&self) -> String {
        todo!()
    }
}

impl Key {
    /// A random key that dies with the process: replacements cannot be linked across recorders.
    pub fn random() -> Key {
        todo!()
    }
    /// Reads a key: at least 32 bytes, or 64 hex digits.
    pub fn from_file(_path: &Path) -> Result<Key, KeyError> {
        todo!()
    }
    /// Names the key without revealing it, hex.
    pub fn id(&self) -> String {
        todo!()
    }
}

impl Sanitizer {
    /// A sanitizer for one thread.
    pub fn new(_policy: Policy, _key: Key) -> Sanitizer {
        todo!()
    }
    /// Sanitizes one exchange, or says why that cannot be done with certainty.
    pub fn sanitize(&mut self, _exchange: Exchange) -> Result<Sanitized, Unsanitizable> {
        todo!()
    }
}
