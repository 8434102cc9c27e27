//! A harness for `infra/head-job/nextflow-with-secrets`: a fake service on loopback ([`Service`]),
//! and a home directory with a user's files ([`Harness`]). The tests run the unchanged script under
//! each of [`shells`]. [`real`] runs it with Nextflow and Slurm against a [`Deployment`].

mod cluster;
pub mod deployed;
mod deployment;
mod harness;
pub mod real;
mod service;

pub use cluster::Cluster;
pub use deployment::Deployment;
pub use harness::{
    Harness, Outcome, Run, WORKSPACE, script, set_age, set_mode, shells, signal, skip, under_every_shell,
    wait_until,
};
pub use service::{Answer, CLAIM_TOKEN, RUN_TOKEN, Request, STORE, Service, USER_TOKEN, WORKFLOW};
