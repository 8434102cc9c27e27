//! A user's home directory, and the script as a user runs it there.

use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::service::{Service, TIMEOUT, USER_TOKEN};

/// The workspace of every launch.
pub const WORKSPACE: &str = "42";

/// Returns the installed shells that the script must support, each as the words before the script's
/// path.
#[must_use]
pub fn shells() -> Vec<Vec<&'static str>> {
    [vec!["dash"], vec!["bash"], vec!["bash", "--posix"], vec!["busybox", "sh"]]
        .into_iter()
        .filter(|words| {
            Command::new(words[0])
                .args(&words[1..])
                .args(["-c", ":"])
                .status()
                .is_ok_and(|status| status.success())
        })
        .collect()
}

/// Runs a test concurrently under each of [`shells`], each with a separate harness.
pub fn under_every_shell(case: impl Fn(&Harness) + Sync) {
    thread::scope(|scope| {
        for shell in shells() {
            scope.spawn(|| {
                let shell = shell; // moved in, so that it outlives the loop
                case(&Harness::new(&shell));
            });
        }
    });
}

/// Prints to standard error, bypassing the capture of test output, why a test is skipped.
///
/// # Panics
/// If `CI` is in the environment, because no test may be skipped there.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "no test may be skipped in CI: {reason}");
    // Errors are ignored: standard error may be closed.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Waits until `condition` holds.
///
/// # Panics
/// After three minutes.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A home directory with a token file and a directory for stores, and a fake service.
pub struct Harness {
    /// The fake service.
    pub service: Service,
    /// The user's home, which contains all files of this harness.
    pub home: tempfile::TempDir,
    shell: Vec<&'static str>,
}

/// The result of the script.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, with its shell.
    pub shell: String,
    /// The exit status; 128 + n if signal n ended the script.
    pub status: i32,
    /// The standard output of the command.
    pub stdout: String,
    /// The standard error of the script and the command.
    pub stderr: String,
}

/// The running script.
pub struct Run {
    child: Child,
    shell: String,
}

impl Harness {
    /// Creates a home for running the script with this shell.
    ///
    /// # Panics
    /// If the directory cannot be created.
    #[must_use]
    pub fn new(shell: &[&'static str]) -> Self {
        let home = tempfile::Builder::new().prefix("hpc-script").tempdir().expect("a temporary directory");
        let harness = Self { service: Service::start(), home, shell: shell.to_vec() };
        fs::create_dir(harness.path("stores")).expect("a directory for stores");
        harness.write_private("token", &format!("{USER_TOKEN}\n"));
        harness
    }

    /// Creates another home for the same shell.
    #[must_use]
    pub fn like(other: &Self) -> Self {
        Self::new(&other.shell)
    }

    /// Whether the script runs with bash.
    #[must_use]
    pub fn is_bash(&self) -> bool {
        self.shell[0] == "bash"
    }

    /// Returns a path in this home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file with mode 0600.
    ///
    /// # Panics
    /// If it cannot be written.
    #[allow(clippy::must_use_candidate)] // callers often need only the file
    pub fn write_private(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file in the home");
        set_mode(&path, 0o600);
        path
    }

    /// Writes an executable into `bin` of this home, which is first in `PATH`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_program(&self, name: &str, content: &str) {
        fs::create_dir_all(self.path("bin")).expect("a directory for programs");
        let path = self.path("bin").join(name);
        fs::write(&path, content).expect("a program");
        set_mode(&path, 0o755);
    }

    /// Returns all entries in the directory for stores.
    ///
    /// # Panics
    /// If the directory for stores does not exist.
    #[must_use]
    pub fn stores(&self) -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(self.path("stores"))
            .expect("the directory for stores")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }

    /// Creates a directory as a killed job leaves it, `age` seconds after its last heartbeat.
    ///
    /// # Panics
    /// If it cannot be created.
    #[must_use]
    pub fn leave(&self, name: &str, workflow: &str, age: u64) -> PathBuf {
        let directory = self.path("stores").join(format!("run.{name}"));
        fs::create_dir(&directory).expect("a leftover");
        fs::write(directory.join("store.json"), "[]").expect("its store");
        let owner = directory.join("owner");
        fs::write(
            &owner,
            format!("endpoint={}\nworkspaceId=42\nworkflowId={workflow}\n", self.service.endpoint()),
        )
        .expect("its owner file");
        set_age(&owner, age);
        directory
    }

    /// Returns a command for the script with this harness's settings and `arguments`. Only `PATH`
    /// is inherited.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg(script())
            .args(arguments)
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PIPELINE_SECRETS_ENDPOINT", self.service.endpoint())
            .env("PIPELINE_SECRETS_TOKEN_FILE", self.path("token"))
            .env("PIPELINE_SECRETS_DIR", self.path("stores"))
            .env("PIPELINE_SECRETS_WORKSPACE", WORKSPACE)
            .env("PIPELINE_SECRETS_RETRY_SECONDS", "0")
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn search_path(&self) -> String {
        format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default())
    }

    /// Runs `sh -c script` under the script and waits for its end.
    #[must_use]
    pub fn run(&self, script: &str) -> Outcome {
        self.finish(&mut self.command(["--", "sh", "-c", script]))
    }

    /// Runs a command from [`Harness::command`] and waits for its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn finish(&self, command: &mut Command) -> Outcome {
        Run::start(command).finish()
    }
}

impl Run {
    /// Starts a command from [`Harness::command`].
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
        let shell = format!("{command:?}");
        Self { child, shell }
    }

    /// Returns the process id of the script.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, like `kill -NAME`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end of the script and of every process that has its output open.
    ///
    /// # Panics
    /// If its output cannot be read.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let mut stderr_pipe = self.child.stderr.take().expect("a pipe");
        let errors = thread::spawn(move || read_all(&mut stderr_pipe));
        let stdout = read_all(self.child.stdout.as_mut().expect("a pipe"));
        let stderr = errors.join().expect("a reader that does not panic");
        let status = self.child.wait().expect("the script's status");
        let status =
            status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an exit status");
        Outcome { shell: self.shell, status, stdout, stderr }
    }
}

/// Sends a signal by name.
///
/// # Panics
/// If `kill` is not installed.
pub fn signal(process: u32, name: &str) {
    Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("kill");
}

/// Sets a file's mode.
///
/// # Panics
/// If the file does not exist.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file's mode is set");
}

/// Sets a file's modification time to `age` seconds ago.
///
/// # Panics
/// If the file does not exist.
pub fn set_age(path: &Path, age: u64) {
    let then = std::time::SystemTime::now() - Duration::from_secs(age);
    fs::File::options().append(true).open(path).expect("a file").set_modified(then).expect("a settable time");
}

/// Returns the path of the script under test.
#[must_use]
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/head-job/nextflow-with-secrets")
}

fn read_all(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("a readable pipe");
    String::from_utf8_lossy(&bytes).into_owned()
}
