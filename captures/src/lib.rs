//! What a capture *is*: the exchanges production saw, sanitized, in segments that survive a crash.
//!
//! # Layout
//!
//! - [`exchange`]: one request and its response as production saw them.
//! - [`conservation`]: the law that accounts for every request, recorded or not.
//! - [`sanitize`]: turns an observed [`Exchange`] into a [`Sanitized`] one, or refuses. The only way in.
//! - [`segment`]: one `*.ucap` file: writer and reader, block by block (`docs/capture-format.md`).
//! - [`capture`]: an ordered set of segments: exchanges by arrival, statistics, verification.
//! - [`source`]: where the bytes of a segment lie: a file, or a store that another crate knows.
//! - [`http1`]: heads of HTTP/1 messages, as the recorder and the importers read them.
//! - [`interchange`]: captures from and to the files of other tools.
//! - [`samples`]: real texts and arrivals that the demo and the tests use.
//!
//! This crate knows no network.

pub mod capture;
pub mod conservation;
pub mod exchange;
pub mod http1;
pub mod interchange;
pub mod samples;
pub mod sanitize;
mod secret;
pub mod segment;
pub mod source;

pub use capture::Capture;
pub use conservation::Conservation;
pub use exchange::{Body, Ending, Exchange, ExchangeId, Headers, Request, Response, UnixNanos};
pub use sanitize::{Key, Policy, Sanitized, Sanitizer};
pub use segment::{CaptureKey, CaptureKeys};
