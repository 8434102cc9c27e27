//! Wiring of the `launch-run` function.
fn main() {}
