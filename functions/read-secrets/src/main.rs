//! Wiring of the `read-secrets` function.
fn main() {}
