//! A user's home directory, and the script run in it as a user would.

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

use crate::service::{PATIENCE, Service, USER_TOKEN};

/// The workspace that every run here is launched in.
pub const WORKSPACE: &str = "42";

/// The shells of this machine that the script must run under, each as the words before the script's path.
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

/// Runs a case once under each of [`shells`], on a harness of its own, all at once.
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

/// Says on standard error, past the capture of tests, why a test checks less here than it could.
///
/// # Panics
/// With `CI` in the environment, for there everything must be checked.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "nothing may be skipped here: {reason}");
    // Without a standard error nobody reads it.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Waits until `condition` holds.
///
/// # Panics
/// After three minutes.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A home with a token file, a directory for stores, and a service.
pub struct Harness {
    /// The stand-in.
    pub service: Service,
    /// The user's home; everything of this harness is below it.
    pub home: tempfile::TempDir,
    shell: Vec<&'static str>,
}

/// How the script ended.
#[derive(Debug)]
pub struct Outcome {
    /// Under which shell.
    pub shell: String,
    /// Exit status; 128 + n when signal n ended it.
    pub status: i32,
    /// What the command wrote.
    pub stdout: String,
    /// What script and command said.
    pub stderr: String,
}

/// The script while it runs.
pub struct Run {
    child: Child,
    shell: String,
}

impl Harness {
    /// A new home, for a script run by this shell.
    ///
    /// # Panics
    /// When no directory can be made.
    #[must_use]
    pub fn new(shell: &[&'static str]) -> Self {
        let home = tempfile::Builder::new().prefix("hpc-script").tempdir().expect("a temporary directory");
        let harness = Self { service: Service::start(), home, shell: shell.to_vec() };
        fs::create_dir(harness.path("stores")).expect("a directory for stores");
        harness.write_private("token", &format!("{USER_TOKEN}\n"));
        harness
    }

    /// Another new home, for the same shell.
    #[must_use]
    pub fn like(other: &Self) -> Self {
        Self::new(&other.shell)
    }

    /// A path in this home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file with mode 0600.
    ///
    /// # Panics
    /// When it cannot be written.
    #[allow(clippy::must_use_candidate)] // often only the file is wanted
    pub fn write_private(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file in the home");
        set_mode(&path, 0o600);
        path
    }

    /// The directories that stand where stores are made, whatever they are.
    ///
    /// # Panics
    /// When the directory for stores is gone.
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

    /// A directory as a killed job leaves it, `age` seconds after its last heartbeat.
    ///
    /// # Panics
    /// When it cannot be made.
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
        grow_old(&owner, age);
        directory
    }

    /// The script with this harness's settings and `arguments`, and nothing else of our own environment but `PATH`.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(self.shell[0]);
        command
            .args(&self.shell[1..])
            .arg(script())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
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

    /// Runs `sh -c script` under the script and waits for its end.
    #[must_use]
    pub fn run(&self, script: &str) -> Outcome {
        self.finish(&mut self.command(["--", "sh", "-c", script]))
    }

    /// Waits for the end of a command made by [`Harness::command`].
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn finish(&self, command: &mut Command) -> Outcome {
        Run::start(command).finish()
    }
}

impl Run {
    /// Starts a command made by [`Harness::command`].
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
        let shell = format!("{command:?}");
        Self { child, shell }
    }

    /// The process id of the script.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, as `kill -NAME` does.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end, and for everything that holds its output.
    ///
    /// # Panics
    /// When its output cannot be read.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let mut stderr_pipe = self.child.stderr.take().expect("a pipe");
        let errors = thread::spawn(move || read_all(&mut stderr_pipe));
        let stdout = read_all(self.child.stdout.as_mut().expect("a pipe"));
        let stderr = errors.join().expect("a reader that does not panic");
        let status = self.child.wait().expect("the script's status");
        let status = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an end");
        Outcome { shell: self.shell, status, stdout, stderr }
    }
}

/// Sends a signal by name.
///
/// # Panics
/// When there is no `kill`.
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
/// When there is no such file.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file whose mode can be set");
}

/// Sets a file's last change to `age` seconds ago.
///
/// # Panics
/// When there is no such file.
pub fn grow_old(path: &Path, age: u64) {
    let then = std::time::SystemTime::now() - Duration::from_secs(age);
    fs::File::options().append(true).open(path).expect("a file").set_modified(then).expect("a settable time");
}

/// The script under test.
#[must_use]
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/hpc/nextflow-with-secrets")
}

fn read_all(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("a readable pipe");
    String::from_utf8_lossy(&bytes).into_owned()
}
