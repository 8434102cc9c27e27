//! `infra/hpc/nextflow-with-secrets` under every shell at hand. What looks at every process of the machine is a program of
//! its own, `secrecy`.

mod claim;
mod command;
mod launch;
mod launch_file;
mod lease;
mod leftovers;
mod nextflow_store;
mod signals;
mod store;
