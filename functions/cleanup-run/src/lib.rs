//! cleanup-run
