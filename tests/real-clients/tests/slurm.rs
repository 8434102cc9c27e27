//! A real Nextflow in a real Slurm job against the deployed service: the values are correct while
//! it runs, and nothing is left however it ends.

use std::fs;

use real_clients::deployed::{DeployedStack, Outcome};
use real_clients::{Cluster, Deployment, set_age, wait_until};

/// A version of Nextflow, and the events of a job.
type Scenario = (&'static str, fn(&Cluster));

/// Two concurrent sequences, for two cores. The longest scenarios come first.
const SCENARIOS: [&[Scenario]; 2] = [
    &[("24.10.0", node_is_lost), ("24.10.0", fails), ("24.10.0", succeeds)],
    &[
        ("24.10.0", runs_out_of_time),
        ("24.10.0", is_cancelled),
        ("24.10.0", is_requeued),
        ("25.04.4", succeeds),
    ],
];

/// Inspects the run while it is running and after its end.
fn succeeds(cluster: &Cluster) {
    let job = cluster.submit_and_wait(&[]);
    cluster.assert_hidden(&[&cluster.path("stores")]);
    let token = cluster.deployment.hidden().pop().expect("a token");
    assert!(cluster.processes_with_hidden(&[token]).is_empty(), "a process has a token in its environment");
    let run = cluster.runs().pop().expect("a run");
    assert_eq!(cluster.deployment.state(&run), "running");
    cluster.release();
    completes(cluster, &job);
    cluster.assert_values();
    cluster.assert_nothing_left(1);
}

fn fails(cluster: &Cluster) {
    let job = cluster.submit(&[], "--fail");
    cluster.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(
        cluster.slurm.field(&job, "ExitCode"),
        "1:0",
        "not Nextflow's exit status: {}",
        cluster.output()
    );
    cluster.assert_nothing_left(1);
}

fn is_cancelled(cluster: &Cluster) {
    let job = cluster.submit_and_wait(&[]);
    cluster.slurm.run(&["scancel", &job]);
    cluster.slurm.wait_for(&job, &["CANCELLED"]);
    cluster.assert_nothing_left(1);
}

/// Slurm's time limits are whole minutes.
fn runs_out_of_time(cluster: &Cluster) {
    let job = cluster.submit_and_wait(&["--time=1"]);
    cluster.slurm.wait_for(&job, &["TIMEOUT"]);
    cluster.assert_nothing_left(1);
}

/// A restarted job launches again.
fn is_requeued(cluster: &Cluster) {
    let job = cluster.submit_and_wait(&["--requeue"]);
    fs::remove_file(cluster.path("call-is-running")).expect("the file");
    cluster.slurm.run(&["scontrol", "requeue", &job]);
    wait_until("the job runs again", || cluster.path("call-is-running").exists());
    assert_eq!(cluster.slurm.field(&job, "Restarts"), "1");
    cluster.release();
    completes(cluster, &job);
    cluster.assert_values();
    cluster.assert_nothing_left(2);
}

/// The node's daemon is killed, so Slurm starts the job again while the first one is still running.
/// The first one gets KILL and cannot clean up: its run ends with its lease, and a later start
/// removes its store.
fn node_is_lost(cluster: &Cluster) {
    let job = cluster.submit_and_wait(&["--requeue"]);
    fs::remove_file(cluster.path("call-is-running")).expect("the file");
    cluster.slurm.kill_node_daemon();
    cluster.slurm.wait_for(&job, &["PENDING"]);
    cluster.slurm.up();
    wait_until("the job runs again", || cluster.path("call-is-running").exists());
    cluster.release();
    completes(cluster, &job);
    cluster.assert_values();
    let runs = cluster.runs();
    assert_eq!((runs.len(), cluster.stores().len()), (2, 1), "{}", cluster.output());
    cluster.deployment.wait_for_lease_end(&runs[0]);
    set_age(&cluster.stores()[0].join("owner"), 3700);
    let next = cluster.submit(&[], "");
    completes(cluster, &next);
    cluster.assert_nothing_left(3);
}

fn completes(cluster: &Cluster, job: &str) {
    cluster.slurm.wait_for(job, &["COMPLETED", "FAILED"]);
    assert_eq!(cluster.slurm.field(job, "JobState"), "COMPLETED", "{}", cluster.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secrets_remain_however_a_slurm_job_ends() -> Outcome {
    let deployed = DeployedStack::new(&[("LeaseSeconds", "30"), ("SweepSchedule", "rate(1 minute)")]).await?;
    let endpoint = deployed.stack.api_endpoint.clone();
    let (token, workspace) = (deployed.owner.token().to_owned(), deployed.workspace.to_string());
    // `None` if Java, Maven or Slurm is missing. The reason has been printed.
    let run = move |(version, scenario): &Scenario| {
        let service = |home: &std::path::Path| Deployment::of(home, &endpoint, &token, &workspace);
        Cluster::new(env!("CARGO_TARGET_TMPDIR"), version, service).map(|cluster| scenario(&cluster))
    };
    let completed = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            let threads = SCENARIOS
                .map(|sequence| scope.spawn(|| sequence.iter().map(&run).collect::<Option<Vec<()>>>()));
            threads.map(|thread| thread.join().expect("a successful scenario")).iter().all(Option::is_some)
        })
    });
    if completed.await? {
        let stored = deployed.rows().await? + &deployed.logs().await?;
        for (name, value) in Deployment::secrets() {
            assert!(stored.contains(&name) && !stored.contains(&value), "{name}");
        }
    }
    deployed.stack.stop().await?;
    Ok(())
}
