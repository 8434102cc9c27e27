//! `cargo fuzz run envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::envelope::run(data));
