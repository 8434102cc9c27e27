//! `cargo fuzz run request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::request::run(data));
