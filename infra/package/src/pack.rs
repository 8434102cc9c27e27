//! Packs programs with the script that also packs for the local stack, but as small as possible.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::build::Program;
use crate::{Error, Result};

/// Packed functions.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The folder with the zips.
    pub folder: PathBuf,
    /// A digest of all zips: their folder in a bucket.
    pub prefix: String,
    /// The zips.
    pub zips: Vec<Zip>,
}

impl Packed {
    /// The path of each function's zip.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, PathBuf> {
        self.zips.iter().map(|zip| (zip.function.clone(), zip.path.clone())).collect()
    }
}

/// A function's zip.
#[derive(Clone, Debug)]
pub struct Zip {
    /// The function.
    pub function: String,
    /// The file.
    pub path: PathBuf,
    /// The size of the zip.
    pub packed_bytes: u64,
    /// The size of the program.
    pub program_bytes: u64,
}

/// How well to compress.
#[derive(Clone, Copy)]
pub(crate) enum Pack {
    /// As Python's zlib does.
    #[cfg(test)]
    Small,
    /// As zopfli does, which is one of the build tools.
    Smallest,
}

impl Pack {
    fn name(self) -> &'static str {
        match self {
            #[cfg(test)]
            Self::Small => "small",
            Self::Smallest => "smallest",
        }
    }
}

/// Packs the programs as `<function>.zip` into the folder.
pub(crate) fn pack(
    root: &Path,
    python: &Path,
    out: &Path,
    programs: &[Program],
    how: Pack,
) -> Result<Packed> {
    let paths: Value = programs.iter().map(|one| (one.function.clone(), json!(one.path))).collect();
    let order = json!({"folder": out.join("packed"), "programs": paths, "pack": how.name()});
    let answer = ask(python, &root.join("infra/local/emulator/package.py"), &order)?;
    let mut zips = Vec::new();
    for program in programs {
        let packed = PathBuf::from(answer["zips"][&program.function].as_str().unwrap_or_default());
        let zip = out.join(format!("{}.zip", program.function));
        let packed_bytes = std::fs::copy(&packed, &zip).map_err(Error::file(&packed))?;
        let program_bytes = std::fs::metadata(&program.path).map_err(Error::file(&program.path))?.len();
        zips.push(Zip { function: program.function.clone(), path: zip, packed_bytes, program_bytes });
    }
    let prefix = answer["prefix"].as_str().unwrap_or_default().to_owned();
    Ok(Packed { folder: out.to_owned(), prefix, zips })
}

fn ask(python: &Path, script: &Path, order: &Value) -> Result<Value> {
    let failed = |reason: String| Error::Program { what: "packing", reason };
    let mut python = Command::new(python);
    let python = python.arg("-B").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = python.stdin.take() {
        stdin.write_all(order.to_string().as_bytes()).map_err(|error| failed(error.to_string()))?;
    }
    let output = python.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::time::{Duration, SystemTime};

    use super::*;

    /// Packs a program with this age in seconds, in a new folder.
    fn packed(content: &[u8], age: u64) -> (String, Vec<u8>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, content).unwrap();
        let made = SystemTime::now() - Duration::from_secs(age);
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(made)).unwrap();
        let program = Program { function: "identity".to_owned(), path };
        let root = crate::checkout().unwrap();
        let packed = pack(&root, Path::new("python3"), folder.path(), &[program], Pack::Small).unwrap();
        let zip = std::fs::read(folder.path().join("identity.zip")).unwrap();
        assert_eq!(packed.zips[0].packed_bytes, zip.len() as u64);
        (packed.prefix, zip, folder)
    }

    #[test]
    fn the_same_program_gives_the_same_bytes_and_prefix_whenever_and_wherever_it_was_made() {
        let (prefix, zip, _) = packed(b"a program", 0);
        let (again, same, _) = packed(b"a program", 86_400);
        assert_eq!((&again, &same), (&prefix, &zip));
        let (other, different, _) = packed(b"another program", 0);
        assert!(other != prefix && different != zip);
    }

    #[test]
    fn a_zip_holds_one_program_that_lambda_may_start() {
        let (_, _, folder) = packed(b"a program", 0);
        let script = "import sys, zipfile; [one] = zipfile.ZipFile(sys.argv[1]).infolist(); \
                      print(one.filename, oct(one.external_attr >> 16), one.date_time[0])";
        let zip = folder.path().join("identity.zip");
        let listed = Command::new("python3").args(["-c", script]).arg(zip).output().unwrap();
        assert_eq!(String::from_utf8(listed.stdout).unwrap().trim(), "bootstrap 0o755 1980");
    }
}
