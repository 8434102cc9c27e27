//! Tests of `infra/head-job/nextflow-with-secrets` under every installed shell. Tests that inspect
//! every process on the machine are in a separate program, `secrecy`.

mod aws_batch;
mod claim;
mod command;
mod detached;
mod files;
mod inherited;
mod kubernetes;
mod launch;
mod launch_file;
mod lease;
mod leftovers;
mod nextflow_store;
mod pages;
mod settings;
mod signals;
mod store;
mod suspended;
