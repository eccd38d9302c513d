//! Understudy: rehearses recorded traffic on candidate hardware and says who may take the part.
//!
//! # Layout, in the order of a run
//!
//! - [`cli`]: arguments of every command; turns them into plans and exit codes.
//! - [`plan`]: what will be done, parsed and validated before any socket opens.
//! - [`schedule`]: recorded arrivals to intended instants.
//! - [`drive`]: sends each scheduled request at its instant and notes exactly one [`outcome`] for it.
//! - [`certificate`]: proves that the generator did what the schedule asked.
//! - [`answers`]: label and score of a response, by preset or JSON pointer.
//! - [`judge`]: pairs outcomes by exchange, compares, decides.
//! - [`report`]: the run directory: `run.json`, `report.html`, `report.md`, `latency.hlog`.
//! - [`metrics`]: `/metrics` while a run goes on.
//! - [`neutrality`]: what sanitizing does to texts and to a model's answers.
//! - [`demo`]: the whole story on one machine.

pub mod answers;
pub mod certificate;
pub mod cli;
pub mod demo;
pub mod drive;
pub mod judge;
pub mod metrics;
pub mod neutrality;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod schedule;
