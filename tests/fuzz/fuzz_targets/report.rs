//! `cargo fuzz run report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::report::run(data));
