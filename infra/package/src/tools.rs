//! The build tools, installed once per checkout.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Where they are.
pub(crate) struct Tools {
    bin: PathBuf,
}

impl Tools {
    /// Their Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.bin.join("python3")
    }

    /// What this machine has itself, for tests that build nothing.
    #[cfg(test)]
    pub(crate) fn of_this_machine() -> Self {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let bin = std::env::split_paths(&folders).find(|folder| folder.join("python3").exists());
        Self { bin: bin.unwrap_or_default() }
    }

    /// A search path on which they come first.
    pub(crate) fn path(&self) -> std::ffi::OsString {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&rest));
        // A folder with a colon in its name cannot be on a search path: the rest of it still can.
        std::env::join_paths(all).unwrap_or(rest)
    }
}

/// Installs what is missing or of another version.
pub(crate) fn ready(root: &Path) -> Result<Tools> {
    let folder = root.join(".local/package");
    let tools = Tools { bin: folder.join("bin") };
    let requirements = root.join("infra/package/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).map_err(Error::file(&requirements))?;
    let done = folder.join("installed.txt");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(tools);
    }
    let mut make = Command::new("python3");
    run(
        make.args(["-m", "venv", "--clear"]).arg(&folder),
        "making .local/package with python3 and its venv",
    )?;
    let mut fill = Command::new(tools.python());
    fill.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet"]);
    fill.args(["--progress-bar=off", "--require-hashes", "--requirement"]).arg(&requirements);
    run(&mut fill, "installing cargo-lambda and zig")?;
    std::fs::write(&done, wanted).map_err(Error::file(&done))?;
    Ok(tools)
}

/// Runs a program whose messages people see, on standard error.
pub(crate) fn run(command: &mut Command, what: &'static str) -> Result<()> {
    let failed = |reason: String| Error::Program { what, reason };
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status.map_err(|error| failed(error.to_string()))? {
        status if status.success() => Ok(()),
        status => Err(failed(status.to_string())),
    }
}
