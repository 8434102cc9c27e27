//! The functions' programs: built with cargo in the tests' profile, and packaged for upload.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::program::{run, run_script};
use crate::{Checkout, Error, Installation, Progress, Result};

/// One zip per function, and one prefix for all of them.
#[derive(Clone, Debug, Deserialize)]
pub struct Packages {
    /// A digest of all zips: the same programs have the same prefix.
    pub(crate) prefix: String,
    /// The path of each function's zip.
    pub(crate) zips: BTreeMap<String, PathBuf>,
}

#[derive(Serialize)]
struct PackageRequest {
    folder: PathBuf,
    programs: BTreeMap<String, PathBuf>,
}

impl Packages {
    /// Returns the digest of all zips, as `infra/deploy` prints it.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the path of each function's zip.
    #[must_use]
    pub fn zips(&self) -> &BTreeMap<String, PathBuf> {
        &self.zips
    }

    /// Builds all functions and packages those that changed.
    pub async fn build(checkout: &Checkout, installation: &Installation, progress: Progress) -> Result<Self> {
        progress.step("Building the functions …");
        let programs = compile(checkout, progress).await?;
        let request = PackageRequest { folder: checkout.local_folder()?.join("functions"), programs };
        let script = checkout.emulator_folder().join("package.py");
        run_script(&installation.python(), &script, &request, "packaging the functions").await
    }
}

async fn compile(checkout: &Checkout, progress: Progress) -> Result<BTreeMap<String, PathBuf>> {
    let names = checkout.functions()?;
    let manifest = checkout.root().join("Cargo.toml");
    // Build the whole workspace, like `cargo local` and `cargo test --workspace`: another selection
    // of packages has other features of shared dependencies, and would compile the AWS SDK again.
    let arguments: [&OsStr; 6] = [
        "build".as_ref(),
        "--workspace".as_ref(),
        "--bins".as_ref(),
        "--message-format=json-render-diagnostics".as_ref(),
        "--manifest-path".as_ref(),
        manifest.as_ref(),
    ];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let messages = run(cargo, &arguments, progress.stderr(), "building the functions").await?;
    let programs = executables(&messages, &names);
    match names.iter().find(|name| !programs.contains_key(*name)) {
        Some(name) => Err(Error::answer(
            "building the functions",
            &format!("functions/{name} has no binary named {name}"),
        )),
        None => Ok(programs),
    }
}

/// The functions' programs in cargo's messages:
/// <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>.
fn executables(messages: &[u8], names: &[String]) -> BTreeMap<String, PathBuf> {
    messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?;
            let path = message["executable"].as_str()?;
            names.iter().any(|known| known == name).then(|| (name.to_owned(), PathBuf::from(path)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_programs_are_read_from_cargos_messages() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"authorizer"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"authorizer"},"executable":"/t/authorizer"}
{"reason":"compiler-artifact","target":{"name":"local"},"executable":"/t/local"}
{"reason":"build-finished","success":true}
"#;
        let found = executables(messages, &["authorizer".to_owned()]);
        assert_eq!(found, BTreeMap::from([("authorizer".to_owned(), PathBuf::from("/t/authorizer"))]));
    }
}
