//! What the tools around the functions share: which functions there are, and the Python packages that are tools.

mod venv;

use std::path::Path;

pub use venv::Venv;

/// The functions' names, as their folders in this checkout are called, in alphabetical order.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn functions(root: &Path) -> std::io::Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root.join("functions"))?
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
