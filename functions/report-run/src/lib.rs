//! report-run
