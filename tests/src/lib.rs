//! What the end-to-end scenarios and the benchmarks share: real processes on ephemeral ports.
//!
//! # Layout
//!
//! - [`process`]: a child process that is awaited by what it prints, signalled, and never left behind.
//! - [`programs`]: our own binaries, built from this tree.
//! - [`peers`]: independent programs: nginx, haproxy, h2load, wrk, curl, Prometheus, Chromium.

pub mod peers;
pub mod process;
pub mod programs;
