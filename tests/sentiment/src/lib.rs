//! A stand-in for a sentiment service, for rehearsals of rehearsals.
//!
//! It answers like the real service (three generations of its API, errors included) and really reads the text: labels
//! and scores come from VADER's lexicon and rules. Its *time* is a model: requests queue for workers that take calls
//! of a stated length, so that one laptop can stand for a small CPU node, a large one and a GPU node at once.
//! **It models load. It measures no hardware**, and a figure taken from it says nothing about a machine.
//!
//! # Layout
//!
//! - [`options`]: the command line, and what it means.
//! - [`compute`]: the parameters of the compute model and the named profiles.
//! - [`engine`]: the compute model as a machine that knows no clock: arrivals in, completions out.
//! - [`node`]: the engine on the real clock.
//! - [`sentiment`]: label and score of a text.
//! - [`generation`]: the JSON of generations A, B and C.
//! - [`fault`]: what goes wrong on request.
//! - [`telemetry`]: the metrics that the real service exports.
//! - [`server`]: HTTP around all of it.

pub mod compute;
pub mod engine;
pub mod fault;
pub mod generation;
pub mod node;
pub mod options;
pub mod sentiment;
pub mod server;
pub mod telemetry;

pub use options::Options;
pub use server::serve;
