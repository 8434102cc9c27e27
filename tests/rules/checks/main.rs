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

/// The files under a folder that people write: not what is built, hidden, or in a corpus.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let built = ["target", "corpus", "__pycache__", "node_modules"].contains(&name);
        let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name);
        if path.is_file() {
            files.push(path);
        } else if !built && !hidden {
            files.extend(self::files(&path));
        }
    }
    files
}

/// The Rust files under a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| extension(path) == "rs");
    found
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|end| end.to_str()).unwrap_or_default()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
