//! Wiring of the `authorizer` function.
fn main() {}
