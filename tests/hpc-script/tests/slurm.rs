//! A real Nextflow in a real Slurm job: the right values while it runs, and nothing left however it ends.
//! Against the stand-in; `tests/nextflow` has the same against the deployed service.

use std::fs;

use hpc_script::{Cluster, Deployment, grow_old, wait_until};

fn cluster(version: &str) -> Option<Cluster> {
    Cluster::new(env!("CARGO_TARGET_TMPDIR"), version, Deployment::stand_in)
}

#[test]
fn a_run_has_its_secrets_and_leaves_none() {
    for version in ["24.10.0", "25.04.4"] {
        let Some(rig) = cluster(version) else { return };
        let job = rig.submit_and_hold(&[]);
        rig.assert_hidden(&[&rig.path("stores")]);
        let token = rig.deployment.hidden().pop().expect("a token");
        assert!(rig.processes_of_ours(&[token]).is_empty(), "no process has a token in its environment");
        let run = rig.runs().pop().expect("a run");
        assert_eq!(rig.deployment.state(&run), "running");
        rig.release();
        rig.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
        assert_eq!(rig.slurm.field(&job, "JobState"), "COMPLETED", "{}", rig.output());
        rig.assert_values();
        rig.assert_nothing_left(1);
    }
}

#[test]
fn a_failed_pipeline_fails_its_job_and_leaves_nothing() {
    let Some(rig) = cluster("24.10.0") else { return };
    let job = rig.submit(&[], "--fail");
    rig.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(rig.slurm.field(&job, "ExitCode"), "1:0", "Nextflow's own status: {}", rig.output());
    rig.assert_nothing_left(1);
}

#[test]
fn scancel_leaves_nothing() {
    let Some(rig) = cluster("24.10.0") else { return };
    let job = rig.submit_and_hold(&[]);
    rig.slurm.say(&["scancel", &job]);
    rig.slurm.wait_for(&job, &["CANCELLED"]);
    rig.assert_nothing_left(1);
}

/// Slurm's time limits are whole minutes.
#[test]
fn a_time_limit_leaves_nothing() {
    let Some(rig) = cluster("24.10.0") else { return };
    let job = rig.submit_and_hold(&["--time=1"]);
    rig.slurm.wait_for(&job, &["TIMEOUT"]);
    rig.assert_nothing_left(1);
}

#[test]
fn a_requeued_job_launches_anew_and_leaves_nothing() {
    let Some(rig) = cluster("24.10.0") else { return };
    let job = rig.submit_and_hold(&["--requeue"]);
    fs::remove_file(rig.path("call-is-running")).expect("the file");
    rig.slurm.say(&["scontrol", "requeue", &job]);
    wait_until("the job runs again", || rig.path("call-is-running").exists());
    assert_eq!(rig.slurm.field(&job, "Restarts"), "1");
    rig.release();
    rig.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(rig.slurm.field(&job, "JobState"), "COMPLETED", "{}", rig.output());
    rig.assert_values();
    rig.assert_nothing_left(2);
}

#[test]
fn a_lost_node_leaves_a_store_that_goes_once_its_lease_is_over() {
    let Some(rig) = cluster("24.10.0") else { return };
    let job = rig.submit_and_hold(&["--requeue"]);
    fs::remove_file(rig.path("call-is-running")).expect("the file");
    rig.slurm.kill_node_daemon();
    rig.slurm.wait_for(&job, &["PENDING"]); // requeued, while its first copy still runs
    assert_eq!(rig.stores().len(), 1);
    rig.slurm.up();
    wait_until("the job runs again", || rig.path("call-is-running").exists());
    rig.release();
    rig.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(rig.slurm.field(&job, "JobState"), "COMPLETED", "{}", rig.output());
    rig.assert_values();
    // The first copy got KILL, and could clean up nothing.
    let runs = rig.runs();
    assert_eq!(runs.len(), 2, "{}", rig.output());
    assert_eq!(rig.stores().len(), 1, "{}", rig.output());
    rig.deployment.let_lease_end(&runs[0]);
    grow_old(&rig.stores()[0].join("owner"), 3700);
    let next = rig.submit(&[], "");
    rig.slurm.wait_for(&next, &["COMPLETED", "FAILED"]);
    rig.assert_nothing_left(3);
}
