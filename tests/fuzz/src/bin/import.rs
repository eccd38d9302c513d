//! Entry point of the fuzz target `import`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::import::run(data));
