//! Fuzz targets: what reads bytes of strangers must not panic, and must keep its promises for every input.
//!
//! Each target is one module with `pub fn run(data: &[u8])`, which panics when a promise is broken, and one file of two
//! lines in `bin/` that hands it to libFuzzer. `corpus/TARGET/` holds the inputs it starts from, small and readable where
//! possible. `tests/fuzz/run SECONDS` runs all targets; `cargo test -p understudy-fuzz` only calls them with the corpus.
//!
//! To add a target: write the module, the file in `bin/`, its `[[bin]]` section, a corpus of a few kilobytes, and a line
//! in [`TARGETS`]. An input that once broke a target goes into its corpus.

pub mod exchange;
pub mod grpc;
pub mod import;
pub mod json;
pub mod policy;
pub mod reader;
pub mod sanitizer;

/// What a target does with its input.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 6] = [
    ("grpc", grpc::run),
    ("import", import::run),
    ("json", json::run),
    ("policy", policy::run),
    ("reader", reader::run),
    ("sanitizer", sanitizer::run),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_input_of_the_corpus_passes() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        for (target, run) in super::TARGETS {
            let files: Vec<_> = std::fs::read_dir(corpus.join(target)).unwrap().collect();
            assert!(!files.is_empty(), "{target} has no corpus");
            for file in files {
                let path = file.unwrap().path();
                println!("{}", path.display());
                run(&std::fs::read(path).unwrap());
            }
        }
    }
}
