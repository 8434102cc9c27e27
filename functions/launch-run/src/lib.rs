//! launch-run
