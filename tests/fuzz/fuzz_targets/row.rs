//! `cargo fuzz run row`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::row::run(data));
