//! `cargo fuzz run event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::event::run(data));
