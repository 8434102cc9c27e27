//! `cargo fuzz run claims`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::claims::run(data));
