//! Wiring of the `write-secrets` function.
fn main() {}
