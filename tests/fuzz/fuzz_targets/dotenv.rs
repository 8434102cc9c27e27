//! `cargo fuzz run dotenv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::dotenv::run(data));
