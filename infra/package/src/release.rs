//! The folder that is released, and the same folder as a tar archive.
//!
//! The folder has the checkout's layout, so that `infra/deploy` and the links between documents
//! work in both. It depends on the source alone: no times, fixed modes, sorted names.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{Arch, Error, Result, links, sbom};

/// Files of the checkout that operators and users need. `*` stands for any characters but `/`.
const FILES: &[&str] = &[
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs/alarms.md",
    "docs/console.md",
    "docs/console/*",
    "docs/demo.svg",
    "docs/envelope.md",
    "docs/guide-*",
    "docs/openapi.json",
    "docs/operations.md",
    "infra/*.yaml",
    "infra/audit_log.py",
    "infra/check-audit",
    "infra/compute-environment",
    "infra/deploy",
    "infra/head-job/*",
    "infra/kubernetes/*",
    "infra/nextflow-plugin/README.md",
    "infra/reconcile",
    "infra/verification/*.py",
    "infra/verify",
];

/// A release.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its folder, `pipeline-secrets-<version>`.
    pub folder: PathBuf,
    /// The number of files in it.
    pub files: usize,
    /// The same as a tar archive, beside the folder.
    pub archive: PathBuf,
    /// The SHA-256 digest of the archive in hexadecimal.
    pub archive_digest: String,
}

/// A file of the release.
struct File {
    content: Vec<u8>,
    mode: u32,
}

/// By path, relative to the release folder.
type Files = BTreeMap<String, File>;

/// Makes the release folder and its archive in `out`, with the zips that are given for each
/// architecture by function, and the zip of the Nextflow plugin. An older folder of the same name
/// is replaced.
pub fn assemble(
    root: &Path,
    out: &Path,
    zips: &BTreeMap<Arch, BTreeMap<String, PathBuf>>,
    plugin: &Path,
) -> Result<Release> {
    let files = contents(root, zips, plugin)?;
    let name = format!("pipeline-secrets-{}", env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(out).map_err(Error::file(out))?;
    // Renamed when it is complete: an interrupted run leaves no folder that looks like a release.
    let scratch = tempfile::Builder::new().prefix(".release-").tempdir_in(out).map_err(Error::file(out))?;
    let (folder, archive) = (scratch.path().join(&name), scratch.path().join("archive"));
    write_folder(&folder, &files)?;
    let bytes = write_archive(&name, &files).map_err(Error::file(&archive))?;
    std::fs::write(&archive, &bytes).map_err(Error::file(&archive))?;

    let release = Release {
        folder: out.join(&name),
        files: files.len(),
        archive: out.join(format!("{name}.tar")),
        archive_digest: digest(&bytes),
    };
    if release.folder.exists() {
        std::fs::remove_dir_all(&release.folder).map_err(Error::file(&release.folder))?;
    }
    std::fs::rename(&folder, &release.folder).map_err(Error::file(&release.folder))?;
    std::fs::rename(&archive, &release.archive).map_err(Error::file(&release.archive))?;
    Ok(release)
}

fn contents(root: &Path, zips: &BTreeMap<Arch, BTreeMap<String, PathBuf>>, plugin: &Path) -> Result<Files> {
    let mut files = Files::new();
    for pattern in FILES {
        let found = matches(root, pattern)?;
        if found.is_empty() {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::file(&root.join(pattern))(missing));
        }
        for path in found {
            let source = root.join(&path);
            let content = std::fs::read(&source).map_err(Error::file(&source))?;
            let metadata = std::fs::metadata(&source).map_err(Error::file(&source))?;
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            files.insert(path, File { content, mode });
        }
    }
    let names: Vec<_> = files.keys().cloned().collect();
    for (path, file) in &mut files {
        if is_markdown(path) {
            let text = String::from_utf8_lossy(&file.content);
            file.content = links::rewrite(root, path, &text, &names).into_bytes();
        }
    }
    let name = plugin.file_name().unwrap_or_default().to_string_lossy();
    let mut packed = vec![(format!("infra/nextflow-plugin/{name}"), plugin)];
    for (arch, zips) in zips {
        for (function, zip) in zips {
            packed.push((format!("functions/{}/{function}.zip", arch.name()), zip));
        }
    }
    for (path, zip) in packed {
        let content = std::fs::read(zip).map_err(Error::file(zip))?;
        files.insert(path, File { content, mode: 0o644 });
    }
    let bom = serde_json::to_string_pretty(&sbom::of_functions(root)?).map_err(Error::sbom)?;
    files.insert("sbom.cdx.json".to_owned(), File { content: (bom + "\n").into_bytes(), mode: 0o644 });
    // As `sha256sum --check` reads it.
    let sums: Vec<_> =
        files.iter().map(|(path, file)| format!("{}  {path}\n", digest(&file.content))).collect();
    files.insert("SHA256SUMS".to_owned(), File { content: sums.concat().into_bytes(), mode: 0o644 });
    Ok(files)
}

