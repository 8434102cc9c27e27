//! `infra/deploy` refuses a release folder that is not as it was released, before it calls AWS.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use package_functions::{Arch, assemble, checkout, functions};

/// A release with the functions of one architecture, in a folder with a space in its name.
fn release(folder: &Path) -> PathBuf {
    let root = checkout().unwrap();
    let zips = functions(&root).unwrap().into_iter().map(|function| {
        let zip = folder.join(&function);
        fs::write(&zip, format!("zip of {function}")).unwrap();
        (function, zip)
    });
    let zips = BTreeMap::from([(Arch::Arm64, zips.collect())]);
    let plugin = folder.join("plugin.zip");
    fs::write(&plugin, "the plugin").unwrap();
    assemble(&root, &folder.join("two words"), &zips, &plugin).unwrap().folder
}

/// The exit code and the messages of the checkout's script.
fn deploy(release: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let script = checkout().unwrap().join("infra/deploy");
    run(Command::new("sh").arg(script).arg("--release").arg(release).args(arguments))
}

/// Runs it with the programs that the check needs and no others: neither the AWS CLI nor cargo.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let programs = tempfile::tempdir().unwrap();
    for program in ["sh", "cat", "cut", "dirname", "grep", "ls", "sed", "sha256sum", "shasum", "sort", "tr"] {
        let folders = std::env::split_paths(&std::env::var_os("PATH").unwrap()).collect::<Vec<_>>();
        if let Some(found) = folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file()) {
            std::os::unix::fs::symlink(found, programs.path().join(program)).unwrap();
        }
    }
    let output = command.args(["--bucket", "any"]).env("PATH", programs.path()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

const ZIP: &str = "functions/arm64/identity.zip";

/// Checks that the script names the file and gives the reason, after a change of the release.
#[track_caller]
fn refuses(change: impl Fn(&Path), reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let release = release(folder.path());
    change(&release);
    let (code, message) = deploy(&release, &[]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains(reason), "{message}");
}

/// Removes a file's line from the checksums.
fn forget(release: &Path, file: &str) {
    let sums = release.join("SHA256SUMS");
    let kept: Vec<_> = fs::read_to_string(&sums)
        .unwrap()
        .lines()
        .filter(|line| !line.ends_with(file))
        .map(str::to_owned)
        .collect();
    fs::write(sums, kept.join("\n") + "\n").unwrap();
}

#[test]
fn a_changed_file_is_refused() {
    for file in [ZIP, "infra/template.yaml", "infra/reconcile", "sbom.cdx.json"] {
        let change = |release: &Path| fs::write(release.join(file), "changed").unwrap();
        refuses(change, &format!("{file} differs from its checksum"));
    }
}

#[test]
fn a_missing_file_is_refused() {
    refuses(|release| fs::remove_file(release.join(ZIP)).unwrap(), &format!("{ZIP} is missing"));
}

#[test]
fn a_zip_that_was_not_released_is_refused() {
    let other = "functions/x86_64/identity.zip";
    let add = |release: &Path| {
        fs::create_dir(release.join("functions/x86_64")).unwrap();
        fs::write(release.join(other), "a zip").unwrap();
    };
    refuses(add, &format!("{other} is not in SHA256SUMS"));
    refuses(|release| forget(release, ZIP), &format!("{ZIP} is not in SHA256SUMS"));
    refuses(|release| forget(release, "template.yaml"), "infra/template.yaml is not in SHA256SUMS");
}

#[test]
fn a_release_without_a_function_of_its_template_is_refused() {
    let remove = |release: &Path| {
        forget(release, ZIP);
        fs::remove_file(release.join(ZIP)).unwrap();
    };
    refuses(remove, "is incomplete: its template needs authorizer.zip");
}

#[test]
fn a_folder_that_is_no_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, message) = deploy(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("is not a release of Pipeline Secrets"), "{message}");
    let (code, message) = deploy(&folder.path().join("none"), &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("is not a folder"), "{message}");
}

#[test]
fn an_architecture_that_the_release_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (code, message) = deploy(&release(folder.path()), &["--arch", "x86_64"]);
    assert_eq!(code, Some(1));
    assert!(
        message.contains("has no functions for x86_64; name its architecture with --arch: arm64"),
        "{message}"
    );
    let (code, message) = deploy(&release(folder.path()), &["--arch", "arm"]);
    assert_eq!((code, message.starts_with("usage: ")), (Some(2), true), "{message}");
}

#[test]
fn a_complete_release_passes_from_any_folder_and_deploys_itself() {
    let folder = tempfile::tempdir().unwrap();
    let release = release(folder.path());
    let script = checkout().unwrap().join("infra/deploy");
    let parent = release.parent().unwrap();
    let relative = release.strip_prefix(parent).unwrap();
    for (script, arguments, from) in [
        (script.as_path(), vec!["--release".as_ref(), relative.as_os_str()], parent),
        (script.as_path(), vec!["--release".as_ref(), ".".as_ref()], release.as_path()),
        ("./infra/deploy".as_ref(), vec![], release.as_path()),
        (release.join("infra/deploy").as_path(), vec![], Path::new("/")),
    ] {
        let (code, message) = run(Command::new("sh").arg(script).args(arguments).current_dir(from));
        assert_eq!(code, Some(1));
        assert!(message.starts_with("error: the AWS CLI is needed"), "{message}");
    }
}
