//! The benchmarks are in `benches`; there is nothing else.
