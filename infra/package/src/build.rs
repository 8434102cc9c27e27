//! Building the programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Arch, Error, Result, Venv};

/// A built function.
pub(crate) struct Program {
    /// Its name.
    pub(crate) function: String,
    /// Its program.
    pub(crate) path: PathBuf,
}

/// The functions to build: those that are named, or all.
pub(crate) fn choose(root: &Path, named: &[String]) -> Result<Vec<String>> {
    let known = crate::functions(root).map_err(Error::file(&root.join("functions")))?;
    match named.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Error::Function { name: name.clone(), known: known.join(", ") }),
        None if named.is_empty() => Ok(known),
        None => Ok(named.to_vec()),
    }
}

/// Checks that Rust's standard library for this target is installed: cargo fails only after
/// minutes.
pub(crate) fn check_target(arch: Arch) -> Result<()> {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", arch.target()]).output();
    let asked = asked.map_err(|error| Error::Program { what: "rustc", reason: error.to_string() })?;
    let folder = String::from_utf8_lossy(&asked.stdout);
    if asked.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    let other = if arch == Arch::Arm64 { Arch::X86 } else { Arch::Arm64 };
    Err(Error::Target { target: arch.target(), other: other.name() })
}

/// Builds all functions in one cargo run.
pub(crate) fn build(
    root: &Path,
    tools: &Venv,
    target: &Path,
    arch: Arch,
    functions: &[String],
) -> Result<Vec<Program>> {
    let target = std::path::absolute(target).map_err(Error::file(target))?;
    let lambda = target.join("lambda").join(arch.name());
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).env("PATH", tools.path());
    cargo.args(["lambda", "build", "--release", "--locked"]);
    cargo.arg(if arch == Arch::Arm64 { "--arm64" } else { "--x86-64" });
    cargo.env("CARGO_TARGET_DIR", &target).arg("--lambda-dir").arg(&lambda);
    for function in functions {
        cargo.args(["--package", function.as_str(), "--bin", function.as_str()]);
    }
    // Messages of panics and of AWS-LC name source files. These maps make the names the same on
    // every machine. The last map that fits applies.
    let home = cargo_home();
    let maps = [(home.as_path(), "/cargo"), (root, "/source"), (target.as_path(), "/target")];
    let flag = |prefix: &str| {
        let flags: Vec<_> =
            maps.iter().map(|(from, to)| format!("{prefix}{}={to}", from.display())).collect();
        flags.join(" ")
    };
    cargo.env("RUSTFLAGS", flag("--remap-path-prefix="));
    // No panic passes through C code, so it needs no unwind tables.
    let c = flag("-ffile-prefix-map=") + " -fno-asynchronous-unwind-tables -fno-unwind-tables";
    cargo.env("CFLAGS", c);
    let failed = |reason: String| Error::Program { what: "the build", reason };
    match cargo.stdin(Stdio::null()).stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(failed(status.to_string())),
        Err(error) => return Err(failed(error.to_string())),
    }
    let programs = functions.iter().map(|function| {
        let path = lambda.join(function).join("bootstrap");
        check_c_library(function, &path)?;
        Ok(Program { function: function.clone(), path })
    });
    programs.collect()
}

/// Where cargo keeps the sources of dependencies:
/// <https://doc.rust-lang.org/cargo/guide/cargo-home.html>.
fn cargo_home() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_default().join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// The newest minor version of the C library in Amazon Linux 2023:
/// <https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html>.
const C_LIBRARY: u32 = 34;

/// A dynamically linked program names each version of the C library that it needs in its string
/// table.
fn check_c_library(function: &str, path: &Path) -> Result<()> {
    let program = std::fs::read(path).map_err(Error::file(path))?;
    let marks = program.windows(8).enumerate().filter(|(_, window)| *window == b"GLIBC_2.");
    let minors = marks.map(|(at, _)| {
        let digits = program[at + 8..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |minor, digit| minor * 10 + u32::from(digit - b'0'))
    });
    match minors.max() {
        Some(minor) if minor > C_LIBRARY => Err(Error::CLibrary { function: function.to_owned(), minor }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_amazon_linux_cannot_start_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bootstrap");
        for (needs, runs) in [("GLIBC_2.2.5", true), ("GLIBC_2.34", true), ("GLIBC_2.35", false), ("", true)]
        {
            std::fs::write(&path, format!("\x7fELF\0GLIBC_2.17\0{needs}\0GLIBC_2.4\0")).unwrap();
            assert_eq!(check_c_library("identity", &path).is_ok(), runs, "{needs}");
        }
    }

    #[test]
    fn all_functions_are_built_unless_some_are_named() {
        let root = crate::checkout().unwrap();
        let all = choose(&root, &[]).unwrap();
        assert!(all.contains(&"identity".to_owned()) && all.contains(&"launch-run".to_owned()), "{all:?}");
        assert_eq!(choose(&root, &["identity".to_owned()]).unwrap(), ["identity"]);
        let unknown = choose(&root, &["Identity".to_owned()]).err().unwrap().to_string();
        assert!(unknown.contains("Identity") && unknown.contains("launch-run"), "{unknown}");
    }

    #[test]
    fn a_missing_target_is_answered_with_what_to_install() {
        let error = Error::Target { target: Arch::Arm64.target(), other: Arch::X86.name() }.to_string();
        assert!(error.contains("rustup target add aarch64-unknown-linux-gnu"), "{error}");
        assert!(error.contains("--arch x86_64"), "{error}");
    }
}
