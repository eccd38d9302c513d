//! What the end-to-end scenarios and the benchmarks share: real processes on ephemeral ports.
//!
//! # Layout
//!
//! - [`process`]: a child process that is awaited by what it prints, signalled, and never left behind.
//! - [`programs`]: our own binaries, built from this tree.
//! - [`bucket`]: an object store, and one that dies in the middle of an answer.
//! - [`scale`]: captures of any size, and the memory of what reads them.
//! - [`peers`]: independent programs: nginx, haproxy, h2load, wrk, curl, Prometheus, Chromium.
//! - [`python`]: independent programs in Python: FastAPI, httpx, grpcio.
//! - [`tape`]: notes of what went over a wire.

pub mod bucket;
pub mod peers;
pub mod process;
pub mod programs;
pub mod python;
pub mod scale;
pub mod tape;
