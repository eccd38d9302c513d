//! Entry point of the fuzz target `grpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| understudy_fuzz::grpc::run(data));
