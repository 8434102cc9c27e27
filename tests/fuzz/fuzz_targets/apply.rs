//! `cargo fuzz run apply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::apply::run(data));
