//! Entry point of the fuzz target `policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::policy::run(data));
