//! Runs a pipeline with a real Nextflow in a real Slurm job, and searches every place where its
//! secrets could be left.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Deployment,
    real::{Job, Slurm, folder, nextflow},
    script, wait_until,
};

/// A cluster, a service, and a project directory shared by all nodes.
pub struct Cluster {
    /// The cluster's Slurm.
    pub slurm: Slurm,
    /// The service that its jobs use.
    pub deployment: Deployment,
    project: tempfile::TempDir,
    nextflow: PathBuf,
}

impl Cluster {
    /// Starts a cluster whose jobs run this version of Nextflow, which is set up once below
    /// `target`. `None`, with a message on standard error, if Java, Maven or Slurm is not
    /// installed.
    ///
    /// # Panics
    /// If an installed program does not work.
    #[must_use]
    pub fn new(target: &str, version: &str, service: impl FnOnce(&Path) -> Deployment) -> Option<Self> {
        let nextflow = nextflow(target, version)?;
        let slurm = Slurm::start()?;
        let project = tempfile::Builder::new().prefix("project").tempdir().expect("a directory");
        let deployment = service(project.path());
        Some(Self { slurm, deployment, project, nextflow })
    }

    /// Returns the path of a file in the project.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// Submits the guide's job script with these options of sbatch and of the pipeline.
    #[must_use]
    pub fn submit(&self, options: &[&str], pipeline_options: &str) -> Job {
        self.submit_command(options, "", &self.pipeline(pipeline_options))
    }

    /// Returns the command that runs the pipeline with these options.
    #[must_use]
    pub fn pipeline(&self, options: &str) -> String {
        let pipeline = folder().join("pipelines/licensed");
        format!("{} run {} -profile slurm {options}", self.nextflow.display(), pipeline.display())
    }

    /// Submits the guide's job script with these options of sbatch, another command, and further
    /// variables, as `NAME=value` in one line.
    #[must_use]
    pub fn submit_command(&self, options: &[&str], variables: &str, command: &str) -> Job {
        let project = self.project.path().display();
        let script = format!(
            "#!/bin/bash\n\
             {settings}\
             export PIPELINE_SECRETS_DIR={project}/stores PIPELINE_SECRETS_HEARTBEAT_SECONDS=1 PIPELINE_SECRETS_LEASE_SECONDS=1800\n\
             export NXF_HOME={project}/nxf SLURM_CONF={conf} PATH='{path}' {variables}\n\
             exec {script} -- {command}\n",
            settings = self.deployment.settings(),
            conf = self.slurm.directory().join("slurm.conf").display(),
            path = std::env::var("PATH").unwrap_or_default(),
            script = script().display(),
        );
        self.slurm.submit(self.project.path(), options, &script)
    }

    /// Submits a job whose second task runs until [`Cluster::release`], and waits until that task
    /// runs.
    ///
    /// # Panics
    /// If the task does not start.
    #[must_use]
    pub fn submit_and_wait(&self, options: &[&str]) -> Job {
        let job = self.submit(options, &self.waiting());
        self.wait_for_task();
        job
    }

    /// Returns the option with which the second task runs until [`Cluster::release`].
    #[must_use]
    pub fn waiting(&self) -> String {
        format!("--wait_for {}", self.path("go").display())
    }

    /// Waits until the second task runs.
    ///
    /// # Panics
    /// If the task does not start.
    pub fn wait_for_task(&self) {
        wait_until("the second task runs", || self.path("call-is-running").exists());
    }

    /// Lets the second task end.
    ///
    /// # Panics
    /// If the project cannot be written.
    pub fn release(&self) {
        fs::write(self.path("go"), "").expect("a file");
    }

    /// Returns the jobs' output.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("job.out")).unwrap_or_default()
    }

    /// Returns the launched runs in order.
    #[must_use]
    pub fn runs(&self) -> Vec<String> {
        let output = self.output();
        let runs = output.lines().filter_map(|line| {
            line.strip_prefix("nextflow-with-secrets: run ")?.strip_suffix(" has its secrets")
        });
        runs.map(str::to_owned).collect()
    }

    /// Returns the existing stores.
    #[must_use]
    pub fn stores(&self) -> Vec<PathBuf> {
        let stores = fs::read_dir(self.path("stores")).into_iter().flatten().flatten();
        stores.map(|entry| entry.path()).collect()
    }

    /// Checks the values in each task.
    ///
    /// # Panics
    /// If a value is wrong.
    pub fn assert_values(&self) {
        for (name, value) in Deployment::secrets() {
            let found = fs::read_to_string(self.path(&format!("results/{name}.sha256"))).unwrap_or_default();
            assert_eq!(found.trim(), sha256(&value), "{name}: {}", self.output());
        }
    }

    /// Checks that every run has ended, no store is left, and no file or process contains a value
    /// or a token.
    ///
    /// # Panics
    /// If anything is left.
    pub fn assert_nothing_left(&self, runs: usize) {
        assert_eq!(self.runs().len(), runs, "{}", self.output());
        for run in self.runs() {
            wait_until(&format!("{run} has ended"), || self.deployment.state(&run) == "ended");
        }
        wait_until("no job is left", || self.slurm.run(&["squeue", "-h"]).is_empty());
        assert!(self.stores().is_empty(), "{:?}\n{}", self.stores(), self.output());
        self.assert_hidden(&[]);
        assert!(self.processes_with_hidden(&self.deployment.hidden()).is_empty());
    }

    /// Returns this project's processes with one of these texts in their environment.
    #[must_use]
    pub fn processes_with_hidden(&self, hidden: &[String]) -> Vec<PathBuf> {
        processes_with("environ", self.project.path().to_str(), hidden)
    }

    /// Checks that no value or token is in Slurm's files, the project's files except `excluded`, or
    /// any process's arguments.
    ///
    /// # Panics
    /// If one is found.
    pub fn assert_hidden(&self, excluded: &[&Path]) {
        let hidden = self.deployment.hidden();
        let mut found = files_with(self.slurm.directory(), &hidden);
        found.extend(files_with(self.project.path(), &hidden));
        found.retain(|file| {
            file != &self.path("token") && !excluded.iter().any(|path| file.starts_with(path))
        });
        assert!(found.is_empty(), "{found:?}");
        assert!(processes_with("cmdline", None, &hidden).is_empty());
    }
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

/// Finds processes whose `file` in `/proc` contains one of these texts, and `mark` if set.
fn processes_with(file: &str, mark: Option<&str>, hidden: &[String]) -> Vec<PathBuf> {
    let processes =
        fs::read_dir("/proc").into_iter().flatten().flatten().map(|process| process.path().join(file));
    let is_service_fault = |file: &PathBuf| mark.is_none_or(|mark| holds(file, &[mark.to_owned()]));
    processes.filter(|file| is_service_fault(file) && holds(file, hidden)).collect()
}

fn holds(file: &Path, hidden: &[String]) -> bool {
    fs::read(file).is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        hidden.iter().any(|hidden| text.contains(hidden.as_str()))
    })
}
