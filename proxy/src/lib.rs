//! The sidecar: a transparent relay beside the service, with a passive tap that records what passes.
//!
//! # Layout
//!
//! - [`args`], [`config`], [`failure`]: what was asked for, checked before any socket opens.
//! - [`sidecar`]: a sidecar's life, from its sockets to its last footer.
//! - [`filter`]: which exchanges are recorded.
//! - `lifecycle`, [`controls`], `reload`: how it ends, what can be asked of it, changed rules.
//! - `data`, `relay`: threads that move bytes. Nothing below may make them wait.
//! - `tap`: follows the bytes that were passed on and assembles exchanges; `desk` is where it puts them.
//! - `batch`, `handover`: exchanges on their way to the recorder, bounded; what has no room is dropped and counted.
//! - `recorder`: sanitizes and writes, on a thread of its own.
//! - [`flight`]: a bounded ring of segments, and captures frozen out of it.
//! - `shipper`: closed segments on their way to a store.
//! - `gate`, [`thrift`]: recording stays within memory, disk and CPU; `inventory`: what lies on disk.
//! - `compat`: metrics under the names that existing alerts ask for.
//! - `ledger`: accounts for every request; `admin` shows it.
//!
//! ```text
//! client <-> relay <-> service        never waits for what is below
//!              | tap -> desk -> batch
//!              v try_send
//!           recorder: assemble -> sanitize -> segment
//! ```

pub mod args;
pub mod config;
pub mod controls;
pub mod failure;
pub mod filter;
pub mod flight;
pub mod lifecycle;
pub mod reload;
pub mod sidecar;
pub mod thrift;

mod admin;
mod batch;
mod clock;
mod compat;
mod data;
mod desk;
mod gate;
mod handover;
mod inventory;
mod ledger;
mod recorder;
mod relay;
mod shipper;
mod tap;

pub use args::Args;
pub use config::Config;
pub use controls::Controls;
pub use failure::Failure;
pub use sidecar::{Sockets, Summary, run};
