//! Nextflow and its recorded messages against the deployed service.

mod aws_batch;
mod messages;
