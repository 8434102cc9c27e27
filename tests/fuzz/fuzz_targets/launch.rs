//! `cargo fuzz run launch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::launch::run(data));
