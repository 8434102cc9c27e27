//! `cargo fuzz run name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::name::run(data));
