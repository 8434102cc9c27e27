//! A harness for `infra/hpc/nextflow-with-secrets`: a stand-in for the service on loopback ([`Service`]), and a home
//! directory with everything that a user of the script has ([`Harness`]). The script itself is run, unchanged, under each of
//! [`shells`]. [`real`] has a Nextflow and a Slurm to run it in, against a [`Deployment`].

mod cluster;
pub mod deployed;
mod deployment;
mod harness;
pub mod real;
mod service;

pub use cluster::Cluster;
pub use deployment::Deployment;
pub use harness::{
    Harness, Outcome, Run, WORKSPACE, grow_old, script, set_mode, shells, signal, skip, under_every_shell,
    wait_until,
};
pub use service::{Answer, CLAIM_TOKEN, RUN_TOKEN, Request, STORE, Service, USER_TOKEN, WORKFLOW};
