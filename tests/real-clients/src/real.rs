//! A real Nextflow from Maven Central and a real Slurm with one node, set up by the scripts in
//! `tests/real-clients`.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::harness::{skip, wait_until};

/// Returns the folder of the scripts and recordings.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the launcher of this version of Nextflow, which is set up once below `target`, the
/// build's directory for tests. `None`, with a message on standard error, if Java or Maven is not
/// installed.
///
/// # Panics
/// If the set-up fails.
#[must_use]
pub fn nextflow(target: &str, version: &str) -> Option<PathBuf> {
    if !["javac", "mvn"].iter().all(|program| is_installed(program)) {
        skip(&format!("Nextflow {version}: Java or Maven is not installed"));
        return None;
    }
    let directory = Path::new(target).join(format!("nextflow-{version}"));
    fs::create_dir_all(target).expect("the build's directory");
    let lock = fs::File::create(directory.with_extension("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let output = Command::new(folder().join("setup-nextflow.sh"))
        .arg(&directory)
        .arg(version)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(directory.join("nextflow"))
}

fn is_installed(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|found| found.success())
}

/// A Slurm with one node. Dropping it stops the daemons and removes the files.
pub struct Slurm {
    directory: tempfile::TempDir,
    port: u16,
}

/// A job's id.
pub type Job = String;

impl Slurm {
    /// Starts Slurm. `None`, with a message on standard error, if Slurm is not installed or this
    /// user is not root.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        if !is_root || !["slurmctld", "slurmd", "munged"].iter().all(|program| is_installed(program)) {
            skip("Slurm: it is not installed, or this user cannot start its daemons");
            return None;
        }
        // Paths of sockets must be short.
        let directory = tempfile::Builder::new().prefix("sl").tempdir_in("/tmp").expect("a short directory");
        let slurm = Self { directory, port: two_ports() };
        slurm.up();
        Some(slurm)
    }

    /// Starts the daemons that are not running.
    ///
    /// # Panics
    /// If one does not start.
    pub fn up(&self) {
        let mut up = Command::new(folder().join("slurm-up.sh"));
        up.env("SLURM_DIR", self.directory.path()).env("SLURM_PORT", self.port.to_string());
        // A node is lost after six seconds without an answer. KILL follows TERM after five seconds.
        up.envs([("SLURM_NODE_TIMEOUT", "6"), ("SLURM_KILL_WAIT", "5"), ("SLURM_REQUEUE_DELAY", "5")]);
        // Output goes to a file, because the daemons keep inherited pipes open.
        let log = self.directory.path().join("up.log");
        let to_log = || fs::File::options().create(true).append(true).open(&log).expect("a log");
        let status = up.stdin(Stdio::null()).stdout(to_log()).stderr(to_log()).status().expect("a shell");
        assert!(status.success(), "{}", fs::read_to_string(&log).unwrap_or_default());
    }

    /// Returns the directory of its files, including job scripts and saved environments.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a Slurm command and returns its output.
    ///
    /// # Panics
    /// If it fails.
    #[allow(clippy::must_use_candidate)] // some commands print nothing
    pub fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("SLURM_CONF", self.directory.path().join("slurm.conf"));
        let output = command.output().expect("a Slurm command");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Submits a script from this directory, without the caller's environment.
    ///
    /// # Panics
    /// If Slurm rejects it.
    #[must_use]
    pub fn submit(&self, directory: &Path, options: &[&str], script: &str) -> Job {
        let mut command = Command::new("sbatch");
        command.args(["--parsable", "--export=NONE", "--output=job.out", "--open-mode=append"]).args(options);
        command.env("SLURM_CONF", self.directory.path().join("slurm.conf")).current_dir(directory);
        let mut submitting = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sbatch");
        submitting.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a script");
        let output = submitting.wait_with_output().expect("an answer");
        assert!(output.status.success(), "sbatch failed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Returns a field of a job: `JobState`, `ExitCode`, `Restarts`…
    ///
    /// # Panics
    /// If Slurm does not know the job.
    #[must_use]
    pub fn field(&self, job: &str, name: &str) -> String {
        let job = self.run(&["scontrol", "show", "job", job]);
        let value = job.split_whitespace().find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        value.unwrap_or_default().to_owned()
    }

    /// Waits until a job is in one of these states.
    ///
    /// # Panics
    /// If the job does not reach one of the states within the timeout.
    pub fn wait_for(&self, job: &str, states: &[&str]) {
        wait_until(&format!("job {job} is {states:?}"), || {
            states.contains(&self.field(job, "JobState").as_str())
        });
    }

    /// Kills the node's daemon, like a crash: its jobs keep running but are no longer reported.
    ///
    /// # Panics
    /// If the daemon is not running.
    pub fn kill_node_daemon(&self) {
        let process =
            fs::read_to_string(self.directory.path().join("run/slurmd.pid")).expect("its process id");
        crate::harness::signal(process.trim().parse().expect("a number"), "KILL");
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let mut down = Command::new(folder().join("slurm-down.sh"));
        // The directory is removed in any case.
        let _ =
            down.env("SLURM_DIR", self.directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).status();
    }
}

/// Returns the first of two consecutive free ports.
fn two_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("its address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
