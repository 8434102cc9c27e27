//! A real Nextflow in a real Slurm job against the deployed service: the values are correct while
//! it runs, and nothing is left however it ends.

use std::fs;

use real_clients::deployed::{DeployedStack, Outcome};
use real_clients::{Cluster, Deployment, set_age, wait_until};

/// A version of Nextflow, and the events of a job.
type Scenario = (&'static str, fn(&Cluster));

/// Concurrent sequences: two for two cores, and one that mostly waits. The longest scenarios come
/// first.
const SCENARIOS: [&[Scenario]; 3] = [
    &[("24.10.0", is_suspended), ("24.10.0", detaches), ("24.10.0", inherits_settings)],
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

/// The job is suspended until its run has ended, and another job of the user starts on the same
/// host: it leaves the store of a process that exists.
fn is_suspended(cluster: &Cluster) {
    let lease = "PIPELINE_SECRETS_LEASE_SECONDS=1";
    let job = cluster.submit_command(&[], lease, &cluster.pipeline(&cluster.waiting()));
    cluster.wait_for_task();
    cluster.slurm.run(&["scontrol", "suspend", &job]);
    let run = cluster.runs().pop().expect("a run");
    cluster.deployment.wait_for_lease_end(&run);
    let next = cluster.submit_command(&[], lease, &cluster.pipeline(""));
    completes(cluster, &next);
    assert_eq!(cluster.stores().len(), 1, "the store of the suspended job: {}", cluster.output());
    fs::remove_file(cluster.path("results/ANNOTATION_DB_PASSWORD.sha256")).expect("the other job's result");
    cluster.slurm.run(&["scontrol", "resume", &job]);
    cluster.release();
    completes(cluster, &job);
    cluster.assert_values();
    assert!(cluster.output().contains("the service has ended this run"), "{}", cluster.output());
    cluster.assert_nothing_left(2);
}

/// Nextflow's own option to detach is refused. A shell that leaves Nextflow behind is noticed.
fn detaches(cluster: &Cluster) {
    for (variables, options) in [("", "-bg"), ("NXF_CLI_OPTS=-bg", "")] {
        let job = cluster.submit_command(&[], variables, &cluster.pipeline(options));
        cluster.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
        assert_eq!(cluster.slurm.field(&job, "ExitCode"), "64:0", "{}", cluster.output());
    }
    assert!(cluster.runs().is_empty() && !cluster.path(".nextflow").exists(), "{}", cluster.output());

    let nextflow = cluster.pipeline(&cluster.waiting());
    let job = cluster.submit_command(&[], "", &format!("sh -c '{nextflow} &'"));
    cluster.wait_for_task();
    wait_until("the script notices Nextflow", || {
        cluster.output().contains("which it started, still runs with the secrets")
    });
    assert_eq!(cluster.stores().len(), 1, "{}", cluster.output());
    let run = cluster.runs().pop().expect("a run");
    assert_eq!(cluster.deployment.state(&run), "running");
    cluster.release();
    cluster.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(cluster.slurm.field(&job, "ExitCode"), "71:0", "{}", cluster.output());
    cluster.assert_values();
    cluster.assert_nothing_left(1);
}

/// A site's profile disables Nextflow's secrets, and a task of a job that was submitted with
/// `--export=NONE`, as all jobs of these tests, calls `srun`.
fn inherits_settings(cluster: &Cluster) {
    let job = cluster.submit_command(&[], "NXF_ENABLE_SECRETS=false", &cluster.pipeline("--step srun"));
    completes(cluster, &job);
    cluster.assert_values();
    cluster.assert_nothing_left(1);
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
