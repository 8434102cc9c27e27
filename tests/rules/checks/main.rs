//! Rules about code, template and documents that the compiler does not check.

mod benchmarks;
mod dependencies;
mod documents;
mod modules;
mod prose;
mod routes;

use std::path::{Path, PathBuf};

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
}

/// The Rust files under a folder, except in `target`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let inside = |path: PathBuf| match path.is_dir() && !path.ends_with("target") {
        true => sources(&path),
        false => vec![path],
    };
    let mut found: Vec<_> = entries(folder).flat_map(inside).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "rs"));
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
