//! A real Nextflow in a real Slurm job against the deployed service: values right while it runs, and nothing left however it
//! ends.

use std::fs;

use real_clients::deployed::{DeployedStack, Outcome};
use real_clients::{Cluster, Deployment, grow_old, wait_until};

/// What becomes of a job, and the Nextflow that it runs.
type Story = (&'static str, fn(&Cluster));

/// Two at once, for two cores; those that wait most come first.
const STORIES: [&[Story]; 2] = [
    &[("24.10.0", loses_its_node), ("24.10.0", fails), ("24.10.0", succeeds)],
    &[
        ("24.10.0", runs_out_of_time),
        ("24.10.0", is_cancelled),
        ("24.10.0", is_requeued),
        ("25.04.4", succeeds),
    ],
];

/// Inspected during the run and after it.
fn succeeds(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&[]);
    cluster.assert_hidden(&[&cluster.path("stores")]);
    let token = cluster.deployment.hidden().pop().expect("a token");
    assert!(cluster.processes_of_ours(&[token]).is_empty(), "no process has a token in its environment");
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
    assert_eq!(cluster.slurm.field(&job, "ExitCode"), "1:0", "Nextflow's own status: {}", cluster.output());
    cluster.assert_nothing_left(1);
}

fn is_cancelled(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&[]);
    cluster.slurm.say(&["scancel", &job]);
    cluster.slurm.wait_for(&job, &["CANCELLED"]);
    cluster.assert_nothing_left(1);
}

/// Slurm's time limits are whole minutes.
fn runs_out_of_time(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&["--time=1"]);
    cluster.slurm.wait_for(&job, &["TIMEOUT"]);
    cluster.assert_nothing_left(1);
}

/// A restarted job launches anew.
fn is_requeued(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&["--requeue"]);
    fs::remove_file(cluster.path("call-is-running")).expect("the file");
    cluster.slurm.say(&["scontrol", "requeue", &job]);
    wait_until("the job runs again", || cluster.path("call-is-running").exists());
    assert_eq!(cluster.slurm.field(&job, "Restarts"), "1");
    cluster.release();
    completes(cluster, &job);
    cluster.assert_values();
    cluster.assert_nothing_left(2);
}

/// The node's daemon is killed, so that Slurm starts the job again while its first copy still runs. That one gets KILL and
/// can clean up nothing: its run ends with its lease, and its store goes at a later start.
fn loses_its_node(cluster: &Cluster) {
    let job = cluster.submit_and_hold(&["--requeue"]);
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
    cluster.deployment.let_lease_end(&runs[0]);
    grow_old(&cluster.stores()[0].join("owner"), 3700);
    let next = cluster.submit(&[], "");
    completes(cluster, &next);
    cluster.assert_nothing_left(3);
}

fn completes(cluster: &Cluster, job: &str) {
    cluster.slurm.wait_for(job, &["COMPLETED", "FAILED"]);
    assert_eq!(cluster.slurm.field(job, "JobState"), "COMPLETED", "{}", cluster.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_slurm_job_ends_neither_cluster_nor_service_keeps_its_secrets() -> Outcome {
    let deployed = DeployedStack::new(&[("LeaseSeconds", "30"), ("SweepSchedule", "rate(1 minute)")]).await?;
    let endpoint = deployed.stack.api_endpoint.clone();
    let (token, workspace) = (deployed.owner.token().to_owned(), deployed.workspace.to_string());
    // `None` where Java, Maven or Slurm are missing, which has been said by then.
    let play = move |(version, story): &Story| {
        let service = |home: &std::path::Path| Deployment::of(home, &endpoint, &token, &workspace);
        Cluster::new(env!("CARGO_TARGET_TMPDIR"), version, service).map(|cluster| story(&cluster))
    };
    let played = tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            let lines =
                STORIES.map(|line| scope.spawn(|| line.iter().map(&play).collect::<Option<Vec<()>>>()));
            lines.map(|line| line.join().expect("a story that ends well")).iter().all(Option::is_some)
        })
    });
    if played.await? {
        let kept = deployed.rows().await? + &deployed.logs().await?;
        for (name, value) in Deployment::secrets() {
            assert!(kept.contains(&name) && !kept.contains(&value), "{name}");
        }
    }
    deployed.stack.stop().await?;
    Ok(())
}