/// The files of the checkout that match a pattern, sorted.
fn matches(root: &Path, pattern: &str) -> Result<Vec<String>> {
    let Some((start, end)) = pattern.split_once('*') else {
        return Ok(if root.join(pattern).is_file() { vec![pattern.to_owned()] } else { Vec::new() });
    };
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let listed = match std::fs::read_dir(root.join(folder)) {
        Ok(listed) => listed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(&root.join(folder))(error)),
    };
    let mut found = Vec::new();
    for entry in listed {
        let entry = entry.map_err(Error::file(&root.join(folder)))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && name.starts_with(start) && name.ends_with(end) {
            found.push(format!("{folder}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}

fn write_folder(folder: &Path, files: &Files) -> Result<()> {
    for (path, file) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::file(parent))?;
        let write = || {
            let mut made = std::fs::File::create(&path)?;
            made.write_all(&file.content)?;
            made.set_permissions(std::fs::Permissions::from_mode(file.mode))
        };
        write().map_err(Error::file(&path))?;
    }
    Ok(())
}

fn write_archive(name: &str, files: &Files) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, file) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        header.set_mtime(315_532_800); // 1980-01-01, as in the zips
        archive.append_data(&mut header, format!("{name}/{path}"), file.content.as_slice())?;
    }
    archive.into_inner()
}

fn is_markdown(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "md")
}

pub(crate) fn digest(content: &[u8]) -> String {
    let bytes: Vec<_> = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.concat()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn release(out: &Path, program: &[u8]) -> Release {
        let (zip, plugin) = (out.join("identity.zip"), out.join("plugin.zip"));
        std::fs::write(&zip, program).unwrap();
        std::fs::write(&plugin, b"a plugin").unwrap();
        let zips = BTreeMap::from([("identity".to_owned(), zip)]);
        let zips = Arch::ALL.map(|arch| (arch, zips.clone())).into();
        assemble(&crate::checkout().unwrap(), &out.join("out folder"), &zips, &plugin).unwrap()
    }

    #[test]
    fn the_same_source_gives_the_same_folder_and_archive() {
        let [one, two] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [first, second] = [release(one.path(), b"a zip"), release(two.path(), b"a zip")];
        assert_eq!(first.archive_digest, second.archive_digest);
        let same = Command::new("diff").arg("-r").args([&first.folder, &second.folder]).status().unwrap();
        assert!(same.success());
        let changed = release(two.path(), b"another zip");
        assert_ne!(changed.archive_digest, first.archive_digest);
    }

    #[test]
    fn the_archive_unpacks_to_the_folder_and_the_checksums_cover_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let release = release(folder.path(), b"a zip");
        let unpacked = folder.path().join("unpacked");
        std::fs::create_dir(&unpacked).unwrap();
        let tar = Command::new("tar").arg("-xf").arg(&release.archive).arg("-C").arg(&unpacked).status();
        assert!(tar.unwrap().success());
        let unpacked = unpacked.join(release.folder.file_name().unwrap());
        let same = Command::new("diff").arg("-r").args([&release.folder, &unpacked]).status().unwrap();
        assert!(same.success());
        let check = ["--check", "--quiet", "--strict", "SHA256SUMS"];
        let checked = Command::new("sha256sum").args(check).current_dir(&unpacked).status().unwrap();
        assert!(checked.success());
        let sums = std::fs::read_to_string(unpacked.join("SHA256SUMS")).unwrap();
        assert_eq!(sums.lines().count() + 1, release.files);
        for (script, mode) in [
            ("infra/compute-environment", 0o755),
            ("infra/deploy", 0o755),
            ("infra/head-job/nextflow-with-secrets", 0o755),
            ("infra/head-job/submit", 0o755),
            ("infra/kubernetes/head-job.yaml", 0o644),
            ("infra/kubernetes/nextflow.config", 0o644),
            ("infra/kubernetes/rbac.yaml", 0o644),
            ("infra/nextflow-plugin/plugin.zip", 0o644),
            ("infra/template.yaml", 0o644),
        ] {
            let found = std::fs::metadata(unpacked.join(script)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{script}");
        }
    }

    #[test]
    fn every_relative_link_in_the_documents_leads_to_a_file_of_the_release() {
        let folder = tempfile::tempdir().unwrap();
        let release = release(folder.path(), b"a zip");
        let mut checked = 0;
        let names = std::fs::read_to_string(release.folder.join("SHA256SUMS")).unwrap();
        for name in names.lines().filter_map(|line| line.get(66..)).filter(|name| is_markdown(name)) {
            let path = release.folder.join(name);
            for link in links::relative(&std::fs::read_to_string(&path).unwrap()) {
                let target = path.parent().unwrap().join(link);
                assert!(target.exists(), "{name} links to {link}, which the release does not have");
                checked += 1;
            }
        }
        assert!(checked > 20, "only {checked} links were found");
    }
}
