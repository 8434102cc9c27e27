//! A real Nextflow in a real Slurm job against the deployed service: values right while it runs, and nothing left.

use hpc_script::{Cluster, Deployment, grow_old, wait_until};
use nextflow::{Outcome, Rig};

/// Two kinds of secrets: the workspace's, and one of the user's own that takes the place of the workspace's.
fn on_cluster(version: &str, endpoint: &str, token: &str, workspace: &str) -> Option<Cluster> {
    Cluster::new(env!("CARGO_TARGET_TMPDIR"), version, |home| {
        Deployment::of(home, endpoint, token, workspace)
    })
}

/// A job that ends by itself, looked at while it runs and afterwards.
fn succeeds(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&[]);
    cluster.assert_hidden(&[&cluster.path("stores")]);
    let run = cluster.runs().pop().expect("a run");
    assert_eq!(cluster.deployment.state(&run), "running");
    cluster.release();
    cluster.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(cluster.slurm.field(&job, "JobState"), "COMPLETED", "{}", cluster.output());
    cluster.assert_values();
    cluster.assert_nothing_left(1);
}

/// The node's daemon is killed, so that Slurm starts the job again; the first run ends with its lease.
fn survives_a_lost_node(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&["--requeue"]);
    std::fs::remove_file(cluster.path("call-is-running")).expect("the file");
    cluster.slurm.kill_node_daemon();
    cluster.slurm.wait_for(&job, &["PENDING"]);
    cluster.slurm.up();
    wait_until("the job runs again", || cluster.path("call-is-running").exists());
    cluster.release();
    cluster.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(cluster.slurm.field(&job, "JobState"), "COMPLETED", "{}", cluster.output());
    cluster.assert_values();
    let runs = cluster.runs();
    assert_eq!((runs.len(), cluster.stores().len()), (2, 1), "{}", cluster.output());
    cluster.deployment.let_lease_end(&runs[0]);
    grow_old(&cluster.stores()[0].join("owner"), 3700);
    let next = cluster.submit(&[], "");
    cluster.slurm.wait_for(&next, &["COMPLETED", "FAILED"]);
    cluster.assert_nothing_left(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slurm_job_has_its_secrets_and_neither_cluster_nor_service_keeps_them() -> Outcome {
    let rig = Rig::new(&[("LeaseSeconds", "30"), ("SweepSchedule", "rate(1 minute)")]).await?;
    let endpoint = rig.stack.api_endpoint.clone();
    let (token, workspace) = (rig.owner.token().to_owned(), rig.workspace.to_string());
    let played = tokio::task::spawn_blocking(move || {
        let parts = |version| on_cluster(version, &endpoint, &token, &workspace);
        let (Some(old), Some(new)) = (parts("24.10.0"), parts("25.04.4")) else { return false };
        succeeds(&old);
        succeeds(&new);
        drop(old);
        let Some(third) = parts("24.10.0") else { return false };
        survives_a_lost_node(&third);
        true
    });
    if played.await? {
        let kept = rig.rows().await? + &rig.logs().await?;
        for (name, value) in Deployment::secrets() {
            assert!(kept.contains(&name) && !kept.contains(&value), "{name}");
        }
    }
    rig.stack.stop().await?;
    Ok(())
}
