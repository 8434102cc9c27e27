//! `cargo fuzz run issuers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::issuers::run(data));
