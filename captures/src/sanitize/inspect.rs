//! What the sanitizer does to an exchange, piece by piece, and what it should have done to one already written.
//!
//! Both go through the code that rewrites: it leaves a trace of each piece it meets ([`super::trace`]), so neither can
//! tell a different story.

pub(super) mod canary;
pub(super) mod explain;
mod locate;
pub(super) mod scan;

#[cfg(test)]
mod tests;
