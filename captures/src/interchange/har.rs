//! HTTP Archive 1.2, as browsers and proxies write it.
//!
//! - `elements`: finds `log.entries` and cuts it into entries, so that an archive of any size takes the memory of one.
//! - `model`: an entry, with what the dialects add and leave out.
//! - `reader`, `writer`: to and from exchanges.

mod elements;
mod model;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use reader::HarReader;
pub use writer::HarWriter;
