//! Wiring of the `cleanup-run` function.
fn main() {}
