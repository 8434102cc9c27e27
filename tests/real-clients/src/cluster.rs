//! A pipeline in a real Nextflow in a real Slurm job, and everything where its secrets could be left.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Deployment,
    real::{Job, Slurm, folder, nextflow},
    script, wait_until,
};

/// A cluster, a service, and a project directory that every node sees.
pub struct Cluster {
    /// The cluster's Slurm.
    pub slurm: Slurm,
    /// The service that its jobs use.
    pub deployment: Deployment,
    project: tempfile::TempDir,
    nextflow: PathBuf,
}

impl Cluster {
    /// A cluster whose jobs run this version of Nextflow, made once below `target`. `None`, said on standard error,
    /// where Java, Maven or Slurm are not there.
    ///
    /// # Panics
    /// When one of them is there and does not work.
    #[must_use]
    pub fn new(target: &str, version: &str, service: impl FnOnce(&Path) -> Deployment) -> Option<Self> {
        let nextflow = nextflow(target, version)?;
        let slurm = Slurm::start()?;
        let project = tempfile::Builder::new().prefix("project").tempdir().expect("a directory");
        let deployment = service(project.path());
        Some(Self { slurm, deployment, project, nextflow })
    }

    /// A file of the project.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.project.path().join(name)
    }

    /// Submits a job script as the guide shows it, with these options of sbatch and of the pipeline.
    #[must_use]
    pub fn submit(&self, options: &[&str], pipeline_options: &str) -> Job {
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
            pipeline = folder().join("pipelines/licensed").display(),
        );
        self.slurm.submit(self.project.path(), options, &script)
    }

    /// A job whose second task runs until [`Cluster::release`], once it does.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn submit_and_hold(&self, options: &[&str]) -> Job {
        let job = self.submit(options, &format!("--wait_for {}", self.path("go").display()));
        wait_until("the second task runs", || self.path("call-is-running").exists());
        job
    }

    /// Lets the second task end.
    ///
    /// # Panics
    /// When the project cannot be written.
    pub fn release(&self) {
        fs::write(self.path("go"), "").expect("a file");
    }

    /// What the jobs said.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("job.out")).unwrap_or_default()
    }

    /// The runs that were launched, first to last.
    #[must_use]
    pub fn runs(&self) -> Vec<String> {
        let said = self.output();
        let runs = said.lines().filter_map(|line| {
            line.strip_prefix("nextflow-with-secrets: run ")?.strip_suffix(" has its secrets")
        });
        runs.map(str::to_owned).collect()
    }

    /// The stores that are there.
    #[must_use]
    pub fn stores(&self) -> Vec<PathBuf> {
        let stores = fs::read_dir(self.path("stores")).into_iter().flatten().flatten();
        stores.map(|entry| entry.path()).collect()
    }

    /// Each task had the value that it should.
    ///
    /// # Panics
    /// When it had not.
    pub fn assert_values(&self) {
        for (name, value) in Deployment::secrets() {
            let found = fs::read_to_string(self.path(&format!("results/{name}.sha256"))).unwrap_or_default();
            assert_eq!(found.trim(), sha256(&value), "{name}: {}", self.output());
        }
    }

    /// The service calls every run ended, no store is left, and no file or process shows a value or a token.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_nothing_left(&self, runs: usize) {
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
    #[must_use]
    pub fn processes_of_ours(&self, hidden: &[String]) -> Vec<PathBuf> {
        processes_with("environ", self.project.path().to_str(), hidden)
    }

    /// No value and no token is in Slurm's files, the project's, or any process's arguments.
    ///
    /// # Panics
    /// When one is.
    pub fn assert_hidden(&self, but: &[&Path]) {
        let hidden = self.deployment.hidden();
        let mut found = files_with(self.slurm.directory(), &hidden);
        found.extend(files_with(self.project.path(), &hidden));
        found.retain(|file| file != &self.path("token") && !but.iter().any(|but| file.starts_with(but)));
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
