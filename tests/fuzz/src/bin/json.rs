//! Entry point of the fuzz target `json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::json::run(data));
