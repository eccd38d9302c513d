//! Entry point of the fuzz target `reader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::reader::run(data));
