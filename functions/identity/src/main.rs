//! Wiring of the `identity` function.
fn main() {}
