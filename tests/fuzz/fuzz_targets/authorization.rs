//! `cargo fuzz run authorization`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::authorization::run(data));
