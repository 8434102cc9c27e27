//! The benchmarks are a separate workspace. It must build the limit as the product's workspace
//! builds the functions.

use std::collections::{BTreeMap, BTreeSet};

use crate::{read, root};

#[test]
fn the_limit_is_built_from_the_versions_of_the_functions() {
    let (ours, theirs) = (packages("Cargo.lock"), packages("tests/compare/Cargo.lock"));
    let (mut linked, mut open) = (BTreeSet::new(), vec!["limit".to_owned()]);
    while let Some(package) = open.pop() {
        let found = theirs.iter().filter(|(id, _)| **id == package || id.split(' ').next() == Some(&package));
        for (id, dependencies) in found {
            if linked.insert(id.clone()) {
                open.extend(dependencies.iter().cloned());
            }
        }
    }
    let other: Vec<_> =
        linked.iter().filter(|id| !ours.contains_key(*id) && !id.starts_with("limit ")).collect();
    assert!(other.is_empty(), "packages in tests/compare/Cargo.lock but not in Cargo.lock: {other:#?}");
    assert!(linked.iter().any(|id| id.starts_with("aws-sdk-dynamodb ")), "{linked:#?}");
}

#[test]
fn the_limit_is_built_with_the_profiles_and_lints_of_the_functions() {
    let (ours, theirs) = (sections("Cargo.toml"), sections("tests/compare/Cargo.toml"));
    assert!(ours.contains_key("profile.release") && ours.contains_key("workspace.lints.clippy"));
    assert_eq!(theirs, ours);
}

/// The packages of a lock file, by name and version, with their dependencies: names, with versions
/// if there are several.
fn packages(lock: &str) -> BTreeMap<String, Vec<String>> {
    let packages = read(&root().join(lock));
    let packages = packages.split("[[package]]").skip(1).map(|package| {
        let field = |name: &str| {
            let value = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            value.expect("name and version").trim_matches('"').to_owned()
        };
        let dependencies = package.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
        (format!("{} {}", field("name"), field("version")), dependencies.map(str::to_owned).collect())
    });
    packages.collect()
}

/// The profiles and lints of a workspace's `Cargo.toml`: the settings of each section, without
/// comments.
fn sections(manifest: &str) -> BTreeMap<String, Vec<String>> {
    let text = read(&root().join(manifest));
    let sections = text.split("\n[").skip(1).filter_map(|section| {
        let (header, body) = section.split_once(']')?;
        let settings = body.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
        let settings = settings.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned);
        Some((header.to_owned(), settings.collect()))
    });
    sections
        .filter(|(header, _)| header.starts_with("profile.") || header.starts_with("workspace.lints."))
        .collect()
}
