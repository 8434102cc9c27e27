//! jobs-batch
