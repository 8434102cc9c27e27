//! A real Nextflow in a real Slurm job: the right values while it runs, and nothing left however it ends.
//!
//! Against the stand-in, or against the service that the environment names (see [`Deployment`]).

use std::{
    fs,
    path::{Path, PathBuf},
};

use hpc_script::{
    Deployment, grow_old,
    real::{Job, Slurm, nextflow, real_clients},
    script, wait_until,
};

/// A cluster, a service, and a project directory that every node sees.
struct Rig {
    slurm: Slurm,
    deployment: Deployment,
    project: tempfile::TempDir,
    nextflow: PathBuf,
}

impl Rig {
    fn new(version: &str) -> Option<Self> {
        let nextflow = nextflow(env!("CARGO_TARGET_TMPDIR"), version)?;
        let slurm = Slurm::start()?;
        let project = tempfile::Builder::new().prefix("project").tempdir().expect("a directory");
        let deployment = Deployment::find(project.path());
        Some(Self { slurm, deployment, project, nextflow })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// Submits a job script as the guide shows it, with these options of sbatch and of the pipeline.
    fn submit(&self, options: &[&str], pipeline_options: &str) -> Job {
        let project = self.project.path().display();
        let script = format!(
            "#!/bin/bash\n\
             {settings}\
             export PIPELINE_SECRETS_DIR={project}/stores PIPELINE_SECRETS_HEARTBEAT_SECONDS=1 PIPELINE_SECRETS_LEASE_SECONDS=1800\n\
             export NXF_HOME={project}/nxf SLURM_CONF={conf} PATH='{path}'\n\
             exec {script} -- {nextflow} run {pipeline} -profile slurm {pipeline_options}\n",
            settings = self.deployment.settings(),
            conf = self.slurm.directory().join("slurm.conf").display(),
            path = std::env::var("PATH").unwrap_or_default(),
            script = script().display(),
            nextflow = self.nextflow.display(),
            pipeline = real_clients().join("pipelines/licensed").display(),
        );
        self.slurm.submit(self.project.path(), options, &script)
    }

    /// A job whose second task runs until [`Rig::release`], once it does.
    fn submit_and_hold(&self, options: &[&str]) -> Job {
        let job = self.submit(options, &format!("--wait_for {}", self.path("go").display()));
        wait_until("the second task runs", || self.path("call-is-running").exists());
        job
    }

    fn release(&self) {
        fs::write(self.path("go"), "").expect("a file");
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path("job.out")).unwrap_or_default()
    }

    /// The runs that were launched, first to last.
    fn runs(&self) -> Vec<String> {
        let said = self.output();
        let runs = said.lines().filter_map(|line| {
            line.strip_prefix("nextflow-with-secrets: run ")?.strip_suffix(" has its secrets")
        });
        runs.map(str::to_owned).collect()
    }

    fn stores(&self) -> Vec<PathBuf> {
        let stores = fs::read_dir(self.path("stores")).into_iter().flatten().flatten();
        stores.map(|entry| entry.path()).collect()
    }

    fn assert_values(&self) {
        for (name, value) in Deployment::secrets() {
            let found = fs::read_to_string(self.path(&format!("results/{name}.sha256"))).unwrap_or_default();
            assert_eq!(found.trim(), sha256(&value), "{name}: {}", self.output());
        }
    }

    /// The service calls every run ended, no store is left, and no file or process shows a value or a token.
    fn assert_nothing_left(&self, runs: usize) {
        assert_eq!(self.runs().len(), runs, "{}", self.output());
        for run in self.runs() {
            wait_until(&format!("{run} has ended"), || self.deployment.state(&run) == "ended");
        }
        wait_until("no job is left", || self.slurm.say(&["squeue", "-h"]).is_empty());
        assert!(self.stores().is_empty(), "{:?}\n{}", self.stores(), self.output());
        self.assert_hidden(&[]);
        assert!(self.processes_of_ours(&self.deployment.hidden()).is_empty());
    }

    /// The processes of this project that hold one of these in their environment.
    fn processes_of_ours(&self, hidden: &[String]) -> Vec<PathBuf> {
        processes_with("environ", self.project.path().to_str(), hidden)
    }

    /// No value and no token is in Slurm's files, the project's, or any process's arguments.
    fn assert_hidden(&self, but: &[&Path]) {
        let hidden = self.deployment.hidden();
        let mut found = files_with(self.slurm.directory(), &hidden);
        found.extend(files_with(self.project.path(), &hidden));
        found.retain(|file| file != &self.path("token") && !but.iter().any(|but| file.starts_with(but)));
        assert!(found.is_empty(), "{found:?}");
        assert!(processes_with("cmdline", None, &hidden).is_empty());
    }
}

#[test]
fn a_run_has_its_secrets_and_leaves_none() {
    for version in ["24.10.0", "25.04.4"] {
        let Some(rig) = Rig::new(version) else { return };
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
    let Some(rig) = Rig::new("24.10.0") else { return };
    let job = rig.submit(&[], "--fail");
    rig.slurm.wait_for(&job, &["COMPLETED", "FAILED"]);
    assert_eq!(rig.slurm.field(&job, "ExitCode"), "1:0", "Nextflow's own status: {}", rig.output());
    rig.assert_nothing_left(1);
}

#[test]
fn scancel_leaves_nothing() {
    let Some(rig) = Rig::new("24.10.0") else { return };
    let job = rig.submit_and_hold(&[]);
    rig.slurm.say(&["scancel", &job]);
    rig.slurm.wait_for(&job, &["CANCELLED"]);
    rig.assert_nothing_left(1);
}

/// Slurm's time limits are whole minutes.
#[test]
fn a_time_limit_leaves_nothing() {
    let Some(rig) = Rig::new("24.10.0") else { return };
    let job = rig.submit_and_hold(&["--time=1"]);
    rig.slurm.wait_for(&job, &["TIMEOUT"]);
    rig.assert_nothing_left(1);
}

#[test]
fn a_requeued_job_launches_anew_and_leaves_nothing() {
    let Some(rig) = Rig::new("24.10.0") else { return };
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
    let Some(rig) = Rig::new("24.10.0") else { return };
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

fn sha256(text: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$0\" | sha256sum", text])
        .output()
        .expect("sha256sum");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

fn files_with(directory: &Path, hidden: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_with(&entry.path(), hidden)),
            Ok(kind) if kind.is_file() && holds(&entry.path(), hidden) => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// Processes whose `file` in `/proc` holds one of these, and `mark` if there is one.
fn processes_with(file: &str, mark: Option<&str>, hidden: &[String]) -> Vec<PathBuf> {
    let processes =
        fs::read_dir("/proc").into_iter().flatten().flatten().map(|process| process.path().join(file));
    let is_ours = |file: &PathBuf| mark.is_none_or(|mark| holds(file, &[mark.to_owned()]));
    processes.filter(|file| is_ours(file) && holds(file, hidden)).collect()
}

fn holds(file: &Path, hidden: &[String]) -> bool {
    fs::read(file).is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        hidden.iter().any(|hidden| text.contains(hidden.as_str()))
    })
}
