//! Entry point of the fuzz target `sanitizer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::sanitizer::run(data));
