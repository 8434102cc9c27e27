//! Wiring of the `report-run` function.
fn main() {}
